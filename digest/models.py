"""The nouns, in the order in which one becomes the next.

    Entry → Article → Story → Item → Edition → Rendition → Message → Delivery

Values only: nothing here reads a clock, a file or the network. Instants end in `_at` and are aware UTC; days are
`date`. The words are the glossary's; see `docs/glossary.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

Rights = Literal["own", "licensed", "extract", "headline"]
Cadence = Literal["daily", "weekly", "special"]
Frequency = Literal["daily", "weekly"]
Severity = Literal["fail", "warn", "info"]
Direction = Literal["ltr", "rtl"]

# What stands in a rendition where the recipient's own unsubscribe link goes. Letters, digits and underscores only:
# premailer percent-encodes braces with spaces in links, and leaves this as it is.
UNSUBSCRIBE_TOKEN = "__DIGEST_UNSUBSCRIBE__"  # noqa: S105 - a placeholder, not a secret


# -- collecting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProfile:
    """What the operator says of a source, whatever its kind."""

    id: str
    title: str | None = None  # the outlet's name; absent: the feed's own title
    topics: tuple[str, ...] = ()
    full_text: bool = True
    rights: Rights | None = None  # None: not stated; treated as "extract", and `digest check` asks
    weight: float = 1.0
    trusted: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item that a source published, as it was published: nothing is invented where a field is absent."""

    id: str | None = None
    title: str | None = None  # plain text
    link: str | None = None  # absolute http(s)
    published_at: datetime | None = None
    updated_at: datetime | None = None
    author: str | None = None
    summary: str | None = None  # sanitised HTML
    content: str | None = None  # sanitised HTML
    text: str | None = None  # the article's plain text, where the source itself is the page (a text or HTML file)
    enclosures: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    language: str | None = None  # BCP 47


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """An RSS, Atom, RDF or JSON Feed document."""

    title: str | None = None
    link: str | None = None
    subtitle: str | None = None
    language: str | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one visit to a source brought. `cursor` is handed back at the next visit (HTTP validators and the like)."""

    entries: tuple[Entry, ...] = ()
    title: str | None = None
    language: str | None = None
    cursor: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()  # what part of the source could not be read, and why
    unchanged: bool = False  # the source said that nothing is new since the cursor
    fresh_for: timedelta = timedelta()  # how long the source says that nothing new is to be had
    lists_everything: bool = False  # undated entries of the first visit are a whole site's past, not its news


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What is known of a source from its earlier visits."""

    cursor: Mapping[str, str] = field(default_factory=dict)
    last_success_at: datetime | None = None
    failures: int = 0  # in a row
    failing_since: datetime | None = None
    told_at: datetime | None = None  # when it was reported that it has failed for long
    next_visit_at: datetime | None = None  # not before
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the store made of a visit's entries."""

    new: int = 0
    renamed: int = 0  # known ones that came under new ids and links all at once


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as the store keeps it, with what was read on its page; `is_read` also when that was nothing of use."""

    number: int  # the store's own key
    source_id: str
    outlet: str
    seen_at: datetime
    entry: Entry
    page: "Page | None" = None
    is_read: bool = False
    is_first_contact: bool = False  # its source was visited for the first time: it may be old although nothing says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What extraction found in one page or text. `text` has one paragraph a line."""

    title: str | None = None
    author: str | None = None
    date: datetime | None = None
    text: str
    language: str | None = None
    image: str | None = None
    link: str | None = None  # the page's own, canonical address


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """An entry with its page's text, and what the operator says of its source."""

    id: str
    source_id: str
    outlet: str
    title: str
    link: str | None
    text: str
    published_at: datetime  # the entry's date, or when it was first seen
    author: str | None = None
    language: str | None = None
    image: str | None = None
    topics: tuple[str, ...] = ()
    weight: float = 1.0
    trusted: bool = False
    rights: Rights = "extract"


# -- editing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A story as an earlier edition told it."""

    date: date
    headline: str
    text: str  # the lead article's
    language: str | None
    outlets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is new in a story that was told before."""

    told_on: date
    numbers: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()
    has_new_lead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One event, told by one or more articles; the first is the lead."""

    articles: tuple[Article, ...]
    told: Told | None = None  # when an earlier edition had it, the last that did
    news: News | None = None  # why it returns
    voices: int = 1  # outlets that tell it in words of their own
    score: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)  # the score's parts, for `editions show --why`

    @property
    def lead(self) -> Article:
        """The story's first article: the one whose words stand for it."""
        return self.articles[0]

    @property
    def outlets(self) -> tuple[str, ...]:
        """The names of the outlets that tell it, the lead's first, each once."""
        return tuple(dict.fromkeys(article.outlet for article in self.articles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a summary may be. `sentences`, when given, replaces the limit in words."""

    words: int = 60
    sentences: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence of a summary: `text == documents[document][start:end]`, in code points, end exclusive.

    `document` is the number of the story's article.
    """

    text: str
    document: int
    start: int
    end: int
    outlet: str | None = None  # whose words they are, where a summary has those of several


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Our words about a story."""

    sentences: tuple[Sentence, ...]
    kind: str = "extractive"  # which summarizer made it

    @property
    def text(self) -> str:
        """The sentences, joined by spaces, each followed by its outlet where there are several."""
        return " ".join(
            f"{sentence.text} ({sentence.outlet})" if sentence.outlet else sentence.text for sentence in self.sentences
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Another outlet's article on the same story."""

    outlet: str
    title: str
    link: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Story and summary as printed."""

    id: str  # the lead article's id
    headline: str
    link: str | None
    outlet: str
    published_at: datetime
    topic: str | None
    summary: Summary | None
    language: str
    direction: Direction
    author: str | None = None
    also: tuple[Mention, ...] = ()
    reason: str | None = None  # why there is no summary
    may_lead: bool = True  # told by two outlets, or by a trusted one, or pinned: it may give the edition its subject
    news: News | None = None  # it was told before, and this is new
    edited: tuple[str, ...] = ()  # what a person wrote: "headline", "summary"
    score: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)


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
class Edition:
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

    @property
    def key(self) -> str:
        """A name for the variant: "all", or the topics joined by "+"."""
        return "+".join(self.topics) or "all"


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
class StoredEdition:
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


# -- the audience ----------------------------------------------------------------------------------------------------


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
    key: str = ""
    id: int = 0  # the store's own key of the subscription; 0 before it is stored


# -- delivering ------------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What all messages of an edition say of themselves in their headers."""

    sender: str  # 'Name <address>'
    reply_to: str | None
    list_id: str  # RFC 2919, without angle brackets
    list_name: str
    dated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A rendition addressed to one subscriber."""

    delivery: int  # the ledger's own key
    send_key: str  # opaque, no personal data; the provider's events carry it back
    email: str
    name: str | None
    unsubscribe_url: str


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

    host: str
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
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One subscriber's place in an edition: the variant, or the reason for being left out."""

    subscriber: Subscriber
    send_key: str  # opaque, the same on every try; unique in the ledger
    variant: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The record of one message, as `digest editions show --deliveries` prints it."""

    email: str
    state: DeliveryState
    transport: str | None
    attempted_at: datetime | None
    answer: str | None


# -- reporting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that preflight noticed."""

    rule: str
    severity: Severity
    message: str
    where: str | None = None
    clients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """What became of one source in a run. One that could be read in part is not ok, and has entries."""

    id: str
    ok: bool
    entries: int = 0
    new: int = 0
    error: str | None = None
    note: str | None = None  # what is worth knowing and no fault
    is_told: bool = False  # it has failed for so long that this was said once, and is not said daily
    title: str | None = None
    newest_at: datetime | None = None  # the date of its newest entry


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReport:
    """What a stage did: its counts by name, in print order."""

    stage: str
    counts: Mapping[str, int]
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


RunStatus = Literal["done", "failed", "partial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did."""

    newsletter: str
    date: date
    status: RunStatus  # done: exit 0, failed: exit 1, partial: exit 3
    message: str  # one sentence for a person
    edition: int | None = None
    state: EditionState | None = None
    subject: str | None = None
    stories: int = 0
    verdict: str | None = None
    sources: tuple[SourceReport, ...] = ()
    stages: tuple[StageReport, ...] = ()
    deliveries: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
