"""Visits through the day, beside others' visits to the same sources."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from digest.collect import Pacing, Visit, collect
from digest.errors import SourceError
from digest.models import Collected, Entry, SourceProfile, SourceReport
from digest.stores.sql import SqlStore
from tests.unit.builders import NOON

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Shelf:
    """A source that brings what it has now, and knows how often, and with how many others, it was asked."""

    at_once = 0
    most_at_once = 0

    def __init__(self, collected: Collected | None = None, *, fault: SourceError | None = None) -> None:
        self.collected = collected or Collected()
        self.fault = fault
        self.visits = 0

    async def collect(self, cursor: Mapping[str, str]) -> Collected:
        self.visits += 1
        kind = type(self)
        kind.at_once += 1
        kind.most_at_once = max(kind.most_at_once, kind.at_once)
        await asyncio.sleep(0)
        kind.at_once -= 1
        if self.fault:
            raise self.fault
        return self.collected


def entries(*hours: int) -> Collected:
    return Collected(entries=tuple(Entry(id=f"e{n}", title=f"Title {n}", published_at=NOON - n * HOUR) for n in hours))


def pace(store: SqlStore, now: datetime = NOON, **choices: Any) -> Pacing:
    return Pacing(**{"store": store.visits, "clock": lambda: now, "only_due": True} | choices)


def run(store: SqlStore, *visits: Visit, pacing: Pacing, **options: Any) -> list[SourceReport]:
    now = pacing.clock()
    done = collect(visits, store.entries, "morning", now=now, since=now - 24 * HOUR, pacing=pacing, **options)
    return asyncio.run(done)


def visit(source: Shelf, name: str = "wire", host: str = "", **profile: Any) -> Visit:
    return Visit(profile=SourceProfile(id=name, **profile), source=source, host=host)


def test_a_source_is_visited_when_it_is_due_and_not_before(store: SqlStore) -> None:
    source = Shelf(entries(1, 3, 5))
    store.visits.enrol("morning", ["wire"], now=NOON)
    run(store, visit(source), pacing=pace(store))
    state = store.entries.state("morning", "wire")
    assert state
    assert state.pace == timedelta(minutes=50)
    assert state.visit_due_at
    run(store, visit(source), pacing=pace(store, NOON + 30 * MINUTE))
    assert source.visits == 1
    run(store, visit(source), pacing=pace(store, state.visit_due_at))
    assert source.visits == 2


def test_the_operators_interval_is_kept(store: SqlStore) -> None:
    store.visits.enrol("morning", ["wire"], now=NOON)
    run(store, visit(Shelf(entries(1)), every=5 * MINUTE), pacing=pace(store))
    assert store.visits.due("morning", now=NOON + 6 * MINUTE, limit=9) == ["wire"]


def test_a_source_that_asks_for_more_time_gets_it(store: SqlStore) -> None:
    store.visits.enrol("morning", ["fresh", "busy"], now=NOON)
    fresh = Shelf(replace(entries(1), fresh_for=6 * HOUR))
    busy = Shelf(fault=SourceError("busy", "it answers 429", wait_seconds=7 * 3600))
    run(store, visit(fresh, "fresh", every=5 * MINUTE), visit(busy, "busy", every=5 * MINUTE), pacing=pace(store))
    assert store.visits.due("morning", now=NOON + 6 * HOUR - MINUTE, limit=9) == []
    assert store.visits.due("morning", now=NOON + 6 * HOUR, limit=9) == ["fresh"]
    assert store.visits.due("morning", now=NOON + 7 * HOUR, limit=9) == ["fresh", "busy"]


def test_a_failure_changes_no_pace(store: SqlStore) -> None:
    store.visits.enrol("morning", ["wire"], now=NOON)
    run(store, visit(Shelf(entries(1, 3, 5))), pacing=pace(store))
    fault = SourceError("wire", "it answers 503")
    (report,) = run(store, visit(Shelf(fault=fault)), pacing=pace(store, NOON + HOUR))
    assert report.error == "it answers 503"
    state = store.entries.state("morning", "wire")
    assert state
    assert state.pace == timedelta(minutes=50)


def test_for_an_edition_only_those_are_visited_that_were_not_visited_lately_and_all_are_reported(
    store: SqlStore,
) -> None:
    fault = SourceError("bad", "it answers 503")
    good, bad, new = Shelf(entries(1)), Shelf(fault=fault), Shelf(entries(2))
    known = [visit(good, "good"), visit(bad, "bad")]
    store.visits.enrol("morning", ["good", "bad"], now=NOON)
    run(store, *known, pacing=pace(store))
    for_edition = pace(store, NOON + 10 * MINUTE, only_due=False, lately=20 * MINUTE)
    reports = run(store, *known, visit(new, "new"), pacing=for_edition)
    assert (good.visits, bad.visits, new.visits) == (1, 1, 1)
    assert [(one.id, one.ok, one.error) for one in reports] == [
        ("good", True, None),
        ("bad", False, "it answers 503"),
        ("new", True, None),
    ]
    later = pace(store, NOON + 40 * MINUTE, only_due=False, lately=20 * MINUTE)
    run(store, *known, pacing=later)
    assert (good.visits, bad.visits) == (2, 2)


def test_an_edition_waits_for_a_visit_that_is_under_way_and_does_not_repeat_it(store: SqlStore) -> None:
    source = Shelf(entries(1))
    waited = []

    def finish(name: str) -> None:
        waited.append(name)
        store.entries.add("morning", name, source.collected, now=NOON, since=NOON - HOUR)
        store.visits.release("morning", name)

    store.visits.claim("morning", "wire", now=NOON, until=NOON + MINUTE)
    pacing = pace(store, only_due=False, lately=20 * MINUTE, on_wait=finish)
    (report,) = run(store, visit(source), pacing=pacing)
    assert (report.ok, source.visits, waited) == (True, 0, ["wire"])


def test_a_visit_that_never_ends_is_not_waited_for_longer_than_a_visit(store: SqlStore) -> None:
    source = Shelf(entries(1))
    store.visits.claim("morning", "wire", now=NOON, until=NOON + MINUTE)
    (report,) = run(store, visit(source), pacing=pace(store, only_due=False, lately=MINUTE), seconds=0.3)
    assert (source.visits, report.note) == (0, "another visit to it is under way")


def test_a_person_who_asks_visits_all_whoever_is_there(store: SqlStore) -> None:
    source = Shelf(entries(1))
    store.visits.claim("morning", "wire", now=NOON, until=NOON + MINUTE)
    (report,) = run(store, visit(source), pacing=pace(store, only_due=False, takes_over=True))
    assert (source.visits, report.new) == (1, 1)


def test_a_visit_that_is_broken_off_is_given_back(store: SqlStore) -> None:
    class Broken(Shelf):
        async def collect(self, cursor: Mapping[str, str]) -> Collected:
            raise RuntimeError("a bug")

    store.visits.enrol("morning", ["wire"], now=NOON)
    with pytest.raises(RuntimeError, match="a bug"):
        run(store, visit(Broken()), pacing=pace(store))
    assert store.visits.due("morning", now=NOON, limit=9) == ["wire"]


def test_sources_of_one_host_are_visited_two_at_a_time(store: SqlStore) -> None:
    class Crowd(Shelf):
        pass

    names = [f"s{n}" for n in range(12)]
    store.visits.enrol("morning", names, now=NOON)
    run(store, *(visit(Crowd(), name, "news.test") for name in names), pacing=pace(store))
    assert Crowd.most_at_once == 2


def test_a_source_that_has_failed_for_a_week_is_told_of_once_by_an_edition_that_did_not_visit_it(
    store: SqlStore,
) -> None:
    store.entries.fail("morning", "wire", "it answers 503", now=NOON - timedelta(days=8))
    store.visits.enrol("morning", ["wire"], now=NOON)
    run(store, visit(Shelf(fault=SourceError("wire", "it answers 503"))), pacing=pace(store))
    reports = [
        run(store, visit(Shelf()), pacing=pace(store, NOON + n * MINUTE, only_due=False, lately=HOUR))[0]
        for n in (1, 2)
    ]
    assert "it has failed since" in str(reports[0].error)
    assert [report.is_told for report in reports] == [False, True]
