"""When a source is visited again, by what it publishes. Pure.

    what a visit found ──> pace ──> next visit ──> not before the source itself allows it
                                       └ and once in the quarter of an hour before an edition is due

A source that publishes often is visited often, one that is silent more rarely each time. What a server asks for is
minded by the caller, who hands in the instant before which it may not be asked.
"""

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

SHORTEST: Final = timedelta(minutes=15)
LONGEST: Final = timedelta(hours=4)
_FIRST: Final = timedelta(hours=1)  # of a source that says nothing of when it publishes
_SLOWER: Final = 1.5  # times, with each visit that finds nothing new
_DATES: Final = 10  # of the newest entries
_REMEMBERED: Final = timedelta(days=14)  # older entries say nothing of how it publishes now
BEFORE_AN_EDITION: Final = timedelta(minutes=15)
_LAST_MOMENT: Final = timedelta(minutes=3)  # before it is due: later visits might still be under way


def choose_pace(
    last: timedelta | None,
    *,
    new: int,
    dates: Sequence[datetime],
    now: datetime,
    every: timedelta | None = None,
) -> timedelta:
    """How long from one visit to the next: half as long as from one entry to the next, within bounds.

    `last` is the pace so far, None before the first visit; `dates` are those of all entries that the visit found, `new`
    how many of these were not known. `every` is the operator's word, and overrides all of it.
    """
    if every is not None:
        return every
    pace = last or _FIRST
    if new or last is None:
        gap = _measure_gap(dates, now)
        pace = gap / 2 if gap is not None else pace / 2 if new else pace
    else:
        pace *= _SLOWER
    return min(max(pace, SHORTEST), LONGEST)


def choose_visit(
    source: str,
    *,
    now: datetime,
    pace: timedelta,
    not_before: datetime | None = None,
    edition_due_at: datetime | None = None,
) -> datetime:
    """When to visit it next. `edition_due_at` is when the next edition is due.

    A visit that would come too late for that edition comes before it: in the last quarter of an hour, each source at a
    moment of its own, so that nothing fresh is missed and not all are asked at once.
    """
    share = zlib.crc32(source.encode()) / 2**32
    at = now + pace * (0.95 + 0.1 * share)  # sources that began together part
    if edition_due_at is not None:
        opens, closes = edition_due_at - BEFORE_AN_EDITION, edition_due_at - _LAST_MOMENT
        if now < opens and at > closes:
            at = opens + (closes - opens) * share
    return max(at, not_before) if not_before else at


def _measure_gap(dates: Sequence[datetime], now: datetime) -> timedelta | None:
    """How long it is from one entry to the next, the time since the newest included; None without dates."""
    recent = sorted((date for date in dates if now - _REMEMBERED <= date <= now), reverse=True)[:_DATES]
    return (now - recent[-1]) / len(recent) if recent else None
