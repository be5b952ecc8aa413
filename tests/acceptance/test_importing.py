"""digest subscribers import: into the store, once, whatever happens on the way."""

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


def name_of(table: Path) -> str:
    from digest.operate.importing import _name

    return _name(table, "morning", None)
