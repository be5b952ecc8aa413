"""Sources → entries: all sources are visited at once, each under its own deadline, and one that fails stops nothing.

    state ──> may it be visited now? ──> visit ──> entries ──> those that the operator's words let through ──> store
                                           └ SourceError, or too slow ──> noted in the store, and in the report

When a source may be visited again is decided here; what it is and how it is fetched is not known here, nor what an
edition will take of it.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from digest.errors import SourceError
from digest.models import Collected, Entry, SourceProfile, SourceReport, SourceState
from digest.protocols import EntryStore, Source
from digest.text import visible_text

_PATIENT_FAILURES: Final = 3  # in a row, from which the visits to a source become fewer
_FIRST_WAIT: Final = timedelta(minutes=15)
_LONGEST_WAIT: Final = timedelta(hours=12)
_LONGEST_ASKED: Final = timedelta(days=7)
_LONG_FAILING: Final = timedelta(days=7)
_RENAMED: Final = "it has new ids for everything; {} entries were known, or are from before the last visit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A source to visit, and what the operator says of it."""

    profile: SourceProfile
    source: Source


async def collect(
    visits: Sequence[Visit],
    store: EntryStore,
    newsletter: str,
    *,
    now: datetime,
    since: datetime,
    at_once: int = 100,
    seconds: float = 60,
) -> list[SourceReport]:
    """Visit every source, at most `at_once` at a time and each for at most `seconds`; a report for each, in order.

    What a source raises on purpose is in its report; a StoreError, or a bug in a source, ends all visits and is raised.
    """
    gate = asyncio.Semaphore(at_once)

    async def visit_one(visit: Visit) -> SourceReport:
        state = store.state(newsletter, visit.profile.id) or SourceState()
        if state.next_visit_at and now < state.next_visit_at:
            return _leave_alone(visit.profile.id, state)
        async with gate:
            outcome = await _visit(visit, state.cursor, seconds)
        if isinstance(outcome, SourceError):
            return _note_failure(store, newsletter, visit.profile.id, state, outcome, now)
        wanted = replace(outcome, entries=_choose(outcome.entries, visit.profile))
        next_visit_at = now + outcome.fresh_for if outcome.fresh_for else None
        kept = store.add(newsletter, visit.profile.id, wanted, now=now, since=since, next_visit_at=next_visit_at)
        error = "; ".join(outcome.faults) or None
        return SourceReport(
            id=visit.profile.id,
            ok=error is None,
            entries=len(outcome.entries),
            new=kept.new,
            error=error,
            note=_RENAMED.format(kept.renamed) if kept.renamed else None,
            title=outcome.title,
            newest_at=max(
                (at for entry in outcome.entries if (at := entry.published_at or entry.updated_at)), default=None
            ),
        )

    tasks = [asyncio.ensure_future(visit_one(visit)) for visit in visits]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _visit(visit: Visit, cursor: Mapping[str, str], seconds: float) -> Collected | SourceError:
    """What the source brought, or why it brought nothing."""
    try:
        async with asyncio.timeout(seconds):
            return await visit.source.collect(cursor)
    except TimeoutError:
        return SourceError(visit.profile.id, f"it was not done within {seconds:g} seconds")
    except SourceError as error:
        return error


def decide_wait(failures: int, wait_seconds: float | None) -> timedelta:
    """How long a source is left alone after so many failures in a row, the last with what it asked for itself. Pure.

    The first failures cost nothing: most pass, and an operator who has mended something wants to see it. Never so long
    that a daily edition would not ask at all.
    """
    grown = _FIRST_WAIT * 2 ** min(failures - _PATIENT_FAILURES, 10) if failures >= _PATIENT_FAILURES else timedelta()
    asked = min(timedelta(seconds=wait_seconds or 0), _LONGEST_ASKED)
    return max(asked, min(grown, _LONGEST_WAIT))


def _leave_alone(source: str, state: SourceState) -> SourceReport:
    at = f"it is not asked before {state.next_visit_at:%Y-%m-%d %H:%M} UTC"
    if not state.failures:
        return SourceReport(id=source, ok=True, note=f"as it says itself, nothing is new; {at}")
    return SourceReport(id=source, ok=False, error=f"{state.error}; {at}", is_told=state.told_at is not None)


def _note_failure(
    store: EntryStore, newsletter: str, source: str, state: SourceState, error: SourceError, now: datetime
) -> SourceReport:
    """A failure that has gone on for a week is said once more, as such, and then no longer daily."""
    words = str(error).removeprefix(f"{source}: ")
    has_failed_for_long = state.failing_since is not None and now - state.failing_since >= _LONG_FAILING
    tell = has_failed_for_long and state.told_at is None
    wait = decide_wait(state.failures + 1, error.wait_seconds)
    store.fail(newsletter, source, words, now=now, next_visit_at=now + wait if wait else None, told=tell)
    if tell:
        words += f"; it has failed since {state.failing_since:%Y-%m-%d}, and this is not reported again"
    return SourceReport(id=source, ok=False, error=words, is_told=state.told_at is not None)


def _choose(entries: Sequence[Entry], profile: SourceProfile) -> tuple[Entry, ...]:
    """Those that the operator's words let through: with one of `include`, when there are any, and none of `exclude`."""
    include, exclude = _any_of(profile.include), _any_of(profile.exclude)
    if not include and not exclude:
        return tuple(entries)

    def is_wanted(entry: Entry) -> bool:
        text = _all_text(entry)
        return (include is None or include.search(text) is not None) and not (exclude and exclude.search(text))

    return tuple(entry for entry in entries if is_wanted(entry))


def _any_of(words: Sequence[str]) -> re.Pattern[str] | None:
    """Any of these words or phrases, whole, whatever its letter case and white space."""
    phrases = [r"\s+".join(map(re.escape, word.split())) for word in words if word.strip()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)", re.IGNORECASE) if phrases else None


def _all_text(entry: Entry) -> str:
    return "\n".join([entry.title or "", visible_text(entry.summary), visible_text(entry.content), entry.text or ""])
