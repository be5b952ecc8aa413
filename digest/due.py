"""When an edition is due, from local wall time. Pure: neither clock nor store is asked here."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from digest.config.scheduling import Schedule
from digest.models import StoredEdition


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
    if day.weekday() not in schedule.days or schedule.rests_on(day):
        return None
    local = datetime.combine(day, schedule.at, ZoneInfo(schedule.timezone))
    return local.astimezone(ZoneInfo("UTC"))


def place_in(schedule: Schedule, day: date, timezone: str | None) -> tuple[str, datetime]:
    """A reader's zone, and when the edition of `day` is due there: at `at` of that day, read as in `due_at`.

    Whatever the weekday: this is when an edition that is made reaches whom. Who has no zone, or one that is not known
    on this machine, is of the newsletter's.
    """
    name, zone = schedule.timezone, ZoneInfo(schedule.timezone)
    if timezone is not None:
        try:
            name, zone = timezone, ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of names
            name = schedule.timezone
    return name, datetime.combine(day, schedule.at, zone).astimezone(UTC)


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
