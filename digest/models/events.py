"""Event: what a provider or a mailbox says later of a message, in django-anymail's words."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
