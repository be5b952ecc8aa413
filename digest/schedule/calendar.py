"""The days ahead: what is due when, on whose clocks, and where those are changed. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from digest.config.scheduling import Schedule
from digest.due import due_at, find_zone
from digest.models import Cadence
from digest.reporting import describe_span

_CADENCES: Final[tuple[Cadence, ...]] = ("daily", "weekly")
# From the beginning of a day on the clocks that are first, to its end on those that are last, in UTC.
_BEFORE, _AFTER = timedelta(hours=15), timedelta(hours=37)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the calendar: an edition for the readers of a zone; or a day without one that is worth a line."""

    day: date
    timezone: str
    cadence: Cadence | None = None  # None: nothing is due
    at: datetime | None = None
    readers: int | None = None  # of that zone, where each is mailed at their own time
    clocks: str | None = None  # what is changed on that day, there
    rests: str | None = None  # why nothing is due, though it is no weekday off


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChange:
    """An instant at which the clocks of a zone are changed."""

    at: datetime  # in UTC
    wall: datetime  # what they show when it comes, without a zone
    step: timedelta  # forward, or back

    def describe(self) -> str:
        """In words."""
        way = "forward" if self.step > timedelta() else "back"
        return f"clocks go {way} {describe_span(abs(self.step))} at {self.wall:%H:%M}"


def list_entries(
    schedule: Schedule, first: date, days: int, *, zones: Mapping[str, int] | None = None, has_weekly: bool = True
) -> Iterator[Entry]:
    """Some days from `first` on. `zones`: how many readers are mailed by whose clocks; else it is the newsletter's."""
    names = sorted(zones) if zones else [schedule.timezone]
    for ahead in range(days):
        day = first + timedelta(days=ahead)
        changes = {name: change.describe() for name in names if (change := find_change(name, day))}
        found = [
            (at, cadence, name)
            for cadence in _CADENCES
            if cadence == "daily" or has_weekly
            for name in names
            if (at := due_at(schedule, day, cadence, name))
        ]
        for at, cadence, name in sorted(found):
            readers = zones[name] if zones else None
            yield Entry(day=day, timezone=name, cadence=cadence, at=at, readers=readers, clocks=changes.get(name))
        if not found:
            rests = name_rest(schedule, day)
            for name in sorted(changes or ([schedule.timezone] if rests else [])):
                yield Entry(day=day, timezone=name, clocks=changes.get(name), rests=rests)


def group_entries(entries: Sequence[Entry]) -> Iterator[tuple[Entry, list[str]]]:
    """Those of the same edition at the same instant and hour of the day as one, with the zones that it stands for."""
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        local = entry.at.astimezone(ZoneInfo(entry.timezone)).utcoffset() if entry.at else entry.timezone
        groups.setdefault((entry.day, entry.cadence, entry.at, local, entry.clocks), []).append(entry)
    for group in groups.values():
        # The zone of most readers stands for the others.
        group.sort(key=lambda entry: (-(entry.readers or 0), entry.timezone))
        readers = sum(entry.readers or 0 for entry in group) if group[0].readers is not None else None
        yield replace(group[0], readers=readers), [entry.timezone for entry in group]


def name_rest(schedule: Schedule, day: date) -> str | None:
    """Why nothing is due on a day, whatever its weekday; None where that is not so."""
    for pause in schedule.pauses:
        if pause.first <= day <= pause.last:
            return f"pause from {pause.first} to {pause.last}"
    return "holiday" if schedule.rests_on(day) else None


def find_change(timezone: str, day: date) -> ClockChange | None:
    """The change of a zone's clocks on a day, by what they show when it comes; None when there is none."""
    zone = find_zone(timezone)
    if zone is None:
        return None
    midnight = datetime.combine(day, time(), UTC)
    try:
        low, high = midnight - _BEFORE, midnight + _AFTER
    except OverflowError:
        return None
    before, after = low.astimezone(zone).utcoffset(), high.astimezone(zone).utcoffset()
    if before is None or after is None or before == after:
        return None
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    at = high.replace(microsecond=0)
    wall = (at + before).replace(tzinfo=None)
    return ClockChange(at=at, wall=wall, step=after - before) if wall.date() == day else None
