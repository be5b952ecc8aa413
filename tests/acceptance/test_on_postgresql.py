"""The command line and the pages over PostgreSQL: an operator notices no difference."""

import re
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from digest.stores.sql import SqlStore
from tests.acceptance.conftest import Desk
from tests.acceptance.serving import serving, wait_for
from tests.doubles.postgresql import PostgresServer


@pytest.fixture(scope="module")
def url(postgresql: PostgresServer) -> Iterator[str]:
    url = postgresql.create()
    yield url
    postgresql.drop(url)


@pytest.fixture(scope="module")
def empty_desk(tmp_path_factory: pytest.TempPathFactory, url: str) -> Desk:
    """What `digest init` made, over a server's database, with a reader."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.environment["DIGEST_STORE_URL"] = url
    assert desk.digest("init").code == 0
    assert desk.digest("subscribers", "add", "reader@rehearsal.test").code == 0
    return desk


@pytest.fixture(scope="module")
def tried(empty_desk: Desk, url: str) -> tuple[str, str]:
    """What the server counted of written rows before and after an edition was looked at, and run dry."""
    with closing(SqlStore.open(url)) as store:
        store.keys.key("secret_key", lambda: "made when it is first asked for, and kept")
    before = count_written(url)
    assert empty_desk.digest("preview", "--out", "page.html").code == 0
    dry = empty_desk.digest("run", "--dry-run")
    assert dry.code == 0, dry.err
    return before, count_written(url)


@pytest.fixture(scope="module")
def desk(empty_desk: Desk, tried: tuple[str, str]) -> Desk:
    """The same with an edition that went out."""
    ran = empty_desk.digest("run")
    assert ran.code == 0, ran.err
    return empty_desk


def count_written(url: str) -> str:
    with closing(SqlStore.open(url)) as store:
        return store.stamp()


def ask(url: str, body: bytes | None = None) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=20) as answer:
        return str(answer.read().decode())


def states(desk: Desk) -> dict[str, str]:
    return {row["email"]: row["state"] for row in desk.digest("subscribers", "list", "--json").rows}


def test_an_edition_goes_out_once_and_is_on_record(desk: Desk) -> None:
    assert len(desk.mails()) == 1
    assert "already sent" in desk.digest("run").out
    assert len(desk.mails()) == 1
    assert not (desk.folder / "digest.db").exists()
    (delivery,) = desk.digest("editions", "show", "latest", "--deliveries", "--json").rows
    assert (delivery["email"], delivery["state"]) == ("reader@rehearsal.test", "accepted")
    status = desk.digest("status", "--json")
    assert status.code == 0
    assert "sent" in status.out


def test_check_tells_of_the_server_and_of_what_a_power_cut_may_take(desk: Desk) -> None:
    found = {row["subject"]: row for row in desk.digest("check", "--json").rows}
    assert "PostgreSQL" in found["database"]["message"]
    assert found["durability"]["result"] == "warning"  # the tests' server waits for no disk
    assert "up to date" in desk.digest("db", "upgrade").out


def test_a_preview_and_dry_runs_keep_nothing(desk: Desk, tried: tuple[str, str], url: str) -> None:
    assert "<html" in (desk.folder / "page.html").read_text()
    assert tried[0] == tried[1]
    (desk.folder / "new.csv").write_text("email\nnew@mail.org\n")
    before = count_written(url)
    dry = desk.digest("subscribers", "import", "new.csv", "--consent", "asked", "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert dry.rows[0]["added"] == 1
    assert count_written(url) == before


def test_an_import_is_taken_in_and_known_again(desk: Desk) -> None:
    (desk.folder / "more.csv").write_text("email,name\nmore@mail.org,Möre\n")
    arguments = ("subscribers", "import", "more.csv", "--consent", "asked at the fair", "--json")
    assert (desk.digest(*arguments).rows[0]["added"], desk.digest(*arguments).rows[0]["known"]) == (1, 1)
    assert desk.digest("subscribers", "remove", "more@mail.org").code == 0
    assert states(desk)["more@mail.org"] == "unsubscribed"


def test_the_page_of_a_preview_is_made_anew_when_the_database_changes(desk: Desk) -> None:
    with serving(desk, "preview", "--no-open") as place:
        before = ask(f"{place}/version")
        assert ask(f"{place}/version") == before
        desk.digest("subscribers", "add", "other@rehearsal.test")
        wait_for(lambda: ask(f"{place}/version") != before, 20, "another version")


def test_the_pages_are_served_and_lead_out(desk: Desk) -> None:
    mail = desk.mails()[0].read_bytes().decode()
    way_out = re.search(r"List-Unsubscribe: <https://[^/]+(/\S+)>", mail)
    assert way_out
    with serving(desk) as place:
        assert "Morning Brief" in ask(f"{place}/morning")
        assert "Unsubscribe" in ask(place + way_out[1])
        ask(place + way_out[1], b"List-Unsubscribe=One-Click")
    assert states(desk)["reader@rehearsal.test"] == "unsubscribed"


def test_all_of_it_moves_into_a_file_and_goes_on_there(desk: Desk, tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path / 'digest.db'}"
    copied = desk.digest("db", "copy", target, "--json")
    assert copied.code == 0, copied.err
    rows = {row["table"]: row["rows"] for row in copied.rows}
    assert rows["deliveries"] == 1
    again = desk.digest("db", "copy", target)
    assert (again.code, "it is not empty" in again.err) == (1, True)
    assert "already sent" in desk.digest("run", DIGEST_STORE_URL=target).out
    assert desk.digest("db", "backup", "digest.dump").code == 0
    assert (desk.folder / "digest.dump").read_bytes().startswith(b"PGDMP")
    assert "it is not empty" in desk.digest("db", "restore", "digest.dump").err


def test_a_file_moves_to_a_server_by_their_names_alone(postgresql: PostgresServer, tmp_path: Path) -> None:
    desk, target = Desk(tmp_path), postgresql.create()
    try:
        assert desk.digest("init", ".").code == 0
        assert desk.digest("subscribers", "add", "reader@rehearsal.test").code == 0
        assert desk.digest("run").code == 0
        (desk.folder / "config.toml").rename(desk.folder / "elsewhere.toml")  # which is not asked
        copied = desk.digest("db", "copy", "digest.db", target, "--json")
        assert copied.code == 0, copied.err
        assert {row["table"]: row["rows"] for row in copied.rows}["deliveries"] == 1
        assert "there is no database" in desk.digest("db", "copy", "digset.db", target).err
        assert not (desk.folder / "digset.db").exists()
        assert desk.digest("db", "copy", "a.db", "b.db", "c.db").code == 2
        moved = desk.digest("status", "--json", "--config", "elsewhere.toml", DIGEST_STORE_URL=target)
        assert '"accepted": 1' in moved.out
        assert "already sent" in desk.digest("run", "--config", "elsewhere.toml", DIGEST_STORE_URL=target).out
    finally:
        postgresql.drop(target)


def test_an_address_with_a_password_is_never_repeated(desk: Desk, url: str) -> None:
    wrong = url.replace("digest@", "digest:hunter2@").replace("/test", "/nothing")
    for command in (["db", "check"], ["db", "copy", wrong]):
        said = desk.digest(*command, DIGEST_STORE_URL=url if "copy" in command else wrong)
        assert said.code == 1
        assert "no database of that name" in said.err
        assert "hunter2" not in said.out + said.err
    said = desk.digest("status", DIGEST_STORE_URL="postgres://digest:hunter2@host/db")
    assert said.code == 2
    assert "DIGEST_STORE_URL: " in said.err
    assert "hunter2" not in said.out + said.err
    said = desk.digest("db", "copy", "postgresql+psycopg://digest:hunter2@host:port/db", DIGEST_STORE_URL=url)
    assert said.code == 2
    assert "hunter2" not in said.out + said.err
