"""Rendition → Message → Delivery: what is handed over, and what became of it."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from digest.models.audience import Subscriber
from digest.models.editions import Cadence, Rendition

_KEY: Final = re.compile(r"(\d{4})(0[1-9]|1[0-2])[0-9a-f]{26}")


class DeliveryState(StrEnum):
    """planned → claimed → attempted → accepted | refused | deferred | unknown | skipped, and later what events say."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    ATTEMPTED = "attempted"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    COMPLAINED = "complained"


# What states mean for a reader, in the words that are stored and counted by.
UNSETTLED: Final = ("planned", "claimed", "attempted", "deferred")
WAITING: Final = ("planned", "deferred")  # of these nobody's, until they are claimed
ARRIVED: Final = ("accepted", "delivered")
TAKEN_ON: Final = (*ARRIVED, "bounced", "dropped", "complained")  # by the provider, whatever came of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What all messages of an edition say of themselves in their headers."""

    sender: str  # 'Name <address>'
    reply_to: str | None
    list_id: str  # RFC 2919, without angle brackets
    list_name: str
    dated_at: datetime
    is_bulk: bool = True  # False: a message to one person, of no list, with no way out
    inbox: str | None = None  # the mailbox that bounces and requests to leave come to; it takes +suffixes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A rendition addressed to one subscriber."""

    delivery: int  # the ledger's own key
    send_key: str  # opaque, no personal data; the provider's events carry it back
    email: str
    name: str | None
    unsubscribe_url: str  # "" only where the letterhead is not bulk


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages handed over together: one rendition, many readers."""

    rendition: Rendition
    letterhead: Letterhead
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one message. `state` is accepted, refused, deferred or unknown; `raw` the provider's own words."""

    delivery: int
    state: DeliveryState
    raw: str = ""
    provider_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a provider's own records say of one delivery; `raw` its words."""

    send_key: str
    state: DeliveryState
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A delivery that was claimed, with what is needed to address it."""

    delivery: int
    send_key: str
    subscriber_key: str
    email: str
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process that sends. `boot` and `started` tell a dead process from a living one with the same number."""

    host: str  # and where on it processes have their numbers
    boot: str
    pid: int
    started: float  # seconds since the epoch, as the operating system reports it
    name: str  # unique for each sender, also within a process


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A batch that one owner holds until `lease_until`. `attempt` fences whatever is written of it."""

    batch: int
    edition: int
    variant: str
    attempt: int
    owner: Owner
    lease_until: datetime
    month: date  # of the edition: among its deliveries these are looked for
    recipients: tuple[Recipient, ...]
    timezone: str | None = None  # for whose time they waited


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One subscriber's place in an edition: the variant, or the reason for being left out."""

    subscriber: Subscriber
    send_key: str  # opaque, the same on every try; unique in the ledger
    variant: str | None
    reason: str | None = None
    timezone: str | None = None  # for whose time it waits; None: for nobody's
    due_at: datetime | None = None  # that time; None: at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The record of one message, as `digest editions show --deliveries` prints it."""

    email: str
    state: DeliveryState
    transport: str | None
    attempted_at: datetime | None
    answer: str | None
    send_key: str = ""
    provider_id: str | None = None
    events: tuple[str, ...] = ()  # what was heard of it, with the instant; only of what is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one subscriber was sent of one edition."""

    edition: date
    state: DeliveryState
    transport: str | None
    attempted_at: datetime | None
    answer: str | None
    cadence: Cadence = "daily"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What is kept of a person in one newsletter."""

    newsletter: str
    subscriber: Subscriber
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """So many messages that want to go at a rate which all senders keep together."""

    key: str  # what has the rate: a transport, a recipient domain
    count: int
    per_second: float
    within: float | None = None  # seconds: what would have to wait longer than that is not granted; None: all is


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """How many of the turns were given: the first `at` that instant, each further one an interval later."""

    count: int
    at: datetime  # where none was given: from when on there would be one


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def month_in_key(send_key: str) -> date | None:
    """The month that a delivery's name begins with; None where it tells none. A name made before may seem to, too."""
    found = _KEY.fullmatch(send_key)
    return date(int(found[1]), int(found[2]), 1) if found and found[1] != "0000" else None
