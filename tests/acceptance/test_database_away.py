"""`digest serve` while its PostgreSQL server is away, or of another version: real processes, a server of our own."""

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.conftest import Desk
from tests.acceptance.serving import serving, wait_for
from tests.doubles.postgresql import PostgresServer, find_binaries

ENGINE = """
[engine]
kind = "procrastinate"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be stopped: the session's is others', too."""
    if find_binaries() is None:
        pytest.skip("needs postgresql")
    with PostgresServer() as started:
        yield started


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.environment["DIGEST_STORE_URL"] = server.create()
    assert desk.digest("init").code == 0
    assert desk.digest("subscribers", "add", "reader@rehearsal.test").code == 0
    assert desk.digest("run").code == 0
    return desk


def ask(url: str) -> tuple[int, str | None]:
    """The status, and after how long to ask again."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.headers["Retry-After"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Retry-After"]


def count(said: list[str], words: str) -> int:
    return sum(words in line for line in said)


@pytest.mark.timeout(240)
def test_serve_outlives_a_server_that_is_away_and_tells_of_it_once(desk: Desk, server: PostgresServer) -> None:
    said: list[str] = []
    (slug,) = [desk.digest("status", "--json").rows[0]["newsletter"]]
    with serving(desk, said=said) as url:
        assert ask(f"{url}/{slug}/")[0] == 200
        server.stop()
        try:
            assert ask(f"{url}/{slug}/") == (503, "5")
            wait_for(lambda: count(said, "trying again"), 30, "it is told")
        finally:
            server.start()
        wait_for(lambda: count(said, "the database answers again"), 60, "it is back")
        assert ask(f"{url}/{slug}/")[0] == 200
        (worker,) = desk.digest("status", "--json").rows[0]["workers"]
        assert worker["queues"] == ["schedule"]
    assert count(said, "trying again") == 1
    assert len(desk.mails()) == 1
    assert desk.digest("status", "--json").rows[0]["workers"] == []


@pytest.mark.timeout(240)
def test_serve_waits_at_its_start_for_a_server_and_then_for_the_upgrade(desk: Desk, server: PostgresServer) -> None:
    address = desk.environment["DIGEST_STORE_URL"].replace("+psycopg", "")

    def set_revision(number: str) -> str:
        with psycopg.connect(address, autocommit=True) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            connection.execute("UPDATE alembic_version SET version_num = %s", [number])
        assert row
        return str(row[0])

    head = set_revision("0007")
    assert "it is at revision 0007" in desk.digest("status").err
    server.stop()
    process = desk.start("serve", "--port", "0")
    try:
        assert "trying again" in process.stderr.readline()
        server.start()
        assert "it is at revision 0007" in process.stderr.readline()
        set_revision(head)
        assert "can be used now" in process.stderr.readline()
        assert "Serving http://" in process.stderr.readline()
        process.terminate()
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


@pytest.mark.timeout(240)
def test_a_worker_tells_once_of_a_server_that_goes_and_once_of_its_return(
    tmp_path: Path, server: PostgresServer
) -> None:
    desk = Desk(tmp_path)
    desk.environment["DIGEST_STORE_URL"] = server.create()
    assert desk.digest("init").code == 0
    desk.configure(ENGINE)
    assert desk.digest("db", "upgrade").code == 0
    process = desk.start("worker", "--health", "0")
    said: list[str] = []
    reader = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        wait_for(lambda: count(said, "Working for") and count(said, "Health on"), 40, "it is at work")
        place = re.search(r"http://[\d.]+:\d+", "".join(said))
        assert place
        server.stop()
        try:
            wait_for(lambda: ask(f"{place[0]}/readyz")[0] == 503, 60, "the queue is missed")
            wait_for(lambda: count(said, "trying again"), 60, "it is told")
        finally:
            server.start()
        wait_for(lambda: ask(f"{place[0]}/readyz")[0] == 200, 60, "the queue is back")
        wait_for(lambda: count(said, "answers again"), 60, "it is told")
        process.terminate()
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        process.stderr.close()
        process.stdout.close()
    assert (count(said, "trying again"), count(said, "answers again")) == (1, 1), said
