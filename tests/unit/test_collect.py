"""Collecting: many sources at once, each for itself."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from digest.collect import Visit, collect
from digest.errors import SourceError
from digest.models import Collected, Entry, SourceProfile, SourceReport
from digest.protocols import Source
from digest.stores.sql import SqlStore
from tests.unit.builders import NOON

SINCE = NOON - timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore.open(f"sqlite:///{tmp_path / 'digest.db'}")
    yield opened
    opened.close()


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
    assert reports[1] == SourceReport(id="good", ok=True, entries=1, new=1)
    health = {row["id"]: row for row in store.entries.health("morning")}
    assert (health["bad"]["failures"], health["bad"]["error"]) == (1, "it answers 503 (wait)")


def test_a_source_that_does_not_answer_ends_at_its_deadline(store: SqlStore) -> None:
    slow, good = run(store, visit("slow", Silence()), visit("good", Shelf(entry(1))), seconds=0.05)
    assert (slow.ok, good.ok) == (False, True)
    assert "0.05 seconds" in str(slow.error)


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
