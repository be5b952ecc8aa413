"""Who asked for it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

Frequency = Literal["daily", "weekly"]


class SubscriberState(StrEnum):
    """pending → active → unsubscribed | bounced | complained | erased."""

    PENDING = "pending"
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A person who asked for one newsletter. `key` is random: signed links carry it instead of the address."""

    email: str
    name: str | None = None
    topics: tuple[str, ...] = ()  # empty: every topic
    language: str | None = None
    timezone: str | None = None  # IANA name
    frequency: Frequency = "daily"
    state: SubscriberState = SubscriberState.PENDING
    consent_at: datetime | None = None
    consent_text: str | None = None
    consent_from: str | None = None  # where: an address of the network, or a file
    tags: tuple[str, ...] = ()  # the operator's own labels
    paused_until: datetime | None = None  # no mail before
    key: str = ""
    id: int = 0  # the store's own key of the subscription; 0 before it is stored


def describe_pause(paused_until: datetime) -> str:
    """Why a reader who paused is left out of an edition."""
    return f"the reader paused until {paused_until:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of subscribers that were handed over together. Whoever is in none of the numbers was known before."""

    added: int
    activated: int = 0  # pending before, and agreed now
    ended: int = 0  # mailed before, and said now to have left, bounced or complained
    left_out: tuple[tuple[int, str], ...] = ()  # places among those handed over, and why they are not mailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewpoint:
    """As whom an edition is looked at: a subscriber, or anybody of these topics and this language."""

    email: str | None = None
    topics: tuple[str, ...] = ()
    language: str | None = None


ANYBODY = Viewpoint()


class AskedFor(StrEnum):
    """What a mail to somebody who filled in a page is for."""

    CONFIRM = "confirm"  # to subscribe, or to come back
    KNOWN = "known"  # is subscribed already, and is told so by mail: the page tells nobody
    PREFERENCES = "preferences"  # a fresh link


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a reader chooses for themselves."""

    topics: tuple[str, ...] = ()  # empty: every topic
    language: str | None = None  # None: the newsletter's
    timezone: str | None = None
    frequency: Frequency = "daily"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What somebody asked for on a page, answered by a mail whose link carries `key` signed."""

    key: str  # 32 hexadecimal digits, random
    kind: AskedFor
    email: str
    topics: tuple[str, ...] = ()
    language: str | None = None
    timezone: str | None = None
    frequency: Frequency = "daily"
    consent_text: str | None = None
    consent_from: str | None = None  # an address of the network
    requested_at: datetime
    mailed_at: datetime | None = None
    used_at: datetime | None = None

    @property
    def choices(self) -> Choices:
        """What it asks for, together."""
        return Choices(topics=self.topics, language=self.language, timezone=self.timezone, frequency=self.frequency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A page request beside what is known of the address that it names."""

    request: PageRequest
    state: SubscriberState | None = None  # None: no subscriber of the newsletter
    changed_at: datetime | None = None  # when they came into that state
    is_suppressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How often was asked for mail to one address, and from one network, since some instant."""

    address: int
    network: int
