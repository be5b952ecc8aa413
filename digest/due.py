"""When an edition is due, from local wall time. Pure: neither clock nor store is asked here.

An instant comes from a day, the wall time `[schedule] at` and a time zone, with fold=0. So there is one for each day
and zone, never two, and no day is left out:

- a wall time that comes twice, where clocks go back, is meant the first time;
- one that is skipped, where they go forward, is as late after midnight as on any other day: 02:30 is 03:30 then.

The zone is the newsletter's; with `per_subscriber_timezone` each reader's own, and an edition has as many instants as
its readers have zones. Its date is the same for all of them: each gets it when their own clocks show `at` on that day.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from digest.config.scheduling import Schedule
from digest.models import Cadence, StoredEdition

_HORIZON: Final = 400  # days that are looked at: a pause may be long, and weekdays few
_AHEAD: Final = 2  # days that a zone's date may be ahead of another's: Kiritimati's of Niue's
_ZONES: Final = 1024  # more than there are; zoneinfo itself keeps eight at hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An edition's date, and the instant from which it is due: where readers' zones count, for the first of them."""

    day: date
    at: datetime
    cadence: Cadence = "daily"


def is_made_on(schedule: Schedule, day: date, cadence: Cadence = "daily") -> bool:
    """Whether there is an edition of that day. A special one is made when somebody asks for it, and never due."""
    if schedule.rests_on(day):
        return False
    match cadence:
        case "daily":
            return day.weekday() in schedule.days
        case "weekly":
            return day.weekday() == schedule.weekly
        case _:
            return False


def due_at(schedule: Schedule, day: date, cadence: Cadence = "daily", timezone: str | None = None) -> datetime | None:
    """When the edition of `day` is due for readers of a zone, in UTC; None when none is made that day.

    None, and a zone that is not known, is the newsletter's.
    """
    if not is_made_on(schedule, day, cadence):
        return None
    zone = find_zone(timezone) if timezone else None
    local = datetime.combine(day, schedule.at, zone or ZoneInfo(schedule.timezone))
    try:
        return local.astimezone(UTC)
    except OverflowError:  # the first or the last day of the calendar
        return None


def place_in(schedule: Schedule, day: date, timezone: str | None) -> tuple[str, datetime]:
    """By whose wall clock a reader is mailed, and when `day`'s edition is due there, whatever the weekday.

    This is when an edition that is made reaches whom, also one that was made by hand on a day of rest.
    """
    name = choose_zone(schedule, timezone)
    local = datetime.combine(day, schedule.at, ZoneInfo(name))
    try:
        return name, local.astimezone(UTC)
    except OverflowError:  # the first or the last day of the calendar
        return name, local.replace(tzinfo=UTC)


def first_due_at(
    schedule: Schedule, day: date, cadence: Cadence = "daily", zones: Collection[str] = ()
) -> datetime | None:
    """When it is due for the first of these zones: then it is composed. Without any, the newsletter's."""
    return min(_list_instants(schedule, day, cadence, zones), default=None)


def last_due_at(
    schedule: Schedule, day: date, cadence: Cadence = "daily", zones: Collection[str] = ()
) -> datetime | None:
    """When it is due for the last of these zones."""
    return max(_list_instants(schedule, day, cadence, zones), default=None)


def latest_due(
    schedule: Schedule, now: datetime, cadence: Cadence = "daily", zones: Collection[str] = ()
) -> Due | None:
    """The newest edition of a cadence that is due by `now`, for one of these zones at least."""
    today = now.astimezone(UTC).date()
    for back in range(-_AHEAD, _HORIZON):
        day = today - timedelta(days=back)
        at = first_due_at(schedule, day, cadence, zones)
        if at and at <= now:
            return Due(day=day, at=at, cadence=cadence)
    return None


def find_next(
    schedule: Schedule, now: datetime, *, cadences: Iterable[Cadence] = ("daily",), zones: Collection[str] = ()
) -> Due | None:
    """The first edition, of any of these cadences, that is not due by `now` for any of these zones."""
    found = (_find_next(schedule, now, cadence, zones) for cadence in cadences)
    return min((due for due in found if due), key=lambda due: due.at, default=None)


def _find_next(schedule: Schedule, now: datetime, cadence: Cadence, zones: Collection[str]) -> Due | None:
    today = now.astimezone(UTC).date()
    for ahead in range(-_AHEAD, _HORIZON):
        day = today + timedelta(days=ahead)
        at = first_due_at(schedule, day, cadence, zones)
        if at and at > now:
            return Due(day=day, at=at, cadence=cadence)
    return None


def next_due(
    schedule: Schedule, now: datetime, *, cadences: Iterable[Cadence] = ("daily",), zones: Collection[str] = ()
) -> datetime | None:
    """The first due instant after `now`."""
    due = find_next(schedule, now, cadences=cadences, zones=zones)
    return due.at if due else None


def is_over(schedule: Schedule, stored: StoredEdition, now: datetime, timezone: str | None = None) -> bool:
    """Whether an edition is too old to be news for readers of a zone. Pure."""
    return is_past(schedule, stored, due_at(schedule, stored.date, stored.cadence, timezone), now)


def is_past(schedule: Schedule, stored: StoredEdition, due: datetime | None, now: datetime) -> bool:
    """Whether an edition is too old to be news for those for whom it was due at that instant. Pure."""
    beginning = stored.find_beginning(due)
    return beginning is not None and now - beginning > schedule.max_lateness


@lru_cache(maxsize=_ZONES)
def find_zone(name: str) -> ZoneInfo | None:
    """The time zone of that name; None when this machine knows none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def choose_zone(schedule: Schedule, timezone: str | None) -> str:
    """By whose wall clock a reader is mailed: their own zone's, where that counts and is known, or the newsletter's."""
    if schedule.per_subscriber_timezone and timezone and find_zone(timezone):
        return timezone
    return schedule.timezone


def gather_zones(schedule: Schedule, counted: Mapping[str | None, int]) -> dict[str, int]:
    """How many readers are mailed by the clock of which zone, from how many chose which."""
    gathered: dict[str, int] = {}
    for timezone, number in counted.items():
        name = choose_zone(schedule, timezone)
        gathered[name] = gathered.get(name, 0) + number
    return gathered


def _list_instants(schedule: Schedule, day: date, cadence: Cadence, zones: Collection[str]) -> list[datetime]:
    if not is_made_on(schedule, day, cadence):
        return []
    found = (due_at(schedule, day, cadence, zone) for zone in zones or (schedule.timezone,))
    return [at for at in found if at]
