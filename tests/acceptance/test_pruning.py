"""`digest db prune`: what is older than [retention] says, now."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

from digest.models import Collected, Entry
from digest.stores.sql import SqlStore
from tests.acceptance.conftest import Desk

NOTHING = {"pages": 0, "events": 0, "networks": 0, "editions": 0, "runs": 0, "faults": []}


def add_entry(store: SqlStore, days: int) -> None:
    """One that was seen so many days ago."""
    at = datetime.now(UTC) - timedelta(days=days)
    entry = Entry(id=f"{days}", title=f"Title {days}", link=f"https://news.test/{days}", content="It says")
    store.entries.add("morning", "wire", Collected(entries=(entry,)), now=at, since=at - timedelta(days=1))


def test_what_was_kept_long_enough_is_forgotten_and_told(desk: Desk) -> None:
    desk.configure()
    with closing(SqlStore.open(f"sqlite:///{desk.folder / 'digest.db'}")) as store:
        add_entry(store, 40)
        add_entry(store, 1)
        pruned = desk.digest("db", "prune")
        assert (pruned.code, pruned.out) == (0, "retention: forgotten were 1 texts of entries\n")
        assert [one.entry.content for one in store.entries.get([1, 2])] == [None, "It says"]
        assert desk.digest("db", "prune").out == "nothing is older than [retention] says\n"
        assert desk.digest("db", "prune", "--json").rows == [NOTHING]
        add_entry(store, 50)
        assert desk.digest("db", "prune", "--json").rows == [NOTHING | {"pages": 1}]


def test_who_comes_second_is_told_that_somebody_is_at_it(desk: Desk) -> None:
    desk.configure()
    with closing(SqlStore.open(f"sqlite:///{desk.folder / 'digest.db'}")) as store:
        with store.alone("housekeeping morning"):
            pruned = desk.digest("db", "prune")
            assert (pruned.code, pruned.out) == (3, "retention: another process is at it now\n")
            found = desk.digest("db", "prune", "--json")
            assert (found.code, json.loads(found.out)) == (3, {"faults": ["another process is at it now"]})
        assert desk.digest("db", "prune").code == 0
