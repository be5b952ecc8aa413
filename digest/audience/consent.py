"""Who is mailed for what they, or a stranger, asked for on a page; and which of their links still work. Pure.

    a request ──may_be_kept──> kept ──choose_mail──> confirm | known | preferences ──judge_confirmation──> active

A page says the same to everybody at once; all that depends on who is known is decided here, after the answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from digest.models import Asked, AskedFor, Counted, PageRequest, SubscriberState

COUNTED: Final = timedelta(days=1)  # the time in which requests are counted
KEPT: Final = timedelta(days=30)  # a request, answered or not
TRIED: Final = timedelta(days=1)  # a mail that could not go yet
SELDOM: Final = timedelta(days=7)  # one mail in that time to an address that bounced, complained or was erased
FORM_LASTS: Final = timedelta(days=1)
_SKEW: Final = timedelta(minutes=5)

GONE: Final = frozenset(
    {
        SubscriberState.UNSUBSCRIBED,
        SubscriberState.BOUNCED,
        SubscriberState.COMPLAINED,
        SubscriberState.ERASED,
    }
)
_HARMED: Final = frozenset({SubscriberState.BOUNCED, SubscriberState.COMPLAINED})


class Link(StrEnum):
    """What a link in a mail is good for."""

    GOOD = "good"
    DONE = "done"  # what it asks for is so already
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The mail that answers a request. `is_seldom`: at most one in `SELDOM` may go to the address."""

    kind: AskedFor
    is_seldom: bool = False


def may_be_kept(counted: Counted, *, per_address: int, per_network: int | None) -> bool:
    """Whether one more request may be answered by mail; without `per_network`, wherever it came from."""
    if counted.address >= per_address:
        return False
    return per_network is None or counted.network < per_network


def choose_mail(
    asked: AskedFor, state: SubscriberState | None, *, is_suppressed: bool, is_suppressed_everywhere: bool
) -> Answer:
    """Which mail answers a request: who is not a subscriber, or is no more, is asked to confirm whatever they asked."""
    if state is SubscriberState.ACTIVE and not is_suppressed:
        return Answer(kind=AskedFor.KNOWN if asked is AskedFor.CONFIRM else asked)
    return Answer(kind=AskedFor.CONFIRM, is_seldom=is_suppressed_everywhere or state in _HARMED)


def judge_confirmation(standing: Asked, *, now: datetime, within: timedelta) -> Link:
    """Whether a link to confirm may still act. Nobody who left after they had asked is brought back by it."""
    request = standing.request
    is_active = standing.state is SubscriberState.ACTIVE and not standing.is_suppressed
    if request.used_at:
        return Link.DONE if is_active else Link.USED
    if now - request.requested_at > within:
        return Link.EXPIRED
    if standing.state in GONE and standing.changed_at and standing.changed_at >= request.requested_at:
        return Link.USED
    return Link.DONE if is_active else Link.GOOD


def judge_preferences(request: PageRequest, *, now: datetime, within: timedelta) -> Link:
    """Whether a link to the preferences may still be opened: for a while after it was mailed, or after confirming."""
    since = request.used_at if request.kind is AskedFor.CONFIRM else request.mailed_at
    return Link.GOOD if since and now - since <= within else Link.EXPIRED


def is_fresh(shown_at: int, now: datetime) -> bool:
    """Whether a form that was shown at that second is young enough to be taken."""
    age = now - datetime.fromtimestamp(shown_at, now.tzinfo)
    return -_SKEW <= age <= FORM_LASTS


def network_of(address: str) -> str:
    """The network by which requests are counted: of IPv4 a /24, of IPv6 a /48; what is no address is one of its own."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(ip_network(f"{found}/{24 if found.version == 4 else 48}", strict=False))
