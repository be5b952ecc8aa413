"""Which sources are due and who visits them, which pages wait and who reads them; over every store."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from digest.models import Collected, Entry, Page, StoredEntry
from digest.stores.schema import sources
from digest.stores.sql import SqlStore, find_database
from tests.contract.editions import NOW

MINUTE = timedelta(minutes=1)
SLUG = "morning"


def claim(store: SqlStore, name: str = "wire", at=NOW, **how: bool):
    """Take a visit for two minutes."""
    return store.visits.claim(SLUG, name, now=at, until=at + 2 * MINUTE, **how)


def due(store: SqlStore, at=NOW, limit: int = 100) -> list[str]:
    """Who is due."""
    return store.visits.due(SLUG, now=at, limit=limit)


def add(store: SqlStore, *numbers: int, at=NOW, to_read: Callable[[Entry], bool] = lambda _: True) -> list[int]:
    """Entries of now whose pages wait."""
    found = tuple(
        Entry(id=f"e{n}", title=f"Title {n}", link=f"https://example.com/{n}", published_at=NOW) for n in numbers
    )
    store.entries.add(SLUG, "wire", Collected(entries=found), now=at, since=NOW - 60 * MINUTE, to_read=to_read)
    return store.reads.due(SLUG, now=at, limit=100)


def test_sources_are_due_at_once_when_they_are_enrolled_and_enrolling_changes_no_plan(store: SqlStore) -> None:
    store.entries.fail(SLUG, "old", "down", now=NOW)
    assert due(store) == []
    assert store.visits.enrol(SLUG, ["wire", "old", "wire"], now=NOW) == 2
    assert sorted(due(store)) == ["old", "wire"]
    store.visits.plan(SLUG, "wire", pace=30 * MINUTE, due_at=NOW + 30 * MINUTE)
    assert store.visits.enrol(SLUG, ["wire", "old"], now=NOW) == 0
    assert due(store) == ["old"]
    assert store.entries.state(SLUG, "old").failures == 1


def test_the_longest_due_come_first_and_no_more_than_asked_for(store: SqlStore) -> None:
    store.visits.enrol(SLUG, ["a", "b", "c"], now=NOW)
    for name, minutes in (("a", 1), ("b", 3), ("c", 2)):
        store.visits.postpone(SLUG, [name], until=NOW - minutes * MINUTE)
    assert due(store) == ["b", "c", "a"]
    assert due(store, limit=2) == ["b", "c"]
    assert store.visits.due("evening", now=NOW, limit=10) == []


def test_a_claimed_visit_is_nobody_elses_until_it_is_planned_given_back_or_its_time_is_over(store: SqlStore) -> None:
    store.visits.enrol(SLUG, ["wire"], now=NOW)
    assert claim(store, only_due=True)
    assert due(store) == []
    assert claim(store, only_due=True) is None
    assert claim(store) is None
    assert claim(store, take_over=True)
    store.visits.release(SLUG, "wire")
    assert due(store) == ["wire"]
    assert claim(store)
    assert due(store, NOW + 2 * MINUTE) == ["wire"], "its owner died"
    store.visits.plan(SLUG, "wire", pace=60 * MINUTE, due_at=NOW + 60 * MINUTE)
    assert claim(store, only_due=True) is None
    state = claim(store)
    assert (state.pace, state.visit_due_at) == (60 * MINUTE, NOW + 60 * MINUTE)


def test_a_claim_from_a_clock_that_was_set_back_since_holds_nothing_up(store: SqlStore) -> None:
    claim(store, at=NOW + 120 * MINUTE)
    assert claim(store)


def test_a_source_that_nobody_knows_yet_can_be_claimed(store: SqlStore) -> None:
    state = claim(store)
    assert (state.last_visit_at, state.failures, dict(state.cursor)) == (None, 0, {})
    assert claim(store, "other", only_due=True) is None, "nobody planned it"


def test_of_many_who_claim_at_once_one_gets_it(store: SqlStore) -> None:
    names = [f"s{n}" for n in range(30)]
    store.visits.enrol(SLUG, names, now=NOW)
    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(lambda name: claim(store, name, only_due=True), names * 4))
    assert sum(one is not None for one in claimed) == len(names)


def test_what_a_visit_left_is_there_for_the_next_who_claims(store: SqlStore) -> None:
    store.entries.add(SLUG, "wire", Collected(cursor={"etag": "1"}, faults=("half",)), now=NOW, since=NOW)
    state = claim(store)
    assert (dict(state.cursor), state.last_visit_at, state.failures, state.error) == ({"etag": "1"}, NOW, 0, "half")
    store.entries.fail(SLUG, "wire", "down", now=NOW + MINUTE)
    assert store.visits.states(SLUG)["wire"].last_visit_at == NOW + MINUTE
    store.visits.note_told(SLUG, "wire", now=NOW)
    assert store.entries.state(SLUG, "wire").told_at == NOW


def test_a_hundred_thousand_sources_are_asked_by_an_index(store: SqlStore, store_url: str) -> None:
    names = [f"s{n}" for n in range(100_000)]
    rows = [
        {"newsletter": SLUG, "id": name, "failures": 0, "visit_due_at": NOW + n * MINUTE}
        for n, name in enumerate(names)
    ]
    database = find_database(store_url)
    try:
        with database.write_fast() as connection:
            connection.execute(sources.insert(), rows)
        assert due(store, NOW + 3 * MINUTE) == ["s0", "s1", "s2", "s3"]
        assert claim(store, "s99999", only_due=True) is None
        assert claim(store, "s3", at=NOW + 5 * MINUTE, only_due=True)
        query = (
            "SELECT id FROM sources WHERE newsletter = 'morning' AND visit_due_at <= '2026-01-01'"
            " ORDER BY visit_due_at LIMIT 100"
        )
        is_sqlite = store_url.startswith("sqlite")
        with database.write_fast() as connection:
            connection.execute(text("ANALYZE sources"))
            plan = connection.execute(text(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{query}")).all()
        assert "ix_sources_due" in str(plan)
    finally:
        database.close()


def test_only_pages_that_are_wanted_wait_and_none_of_what_is_past(store: SqlStore) -> None:
    assert len(add(store, 1, 2, to_read=lambda entry: entry.id == "e1")) == 1
    past = Entry(id="past", title="Past", link="https://example.com/p", published_at=NOW - timedelta(days=9))
    store.entries.add(SLUG, "other", Collected(entries=(past,)), now=NOW, since=NOW, to_read=lambda _: True)
    assert len(store.reads.due(SLUG, now=NOW, limit=10)) == 1
    assert store.reads.due(SLUG, now=NOW, limit=10, source="other") == []


def test_a_page_is_taken_by_one_and_comes_back_when_it_was_not_kept(store: SqlStore) -> None:
    (number,) = add(store, 1)
    ((stored, tries),) = store.reads.take([number], now=NOW, until=NOW + 5 * MINUTE)
    assert isinstance(stored, StoredEntry)
    assert (stored.number, tries) == (number, 1)
    assert store.reads.take([number], now=NOW, until=NOW + 5 * MINUTE) == []
    assert store.reads.due(SLUG, now=NOW + 5 * MINUTE, limit=10) == [number]
    ((_, tries),) = store.reads.take([number], now=NOW + 5 * MINUTE, until=NOW + 9 * MINUTE)
    assert tries == 2
    store.reads.put_off(number, until=NOW + 60 * MINUTE)
    assert store.reads.due(SLUG, now=NOW + 59 * MINUTE, limit=10) == []


@pytest.mark.parametrize("page", [Page(text="What it says."), None], ids=["read", "of no use"])
def test_a_page_that_was_kept_is_not_read_again(store: SqlStore, page: Page | None) -> None:
    (number,) = add(store, 1)
    store.entries.keep_page(number, page)
    store.reads.put_off(number, until=NOW)
    assert store.reads.due(SLUG, now=NOW, limit=10) == []
    assert store.reads.take([number], now=NOW, until=NOW + MINUTE) == []
