"""What is asked each minute, or while all other writers wait, is found by an index, however old the database is.

As SQLite plans it: PostgreSQL reads small tables whole, and rightly so.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from digest.models import Subscriber, SubscriberState
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, plan


@pytest.fixture
def store(blank: Path, tmp_path: Path) -> Iterator[SqlStore]:
    """An open one, with an edition."""
    shutil.copy(blank, tmp_path / "digest.db")
    with closing(SqlStore.open(f"sqlite:///{tmp_path / 'digest.db'}")) as opened:
        plan(opened, 3)
        yield opened


def list_plans(store: SqlStore, work: Callable[[], object]) -> list[str]:
    """How the database finds what is asked in some work."""
    asked: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            asked.append((statement, parameters))

    event.listen(store._database.engine, "before_cursor_execute", note)
    work()
    event.remove(store._database.engine, "before_cursor_execute", note)
    with store._database.read() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", given).all() for said, given in asked]
    return [str(step[3]) for plan in plans for step in plan]


def test_an_erasure_reads_neither_all_deliveries_nor_all_subscriptions(store: SqlStore) -> None:
    add_readers_of_another(store)
    reader = store.subscribers.find("morning", "reader00001@rehearsal.test")
    assert reader
    for erase in (
        lambda: store.subscribers.erase("reader00000@rehearsal.test", now=NOW),
        lambda: store.managing.erase("morning", reader.key, now=NOW),
    ):
        plans = list_plans(store, erase)
        assert any("deliveries USING" in step for step in plans)
        assert not [step for step in plans if step.startswith(("SCAN deliveries", "SCAN subscriptions", "SCAN events"))]


def add_readers_of_another(store: SqlStore) -> None:
    for number in range(2):
        reader = Subscriber(email=f"reader{number:05}@rehearsal.test", state=SubscriberState.ACTIVE, consent_at=NOW)
        store.subscribers.add("evening", reader, now=NOW)


def test_how_sources_do_is_read_of_the_last_month_and_from_indexes(store: SqlStore) -> None:
    plans = list_plans(store, lambda: store.entries.health("morning", now=NOW))
    of_entries = [step for step in plans if " entries " in step]
    assert sorted(of_entries) == [
        "SEARCH entries USING COVERING INDEX ix_entries_seen (newsletter=? AND seen_at>?)",
        "SEARCH entries USING COVERING INDEX ix_entries_source (newsletter=? AND source=?)",
    ]
    assert not [step for step in list_plans(store, lambda: store.entries.failures("morning")) if "entries" in step]


def test_the_last_editions_are_found_without_sorting_all(store: SqlStore) -> None:
    for ask in (lambda: store.editions.newest("morning", 7), lambda: store.editions.last_sent_at("morning")):
        plans = list_plans(store, ask)
        assert len(plans) == 1
        assert plans[0].startswith("SEARCH editions USING ")
