"""What a worker does to deliver: one batch of an edition at a time, by what it keeps open from one to the next."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from digest.decisions import make_lanes
from digest.deliver import Lane, Sender, Slots
from digest.due import due_at, is_past
from digest.errors import StoreUnavailable
from digest.models import EditionState, Report, StageReport, StoredEdition
from digest.operate.alerts import beat
from digest.operate.chores import Chore

if TYPE_CHECKING:
    from digest.app import App
    from digest.pipeline import Pipeline

SWEEP_EVERY: Final = timedelta(seconds=2)
_WAIT: Final = 5.0  # seconds for a connection, or for what rests: no longer is a worker's thread held up
_AGAIN: Final = timedelta(seconds=2)
_LONGEST: Final = timedelta(minutes=5)  # then it is looked again: a lane may have been changed
_FIRST_PAUSE: Final = timedelta(seconds=30)
_LONGEST_PAUSE: Final = timedelta(minutes=15)
_KEPT: Final = 8  # editions: as a rule one is sent at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A sender of an edition, as long as it is not stopped and resumed."""

    sender: Sender
    pipeline: "Pipeline"
    stored: StoredEdition
    due_at: datetime | None  # for the last of its readers
    stops: list[str]  # why it has stopped the edition, until that is told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pause:
    """A sender had to end: for a while none of that edition is made, unless a person lets it go on."""

    failures: int
    resumed_at: datetime | None
    until: float  # monotonic seconds


class Deliveries:
    """All that a process delivers. For several threads; close it when done."""

    def __init__(self, app: "App", *, concurrency: int, is_worker: bool = True) -> None:
        """Connects to nothing. A lane has as many connections as it is given explicitly, else one for each thread.

        `is_worker`: of a process that shows signs of life, which is what others judge it by.
        """
        self._is_worker = is_worker
        self._app = app
        self._concurrency = concurrency
        self._lock = threading.Lock()  # of what follows
        self._kept: dict[int, _Kept] = {}
        self._pauses: dict[int, _Pause] = {}
        self._ways: tuple[Sequence[Lane], Slots] | None = None

    def deliver(self, edition: int) -> timedelta | None:
        """Hand over one batch, whichever is due; after how long there may be more, else None. Raises DigestError."""
        app = self._app
        if pause := self._pauses.get(edition):
            left = timedelta(seconds=pause.until - app.monotonic())
            if left > timedelta() and not self._is_resumed(edition, pause):
                return min(left, _LONGEST)
        kept = self._find(edition)
        if kept is None:
            return None
        if is_past(app.config.schedule, kept.stored, kept.due_at, app.clock()):
            return _LONGEST  # no news any more, after an outage: the scheduler is to give it up
        _, slots = self._open()
        with slots.take(_WAIT) as slot:
            if slot is None:
                return _AGAIN
            turn = kept.sender.send_one(slot)
            if turn.again_after is not None and turn.again_after <= _WAIT:
                app.wait(turn.again_after)
                turn = kept.sender.send_one(slot)
        if turn.again_after is not None:
            return min(_LONGEST, max(_AGAIN, timedelta(seconds=turn.again_after)))
        if turn.fault:
            return self._end(edition, kept, turn.fault)
        if turn.is_taken:
            self._pauses.pop(edition, None)
        elif kept.sender.leaves_late():
            return _LONGEST  # no news for some zones any more: the scheduler is to give them up
        return None

    def close(self) -> None:
        """Let go of every connection."""
        with self._lock:
            ways, self._ways = self._ways, None
            self._kept.clear()
        if ways:
            ways[1].close()
            for lane in ways[0]:
                lane.transport.close()

    def _open(self) -> tuple[Sequence[Lane], Slots]:
        with self._lock:
            if self._ways is None:
                # Of its own: the App's are used for mail to the operator, maybe at this moment.
                lanes = make_lanes(self._app.config, connections=self._concurrency)
                self._ways = lanes, Slots(lanes, monotonic=self._app.monotonic)
            return self._ways

    def _is_resumed(self, edition: int, pause: _Pause) -> bool:
        """Whether a person has let it go on since: what made it end may be mended."""
        standing = self._app.store.editions.standing(edition)
        return standing is not None and standing[1] != pause.resumed_at

    def _find(self, edition: int) -> _Kept | None:
        """The sender of an edition; None when that is not being sent."""
        app = self._app
        standing = app.store.editions.standing(edition)
        if standing is None or standing[0] is not EditionState.SENDING:
            self._kept.pop(edition, None)
            return None
        lanes, _ = self._open()
        with self._lock:
            kept = self._kept.get(edition)
            if kept and kept.stored.resumed_at == standing[1] and (kept.sender.goes_on or app.is_stopping):
                return kept
            stored = app.store.editions.get(edition)
            if stored is None:
                return None
            stops: list[str] = []
            zones = app.store.ledger.zones(stored.id)
            pipeline = app.pipeline(app.store, stored.cadence, on_time=True, lanes=lanes, is_worker=self._is_worker)
            made = _Kept(
                sender=pipeline.sender(stored, on_stop=stops.append),
                pipeline=pipeline,
                stored=stored,
                due_at=max(zones.values()) if zones else due_at(app.config.schedule, stored.date, stored.cadence),
                stops=stops,
            )
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[edition] = made
            return made

    def _end(self, edition: int, kept: _Kept, fault: str) -> timedelta | None:
        """A sender has ended by itself: it has stopped the edition, or what made it end is given time to pass."""
        with self._lock:
            is_first = self._kept.get(edition) is kept
            if is_first:
                del self._kept[edition]
            stopped = kept.stops.pop() if kept.stops else None
            last = self._pauses.get(edition)
            if is_first and stopped is None:
                failures = last.failures + 1 if last else 1
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures - 1, 10))
                until = self._app.monotonic() + pause.total_seconds()
                self._pauses[edition] = _Pause(failures=failures, resumed_at=kept.stored.resumed_at, until=until)
        if stopped is not None:
            kept.pipeline.tell_of_stop(edition, stopped)
            return None
        if is_first:
            self._app.note_stage(StageReport(stage="deliver", counts={}, notes=(fault,)))
        return _AGAIN


def make_sweep(app: "App", *, on_report: Callable[[Report], None]) -> Chore:
    """Keeps sends by workers going, and closes editions, of which `on_report` hears; for a server and each worker."""

    def sweep() -> str | None:
        try:
            reports = app.sweep_sends()
        except StoreUnavailable:
            return None  # of which the tasks tell; and the next look is soon
        for report in reports:
            on_report(report)
        return "\n".join(fault for report in reports if (fault := beat(app, report))) or None

    return Chore(name="sends", every=SWEEP_EVERY, work=sweep, first=SWEEP_EVERY)
