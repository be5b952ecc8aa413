"""What is to be done about what is due: decided from values, and done elsewhere. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal

from digest.config.scheduling import Schedule
from digest.due import Due, due_at, first_due_at, is_past, last_due_at
from digest.models import Cadence, EditionState, StoredEdition
from digest.reporting import describe_span

_MOST_MISSED: Final = 31  # days that are marked one by one, however long nothing ran
_OPEN: Final = (EditionState.READY, EditionState.SENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An edition as it stands in the store."""

    stored: StoredEdition
    zones: Mapping[str, datetime] = field(
        default_factory=dict
    )  # as they were planned: when it is due for their readers
    late_zones: tuple[str, ...] = ()  # for whose readers it is no news any more, and some of them wait
    waits_until: datetime | None = None  # the time of a zone, before which nothing of it can be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that is decided on, of one cadence."""

    cadence: Cadence
    due: Due | None  # the newest
    standings: Sequence[Standing]  # the newest first, none of a later day than that
    zones: Collection[str] = ()  # by whose clocks readers are mailed; (): by the newsletter's
    looked_at: datetime | None = None  # by then nothing of what was due was left to be made
    is_wanted: bool = True  # somebody reads that cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to be done."""

    work: Literal["close", "give_up", "miss", "compose", "send"]
    cadence: Cadence
    day: date
    edition: StoredEdition | None = None
    timezones: tuple[str, ...] = ()  # whose readers are given up
    reason: str = ""

    @property
    def is_run(self) -> bool:
        """Whether the pipeline is to run; all else is done in a moment."""
        return self.work in {"compose", "send"}


def decide(
    due: Due,
    stored: StoredEdition | None,
    *,
    schedule: Schedule,
    now: datetime,
    is_first: bool,
    zones: Collection[str] = (),
    looked_at: datetime | None = None,
) -> Literal["run", "miss", "nothing"]:
    """What to do about the newest due edition.

    The first edition ever is not missed: a newsletter that was set up at noon had none in the morning. Nor is one that
    was not due yet when a scheduler looked after that instant: the schedule was another then.
    """
    if stored is None:
        last = last_due_at(schedule, due.day, due.cadence, zones) or due.at
        if now - max(last, due.at) <= schedule.max_lateness:
            return "run"
        return "nothing" if is_first or (looked_at and due.at <= looked_at) else "miss"
    is_open = stored.state in _OPEN or stored.state is EditionState.DRAFT
    return "run" if is_open and not _is_over(schedule, stored, zones or ("",), now) else "nothing"


def list_steps(schedule: Schedule, found: Found, now: datetime) -> list[Step]:
    """Everything that is to be done now: first what ends something, then what runs, the newest edition first."""
    ends: list[Step] = []
    runs: list[Step] = []
    closed: set[int] = set()
    within = describe_span(schedule.max_lateness)
    for standing in found.standings:
        stored = standing.stored
        if stored.state in _OPEN and _is_over_everywhere(schedule, standing, found.zones, now):
            closed.add(stored.id)
            reason = f"it was not sent within {within} after it was due, and is no news any more"
            ends.append(_step("close", stored, reason=reason))
        elif standing.late_zones:
            reason = f"it was not sent within {within} after it was due there, and is no news any more"
            ends.append(_step("give_up", stored, reason=reason, timezones=standing.late_zones))
    newest = _find_newest(found)
    if found.due and found.is_wanted and not (newest and newest.stored.id in closed):
        match _decide_on_newest(schedule, found, found.due, newest, now):
            case "run":
                is_sending = newest and newest.stored.state is EditionState.SENDING
                runs.append(
                    Step(
                        work="send" if is_sending else "compose",
                        cadence=found.cadence,
                        day=found.due.day,
                        edition=newest.stored if newest else None,
                    )
                )
            case "miss":
                reason = f"more than {within} after it was due"
                ends.append(_miss(found.cadence, found.due.day, now, reason))
    if found.due and found.is_wanted:
        reason = f"when the edition of {found.due.day} was due already"
        ends += [_miss(found.cadence, day, now, reason) for day in _list_passed_over(schedule, found, found.due)]
    for standing in found.standings:
        # Begun by hand for another day, and interrupted; or approved when the next one was due already.
        stored = standing.stored
        is_let_go = stored.state is EditionState.READY and stored.edition and stored.edition.approved_by
        is_mine = is_let_go or stored.state is EditionState.SENDING
        is_listed = any(step.edition is stored for step in runs)
        if is_mine and not is_listed and stored.id not in closed and not _waits(standing, now):
            runs.append(_step("send" if stored.state is EditionState.SENDING else "compose", stored))
    return ends + runs


def find_late_zones(
    schedule: Schedule, stored: StoredEdition, zones: Mapping[str, datetime], now: datetime
) -> list[str]:
    """The zones for whose readers an edition that is being sent is no news any more."""
    return [zone for zone, at in zones.items() if is_past(schedule, stored, at, now)]


def find_wait(
    zones: Mapping[str, datetime], *, next_due: datetime | None, leased_until: datetime | None, now: datetime
) -> datetime | None:
    """Until when nothing can be done of an edition that is being sent: the time of its next zone has not come.

    None when something can, or nothing waits, or a sender is at work or died at it; and when what is next was put off
    by a fault, and not by a zone.
    """
    later = [at for at in zones.values() if at > now]
    if leased_until is not None or next_due is None or not later:
        return None
    return next_due if next_due >= min(later) else None


def _decide_on_newest(
    schedule: Schedule, found: Found, due: Due, newest: Standing | None, now: datetime
) -> Literal["run", "miss", "nothing"]:
    if newest and _waits(newest, now):
        return "nothing"
    is_first = not found.standings and found.looked_at is None
    zones = (newest.zones if newest else None) or found.zones
    stored = newest.stored if newest else None
    return decide(due, stored, schedule=schedule, now=now, is_first=is_first, zones=zones, looked_at=found.looked_at)


def _find_newest(found: Found) -> Standing | None:
    return next((one for one in found.standings if found.due and one.stored.date == found.due.day), None)


def _list_passed_over(schedule: Schedule, found: Found, due: Due) -> Iterator[date]:
    """The days before that for which nobody made an edition, though it was due."""
    known = {standing.stored.date for standing in found.standings}
    if found.looked_at is None and not known:
        return
    # Where no scheduler has left word of a look: before the newest edition, all was well.
    floor = max(known) if found.looked_at is None else date.min
    for back in range(1, _MOST_MISSED + 1):
        day = due.day - timedelta(days=back)
        if day <= floor:
            return
        at = first_due_at(schedule, day, found.cadence, found.zones)
        if at and day not in known and (found.looked_at is None or at > found.looked_at):
            yield day


def _is_over_everywhere(schedule: Schedule, standing: Standing, zones: Collection[str], now: datetime) -> bool:
    """Whether it is too old to be news for all of its readers."""
    stored = standing.stored
    if standing.zones:
        return all(is_past(schedule, stored, at, now) for at in standing.zones.values())
    # What is being sent and has no zones was planned for everybody at once.
    return _is_over(schedule, stored, zones if stored.state is EditionState.READY and zones else ("",), now)


def _is_over(schedule: Schedule, stored: StoredEdition, zones: Collection[str], now: datetime) -> bool:
    dues = (due_at(schedule, stored.date, stored.cadence, zone or None) for zone in zones)
    return all(is_past(schedule, stored, at, now) for at in dues)


def _waits(standing: Standing, now: datetime) -> bool:
    return standing.waits_until is not None and standing.waits_until > now


def _step(
    work: Literal["close", "give_up", "compose", "send"],
    stored: StoredEdition,
    *,
    reason: str = "",
    timezones: tuple[str, ...] = (),
) -> Step:
    return Step(work=work, cadence=stored.cadence, day=stored.date, edition=stored, timezones=timezones, reason=reason)


def _miss(cadence: Cadence, day: date, now: datetime, reason: str) -> Step:
    return Step(work="miss", cadence=cadence, day=day, reason=f"nothing ran until {now:%Y-%m-%d %H:%M} UTC, {reason}")
