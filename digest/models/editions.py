"""Item → Edition → Rendition: what is printed."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from digest.models.editing import Direction, Item

Cadence = Literal["daily", "weekly", "special"]
Canary = Literal["passed", "waived"]  # waived: a person let it go against what a canary found


class Named:
    """How people and commands name what has an edition's date and cadence. A date alone names the daily one."""

    __slots__ = ()
    date: date
    cadence: Cadence

    @property
    def title(self) -> str:
        """In a sentence: "edition of 2026-11-29", "weekly edition of 2026-11-29"."""
        return f"{'' if self.cadence == 'daily' else f'{self.cadence} '}edition of {self.date}"

    @property
    def reference(self) -> str:
        """As commands take it: 2026-11-29, 2026-11-29-weekly."""
        return f"{self.date}" if self.cadence == "daily" else f"{self.date}-{self.cadence}"

    @property
    def options(self) -> str:
        """As `digest run` takes it: --on 2026-11-29, --on 2026-11-29 --weekly."""
        return f"--on {self.date}" if self.cadence == "daily" else f"--on {self.date} --{self.cadence}"


# What stands in a rendition where the recipient's own unsubscribe link goes. Letters, digits and underscores only:
# premailer percent-encodes braces with spaces in links, and leaves this as it is.
UNSUBSCRIBE_TOKEN = "__DIGEST_UNSUBSCRIBE__"  # noqa: S105 - a placeholder, not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled group of items. `id` is the topic's, or "" for what has none."""

    id: str
    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What an edition got wrong, and what is right; said on its web view and in the next edition."""

    edition: date
    made_at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition(Named):
    """One dated instance of the newsletter, composed and not yet rendered."""

    newsletter: str  # the newsletter's slug
    name: str
    cadence: Cadence
    date: date
    subject: str
    language: str
    direction: Direction
    sections: tuple[Section, ...]
    composed_at: datetime
    cutoff_at: datetime  # the next edition takes what came after this
    silent: tuple[str, ...] = ()  # names of the sources that failed
    corrections: tuple[Correction, ...] = ()  # of earlier editions, printed in this one
    corrected: tuple[Correction, ...] = ()  # of this one, made after it went out
    has_own_subject: bool = False  # a person's, which no change of the lead replaces
    is_revised: bool = False  # a person changed it, so no run composes it anew
    approved_by: str | None = None  # a person's name

    @property
    def items(self) -> tuple[Item, ...]:
        """Every item, in print order."""
        return tuple(item for section in self.sections for item in section.items)

    @property
    def lead(self) -> Item | None:
        """The first item printed, when it may lead."""
        first = next(iter(self.items), None)
        return first if first and first.may_lead else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Which subscribers share a rendition. `topics` is sorted; empty means every topic of the day."""

    topics: tuple[str, ...] = ()
    language: str | None = None  # in which the mail speaks around the stories; None: the newsletter's own

    @property
    def key(self) -> str:
        """A name for the variant: "all", or the topics joined by "+", and behind an "@" a language of its own."""
        topics = "+".join(self.topics) or "all"
        return f"{topics}@{self.language}" if self.language else topics

    @classmethod
    def of(cls, key: str) -> "Variant":
        """The variant of that name."""
        topics, _, language = key.partition("@")
        return cls(topics=() if topics == "all" else tuple(topics.split("+")), language=language or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """A variant of an edition as HTML and text; both hold `UNSUBSCRIBE_TOKEN` where the reader's link goes."""

    variant: str
    subject: str
    html: str
    text: str


class EditionState(StrEnum):
    """draft → held | ready → sending ⇄ stopped → sent, or missed, withdrawn."""

    DRAFT = "draft"
    HELD = "held"
    READY = "ready"
    SENDING = "sending"
    STOPPED = "stopped"
    SENT = "sent"
    MISSED = "missed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEdition(Named):
    """An edition as the store keeps it. `edition` is None for a missed one, which was never composed."""

    id: int
    newsletter: str
    cadence: Cadence
    date: date
    state: EditionState
    reason: str | None
    dated_at: datetime | None  # the Date header of every message of it
    sent_at: datetime | None
    edition: Edition | None
    canary: Canary | None = None  # None: none was sent of it as it is, or none passed
    resumed_at: datetime | None = None  # when a person let it go on: from then on its age counts
    changed_at: datetime | None = None  # whatever was changed last: its state, its words, its renditions

    def find_beginning(self, due_at: datetime | None) -> datetime | None:
        """From when its age counts, for those for whom it was due at that instant.

        From then, or since it became ready: by hand it may be made, or approved, long after. It counts anew from when a
        person lets it go on.
        """
        return max((at for at in (due_at, self.dated_at, self.resumed_at) if at), default=None)
