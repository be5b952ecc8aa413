"""Whether an edition reaches everybody before it is too old: what is left by then is given up."""

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from digest.due import gather_zones
from digest.models import SubscriberState
from digest.operate.segments import count_segments
from digest.reporting import describe_span

if TYPE_CHECKING:
    from digest.app import App

_MINUTE = 60
_HOUR = 3600
_DAYS = 48 * _HOUR  # from then on days are said, and hours

Lateness = tuple[Literal["ok", "warning"], str, str | None]  # the result, the figures, the remedy


def check_rate(app: "App") -> Lateness | None:
    """Of who is mailed at one instant now; None: nobody is. Raises DigestError."""
    readers = _count_readers(app)
    if not readers:
        return None
    first = app.lanes[0]
    return find_lateness(
        readers, rate=first.rate, per_hour=first.per_hour, max_lateness=app.config.schedule.max_lateness
    )


def _count_readers(app: "App") -> int:
    """Who is active, and of the edition's segment; of those who are mailed by clocks of their own, the largest zone."""
    slug, schedule, segment = app.config.newsletter.slug, app.config.schedule, app.config.edition.segment
    if schedule.per_subscriber_timezone:
        return max(gather_zones(schedule, app.store.subscribers.zones(slug)).values(), default=0)
    if segment:
        return sum(one.active for one in count_segments(app) if one.segment == segment)
    return app.store.managing.count(slug).get(SubscriberState.ACTIVE.value, 0)


def find_lateness(readers: int, *, rate: float, per_hour: int | None, max_lateness: timedelta) -> Lateness:
    """Of so many readers who are due at one instant. Pure.

    `rate` is messages a second of the transport that is used first, `per_hour` what it takes in any hour at most.
    """
    within = max_lateness.total_seconds()
    at_most = f"{rate:,.4g}/s" + (f" and {per_hour:,} an hour" if per_hour else "")
    seconds = find_seconds(readers, rate, per_hour)
    takes = write_span(seconds)
    who = f"{readers:,} active readers" if readers != 1 else "1 active reader"
    if seconds <= within:
        return "ok", f"{who} at {at_most}: {takes} at the least; max_lateness is {write_span(within)}", None
    reached = find_reached(within, rate, per_hour)
    message = (
        f"{who} at {at_most} take {takes}, and [schedule] max_lateness is {write_span(within)}:"
        f" what is left then is given up, {readers - reached:,} readers get nothing"
    )
    wanted = [f"rate to {math.ceil(readers / within):,}/s"] if readers / rate > within else []
    if per_hour and readers > per_hour * find_hours(within):
        wanted.append(f"per_hour to {math.ceil(readers / find_hours(within)):,}")
    remedy = f"raise [transport] {' and '.join(wanted)} where the provider takes that, or max_lateness"
    return "warning", message, remedy


def find_hours(seconds: float) -> int:
    """In how many hours something may leave: the first counts at once. Pure."""
    return max(1, math.ceil(seconds / _HOUR))


def find_seconds(readers: int, rate: float, per_hour: int | None) -> float:
    """How long so many messages take at the least. Pure."""
    if not per_hour:
        return readers / rate
    full = max(0, math.ceil(readers / per_hour) - 1)
    return max(readers / rate, full * _HOUR + (readers - full * per_hour) / rate)


def find_reached(seconds: float, rate: float, per_hour: int | None) -> int:
    """How many leave within so long at the most. Pure."""
    by_rate = int(seconds * rate)
    return min(by_rate, per_hour * find_hours(seconds)) if per_hour else by_rate


def write_span(seconds: float) -> str:
    """As spans are said elsewhere, and never less than it is. Pure."""
    step = 1 if seconds < 2 * _MINUTE else _MINUTE if seconds < _DAYS else _HOUR  # the smallest unit that is said
    return describe_span(timedelta(seconds=max(1, math.ceil(seconds / step)) * step))
