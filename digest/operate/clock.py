"""Whether this machine's clock may be believed: against the database server's, or what a database file has seen."""

from datetime import datetime, timedelta
from typing import Final

from digest.reporting import describe_span

LIMIT: Final = timedelta(seconds=30)
_REMEDY: Final = "nothing is sent from here until it is right: check NTP"


def measure(before: datetime, there: datetime, after: datetime) -> timedelta:
    """How far our clock is ahead, at the least: it was asked between these two instants of ours. Pure."""
    if before > there:
        return before - there
    if after < there:
        return after - there
    return timedelta()


def find_skew(skew: timedelta) -> str:
    """Why nothing is sent with a clock that far ahead of the server's; "" when it is right. Pure."""
    if abs(skew) <= LIMIT:
        return ""
    side = "ahead of" if skew > timedelta() else "behind"
    return f"the clock of this machine is {describe_span(abs(skew))} {side} the database server's; {_REMEDY}"


def find_step_back(now: datetime, seen: datetime | None) -> str:
    """Why nothing is sent before the last run has ended by our clock; "" when it has. Pure."""
    if seen is None or seen - now <= LIMIT:
        return ""
    return (
        f"the clock of this machine is {describe_span(seen - now)} behind the end of the last run; nothing is sent "
        "from here until it is right: check NTP, or, if it was wrong before and is right now, run `digest run` by hand"
    )
