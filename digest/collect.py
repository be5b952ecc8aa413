"""Sources → entries: all sources are visited at once, each under its own deadline, and one that fails stops nothing.

    visit ──> entries ──> those that the operator's words let through ──> store: what is new
      └ SourceError, or too slow ──> noted in the store, and in the report

What a source is and how it is fetched is not known here; nor what an edition will take of it.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from digest.errors import SourceError
from digest.models import Collected, Entry, SourceProfile, SourceReport
from digest.protocols import EntryStore, Source
from digest.text import visible_text


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
        async with gate:
            outcome = await _visit(visit, store.cursor(newsletter, visit.profile.id) or {}, seconds)
        if isinstance(outcome, str):
            store.fail(newsletter, visit.profile.id, outcome, now=now)
            return SourceReport(id=visit.profile.id, ok=False, error=outcome)
        wanted = replace(outcome, entries=_choose(outcome.entries, visit.profile))
        new = store.add(newsletter, visit.profile.id, wanted, now=now, since=since)
        error = "; ".join(outcome.faults) or None
        return SourceReport(id=visit.profile.id, ok=error is None, entries=len(outcome.entries), new=new, error=error)

    tasks = [asyncio.ensure_future(visit_one(visit)) for visit in visits]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _visit(visit: Visit, cursor: Mapping[str, str], seconds: float) -> Collected | str:
    """What the source brought, or why it brought nothing."""
    try:
        async with asyncio.timeout(seconds):
            return await visit.source.collect(cursor)
    except TimeoutError:
        return f"it was not done within {seconds:g} seconds"
    except SourceError as error:
        return str(error).removeprefix(f"{visit.profile.id}: ")


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
