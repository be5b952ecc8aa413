"""How fast the lanes go, agreed with all other senders through the store."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from digest.deliver.lanes import Lane, Rest
from digest.deliver.together import Together
from digest.deliver.turns import (
    WITHIN,
    Timed,
    find_ceiling,
    find_rate,
    find_tomorrow,
    group_by_domain,
    interleave,
    name_pace,
)
from digest.models import Recipient, Turns
from digest.protocols import Rates

_LONG = 60.0  # seconds that a batch may wait for its lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who of a batch may go by a lane in a moment, in order; and who must wait for their domain, and until when."""

    timed: Sequence[Timed]
    late: Sequence[Recipient] = ()
    late_until: datetime | None = None


class Pacing:
    """For all connections of a sender."""

    def __init__(self, rates: Rates, together: Together, zone: tzinfo) -> None:
        """`zone` is where a day of a warm-up plan begins and ends."""
        self._rates, self._together, self._zone = rates, together, zone
        self._lock = threading.Lock()
        self._free_at: dict[str, float] = {}  # by lane: when this process may use it again
        self._kept: dict[str, list[float]] = {}  # by lane: turns that were taken and not used, the earliest first
        self._queued: dict[str, float] = {}  # by the pace of a domain: when what was put off for it is through
        self.busy_until = float("-inf")  # when all that was put off for its domain is due

    def admit(self, lane: Lane, recipients: Sequence[Recipient], *, until: float) -> Admission:
        """Take turns for a batch at the rates of its domains."""
        groups = group_by_domain(lane, recipients)
        free = groups.pop("", [])
        if not groups:
            return Admission(timed=[Timed(due=0.0, recipient=recipient, is_paced=False) for recipient in free])
        domains = sorted(groups)
        rates = [find_rate(lane, domain) or lane.rate for domain in domains]
        within = max(WITHIN, lane.span_seconds)
        turns = [
            Turns(key=name_pace(lane, domain), count=len(groups[domain]), per_second=rate, within=within)
            for domain, rate in zip(domains, rates, strict=True)
        ]
        now, here = self._together.now(), self._together.monotonic()
        granted = self._together.persist(lambda: self._rates.reserve(turns, now=now), until=until)
        late, late_until, chosen = [], [], {"": (here, 0.0, free)}
        for domain, turn, given in zip(domains, turns, granted, strict=True):
            first, members = here + (given.at - now).total_seconds(), groups[domain]
            chosen[domain] = (first, 1 / turn.per_second, members[: given.count])
            if rest := members[given.count :]:
                late += rest
                late_until.append(self._queue(turn, first + given.count / turn.per_second, len(rest)))
        due = now + timedelta(seconds=min(late_until) - here) if late_until else None
        return Admission(timed=interleave(chosen), late=late, late_until=due)

    def _queue(self, turn: Turns, free_at: float, count: int) -> float:
        """When those who are put off may come again: behind those who were put off before them."""
        with self._lock:
            due = max(free_at, self._queued.get(turn.key, free_at))
            self._queued[turn.key] = due + count / turn.per_second
            self.busy_until = max(self.busy_until, self._queued[turn.key])
        return due

    def take_turns(self, lane: Lane, count: int, *, until: float) -> float | None:
        """So many turns of a lane; from when on (monotonic seconds).

        None when that is too far off to be waited for with a batch in hand: the lane rests until then, and the turn is
        kept for whoever comes first.
        """
        turns = [Turns(key=lane.name[:300], count=count, per_second=lane.rate)]
        with self._lock:  # or another thread's later turns would be written down first
            now = self._together.monotonic()
            kept = self._kept.setdefault(lane.name, [])
            if kept and kept[0] <= now and count == 1:
                return kept.pop(0)

            def reserve() -> float:
                now, here = self._together.now(), self._together.monotonic()
                (given,) = self._rates.reserve(turns, now=now)
                return here + (given.at - now).total_seconds()

            # What this process took itself it also knows when the clock is stepped.
            start = max(self._together.persist(reserve, until=until), self._free_at.get(lane.name, 0.0))
            self._free_at[lane.name] = start + count / lane.rate
            if count > 1 or start - now < _LONG:
                return start
            kept.append(start)
            why = f"{lane.name} takes one message in {1 / lane.rate:.0f} seconds"
            lane.health.rest(Rest(until=kept[0], why=why, is_planned=True))
            return None

    def take_of_hour(self, lane: Lane, count: int, *, until: float) -> int:
        """How many of these its hour has left; the lane rests when that is not all."""
        ceiling = lane.per_hour
        if ceiling is None:
            return count
        now = self._together.now()
        given = self._together.persist(
            lambda: self._rates.take_of_hour(_hourly(lane), count, ceiling=ceiling, now=now), until=until
        )
        if given.count < count:
            why = f"{lane.name} takes {ceiling} messages an hour, and they are sent"
            seconds = max(1.0, (given.at - now).total_seconds())
            lane.health.rest(Rest(until=self._together.monotonic() + seconds, why=why, is_planned=True))
        return given.count

    def give_back_of_hour(self, lane: Lane, count: int, *, until: float) -> None:
        """What was taken and not sent."""
        if count > 0 and lane.per_hour is not None:
            now = self._together.now()
            self._together.persist(lambda: self._rates.give_back_of_hour(_hourly(lane), count, now=now), until=until)

    def take_of_day(self, lane: Lane, count: int, *, until: float) -> tuple[int, Callable[[int], None]]:
        """How many of these a warm-up plan allows today, and how to give back what is not sent.

        When that is not all, the lane rests until tomorrow.
        """
        now = self._together.now()
        day = now.astimezone(self._zone).date()
        ceiling = find_ceiling(lane.warm_up, day) if lane.warm_up else None
        if ceiling is None:
            return count, lambda _: None
        key = f"{lane.name} warm-up"[:300]
        taken = self._together.persist(lambda: self._rates.take(key, day, count, ceiling=ceiling), until=until)
        if taken < count:
            tomorrow = find_tomorrow(now, self._zone)
            why = f"the warm-up plan of {lane.name} allows {ceiling} messages today; it goes on on {tomorrow:%Y-%m-%d}"
            seconds = (tomorrow - now).total_seconds()
            lane.health.rest(Rest(until=self._together.monotonic() + seconds, why=why))

        def give_back(unused: int) -> None:
            if unused > 0:
                self._together.persist(lambda: self._rates.give_back(key, day, unused), until=until)

        return taken, give_back


def _hourly(lane: Lane) -> str:
    return f"{lane.name} hourly"[:290]
