"""When an edition is due, and the ticker that looks.

    APScheduler tick ─┐
    sweep at start ───┼─> ensure_due(now) ──> nothing | app.run(day) | missed
    sweep a minute ───┘

What is due is decided from the clock and the store alone, never from whether a timer fired: a machine that slept
through 07:00 finds out at its next sweep. The unique (newsletter, cadence, date) makes any number of schedulers
harmless.
"""

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from digest.alerting import is_owed
from digest.config.schema import Schedule
from digest.errors import DigestError
from digest.models import EditionState, Report, StoredEdition
from digest.operate.events import take_refusals

if TYPE_CHECKING:
    from digest.app import App

_SWEEP = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=15)
_LOOK_BACK = 14  # editions that may still be open


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


def is_over(schedule: Schedule, stored: StoredEdition, now: datetime) -> bool:
    """Whether an edition is too old to be news. Pure.

    Its time begins when it is due, or when it became ready: by hand it may be made, or approved, long after. It begins
    anew when a person lets it go on.
    """
    instants = [at for at in (due_at(schedule, stored.date), stored.dated_at, stored.resumed_at) if at]
    return bool(instants) and now - max(instants) > schedule.max_lateness


def decide(
    due: Due, stored: StoredEdition | None, *, schedule: Schedule, now: datetime, is_first: bool
) -> Literal["run", "miss", "nothing"]:
    """What to do about the newest due edition. Pure.

    The first edition ever is not missed: a newsletter that was set up at noon had none in the morning.
    """
    if stored is None:
        if now - due.at <= schedule.max_lateness:
            return "run"
        return "nothing" if is_first else "miss"
    is_open = stored.state in {EditionState.READY, EditionState.SENDING, EditionState.DRAFT}
    return "run" if is_open and not is_over(schedule, stored, now) else "nothing"


def ensure_due(app: "App", now: datetime) -> Report | None:
    """Make what is due, finish what was begun, end what is too late; again and again. Raises DigestError."""
    schedule, slug, editions = app.config.schedule, app.config.newsletter.slug, app.store.editions
    due = latest_due(schedule, now)
    if due is None:
        return None
    newest = [stored for stored in editions.newest(slug, _LOOK_BACK) if stored.date <= due.day]
    # Whatever its age: a person may have let it go on.
    known = {stored.id for stored in newest}
    open_ = editions.newest(slug, _LOOK_BACK, state=EditionState.SENDING)
    newest += [stored for stored in open_ if stored.date <= due.day and stored.id not in known]
    for stored in newest:
        if stored.state in {EditionState.READY, EditionState.SENDING} and is_over(schedule, stored, now):
            app.close_late(
                stored, f"it was not sent within {schedule.max_lateness} after it was due, and is no news any more"
            )
    todays = editions.find(slug, "daily", due.day)
    match decide(due, todays, schedule=schedule, now=now, is_first=not newest):
        case "run":
            return _run(app, due.day)
        case "miss":
            reason = f"nothing ran until {now:%Y-%m-%d %H:%M} UTC, more than {schedule.max_lateness} after it was due"
            editions.miss(slug, "daily", due.day, reason, now=now)
    for stored in newest:
        # Begun by hand for another day, and interrupted; or approved when the next one was due already.
        is_let_go = stored.state is EditionState.READY and stored.edition and stored.edition.approved_by
        if (is_let_go or stored.state is EditionState.SENDING) and not is_over(schedule, stored, now):
            return _run(app, stored.date)
        is_told_of = app.alert_addresses and not is_over(schedule, stored, now)
        if is_told_of and is_owed(app.store.runs.last(slug), stored, now):
            return app.tell_again(stored)
    return None


def _run(app: "App", day: date) -> Report:
    """One edition, and what servers said of it at once."""
    report = app.run(day)
    take_refusals(app)
    return report


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
        self._scheduler.add_job(self.tick, at, id="due")
        every = IntervalTrigger(seconds=max(1, int(self._sweep.total_seconds())), timezone=zone)
        self._scheduler.add_job(self.tick, every, id="sweep", next_run_time=self._app.clock().astimezone(zone))
        self._app.is_swept = True
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._app.stop()
        self._scheduler.shutdown(wait=True)

    def tick(self) -> None:
        """Look once, unless a look is under way or a fault is given time to pass."""
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
            self._hold_back(now, str(error))
        except Exception:  # noqa: BLE001 - a bug must not be met anew each minute, nor end the scheduler
            self._hold_back(now, traceback.format_exc())
        else:
            unfinished = report is not None and (report.state is EditionState.SENDING or report.status == "failed")
            if report and unfinished and not self._app.is_stopping:
                self._hold_back(now, report.message)  # unfinished: what stopped it is given time to pass
                return
            self._faults, self._quiet_until = 0, None
            if report:
                self._on_report(report)

    def _hold_back(self, now: datetime, fault: str) -> None:
        self._faults += 1
        pause = min(_LONGEST_PAUSE, _SWEEP * 2 ** min(self._faults - 1, 10))
        self._quiet_until = now + pause
        self._on_fault(f"digest: {fault}; next try in {int(pause.total_seconds() // 60)} minutes")
