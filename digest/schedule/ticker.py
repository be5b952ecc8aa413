"""What wakes us: timers at the due times, a sweep at the start and each minute."""

import logging
import threading
import traceback
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from digest.due import find_next
from digest.errors import DigestError, OtherRevision, StoreUnavailable
from digest.models import Cadence, EditionState, Report
from digest.schedule.ensuring import ensure_due, is_waiting, read_zones

if TYPE_CHECKING:
    from digest.app import App

_SWEEP: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(minutes=15)
_BETWEEN_ZONES: Final = timedelta(hours=1)  # that readers' zones are read: all subscriptions are, for that
# What is looked after in one thread: a weekly edition does not wait until a long daily one is sent.
_LINES: Final[tuple[tuple[Cadence, ...], ...]] = (("daily",), ("weekly", "special"))


class Ticker:
    """Calls `ensure_due` at the due times, at the start and each minute, in threads of its own; a context manager."""

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
        self._sweep = sweep
        self._zones = _Zones(app)
        self._lines = [_Line(app, cadences, self._zones, on_report=on_report, on_fault=on_fault) for cadences in _LINES]
        self._timed: set[str] = set()

    def __enter__(self) -> "Ticker":
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.triggers.interval import IntervalTrigger

        zone = ZoneInfo(self._app.config.schedule.timezone)
        # That a look finds one under way is no news, and told of each minute by default.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        # Timers only wake us: nothing is lost when one is late or does not fire.
        self._threads: Any = ThreadPoolExecutor()
        self._scheduler: Any = BackgroundScheduler(
            executors={"default": self._threads},
            timezone=zone,
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        every = IntervalTrigger(seconds=max(1, int(self._sweep.total_seconds())), timezone=zone)
        for number, line in enumerate(self._lines):
            start = self._app.clock().astimezone(zone)
            self._scheduler.add_job(line.tick, every, id=f"sweep {number}", next_run_time=start)
        self._scheduler.add_job(self._follow_zones, every, id="zones", next_run_time=start)
        self._app.is_swept = True
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._app.stop()
        # Told to wait, the scheduler would do so with its lock held, which a job that sets timers waits for.
        self._scheduler.shutdown(wait=False)
        self._threads.shutdown(wait=True)

    @property
    def is_busy(self) -> bool:
        """Whether something is being looked after now; a run may take hours."""
        return any(line.is_busy for line in self._lines)

    def tick(self) -> None:
        """Look once for each cadence, unless a look is under way or a fault is given time to pass."""
        for line in self._lines:
            line.tick()

    def _follow_zones(self) -> None:
        """One timer for each zone by whose clock readers are mailed."""
        from apscheduler.jobstores.base import JobLookupError
        from apscheduler.triggers.cron import CronTrigger

        try:
            wanted = set(self._zones.read()) or {self._app.config.schedule.timezone}
        except DigestError:
            return  # the looks meet it, too, and tell of it
        at = self._app.config.schedule.at
        for name in wanted - self._timed:
            trigger = CronTrigger(hour=at.hour, minute=at.minute, timezone=ZoneInfo(name))
            self._scheduler.add_job(self.wake, trigger, id=f"due {name}")
        for name in self._timed - wanted:
            with suppress(JobLookupError):  # the scheduler has ended meanwhile, and all timers with it
                self._scheduler.remove_job(f"due {name}")
        self._timed = wanted

    def wake(self) -> None:
        """Let every line look at once, each in a thread of its own."""
        for number, line in enumerate(self._lines):
            self._scheduler.add_job(line.tick, id=f"now {number}", replace_existing=True)


class _Zones:
    """By whose clocks readers are mailed, read anew once an hour; for several threads."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self.kept: Collection[str] = ()  # as they were read last
        self._read_at: datetime | None = None
        self._turn = threading.Lock()

    def read(self) -> Collection[str]:
        with self._turn:
            now = self._app.clock()
            # Also when the clock was set back.
            if self._read_at is None or not timedelta() <= now - self._read_at < _BETWEEN_ZONES:
                self.kept, self._read_at = read_zones(self._app), now
            return self.kept


class _Line:
    """Some cadences, looked after one after the other."""

    def __init__(
        self,
        app: "App",
        cadences: Sequence[Cadence],
        zones: _Zones,
        *,
        on_report: Callable[[Report], None],
        on_fault: Callable[[str], None],
    ) -> None:
        self._app = app
        self._cadences = cadences
        self._zones = zones
        self._on_report = on_report
        self._on_fault = on_fault
        self._faults = 0
        self._held_at: datetime | None = None
        self._quiet_until: datetime | None = None
        self._turn = threading.Lock()

    @property
    def is_busy(self) -> bool:
        return self._turn.locked()

    def tick(self) -> None:
        if self._app.is_stopping or not self._turn.acquire(blocking=False):
            return  # a run is under way
        try:
            now = self._app.clock()
            if not self._is_quiet(now) and not self._app.watch.find_obstacle():
                self._try(now)
        finally:
            self._turn.release()

    def _is_quiet(self, now: datetime) -> bool:
        """Whether a fault is given time to pass. What has become due since does not wait for that."""
        if self._quiet_until is None or self._held_at is None or now >= self._quiet_until:
            return False
        schedule, held_at = self._app.config.schedule, self._held_at
        # Each zone by itself: an edition that is made already is due for its readers all the same.
        found = (
            find_next(schedule, held_at, cadences=self._cadences, zones=[zone])
            for zone in self._zones.kept or [schedule.timezone]
        )
        return not any(due and due.at <= now for due in found)

    def _try(self, now: datetime) -> None:
        try:
            report = ensure_due(self._app, now, cadences=self._cadences, zones=self._zones.read())
            is_unfinished = report is not None and (
                report.status == "failed"
                or (report.state is EditionState.SENDING and not is_waiting(self._app, report, self._app.clock()))
            )
        except DigestError as error:
            if isinstance(error, StoreUnavailable | OtherRevision) and self._app.watch.note_lost(error):
                return  # it is told once, and looked again when it is back
            self._hold_back(now, str(error))
        except Exception:  # noqa: BLE001 - a bug must not be met anew each minute, nor end the scheduler
            self._hold_back(now, traceback.format_exc())
        else:
            if report and is_unfinished and not self._app.is_stopping:
                self._hold_back(now, report.message)  # unfinished: what stopped it is given time to pass
                return
            self._faults, self._quiet_until = 0, None
            if report:
                self._on_report(report)

    def _hold_back(self, now: datetime, fault: str) -> None:
        self._faults += 1
        pause = min(_LONGEST_PAUSE, _SWEEP * 2 ** min(self._faults - 1, 10))
        self._held_at, self._quiet_until = now, now + pause
        self._on_fault(f"digest: {fault}; next try in {int(pause.total_seconds() // 60)} minutes")
