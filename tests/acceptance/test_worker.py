"""`digest worker` as an operator meets it."""

import errno
import re
import signal
import socket
import threading
import urllib.request
from contextlib import closing

import psycopg
import pytest

from digest.app import App
from digest.config import load_config
from digest.engine.queue import ProcrastinateQueue
from digest.engine.schema import upgrade_schema
from digest.listening import find_reason
from digest.models import Task
from digest.operate.metrics import read_metrics
from digest.stores.sql import SqlStore
from tests.acceptance.conftest import Desk
from tests.acceptance.serving import wait_for

ENGINE = """
[engine]
kind = "procrastinate"
"""


@pytest.fixture
def url(server_url: str) -> str:
    return server_url


@pytest.fixture
def engine_desk(desk: Desk, url: str) -> Desk:
    """A newsletter with the engine of workers over a server, where nothing is yet."""
    desk.environment["DIGEST_STORE_URL"] = url
    desk.configure(ENGINE)
    return desk


def test_without_the_engine_a_worker_says_that_there_is_nothing_for_it(desk: Desk) -> None:
    desk.configure()
    ran = desk.digest("worker")
    assert ran.code == 2
    assert '[engine] kind: it is "local"' in ran.err


def test_without_the_engine_there_are_no_tasks_and_that_is_said(desk: Desk) -> None:
    desk.configure()
    ran = desk.digest("tasks", "list")
    assert ran.code == 2
    assert '[engine] kind: it is "local": there are no tasks' in ran.err


def test_what_was_set_aside_is_listed_and_tried_again_or_dropped(engine_desk: Desk, url: str) -> None:
    SqlStore.open(url, on_made=lambda: upgrade_schema(url)).close()
    with closing(ProcrastinateQueue(url, "morning")) as queue:
        queue.enqueue([Task(kind="read", newsletter="morning", subject=str(n)) for n in range(3)])
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                """UPDATE procrastinate_jobs SET status = 'failed', attempts = 5, args = args || '{"fault": "odd"}'"""
            )
        rows = engine_desk.digest("tasks", "list", "--json").rows
        assert [(row["kind"], row["subject"], row["attempts"], row["fault"]) for row in rows] == [
            ("read", str(number), 5, "odd") for number in (2, 1, 0)
        ]
        ids = [str(row["id"]) for row in rows]
        ran = engine_desk.digest("tasks", "retry", ids[0], "4711")
        assert (ran.code, "task 4711: none of that id is set aside" in ran.err) == (2, True)
        assert len(queue.set_aside()) == 3, "one that is not there, and nothing is done"
        assert engine_desk.digest("tasks", "retry").code == 2
        assert "waits for a worker" in engine_desk.digest("tasks", "retry", ids[0]).out
        assert len(engine_desk.digest("tasks", "drop", "--all", "--json").rows) == 2
        assert (len(queue.set_aside()), queue.waiting()["read"]) == (0, 1)


def test_all_that_was_set_aside_is_counted_where_some_of_it_is_shown(engine_desk: Desk, url: str) -> None:
    SqlStore.open(url, on_made=lambda: upgrade_schema(url)).close()
    with closing(ProcrastinateQueue(url, "morning")) as queue:
        queue.enqueue([Task(kind="read", newsletter="morning", subject=str(n)) for n in range(23)])
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("UPDATE procrastinate_jobs SET status = 'failed', attempts = 5")
    tasks = engine_desk.digest("status", "--json").rows[0]["tasks"]
    assert (tasks["set_aside_total"], len(tasks["set_aside"])) == (23, 20)
    assert "23 set aside" in engine_desk.digest("status").out
    with App(load_config(engine_desk.folder / "config.toml", engine_desk.environment)) as app:
        assert "digest_tasks_set_aside 23.0" in read_metrics(app).decode().splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--queues", "collect,sending"], 'queue "sending": there is none of that name'),
        (["--queues", ""], 'queue "": there is none of that name'),
        (["--health", "nowhere"], 'health "nowhere": it is no address'),
        (["--health", "127.0.0.1:99999"], "it is no address"),
    ],
    ids=["kind", "empty", "words", "port"],
)
def test_arguments_that_make_no_sense_are_named(engine_desk: Desk, arguments: list[str], words: str) -> None:
    ran = engine_desk.digest("worker", *arguments)
    assert ran.code == 2
    assert words in ran.err


def test_where_health_cannot_be_asked_is_said_in_words(engine_desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = engine_desk.digest("worker", "--health", place)
    assert ran.code == 2
    assert ran.err == (
        f"digest: health {place}: health cannot be asked there: another program has that port "
        "(name another in [engine] health, or with --health; each worker needs its own)\n"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EADDRNOTAVAIL, "x"), "it is no address of this machine"),
        (OSError(errno.EACCES, "x"), "ports below 1024 are not for everybody"),
        (socket.gaierror(-2, "x"), "no host of that name is known"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (OverflowError("port must be 0-65535."), "port must be 0-65535."),
    ],
)
def test_why_nothing_can_listen_is_said_in_words(error: Exception, words: str) -> None:
    assert find_reason(error) == words


def test_a_new_database_gets_the_engines_tables_and_an_old_one_by_its_upgrade(engine_desk: Desk, url: str) -> None:
    assert engine_desk.digest("db", "check").code == 0
    told = engine_desk.digest("db", "check").out
    assert re.search(r"engine\tProcrastinate \d", told)
    assert re.search(r"place\tdatabase \w+ on 127.0.0.1", told)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    SqlStore.open(url).close()  # as the local engine makes it
    ran = engine_desk.digest("db", "check")
    assert ran.code == 1
    assert "digest db upgrade" in ran.err
    upgraded = engine_desk.digest("db", "upgrade", "--json").rows
    assert [row["subject"] for row in upgraded] == ["database", "engine"]
    assert "were made" in upgraded[1]["result"]
    assert "up to date" in engine_desk.digest("db", "upgrade").out
    assert engine_desk.digest("db", "check").code == 0
    with closing(SqlStore.open(url, create=False)) as store:
        assert store.subscribers.everyone("morning") == []


def test_a_worker_works_until_it_is_told_to_stop_and_minds_a_faulty_configuration(engine_desk: Desk) -> None:
    process = engine_desk.start("worker", "--queues", "deliver,collect", "--concurrency", "2", "--health", "0")
    said: list[str] = []
    reader = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
    reader.start()

    def has_said(words: str) -> bool:
        return any(words in line for line in said) or process.poll() is not None

    try:
        wait_for(lambda: has_said("Working for morning on database"), 40, "it is at work")
        assert "collect, deliver, 2 at once" in "".join(said), said
        place = re.search(r"http://[\d.]+:\d+", "".join(said))
        assert place, said
        with urllib.request.urlopen(f"{place[0]}/readyz", timeout=20) as answer:
            assert answer.read() == b"ok\n"
        with urllib.request.urlopen(f"{place[0]}/metrics", timeout=20) as answer:
            assert b"digest_tasks_waiting{" in answer.read()
        (engine_desk.folder / "config.toml").write_text("[newsletter]\nname = 3\n")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: has_said("not taken"), 30, "it has read")
        assert any("[newsletter]" in line or "newsletter" in line for line in said), said
        engine_desk.configure(ENGINE)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: has_said("tasks that begin now use it"), 30, "it has read again")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, said
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        process.stderr.close()
        process.stdout.close()
    assert "Traceback" not in "".join(said), said
