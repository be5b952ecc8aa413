"""When a newsletter's editions are due by the clocks of its readers: `due`, with the zones that they chose."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from digest import due
from digest.config.scheduling import Schedule
from digest.ports import Place

_ZONES_FOR = timedelta(hours=1)


class Timetable:
    """Asks for readers' zones at most once an hour: all readers are counted for that."""

    def __init__(self, schedule: Schedule, count_zones: Callable[[], Mapping[str | None, int]]) -> None:
        """`count_zones()` says how many active readers chose each zone, None for none of their own."""
        self._schedule = schedule
        self._count_zones = count_zones
        self._read_at: datetime | None = None
        self._zones: tuple[str, ...] = ()

    def day_of(self, instant: datetime) -> date:
        """The date of an instant in the newsletter's time zone."""
        return instant.astimezone(ZoneInfo(self._schedule.timezone)).date()

    def place(self, day: date, timezone: str | None) -> Place:
        """Whose clock a reader of that zone goes by, and when the edition of `day` is due there."""
        name, due_at = due.place_in(self._schedule, day, timezone)
        return Place(timezone=name, due_at=due_at)

    def next_due_at(self, now: datetime) -> datetime | None:
        """When the next edition is composed, if any is to be."""
        return due.next_due(self._schedule, now, cadences=("daily", "weekly"), zones=self._list_zones(now))

    def _list_zones(self, now: datetime) -> tuple[str, ...]:
        if not self._schedule.per_subscriber_timezone:
            return ()
        if self._read_at is None or not timedelta() <= now - self._read_at < _ZONES_FOR:
            self._zones = tuple(due.gather_zones(self._schedule, self._count_zones()))
            self._read_at = now
        return self._zones
