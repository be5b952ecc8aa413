"""What wakes us: timers at the due times, a sweep at the start and each minute."""

import threading
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from digest.errors import DigestError
from digest.models import EditionState, Report
from digest.schedule.ensuring import ensure_due

if TYPE_CHECKING:
    from digest.app import App

_SWEEP = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=15)


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
