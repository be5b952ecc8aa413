"""Who asked for it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple

Frequency = Literal["daily", "weekly"]


class SubscriberState(StrEnum):
    """pending → active → unsubscribed | bounced | complained | erased."""

    PENDING = "pending"
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    ERASED = "erased"


STAYING: Final = ("pending", "active")  # states of who has not left


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


def fold_address(email: str) -> str:
    """What makes two spellings one address: letter case, and an international domain's ASCII form (RFC 5891).

    Providers and servers know such a domain by its ASCII form only. The address itself is kept for sending as it was.
    """
    folded = email.strip().casefold()
    if "xn--" not in folded:
        return folded
    local, at, domain = folded.rpartition("@")
    return local + at + ".".join(_read_label(label) for label in domain.split("."))


def _read_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode").casefold()
    except UnicodeError:  # it only looks like one
        return label


def describe_pause(paused_until: datetime) -> str:
    """Why a reader who paused is left out of an edition."""
    return f"the reader paused until {paused_until:%Y-%m-%d %H:%M} UTC"


class Arrival(NamedTuple):
    """One of very many who come in together. A tuple, since a million of them take a tenth of the time of objects."""

    email: str
    name: str | None
    choices: Subscriber  # all else; readers who chose the same share it, and its address is nobody's

    def as_subscriber(self) -> Subscriber:
        """The same on its own."""
        return replace(self.choices, email=self.email, name=self.name)


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


class ProviderList(StrEnum):
    """Whom a provider does not mail, by SendGrid's names. Those that it only could not reach for a while are none."""

    BOUNCES = "bounces"
    INVALID = "invalid_emails"
    COMPLAINTS = "spam_reports"
    LEFT = "unsubscribes"  # of everything that the account sends


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An address on a provider's list."""

    email: str
    listed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """How an address stands here."""

    is_suppressed: bool = False
    has_complained: bool = False  # or was erased: no word of the operator on bounces undoes that
    is_mailed: bool = False
    confirmed_at: datetime | None = None  # when an active reader last confirmed by our mail
    set_aside_at: datetime | None = None  # their last bounce is quarantined
    restored_at: datetime | None = (
        None  # when the subscription last changed, where the operator undid their last bounce
    )


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
