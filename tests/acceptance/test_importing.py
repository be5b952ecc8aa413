"""digest subscribers import: into the store, once, whatever happens on the way."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from digest.stores.sql import SqlStore
from tests.acceptance.conftest import Desk


@pytest.fixture
def table(desk: Desk) -> Path:
    """A desk with a reader who left, and a file of readers."""
    assert desk.digest("init").code == 0
    for address in ("left@mail.org", "stays@mail.org"):
        assert desk.digest("subscribers", "add", address).code == 0
    assert desk.digest("subscribers", "remove", "left@mail.org").code == 0
    path = desk.folder / "readers.csv"
    path.write_text("email,status\nnew@mail.org,\nLEFT@mail.org,\nstays@mail.org,bounced\nnobody,\n")
    return path


def states(desk: Desk) -> dict[str, str]:
    return {row["email"]: row["state"] for row in desk.digest("subscribers", "list", "--json").rows}


def test_nobody_who_left_is_revived_and_who_bounced_elsewhere_is_no_longer_mailed(desk: Desk, table: Path) -> None:
    done = desk.digest("subscribers", "import", str(table), "--consent", "asked at the fair", "--json")
    assert done.code == 3
    (counts,) = done.rows
    assert (counts["added"], counts["ended"], counts["left_out"], counts["refused"]) == (1, 1, 1, 1)
    assert f"{table}:3: LEFT@mail.org left before" in done.err
    assert f"{table}:5:" in done.err
    assert states(desk) == {"left@mail.org": "unsubscribed", "new@mail.org": "active", "stays@mail.org": "bounced"}
    again = desk.digest("subscribers", "import", str(table), "--consent", "asked at the fair", "--json").rows[0]
    assert (again["added"], again["ended"], again["known"]) == (0, 0, 2)


def test_a_dry_run_says_the_same_and_keeps_nothing(desk: Desk, table: Path) -> None:
    before = states(desk)
    done = desk.digest("subscribers", "import", str(table), "--consent", "asked", "--dry-run", "--json")
    assert (done.rows[0]["added"], done.rows[0]["ended"], done.rows[0]["dry_run"]) == (1, 1, True)
    assert states(desk) == before


def test_who_was_pending_is_active_once_they_agreed(desk: Desk, table: Path) -> None:
    table.write_text("email\npending@mail.org\n")
    assert desk.digest("subscribers", "import", str(table)).code == 0
    assert states(desk)["pending@mail.org"] == "pending"
    done = desk.digest("subscribers", "import", str(table), "--consent", "asked at the fair")
    assert "1 that were pending made active" in done.out
    assert states(desk)["pending@mail.org"] == "active"


def test_an_import_that_was_broken_off_goes_on_where_it_stood(desk: Desk, table: Path) -> None:
    table.write_text("email\n" + "".join(f"reader{number}@mail.org\n" for number in range(12_000)))
    assert desk.digest("subscribers", "import", str(table)).code == 0
    store = SqlStore.open(f"sqlite:///{desk.folder / 'digest.db'}")
    with store._database.write() as connection:  # as it is left by a process that was killed after two commits
        connection.exec_driver_sql("DELETE FROM subscriptions WHERE id > 10002")
        connection.exec_driver_sql("INSERT INTO imports VALUES ('morning', ?, 10001, '')", (name_of(table),))
    store.close()
    done = desk.digest("subscribers", "import", str(table), "--json")
    assert "broken off behind line 10001" in done.err
    assert done.rows[0]["added"] == 2000
    assert desk.digest("subscribers", "import", str(table), "--json").rows[0]["known"] == 12_000


def test_what_is_exported_can_be_imported_again_and_runs_in_no_spreadsheet(desk: Desk, table: Path) -> None:
    table.write_text(
        "email,name,topics,tags,consent_at,consent_text,paused_until\n"
        'evil@mail.org,"=HYPERLINK(1)",world,press,2026-01-02,=1+1,2036-05-01T08:00Z\n'
        "-minus@mail.org,,,,2026-01-02,,\n"
        "'quote@mail.org,'plain,,,2026-01-02,,\n"
    )
    assert desk.digest("subscribers", "import", str(table)).code == 0
    for name in ("all.csv", "all.jsonl"):
        out = desk.folder / name
        assert desk.digest("subscribers", "export", str(out)).code == 0
        assert desk.digest("subscribers", "export", str(out)).code == 2
        assert desk.digest("subscribers", "import", str(out), "--json").rows[0]["known"] == 5
        other = Desk(desk.folder / f"of-{name}")
        other.folder.mkdir()
        assert other.digest("init").code == 0
        other.digest("subscribers", "import", str(out))
        rows = {row["email"]: row for row in other.digest("subscribers", "list", "--json").rows}
        assert rows["left@mail.org"]["state"] == "unsubscribed"
        assert (rows["evil@mail.org"]["name"], rows["evil@mail.org"]["tags"]) == ("=HYPERLINK(1)", ["press"])
        assert rows == {row["email"]: row for row in desk.digest("subscribers", "list", "--json").rows}
    assert "\n'=" not in (desk.folder / "all.csv").read_text()
    assert ",'=HYPERLINK(1)," in (desk.folder / "all.csv").read_text()


def test_who_is_erased_stands_nowhere_and_is_not_mailed_by_the_next_import(desk: Desk, table: Path) -> None:
    assert desk.digest("run").code == 0
    (kept,) = desk.digest("subscribers", "show", "STAYS@mail.org", "--json").rows
    assert (kept["state"], kept["receipts"][0]["state"]) == ("active", "accepted")
    assert desk.digest("subscribers", "erase", "stays@mail.org").code == 0
    assert desk.digest("subscribers", "show", "stays@mail.org").code == 2
    table.write_text("email\nstays@mail.org\n")
    done = desk.digest("subscribers", "import", str(table), "--consent", "yes")
    assert "stays@mail.org was erased" in done.err
    with closing(sqlite3.connect(desk.folder / "digest.db")) as raw:
        dump = "\n".join(line for line in raw.iterdump() if "entries" not in line)
    assert "stays@" not in dump
    deliveries = desk.digest("editions", "show", "latest", "--deliveries", "--json").rows
    assert [row["state"] for row in deliveries] == ["accepted"]


def name_of(table: Path) -> str:
    from digest.operate.importing import _name

    return _name(table, "morning", None)
