"""When an edition is due, and the ticker that looks.

    APScheduler tick ─┐
    sweep at start ───┼─> ensure_due(now) ──> nothing | app.run(day) | missed
    sweep a minute ───┘

What is due is decided from the clock and the store alone, never from whether a timer fired: a machine that slept
through 07:00 finds out at its next sweep. The unique (newsletter, cadence, date) makes any number of schedulers
harmless.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from digest.config.schema import Schedule
from digest.errors import DigestError
from digest.models import EditionState, Report, StoredEdition

if TYPE_CHECKING:
    from digest.app import App

_SWEEP = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An edition's date, and the instant from which it is due."""

    day: date
    at: datetime


def due_at(schedule: Schedule, day: date) -> datetime | None:
    """When the edition of `day` is due, in UTC; None when none is made on that weekday.

    The wall time with fold=0: where clocks go back the first of the two, where they go forward the instant that the
    skipped wall time would have been.
    """
    if day.weekday() not in schedule.days:
        return None
    local = datetime.combine(day, schedule.at, ZoneInfo(schedule.timezone))
    return local.astimezone(ZoneInfo("UTC"))


def latest_due(schedule: Schedule, now: datetime) -> Due | None:
    """The newest edition that is due by `now`."""
    today = now.astimezone(ZoneInfo(schedule.timezone)).date()
    for back in range(8):
        day = today - timedelta(days=back)
        at = due_at(schedule, day)
        if at and at <= now:
            return Due(day=day, at=at)
    return None


def next_due(schedule: Schedule, now: datetime) -> datetime | None:
    """The first due instant after `now`."""
    today = now.astimezone(ZoneInfo(schedule.timezone)).date()
    instants = (due_at(schedule, today + timedelta(days=ahead)) for ahead in range(9))
    return next((at for at in instants if at and at > now), None)


def decide(
    due: Due, stored: StoredEdition | None, *, now: datetime, max_lateness: timedelta, is_first: bool
) -> Literal["run", "miss", "nothing"]:
    """What to do about the newest due edition. Pure.

    The first edition ever is not missed: a newsletter that was set up at noon had none in the morning.
    """
    late = now - due.at > max_lateness
    if stored is None:
        if not late:
            return "run"
        return "nothing" if is_first else "miss"
    if stored.state in {EditionState.READY, EditionState.SENDING, EditionState.DRAFT} and not late:
        return "run"
    return "nothing"


def ensure_due(app: "App", now: datetime) -> Report | None:
    """Make what is due and not there yet. However often it is called, each edition is made once. Raises DigestError."""
    due = latest_due(app.config.schedule, now)
    if due is None:
        return None
    slug, editions = app.config.newsletter.slug, app.store.editions
    stored = editions.find(slug, "daily", due.day)
    max_lateness = app.config.schedule.max_lateness
    match decide(due, stored, now=now, max_lateness=max_lateness, is_first=not editions.newest(slug, 1)):
        case "run":
            return app.run(due.day)
        case "miss":
            reason = f"nothing ran until {now:%Y-%m-%d %H:%M} UTC, more than {max_lateness} after it was due"
            editions.miss(slug, "daily", due.day, reason, now=now)
    return None


class Ticker:
    """Calls `ensure_due` at the due time, at the start and each minute, in a thread of its own; a context manager."""

    def __init__(
        self,
        app: "App",
        *,
        on_report: Callable[[Report], None],
        on_fault: Callable[[str], None],
        sweep: timedelta = _SWEEP,
    ) -> None:
        """`on_report` hears of each run, `on_fault` of what went wrong; after a fault it pauses, longer each time."""
        self._app = app
        self._on_report = on_report
        self._on_fault = on_fault
        self._sweep = sweep
        self._faults = 0
        self._quiet_until: datetime | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> "Ticker":
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.triggers.cron import CronTrigger
        from apscheduler.triggers.interval import IntervalTrigger

        schedule = self._app.config.schedule
        zone = ZoneInfo(schedule.timezone)
        # Timers only wake us: nothing is lost when one is late or does not fire.
        self._scheduler = BackgroundScheduler(
            timezone=zone, job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        )
        at = CronTrigger(hour=schedule.at.hour, minute=schedule.at.minute, timezone=zone)
        self._scheduler.add_job(self._tick, at, id="due")
        every = IntervalTrigger(seconds=max(1, int(self._sweep.total_seconds())), timezone=zone)
        self._scheduler.add_job(self._tick, every, id="sweep", next_run_time=self._app.clock().astimezone(zone))
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._app.stop()
        self._scheduler.shutdown(wait=True)

    def _tick(self) -> None:
        if not self._turn.acquire(blocking=False):
            return  # a run is under way
        try:
            now = self._app.clock()
            if self._quiet_until and now < self._quiet_until:
                return
            self._try(now)
        finally:
            self._turn.release()

    def _try(self, now: datetime) -> None:
        try:
            report = ensure_due(self._app, now)
        except DigestError as error:
            self._faults += 1
            pause = min(_LONGEST_PAUSE, _SWEEP * 2 ** (self._faults - 1))
            self._quiet_until = now + pause
            self._on_fault(f"digest: {error}; next try in {int(pause.total_seconds() // 60)} minutes")
        else:
            self._faults, self._quiet_until = 0, None
            if report:
                self._on_report(report)
