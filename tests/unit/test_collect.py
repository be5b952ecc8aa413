"""Collecting: many sources at once, each for itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from digest.collect import Visit, collect, decide_wait
from digest.errors import SourceError
from digest.models import Collected, Entry, SourceProfile, SourceReport
from digest.protocols import Source
from digest.stores.sql import SqlStore
from tests.unit.builders import NOON

SINCE = NOON - timedelta(days=1)


class Shelf:
    """A source that brings what it was given, or fails as it was told to."""

    def __init__(
        self, *entries: Entry, fault: Exception | None = None, cursor: Mapping[str, str] | None = None
    ) -> None:
        self.collected = Collected(entries=entries, cursor=cursor or {})
        self.fault = fault
        self.cursors: list[Mapping[str, str]] = []

    async def collect(self, cursor: Mapping[str, str]) -> Collected:
        self.cursors.append(dict(cursor))
        if self.fault:
            raise self.fault
        return self.collected


class Silence:
    """A source that never answers."""

    async def collect(self, cursor: Mapping[str, str]) -> Collected:
        await asyncio.Event().wait()
        raise AssertionError


def entry(number: int, **changes: Any) -> Entry:
    fields: dict[str, Any] = {"id": f"e{number}", "title": f"Title {number}", "published_at": NOON}
    return Entry(**fields | changes)


def visit(name: str, source: Source, **profile: Any) -> Visit:
    return Visit(profile=SourceProfile(id=name, **profile), source=source)


def run(store: SqlStore, *visits: Visit, now: datetime = NOON, **options: Any) -> list[SourceReport]:
    return asyncio.run(collect(visits, store.entries, "morning", now=now, since=SINCE, **options))


def offered(store: SqlStore) -> list[str | None]:
    return [s.entry.title for s in store.entries.offered("morning", after=None, since=SINCE, until=NOON)]


def test_reports_come_in_the_order_of_the_visits(store: SqlStore) -> None:
    reports = run(store, *(visit(f"s{number}", Shelf(*map(entry, range(number + 1)))) for number in range(5)))
    assert [(report.id, report.entries, report.new) for report in reports] == [
        ("s0", 1, 1),
        ("s1", 2, 2),
        ("s2", 3, 3),
        ("s3", 4, 4),
        ("s4", 5, 5),
    ]


def test_a_source_that_fails_stops_no_other_and_is_noted(store: SqlStore) -> None:
    fault = SourceError("bad", "it answers 503", remedy="wait")
    reports = run(store, visit("bad", Shelf(fault=fault)), visit("good", Shelf(entry(1))))
    assert reports[0] == SourceReport(id="bad", ok=False, error="it answers 503 (wait)")
    assert reports[1] == SourceReport(id="good", ok=True, entries=1, new=1, newest_at=NOON)
    health = {row["id"]: row for row in store.entries.health("morning", now=NOON)}
    assert (health["bad"]["failures"], health["bad"]["error"]) == (1, "it answers 503 (wait)")


def test_a_source_that_does_not_answer_ends_at_its_deadline(store: SqlStore) -> None:
    slow, good = run(store, visit("slow", Silence()), visit("good", Shelf(entry(1))), seconds=0.5)
    assert (slow.ok, good.ok) == (False, True)
    assert "0.5 seconds" in str(slow.error)


def test_all_sources_are_visited_though_few_at_once(store: SqlStore) -> None:
    assert all(report.ok for report in run(store, *(visit(f"s{n}", Shelf(entry(n))) for n in range(20)), at_once=3))
    assert len(offered(store)) == 20


def test_a_source_gets_its_cursor_back_and_known_entries_are_not_new(store: SqlStore) -> None:
    source = Shelf(entry(1), cursor={"etag": "abc"})
    first = run(store, visit("wire", source))
    again = run(store, visit("wire", source))
    assert source.cursors == [{}, {"etag": "abc"}]
    assert (first[0].new, again[0].new) == (1, 0)


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ({"include": ("harbour",)}, ["The Harbour opens", "Rain"]),
        ({"exclude": ("rain",)}, ["The Harbour opens", "Brainstorm"]),
        ({"include": ("harbour",), "exclude": ("RAIN",)}, ["The Harbour opens"]),
        ({"include": ("harbour opens",)}, ["The Harbour opens"]),
        ({"include": ("strong",)}, []),
        ({}, ["The Harbour opens", "Rain", "Brainstorm"]),
    ],
)
def test_the_words_of_the_operator_choose_entries(
    store: SqlStore, words: dict[str, Sequence[str]], titles: list[str]
) -> None:
    source = Shelf(
        entry(1, title="The Harbour opens"),
        entry(2, title="Rain", summary="<p>Rain over the <b>harbour</b></p>"),
        entry(3, title="Brainstorm", content='<a href="https://x.example/strong">Minds</a>'),
    )
    run(store, visit("wire", source, **words))
    assert sorted(filter(None, offered(store))) == sorted(titles)


@pytest.mark.parametrize("make", [lambda: ValueError("a bug"), lambda: KeyError("another")])
def test_a_bug_in_a_source_is_not_hidden(store: SqlStore, make: Callable[[], Exception]) -> None:
    with pytest.raises((ValueError, KeyError)):
        run(store, visit("broken", Shelf(fault=make())), visit("silent", Silence()))


# -- when a source may be visited again ------------------------------------------------------------------------------

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("failures", "asked", "wait"),
    [
        (1, None, timedelta()),
        (2, None, timedelta()),
        (3, None, timedelta(minutes=15)),
        (4, None, timedelta(minutes=30)),
        (6, None, 2 * HOUR),
        (50, None, 12 * HOUR),
        (1, 600.0, timedelta(minutes=10)),
        (50, 86400.0, 24 * HOUR),
        (1, 1e12, timedelta(days=7)),
    ],
)
def test_a_source_that_fails_is_visited_less_often(failures: int, asked: float | None, wait: timedelta) -> None:
    assert decide_wait(failures, asked) == wait


def test_a_source_that_asks_to_wait_is_left_alone_until_then(store: SqlStore) -> None:
    busy = Shelf(fault=SourceError("busy", "it answers 429", wait_seconds=3600))
    assert run(store, visit("busy", busy))[0].error == "it answers 429"
    (report,) = run(store, visit("busy", busy), now=NOON + HOUR / 2)
    assert (report.ok, len(busy.cursors)) == (False, 1)
    assert "not asked before 2026-03-02 13:00 UTC" in (report.error or "")
    run(store, visit("busy", busy), now=NOON + HOUR)
    assert len(busy.cursors) == 2


def test_a_source_that_says_how_long_it_stays_the_same_is_believed(store: SqlStore) -> None:
    shelf = Shelf(entry(1))
    shelf.collected = replace(shelf.collected, fresh_for=HOUR)
    run(store, visit("slow", shelf))
    (report,) = run(store, visit("slow", shelf), now=NOON + HOUR / 2)
    assert (report.ok, report.entries, len(shelf.cursors)) == (True, 0, 1)
    assert report.note
    run(store, visit("slow", shelf), now=NOON + HOUR)
    assert len(shelf.cursors) == 2


def test_a_week_of_failures_is_told_once_more_and_then_no_longer_daily(store: SqlStore) -> None:
    bad = visit("bad", Shelf(fault=SourceError("bad", "it answers 500")))
    reports = [run(store, bad, now=NOON + timedelta(days=day))[0] for day in range(12)]
    assert all(not report.ok for report in reports)
    assert [report.is_told for report in reports] == [False] * 8 + [True] * 4
    assert ["since 2026-03-02" in (report.error or "") for report in reports] == [False] * 7 + [True] + [False] * 4
    run(store, visit("bad", Shelf(entry(1))), now=NOON + timedelta(days=12))
    (again,) = run(store, bad, now=NOON + timedelta(days=13))
    assert not again.is_told
    (health,) = store.entries.health("morning", now=NOON + timedelta(days=13))
    assert (health["failures"], health["failing_since"]) == (1, NOON + timedelta(days=13))


def test_health_says_how_many_entries_a_source_brings_a_day(store: SqlStore) -> None:
    run(store, visit("wire", Shelf(entry(1), entry(2))))
    (first,) = store.entries.health("morning", now=NOON + HOUR)
    assert first["entries_per_day"] is None
    run(store, visit("wire", Shelf(*(entry(n) for n in range(10)))), now=NOON + timedelta(days=4))
    (later,) = store.entries.health("morning", now=NOON + timedelta(days=4))
    assert (later["entries"], later["entries_per_day"]) == (10, 2.0)


# -- a site that changes everything at once --------------------------------------------------------------------------


def wave(names: str, *, hours: float = 0, titles: str = "Title", links: str = "https://a.example") -> list[Entry]:
    """Eight entries of the hours before noon, under ids and links of that kind."""
    return [
        Entry(
            id=f"{names}{number}",
            link=f"{links}/{names}/{number}",
            title=f"{titles} {number}",
            published_at=NOON - timedelta(hours=number + 1) + timedelta(hours=hours),
        )
        for number in range(8)
    ]


def test_new_ids_and_links_for_everything_tell_nothing_again(store: SqlStore) -> None:
    run(store, visit("wire", Shelf(*wave("old"))))
    moved = wave("new", titles="TITLE", hours=0.5)  # also the dates moved by half an hour, and over midnight
    (report,) = run(store, visit("wire", Shelf(*moved)), now=NOON + HOUR)
    assert report.new == 0
    (again,) = run(store, visit("wire", Shelf(*wave("newer", titles="Rewritten"))), now=NOON + 2 * HOUR)
    assert again.new == 0
    assert "new ids" in (again.note or "")
    assert len(offered(store)) == 8


def test_a_feed_that_is_new_every_time_is_new(store: SqlStore) -> None:
    run(store, visit("wire", Shelf(*wave("monday"))))
    (report,) = run(store, visit("wire", Shelf(*wave("tuesday", hours=24, titles="Other"))), now=NOON + 24 * HOUR)
    assert (report.new, report.note) == (8, None)


def test_few_late_dated_entries_among_known_ones_are_new(store: SqlStore) -> None:
    run(store, visit("wire", Shelf(*wave("old"))))
    late = Entry(id="late", title="Late", published_at=NOON - timedelta(days=2))
    (report,) = run(store, visit("wire", Shelf(*wave("old"), late)), now=NOON + HOUR)
    assert report.new == 1


def test_one_link_in_two_sources_is_one_entry(store: SqlStore) -> None:
    same = Entry(id="1", link="https://a.example/story", title="In the world section")
    twin = Entry(id="x", link="http://www.a.example/story?utm_source=top", title="On the front page")
    reports = run(store, visit("world", Shelf(same)))
    reports += run(store, visit("top", Shelf(twin)), now=NOON + HOUR)
    assert [report.new for report in reports] == [1, 0]


def test_entries_that_all_link_to_the_front_page_are_not_one(store: SqlStore) -> None:
    for day in range(3):
        daily = Entry(id=f"d{day}", link="https://a.example/", title=f"Day {day}")
        (report,) = run(store, visit("daily", Shelf(daily)), now=NOON + timedelta(days=day))
        assert report.new == 1


def test_what_a_whole_site_lists_without_dates_is_its_past_at_first(store: SqlStore) -> None:
    shelf = Shelf(Entry(link="https://a.example/1"), Entry(link="https://a.example/2", published_at=NOON))
    shelf.collected = replace(shelf.collected, lists_everything=True)
    run(store, visit("site", shelf))
    listed = store.entries.offered("morning", after=None, since=SINCE, until=NOON)
    assert [stored.entry.link for stored in listed] == ["https://a.example/2"]
    shelf.collected = replace(shelf.collected, entries=(Entry(link="https://a.example/3"), *shelf.collected.entries))
    (report,) = run(store, visit("site", shelf), now=NOON + HOUR)
    assert report.new == 1
