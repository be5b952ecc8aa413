"""A provider's own records about unknown deliveries: asked slowly, and what they say certainly is written.

unknown ──ask──> found ──settle──> accepted | delivered | bounced | dropped
             └─> not found: still unknown, whatever the time
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

from digest.adapters import read_sendgrid_key
from digest.config.delivering import SendGridTable
from digest.errors import ConfigError
from digest.models import DeliveryState, Trace, Turns
from digest.operate.reconciling import find_table
from digest.protocols import Activity

if TYPE_CHECKING:
    from digest.app import App

# What was never marked, and may have left all the same, names no transport.
_ANSWERS_FOR: Final = ("sendgrid", None)
_PACE: Final = "sendgrid activity"
_PER_SECOND: Final = 6 / 62  # six a minute are allowed, by a clock that is not ours
_REQUESTS: Final = 6  # each time that the chore asks, of all editions together
_DELIVERIES: Final = 200  # and of each edition
_YOUNG: Final = timedelta(minutes=5)  # its events, and its own records, take a while
_OLD: Final = timedelta(days=3)  # what is kept without paying for more


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of asking about one edition."""

    unknown: int  # before
    settled: dict[str, int]  # deliveries that are known now, by state
    last: str = ""  # the send_key that was asked about last; "" when there is none behind it

    @property
    def left(self) -> int:
        """How many are still unknown."""
        return self.unknown - sum(self.settled.values())


def find_activity(app: "App") -> SendGridTable | None:
    """The transport whose provider may be asked, as [transport] activity says."""
    table = find_table(app)
    return table if table is not None and table.activity else None


def open_activity(app: "App", *, most: int | None = None) -> Activity:
    """The records of the configured provider, at most so many requests. Raises ConfigError where there are none."""
    from digest.transports.sendgrid_activity import SendGridActivity

    table = find_table(app)
    if table is None:
        raise ConfigError(
            "transport", "none of them has a provider that can be asked", remedy='it is SendGrid, kind = "sendgrid"'
        )
    if table.region != "global":
        raise ConfigError(
            "transport sendgrid",
            "SendGrid keeps no email activity in the region eu",
            remedy="its events settle what is unknown; the rest is yours to decide",
        )
    return SendGridActivity(
        api_key=read_sendgrid_key(app.config.secrets),
        host=table.host,
        may_ask=_make_pace(app, most),
        wait=app.wait,
        clock=app.clock,
    )


def ask_about_unknown(
    app: "App",
    edition: int,
    activity: Activity | None = None,
    *,
    most: int | None = None,
    after: str = "",
    old_enough: timedelta = timedelta(),
    on_settled: Callable[[int], None] = lambda _: None,
) -> Asked:
    """Ask about an edition's unknown deliveries, and settle what is certain.

    At most so many deliveries, those behind the send_key `after` first; `on_settled` hears how many are known by now.
    Raises ConfigError, TransportError and StoreError; what was settled before stays so.
    """
    if activity is None:
        with closing(open_activity(app)) as opened:
            return ask_about_unknown(
                app, edition, opened, most=most, after=after, old_enough=old_enough, on_settled=on_settled
            )
    ledger, before = app.store.ledger, app.clock() - old_enough
    unknown = [one for one in ledger.unknown(edition) if one.transport in _ANSWERS_FOR]
    due = [one for one in unknown if one.attempted_at is None or one.attempted_at <= before]
    due.sort(key=lambda one: (one.send_key <= after, one.send_key))
    asked = due[:most]
    settled: Counter[str] = Counter()
    for traces in activity.ask(asked):
        for (state, raw), group in groupby(sorted(traces, key=_by_answer), key=_by_answer):
            keys = [trace.send_key for trace in group]
            settled[state.value] += ledger.settle_unknown(edition, keys, state, raw, now=app.clock())
        on_settled(settled.total())
    return Asked(
        unknown=len(unknown),
        settled={state: count for state, count in settled.items() if count},
        last=asked[-1].send_key if len(asked) < len(due) else "",
    )


def say_asked(asked: Sequence[Asked]) -> str | None:
    """What is known now, in one line; None when nothing new is."""
    settled: Counter[str] = Counter()
    for one in asked:
        settled.update(one.settled)
    if not settled:
        return None
    said = ", ".join(f"{count} {state}" for state, count in sorted(settled.items()))
    return f"email activity: of {sum(one.unknown for one in asked)} unknown deliveries, {said}"


def make_asking(app: "App") -> Callable[[], str | None]:
    """The chore: a few questions about the unknown deliveries of the last days, going on where the last time ended."""
    reached: dict[int, str] = {}

    def ask() -> str | None:
        since = (app.clock() - _OLD).date()
        recent = [one for one in app.store.editions.newest(app.config.newsletter.slug) if one.date >= since]
        with_unknown = [one.id for one in recent if app.store.ledger.counts(one.id).get(DeliveryState.UNKNOWN.value)]
        if not with_unknown:
            return None
        asked = []
        with closing(open_activity(app, most=_REQUESTS)) as activity:
            for edition in with_unknown:
                after = reached.get(edition, "")
                asked.append(
                    ask_about_unknown(app, edition, activity, most=_DELIVERIES, after=after, old_enough=_YOUNG)
                )
                reached[edition] = asked[-1].last
        return say_asked(asked)

    return ask


def _by_answer(trace: Trace) -> tuple[DeliveryState, str]:
    return trace.state, trace.raw


def _make_pace(app: "App", most: int | None) -> Callable[[], bool]:
    """Waits for the next turn, which all processes on the database share; False when all turns are used."""
    left = most

    def may_ask() -> bool:
        nonlocal left
        if left == 0:
            return False
        left = None if left is None else left - 1
        now = app.clock()
        (granted,) = app.store.rates.reserve([Turns(key=_PACE, count=1, per_second=_PER_SECOND)], now=now)
        if granted.at > now:
            app.wait((granted.at - now).total_seconds())
        return True

    return may_ask
