"""What the pipeline is handed: the operator's decisions as values, the world as callables and slices of a store."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo

from digest.collect import Pacing, Visit
from digest.deliver import Lane, Limits
from digest.errors import SourceError
from digest.models import (
    Cadence,
    Edition,
    Finding,
    Item,
    Letterhead,
    Owner,
    Rendition,
    SourceProfile,
    SourceReport,
    StageReport,
    Subscriber,
    Verdict,
)
from digest.protocols import (
    Clock,
    EditionStore,
    EntryStore,
    Fetch,
    Ledger,
    Network,
    Parallel,
    Rates,
    Response,
    RunStore,
    SeedMailbox,
    SubscriberStore,
    Summarizer,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decided, as values."""

    newsletter: str
    name: str
    language: str
    topics: Mapping[str, str]  # id → title, in print order
    profiles: Mapping[str, SourceProfile]
    window: timedelta
    max_stories: int
    min_stories: int
    words: int
    memory: timedelta  # how long a told story is remembered
    mix_languages: bool
    approval: str  # "none", "required" or "first:N"
    sender: str
    reply_to: str | None
    list_id: str
    alerts: tuple[str, ...]  # the operator's own addresses
    rehearsal: bool  # nothing of it leaves this machine
    inbox: str | None = None  # the mailbox that bounces and requests to leave come to
    canary_require: frozenset[str] = frozenset()  # of dkim, spf, dmarc: what the seeds' receivers must say passed
    canary_wait: timedelta = timedelta(minutes=5)  # for the copies
    canary_every: timedelta = timedelta(seconds=5)
    cadence: Cadence = "daily"
    half_life: timedelta = timedelta(hours=12)  # of a story's recency
    segment: str = ""  # only whose members get the editions; "": everybody


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A zone, and when an edition is due there."""

    timezone: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryMailbox:
    """A mailbox in which the copies of some seeds arrive, and the judge of what its receiver says of them."""

    seeds: tuple[str, ...]
    open: Callable[[], SeedMailbox]
    judge: Callable[[bytes], Verdict]  # a copy's header fields
    is_local: bool = False  # on this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Other processes, that deliver what is planned."""

    sweep: Callable[[], object]  # free what dead ones hold, and have tasks added for what is due
    is_waited_for: bool = True  # until all is settled; else they are left alone with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world, as callables and slices of the store."""

    entries: EntryStore
    editions: EditionStore
    ledger: Ledger
    rates: Rates
    subscribers: SubscriberStore
    runs: RunStore
    network: Network
    visits: Callable[[Fetch], Sequence[Visit]]
    fetch_pages: Callable[[Sequence[str]], Sequence[Response | SourceError]]
    fetch_again: Callable[[Sequence[str]], Sequence[Response | SourceError]]  # the same, for a look before sending
    parallel: Parallel  # processes, for what computes
    in_threads: Parallel | None  # for what waits; None: summarizers do not
    summarizers: Sequence[Summarizer]
    subject: Callable[[date, Item | None, int, str], str]  # of an edition of the settings' cadence
    languages: Callable[[], Collection[str]]  # those that the mail can speak around its stories
    render: Callable[[Edition, str], Rendition]
    is_member: Callable[[Subscriber], bool]  # of that segment
    as_mailed: Callable[[Edition, Rendition], Rendition]  # with what counts clicks and opens, where that is wanted
    unsubscribe_url: Callable[[str], str]  # a subscriber's key → the reader's own link
    send_key: Callable[[Edition, str], str]  # an edition, a subscriber's key → the delivery's opaque name
    write_message: Callable[[Rendition, Letterhead], bytes]  # to nobody: what every reader's is like
    probe_unsubscribe: Callable[[], str | None]  # what is wrong with the way out; None: nothing
    approval_url: Callable[[int, str], str]  # an edition, one of the operator's addresses → the page to decide on
    lanes: Sequence[Lane]
    canary: Sequence[CanaryMailbox]
    owner: Owner
    clock: Clock
    monotonic: Callable[[], float]  # seconds that never run backwards, also when the clock is stepped
    wait: Callable[[float], None]  # for so many seconds, or until it may not go on
    pacing: Pacing | None = None  # how visits go beside those through the day
    settling: timedelta = (
        timedelta()
    )  # what came so shortly before is of the next edition: others may still be keeping it
    zone: tzinfo = UTC  # in which a day begins
    place: Callable[[date, str | None], Place] | None = None  # a reader's own time; None: everybody is mailed at once
    workers: Workers | None = None  # who deliver what is planned; None: whoever plans it
    max_lateness: timedelta | None = None  # then it is no news any more, and not sent; None: nobody is too late
    due_at: Callable[[date, Cadence], datetime | None] = lambda _day, _cadence: None  # by the newsletter's own clock
    waits_for_rates: bool = True  # False: something else looks again, and other editions must not wait meanwhile
    limits: Limits | None = None  # shares of an edition's messages at which it stops
    may_go_on: Callable[[], bool] = lambda: True  # asked before each message
    is_alone: bool = False  # nobody else in this process looks after the database, and tells of it
    on_stage: Callable[[StageReport], None] = lambda _: None
    on_progress: Callable[[Mapping[str, int]], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """An edition with everything that was made for it."""

    edition: Edition
    renditions: tuple[Rendition, ...]
    findings: tuple[Finding, ...]
    sources: tuple[SourceReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Borne:
    """A sentence of a summary beside the place of its source that bears it out."""

    text: str
    before: str  # what stands right before the passage in the article
    passage: str
    after: str
    outlet: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """An edition as one reader would get it."""

    edition: Edition
    rendition: Rendition
    unsubscribe_url: str  # this reader's own
    payload: bytes  # the very bytes that the transport would hand over: a message, or a provider's request
    findings: tuple[Finding, ...]
    transport: str  # the name of what would carry it
    stored: bool  # False: composed now and kept nowhere
    is_for_nobody: bool = False  # nobody is of the segment that gets it
    previous: Rendition | None = None  # of the newest edition before it, in the same variant or whole
    borne: Mapping[str, tuple[Borne, ...]] = field(default_factory=dict)  # by the item's id
