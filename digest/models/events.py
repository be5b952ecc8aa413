"""Event: what a provider or a mailbox says later of a message, in django-anymail's words."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from digest.models.editions import Cadence


class EventKind(StrEnum):
    """django-anymail's `event_type`: https://anymail.dev/en/stable/sending/tracking/."""

    QUEUED = "queued"
    SENT = "sent"
    REJECTED = "rejected"  # the provider did not try: it is on a list of its own, or not valid
    FAILED = "failed"
    BOUNCED = "bounced"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    AUTORESPONDED = "autoresponded"
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    SUBSCRIBED = "subscribed"
    INBOUND = "inbound"
    UNKNOWN = "unknown"


class RejectReason(StrEnum):
    """django-anymail's `reject_reason`."""

    INVALID = "invalid"  # there is no such mailbox
    BOUNCED = "bounced"
    TIMED_OUT = "timed_out"
    BLOCKED = "blocked"  # by the receiver's policy
    SPAM = "spam"
    UNSUBSCRIBED = "unsubscribed"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that was said of one message. Matched by `send_key`, else by `email`."""

    provider: str  # "sendgrid", "mailbox"
    event_id: str  # unique within the provider; where it gives none, a hash of what it said
    kind: EventKind
    occurred_at: datetime
    send_key: str | None = None  # names the delivery
    email: str | None = None
    reject_reason: RejectReason | None = None
    is_hard: bool = False  # of a bounce: there is no such mailbox, and never will be
    status: str | None = None  # RFC 3463, as "5.1.1"
    answer: str | None = None  # the receiver's own words
    raw: str = ""  # all that was said, as it came


class Weight(StrEnum):
    """What a refusal says of the reader's address."""

    HARD = "hard"  # there is no such mailbox
    LISTED = "listed"  # the provider has it on a list of its own, and does not try any more
    SOFT = "soft"  # not now
    POLICY = "policy"  # the receiver does not want this mail, whoever the reader is; of one alone it counts as soft
    OURS = "ours"  # our own fault: never held against the reader


class Effect(StrEnum):
    """What an event did."""

    NONE = "none"
    COUNTED = "counted"  # stands against the reader, and is not enough
    APPLIED = "applied"  # the reader is mailed no more
    QUARANTINED = "quarantined"  # too many at once from one domain: held against nobody
    CONFIRMED = "confirmed"  # counts by the operator's word after quarantine, or the provider's list said the same
    UNDONE = "undone"  # counts no more: restored by the operator, or the reader came back


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One refusal of one person's mail, as a decision needs it. Of a delivery `weight` is None."""

    number: int
    person: int
    occurred_at: datetime
    weight: Weight | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What all that was said of a person's mail comes to."""

    is_ended: bool
    hard_bounced_on: date | None = None
    soft_bounces: int = 0  # in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Refusals from one domain that came at once."""

    domain: str
    weight: Weight  # hard, or policy
    events: int
    readers: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A mail that lies in the inbox."""

    place: str  # by which the mailbox finds it again
    content: bytes  # of a long one its beginning
    received_at: datetime  # the mailbox's own word


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What became of events that were handed over together."""

    new: int  # not heard before
    repeated: int = 0
    unmatched: int = 0  # nobody is known by them
    ended: int = 0  # readers who are mailed no more since
    quarantined: int = 0  # set aside: too many at once from one domain
    waves: tuple[Wave, ...] = ()  # that began with these


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as it is kept, with the reader it is of, when one is known."""

    provider: str
    event_id: str
    kind: EventKind
    occurred_at: datetime
    received_at: datetime
    email: str | None
    newsletter: str | None  # of the delivery
    edition: date | None
    cadence: Cadence | None  # of that edition
    domain: str | None
    reject_reason: RejectReason | None
    weight: Weight | None
    status: str | None
    answer: str | None
    effect: Effect
    raw: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the operator's word on events did: events that changed, readers mailed again, readers mailed no more."""

    events: int
    restored: int = 0
    ended: int = 0
