"""Who goes when: what a day's plan allows, which domains must wait, and what leaves together. Pure."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo

from digest.deliver.lanes import Lane, WarmUp
from digest.models import Recipient

WITHIN = 5.0  # seconds that a message may wait for its domain in a claimed batch; else it is put off


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A recipient, and when they are due (monotonic seconds)."""

    due: float
    recipient: Recipient
    is_paced: bool = True  # their domain says so; else they may be mailed at any time


def fold_domain(email: str) -> str:
    """The domain of an address, as rates count it: small letters, in ASCII where that can be said. Not its parent's."""
    domain = email.rpartition("@")[2].strip().rstrip(".").casefold()
    if not domain.isascii():
        with suppress(UnicodeError):
            return domain.encode("idna").decode("ascii")
    return domain


def find_rate(lane: Lane, domain: str) -> float | None:
    """How fast a domain may be mailed by a lane; None when the lane itself is no faster than that."""
    rate = lane.domains.get(domain, lane.per_domain)
    return None if rate is None or rate >= lane.rate else rate


def name_pace(lane: Lane, domain: str) -> str:
    """By which all processes know the pace of a domain. It may be one reader's own: its name is not kept."""
    return hashlib.blake2b(f"{lane.name}\n{domain}".encode(), digest_size=16).hexdigest()


def group_by_domain(lane: Lane, recipients: Sequence[Recipient]) -> dict[str, list[Recipient]]:
    """The recipients of each domain; under "" those whose domain has no rate of its own."""
    groups: dict[str, list[Recipient]] = {}
    for recipient in recipients:
        domain = fold_domain(recipient.email)
        groups.setdefault(domain if find_rate(lane, domain) else "", []).append(recipient)
    return groups


def interleave(groups: Mapping[str, tuple[float, float, Sequence[Recipient]]]) -> list[Timed]:
    """Recipients in the order in which they are due, from each domain's first instant, interval and recipients."""
    timed = [
        Timed(due=first + number * interval, recipient=recipient, is_paced=interval > 0)
        for first, interval, recipients in groups.values()
        for number, recipient in enumerate(recipients)
    ]
    return sorted(timed, key=lambda one: one.due)


def cut(timed: Sequence[Timed], at_once: int, *, span_seconds: float) -> list[list[Timed]]:
    """What leaves together: so many at most, and nothing that is due so many seconds after the first, or later."""
    slices: list[list[Timed]] = []
    for one in timed:
        # What is due by now may go with what is due at any time.
        if slices and len(slices[-1]) < at_once and one.due - slices[-1][0].due < span_seconds:
            slices[-1].append(one)
        else:
            slices.append([one])
    return slices


def delay(slice_: Sequence[Timed], now: float, late: float) -> tuple[list[Timed], float]:
    """The slice as late as the batch is by now, and how late that is.

    Who was held up must not catch up with the pace of a domain at once: what comes later in the batch is as late.
    """
    first = next((one.due for one in slice_ if one.is_paced), None)
    if first is not None:
        late = max(late, now - first)
    if late <= 0:
        return list(slice_), 0.0
    return [replace(one, due=one.due + late) if one.is_paced else one for one in slice_], late


def find_ceiling(plan: WarmUp, day: date) -> int | None:
    """How many messages a warm-up plan allows on a day; None when it has ended. Before it starts, as on its first."""
    days = max(0, (day - plan.start).days)
    if plan.first > plan.until or days * math.log(plan.growth) > math.log(plan.until / plan.first) + 1e-9:
        return None
    return int(plan.first * plan.growth**days + 1e-9)


def find_tomorrow(now: datetime, zone: tzinfo) -> datetime:
    """When the next day begins there."""
    day = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(day, time(), tzinfo=zone)
