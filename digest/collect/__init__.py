"""Sources → entries: all sources are visited at once, each under its own deadline, and one that fails stops nothing.

    state ──> may it be visited now? ──> claim ──> visit ──> entries ──> those that the operator's words let through
                                                     │                     └──> store, and when it is visited next
                                                     └ SourceError, or too slow ──> noted in the store, in the report

When a source may be visited again is decided here, by its pace (`pace`) and by what it asks for; what it is and how it
is fetched is not known here, nor what an edition will take of it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from digest.collect.choosing import choose_wanted
from digest.collect.pace import choose_pace, choose_visit
from digest.errors import SourceError
from digest.models import Collected, Entry, SourceProfile, SourceReport, SourceState
from digest.protocols import Clock, EntryStore, Source, VisitStore

_PATIENT_FAILURES: Final = 3  # in a row, from which the visits to a source become fewer
_FIRST_WAIT: Final = timedelta(minutes=15)
_LONGEST_WAIT: Final = timedelta(hours=12)
_LONGEST_ASKED: Final = timedelta(days=7)
_LONG_FAILING: Final = timedelta(days=7)
_AT_ONE_HOST: Final = 2  # visits; who waits for a turn there takes nobody else's
_AFTER_THE_DEADLINE: Final = timedelta(minutes=1)  # that a claim lasts: what was found is to be kept, too
_BETWEEN_LOOKS: Final = 0.25  # seconds, at a visit of somebody else's
_RENAMED: Final = "it has new ids for everything; {} entries were known, or are from before the last visit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A source to visit, and what the operator says of it."""

    profile: SourceProfile
    source: Source
    host: str = ""  # that it is at; "": none that others are at


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How visits go through the day, beside others' visits to the same sources."""

    store: VisitStore
    clock: Clock
    edition_due_at: datetime | None = None  # the next one
    wants_page: Callable[[Entry, SourceProfile], bool] = lambda *_: False  # an entry's page is to be read ahead
    only_due: bool = False  # through the day: nobody reads the reports; False: for an edition
    lately: timedelta | None = None  # who was visited within that is not visited again
    on_wait: Callable[[str], None] = lambda _: None  # hears of a source whose visit by somebody else is waited for
    takes_over: bool = (
        False  # a person asks: what others have under way, or left when they died, is visited all the same
    )


async def collect(
    visits: Sequence[Visit],
    store: EntryStore,
    newsletter: str,
    *,
    now: datetime,
    since: datetime,
    at_once: int = 100,
    seconds: float = 60,
    pacing: Pacing | None = None,
) -> list[SourceReport]:
    """Visit every source, at most `at_once` at a time and each for at most `seconds`; a report for each, in order.

    With `pacing` nobody else visits a source meanwhile, and when it is visited next is kept; one that is not visited
    now is reported as it stands. What a source raises on purpose is in its report; a StoreError, or a bug in a source,
    ends all visits and is raised.
    """
    collecting = _Collecting(store, newsletter, now, since, at_once, seconds, pacing)
    tasks = [asyncio.ensure_future(collecting.visit(visit)) for visit in visits]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Collecting:
    """Some visits at once."""

    def __init__(
        self,
        store: EntryStore,
        newsletter: str,
        now: datetime,
        since: datetime,
        at_once: int,
        seconds: float,
        pacing: Pacing | None,
    ) -> None:
        self._store = store
        self._newsletter = newsletter
        self._now = now
        self._since = since
        self._seconds = seconds
        self._pacing = pacing
        self._gate = asyncio.Semaphore(at_once)
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONE_HOST))
        # In one query: for an edition there may be very many. Through the day the claim says it.
        self._known = pacing.store.states(newsletter) if pacing and not pacing.only_due else {}

    async def visit(self, visit: Visit) -> SourceReport:
        name, pacing = visit.profile.id, self._pacing
        if pacing is None:
            state = self._store.state(self._newsletter, name) or SourceState()
            return self._recall(name, state) or await self._ask_in_turn(visit, state)
        if report := self._recall(name, self._known.get(name, SourceState())):
            return report
        deadline = asyncio.get_running_loop().time() + self._seconds
        while (report := await self._claim_and_ask(visit, pacing)) is None:
            # It was not visited lately, and somebody else is at it: an edition waits for what that brings.
            state = self._store.state(self._newsletter, name) or SourceState()
            if pacing.only_due or asyncio.get_running_loop().time() > deadline:
                return _recall_claimed(name, state)
            pacing.on_wait(name)
            await asyncio.sleep(_BETWEEN_LOOKS)
        return report

    async def _claim_and_ask(self, visit: Visit, pacing: Pacing) -> SourceReport | None:
        """The report of a visit, or of one that was made meanwhile; None when another is under way."""
        name = visit.profile.id
        async with self._turn(visit):
            now = pacing.clock()
            until = now + timedelta(seconds=self._seconds) + _AFTER_THE_DEADLINE
            claimed = pacing.store.claim(
                self._newsletter,
                name,
                now=now,
                until=until,
                only_due=pacing.only_due,
                take_over=pacing.takes_over,
            )
            if claimed is None:
                state = None if pacing.only_due else self._store.state(self._newsletter, name)
                return self._recall(name, state) if state else None
            try:
                # Somebody else may have visited it since it was looked up.
                report = self._recall(name, claimed)
                if report is None:
                    return await self._ask(visit, claimed)
            except BaseException:  # also when told to stop
                pacing.store.release(self._newsletter, name)
                raise
            pacing.store.release(self._newsletter, name)
            return report

    def _recall(self, name: str, state: SourceState) -> SourceReport | None:
        """The report of a source that is not visited now; None of one that is."""
        if state.next_visit_at and self._now < state.next_visit_at:
            return self._tell(name, state, f"it is not asked before {state.next_visit_at:%Y-%m-%d %H:%M} UTC")
        lately = self._pacing.lately if self._pacing else None
        if lately is not None and state.last_visit_at and abs(self._now - state.last_visit_at) < lately:
            if self._pacing and not self._pacing.only_due and state.last_visit_at > self._now:
                self._pacing.on_wait(name)  # it was at the last moment: what that brought is of this edition, too
            return self._tell(name, state, "")
        return None

    def _tell(self, name: str, state: SourceState, when: str) -> SourceReport:
        """How it stands; an edition's report tells of a long failure once, as a visit's would."""
        is_paced = self._pacing is not None and not self._pacing.only_due
        if self._pacing and is_paced and state.failures and _is_to_be_told(state, self._now):
            self._pacing.store.note_told(self._newsletter, name, now=self._now)
            return SourceReport(id=name, ok=False, error=f"{state.error}{_write_long(state)}")
        return _leave_alone(name, state, when)

    @asynccontextmanager
    async def _turn(self, visit: Visit) -> AsyncIterator[None]:
        """First at its host, then among all."""
        if visit.host:
            async with self._hosts[visit.host], self._gate:
                yield
        else:
            async with self._gate:
                yield

    async def _ask_in_turn(self, visit: Visit, state: SourceState) -> SourceReport:
        async with self._turn(visit):
            return await self._ask(visit, state)

    async def _ask(self, visit: Visit, state: SourceState) -> SourceReport:
        profile, pacing = visit.profile, self._pacing
        outcome = await _visit(visit, state.cursor, self._seconds)
        # An edition's own visits are of its instant. Others' may not be of before an edition that looked meanwhile.
        now = pacing.clock() if pacing and pacing.only_due else self._now
        if isinstance(outcome, SourceError):
            return self._note_failure(profile, state, outcome, now)
        wanted = replace(outcome, entries=choose_wanted(outcome.entries, profile))
        next_visit_at = now + outcome.fresh_for if outcome.fresh_for else None
        kept = self._store.add(
            self._newsletter,
            profile.id,
            wanted,
            now=now,
            since=self._since,
            next_visit_at=next_visit_at,
            to_read=lambda entry: pacing is not None and pacing.wants_page(entry, profile),
        )
        dates = [at for entry in outcome.entries if (at := entry.published_at or entry.updated_at)]
        pace = choose_pace(state.pace, new=kept.new, dates=dates, now=now, every=profile.every)
        self._plan(profile, pace, now, next_visit_at)
        error = "; ".join(outcome.faults) or None
        return SourceReport(
            id=profile.id,
            ok=error is None,
            entries=len(outcome.entries),
            new=kept.new,
            error=error,
            note=_RENAMED.format(kept.renamed) if kept.renamed else None,
            title=outcome.title,
            newest_at=max(dates, default=None),
        )

    def _note_failure(
        self, profile: SourceProfile, state: SourceState, error: SourceError, now: datetime
    ) -> SourceReport:
        """A failure that has gone on for a week is said once more, as such, and then no longer daily."""
        words = str(error).removeprefix(f"{profile.id}: ")
        tell = _is_to_be_told(state, now) and not (self._pacing and self._pacing.only_due)
        wait = decide_wait(state.failures + 1, error.wait_seconds)
        next_visit_at = now + wait if wait else None
        self._store.fail(self._newsletter, profile.id, words, now=now, next_visit_at=next_visit_at, told=tell)
        pace = choose_pace(state.pace, new=0, dates=(), now=now, every=profile.every)
        self._plan(profile, pace if state.pace is None else profile.every or state.pace, now, next_visit_at)
        if tell:
            words += _write_long(state)
        return SourceReport(id=profile.id, ok=False, error=words, is_told=state.told_at is not None)

    def _plan(self, profile: SourceProfile, pace: timedelta, now: datetime, next_visit_at: datetime | None) -> None:
        if self._pacing is None:
            return
        due_at = choose_visit(
            profile.id,
            now=now,
            pace=pace,
            not_before=next_visit_at,
            edition_due_at=self._pacing.edition_due_at,
        )
        self._pacing.store.plan(self._newsletter, profile.id, pace=pace, due_at=due_at)


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


def _leave_alone(source: str, state: SourceState, when: str) -> SourceReport:
    """How a source stands that is not visited, and when it will be."""
    if state.error is None:
        return SourceReport(id=source, ok=True, note=f"as it says itself, nothing is new; {when}" if when else None)
    error = f"{state.error}; {when}" if when else state.error
    return SourceReport(id=source, ok=False, error=error, is_told=state.told_at is not None)


def _recall_claimed(source: str, state: SourceState) -> SourceReport:
    """How a source stands that somebody else visits at this moment."""
    if state.error is None:
        return SourceReport(id=source, ok=True, note="another visit to it is under way")
    return SourceReport(id=source, ok=False, error=state.error, is_told=state.told_at is not None)


def _is_to_be_told(state: SourceState, now: datetime) -> bool:
    """Whether it has failed for a week, and that was not said yet."""
    return state.told_at is None and state.failing_since is not None and now - state.failing_since >= _LONG_FAILING


def _write_long(state: SourceState) -> str:
    return f"; it has failed since {state.failing_since:%Y-%m-%d}, and this is not reported again"
