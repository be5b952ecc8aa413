"""Every extension point, on one page. Each interface belongs to its consumer and is as small as the consumer's need.

An adapter is any object with these methods: nothing has to be inherited. `docs/extending.md` says what to copy for
each and which contract suite to run.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol, TypeVar

from digest.models import (
    Asked,
    AskedFor,
    Batch,
    Budget,
    Cadence,
    Choices,
    Claim,
    Collected,
    Counted,
    Delivery,
    Edition,
    EditionState,
    Effect,
    Event,
    EventKind,
    Heard,
    Judged,
    Kept,
    Outcome,
    Owner,
    Page,
    PageRequest,
    Planned,
    Rendition,
    Report,
    Said,
    SourceState,
    Standing,
    StoredEdition,
    StoredEntry,
    StoredEvent,
    Story,
    Subscriber,
    SubscriberState,
    Subscription,
    Summary,
    Taken,
    Token,
    Weight,
)

A = TypeVar("A")
B = TypeVar("B")

Clock = Callable[[], datetime]  # aware UTC


# -- the network -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GET of an address that strangers may have supplied."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    limit: int = 10_000_000  # bytes of the decompressed body
    obeys_robots: bool = False  # whether the host's robots.txt is asked first: for pages, not for feeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer, decompressed. `url` is where it came from after redirects; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    moved_to: str | None = None  # where it has moved for good: `url`, when every redirect on the way was permanent


class Fetch(Protocol):
    """The one guarded way out to the network."""

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Raise SourceError for anything but a complete answer with a status below 400."""
        ...


class Network(Protocol):
    """Runs one piece of asynchronous work with the guarded way out opened for it."""

    def __call__(self, work: Callable[[Fetch], Coroutine[Any, Any, A]]) -> A:
        """Open, do the work on a loop of its own, close."""
        ...


class Parallel(Protocol):
    """A pool: what stages use to spread CPU work or waiting over processes or threads."""

    def __call__(self, function: Callable[[A], B], arguments: Sequence[A], *, seconds: float) -> list[B | Exception]:
        """Results in the order of `arguments`; what raised, died or took over `seconds` is an exception instead."""
        ...


# -- adapters --------------------------------------------------------------------------------------------------------


class Source(Protocol):
    """Where entries come from."""

    async def collect(self, cursor: Mapping[str, str]) -> Collected:
        """Visit the source once. Raises SourceError, and nothing else."""
        ...


class Summarizer(Protocol):
    """Who says a story in few words."""

    def summarize(self, story: Story, budget: Budget) -> Summary:
        """Raises SummarizeError, and nothing else."""
        ...


class Transport(Protocol):
    """What hands messages over."""

    name: str  # as the ledger records it
    batch_size: int  # how many messages it takes at once

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """Hand a batch over, and account for each message.

        `on_attempt(deliveries)` is called before the first byte of those messages leaves and returns when that is
        written down; if it raises, nothing of them may be sent. `on_outcome` is called once for each attempted
        message with accepted, refused, deferred or unknown. Raises Unavailable when the rest of the batch was
        certainly not sent, Refused when the provider will take none of it (bad credentials, a policy refusal), and
        Ambiguous when what was attempted and has no outcome may have been sent.
        """
        ...

    def render(self, batch: Batch) -> list[bytes]:
        """The very bytes that would be handed over: a message each (SendGrid: the request bodies), and no sending."""
        ...

    def check(self) -> str:
        """Log in without sending; returns what was found. Raises TransportError."""
        ...

    def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...


# -- the store, one slice for each consumer ---------------------------------------------------------------------------


class EntryStore(Protocol):
    """What `collect` and `extract` keep. Raises StoreError."""

    def state(self, newsletter: str, source: str) -> SourceState | None:
        """What earlier visits left; None before the first."""
        ...

    def add(
        self,
        newsletter: str,
        source: str,
        collected: Collected,
        *,
        now: datetime,
        since: datetime,
        next_visit_at: datetime | None = None,
    ) -> Kept:
        """Keep what is new, and the cursor.

        An entry is known by its id, its link (in any source of the newsletter), or its title and day. At first contact
        entries dated before `since` are kept as known but never offered to an edition. When nothing of a document is
        known although most of it is from before the last visit, its ids were changed: then too.
        """
        ...

    def fail(
        self,
        newsletter: str,
        source: str,
        error: str,
        *,
        now: datetime,
        next_visit_at: datetime | None = None,
        told: bool = False,
    ) -> None:
        """Note a failed visit; `told` that its long failing was reported."""
        ...

    def offered(
        self, newsletter: str, *, after: datetime | None, since: datetime, until: datetime
    ) -> list[StoredEntry]:
        """What an edition may take, oldest first: seen after `after` (the last edition's cutoff) and until `until`.

        Without `after`, entries dated (or, undated, seen) from `since` on.
        """
        ...

    def get(self, numbers: Sequence[int]) -> list[StoredEntry]:
        """Those of these numbers that are still kept."""
        ...

    def keep_page(self, number: int, page: Page | None) -> bool:
        """Keep what was read on the entry's page; None says that it was tried and the feed's own text must do.

        True when the page, by its own address and the title, is that of another entry: this one is then known, not new.
        """
        ...

    def health(self, newsletter: str, *, now: datetime) -> list[Mapping[str, object]]:
        """One row a source: how it does, since when, why, and how many entries it brings a day."""
        ...


class EditionStore(Protocol):
    """What `compose` and `render` keep. Unique: (newsletter, cadence, date). Raises StoreError."""

    def find(self, newsletter: str, cadence: Cadence, day: date) -> StoredEdition | None:
        """The edition of that day."""
        ...

    def get(self, edition: int) -> StoredEdition | None:
        """The edition with that number."""
        ...

    def state(self, edition: int) -> EditionState | None:
        """Only its state."""
        ...

    def newest(
        self,
        newsletter: str,
        limit: int = 20,
        *,
        before: int | None = None,
        state: EditionState | None = None,
        day: date | None = None,
    ) -> list[StoredEdition]:
        """The newest first: behind the one with the number `before` in that order, in one state, of one day."""
        ...

    def save(
        self,
        edition: Edition,
        renditions: Sequence[Rendition],
        state: EditionState,
        reason: str | None,
        *,
        now: datetime,
    ) -> StoredEdition:
        """Keep a composed edition (ready or held) with its renditions; replaces one that was held or a draft.

        When another process has already kept a ready or later one for that day, that one is returned instead.
        """
        ...

    def revise(
        self,
        edition: int,
        revised: Edition,
        renditions: Sequence[Rendition],
        state: EditionState | None,
        reason: str | None,
        *,
        now: datetime,
        only_from: Sequence[EditionState],
        as_of: datetime | None = None,
    ) -> bool:
        """Put a changed edition and its renditions in the place of what was; returns whether it was still open.

        Without a state it stays in the one that it is in. With `as_of`, only when nothing was changed since then.
        """
        ...

    def amend(self, edition: int, amended: Edition, *, now: datetime) -> None:
        """Keep what is said of an edition after it went out; its renditions stay what was sent."""
        ...

    def renditions(self, edition: int) -> dict[str, Rendition]:
        """The renditions by variant."""
        ...

    def add_renditions(self, edition: int, renditions: Sequence[Rendition]) -> None:
        """Keep further variants of an edition; those it has already stay as they are."""
        ...

    def set_state(
        self,
        edition: int,
        state: EditionState,
        reason: str | None,
        *,
        now: datetime,
        only_from: Sequence[EditionState],
        as_of: datetime | None = None,
    ) -> bool:
        """Move to a state from one of `only_from`; returns whether it moved. Without a reason the last stays.

        With `as_of`, only when nothing of it was changed since that instant.
        """
        ...

    def miss(self, newsletter: str, cadence: Cadence, day: date, reason: str, *, now: datetime) -> bool:
        """Record that no edition was made that day; False when there is one already."""
        ...

    def last_cutoff(self, newsletter: str, cadence: Cadence) -> datetime | None:
        """The cutoff of the last edition that went out (sending or sent)."""
        ...


class Ledger(Protocol):
    """Who gets what, once: claim durably, mark attempted before the bytes leave, settle after. Raises StoreError."""

    def plan(self, edition: int, planned: Sequence[Planned], *, batch_size: int, now: datetime) -> int:
        """In one transaction, a delivery for each subscriber not yet in the edition; returns how many were added.

        Those with a variant are planned in batches of one variant; the others are skipped with their reason.
        """
        ...

    def claim(self, edition: int, owner: Owner, *, lease_until: datetime, now: datetime) -> Claim | None:
        """Take the next batch that is free; None when there is none now.

        Who may be mailed is read again in the same transaction: those who left are skipped, with the reason.
        """
        ...

    def mark(self, claim: Claim, deliveries: Sequence[int], transport: str, *, now: datetime) -> bool:
        """Mark as attempted before the bytes leave; False when the claim is not ours any more: then send nothing."""
        ...

    def settle(
        self, claim: Claim, outcomes: Sequence[Outcome], *, now: datetime, retry_at: datetime | None = None
    ) -> bool:
        """Write outcomes; False when the claim is no longer ours. A deferred delivery is due again at `retry_at`."""
        ...

    def release(self, claim: Claim, *, now: datetime, retry_at: datetime | None = None) -> None:
        """End the claim: attempted without an outcome becomes unknown, the rest is planned again, due at `retry_at`."""
        ...

    def recover(self, edition: int, *, now: datetime) -> int:
        """Free the claims of dead owners and expired leases; returns how many deliveries became unknown.

        Of an owner of this boot the marks are trusted: attempted becomes unknown, the rest is planned again. Of any
        other they may never have reached the disk: all that was claimed becomes unknown.
        """
        ...

    def give_up(self, edition: int, reason: str, *, now: datetime) -> int:
        """Skip what is planned or deferred and not claimed, with the reason; returns how many deliveries that were."""
        ...

    def counts(self, edition: int) -> dict[str, int]:
        """Deliveries by state."""
        ...

    def next_due(self, edition: int) -> datetime | None:
        """When the next planned or deferred batch may be claimed; None when none is left."""
        ...

    def leased_until(self, edition: int) -> datetime | None:
        """When the last lease of a claimed batch ends; None when none is claimed."""
        ...

    def deliveries(self, edition: int, *, missing: bool = False) -> list[Delivery]:
        """All deliveries, or only those of whom nothing says that they got it."""
        ...


class SubscriberStore(Protocol):
    """Who asked for what. Unique: (newsletter, folded address). Raises StoreError."""

    def add(self, newsletter: str, subscriber: Subscriber, *, now: datetime) -> bool:
        """Add one; False when the address is known to the newsletter already, and nothing is changed."""
        ...

    def add_many(self, newsletter: str, subscribers: Iterable[Subscriber], *, now: datetime) -> int:
        """Add many, in commits of some thousands; returns how many were new."""
        ...

    def take(
        self, newsletter: str, readers: Sequence[Subscriber], *, now: datetime, mark: tuple[str, int] | None = None
    ) -> Taken:
        """Take some thousand in as one transaction; `mark` is the import that they are of, and how far it came.

        Nobody who left, bounced or complained is revived; who is said to have is no longer mailed; who was pending and
        has agreed now is active.
        """
        ...

    def everyone(self, newsletter: str, state: SubscriberState | None = None) -> list[Subscriber]:
        """By address."""
        ...

    def find(self, newsletter: str, email: str) -> Subscriber | None:
        """By address, whatever its letter case."""
        ...

    def by_key(self, newsletter: str, key: str) -> Subscriber | None:
        """By the random key that signed links carry."""
        ...

    def choose(
        self, newsletter: str, key: str, choices: Choices, *, paused_until: datetime | None, now: datetime
    ) -> bool:
        """What an active reader chose for themselves; False when there is none of that key."""
        ...

    def leave(self, newsletter: str, key: str, *, now: datetime) -> bool:
        """Unsubscribe; True when there is such a subscription, also when it had left before."""
        ...

    def each(self, newsletter: str, state: SubscriberState | None = None) -> Iterator[Subscriber]:
        """The same one after the other, however many there are; without those who were erased."""
        ...

    def erase(self, email: str, *, now: datetime) -> bool:
        """Forget a person in every newsletter, but for a suppression that names nobody; False when unknown."""
        ...

    def history(self, email: str) -> list[Subscription]:
        """Everything that is kept of one person, newsletter by newsletter."""
        ...

    def is_suppressed(self, newsletter: str, email: str) -> bool:
        """Whether the address must not be mailed, whoever adds it."""
        ...

    def remove(self, newsletter: str, email: str, *, now: datetime) -> bool:
        """Unsubscribe by the operator's hand; False when unknown."""
        ...

    def reached(self, newsletter: str) -> list[Subscriber]:
        """The active ones that may be mailed; those who paused too: planning leaves them out, with the reason."""
        ...


class RequestStore(Protocol):
    """What somebody asked for on a page, until it is answered, used or forgotten. Raises StoreError."""

    def add(
        self,
        newsletter: str,
        request: PageRequest,
        network: str,
        *,
        may_be_kept: Callable[[Counted], bool],
        counted_since: datetime,
        kept_since: datetime,
    ) -> bool:
        """Keep a request, unless its address or network asked too often since; what is too old is forgotten."""
        ...

    def open(self, newsletter: str, since: datetime) -> list[PageRequest]:
        """Those that were neither mailed nor dropped, and are younger; the oldest first."""
        ...

    def mark(self, key: str, kind: AskedFor, *, now: datetime) -> bool:
        """Mark as mailed before the mail leaves; False when somebody else did, or it is gone."""
        ...

    def unmark(self, key: str) -> None:
        """The mail certainly did not go: it is open again."""
        ...

    def drop(self, key: str, *, now: datetime) -> bool:
        """Answer it by no mail."""
        ...

    def mailed_since(self, email: str, since: datetime) -> int:
        """How many mails went to an address, for any newsletter."""
        ...

    def find(self, newsletter: str, key: str) -> Asked | None:
        """The request that a link carries, beside who is known by its address."""
        ...

    def confirm(
        self,
        newsletter: str,
        key: str,
        *,
        may_act: Callable[[Asked], bool],
        is_done: Callable[[Asked], bool],
        consent_from: str | None,
        now: datetime,
    ) -> Asked | None:
        """Use a link: where it may act, its reader is active from now on, whatever kept them from being mailed.

        Returns how things stood before; None when there is no such request. One that has nothing to do is used up.
        """
        ...

    def of(self, email: str) -> list[tuple[str, PageRequest]]:
        """What is kept that was asked for in the name of an address: newsletter and request, the oldest first."""
        ...


class ManagingStore(Protocol):
    """Subscriptions as another program manages them, by the API. Raises StoreError."""

    def page(
        self, newsletter: str, *, state: SubscriberState | None, after: str | None, limit: int
    ) -> list[Subscriber] | None:
        """Those that came behind the one with the key `after`, in that order; None when nobody has that key."""
        ...

    def suppressed(self, newsletter: str, emails: Sequence[str]) -> set[str]:
        """Those of these addresses that must not be mailed."""
        ...

    def count(self, newsletter: str) -> dict[str, int]:
        """Subscribers by state."""
        ...

    def change(self, newsletter: str, key: str, changes: Mapping[str, Any], *, now: datetime) -> bool:
        """Change choices and the name of somebody pending or active; False when nobody of that key is."""
        ...

    def erase(self, newsletter: str, key: str, *, now: datetime) -> bool:
        """Forget a person in one newsletter, but for a suppression that names nobody; False when unknown."""
        ...


class TokenStore(Protocol):
    """Who may use the API, by the hash of a secret. Raises StoreError."""

    def add(self, newsletter: str, token: Token, hashed: str) -> None:
        """Keep a new one."""
        ...

    def find(self, newsletter: str, hashed: str) -> Token | None:
        """The one with that hash; None when there is none, it was revoked, or it is another newsletter's."""
        ...

    def everyone(self, newsletter: str) -> list[Token]:
        """All, the revoked ones too, the newest first."""
        ...

    def revoke(self, newsletter: str, number: str, *, now: datetime) -> bool:
        """End one for good; False when there is none of that id."""
        ...

    def note_use(self, number: str, *, now: datetime) -> None:
        """Remember when it was used last."""
        ...


class BounceRules(Protocol):
    """What `EventStore` asks of events: how much a refusal weighs, and how much is enough. Pure; in no order."""

    @property
    def wave(self) -> int:
        """Of how many people at least a wave is."""
        ...

    @property
    def wave_within(self) -> timedelta:
        """How far apart the refusals of one wave may be."""
        ...

    def weigh(self, event: Event) -> Weight | None:
        """What an event says of the reader's address; None: it is no refusal."""
        ...

    def is_complaint(self, event: Event) -> bool:
        """Whether the reader called our mail spam."""
        ...

    def is_leaving(self, event: Event) -> bool:
        """Whether the reader left by the provider's own way out."""
        ...

    def stand(self, history: Sequence[Said]) -> Standing:
        """What all that was said of one person's mail comes to."""
        ...

    def find_wave(self, refusals: Sequence[Said]) -> Collection[int]:
        """Which of one domain's refusals, by number, came too much at once to be held against anybody."""
        ...


class EventStore(Protocol):
    """What providers and mailboxes said later. Raises StoreError."""

    def take(self, newsletter: str, events: Sequence[Event], rules: BounceRules, *, now: datetime) -> Heard:
        """Take events in as one transaction that is on the disk when it ends; in any order, however often they come.

        `newsletter` is the one that is left by an event of which no delivery is known.
        """
        ...

    def newest(
        self,
        *,
        since: datetime | None = None,
        kind: EventKind | None = None,
        effect: Effect | None = None,
        email: str | None = None,
        limit: int = 1000,
    ) -> list[StoredEvent]:
        """What was heard, the newest first."""
        ...

    def quarantined(self) -> Mapping[str, int]:
        """How many refusals are set aside, by domain."""
        ...

    def confirm(self, rules: BounceRules, *, domain: str | None, now: datetime) -> Judged:
        """Let what was quarantined, of one domain or of all, count after all."""
        ...

    def undo(self, rules: BounceRules, *, since: datetime, domain: str | None, now: datetime, dry: bool) -> Judged:
        """Let no refusal since then count any more, and mail again whom only those ended."""
        ...


class RunStore(Protocol):
    """What runs did, for `digest status`. Raises StoreError."""

    def record(self, report: Report, *, started_at: datetime, finished_at: datetime) -> None:
        """Keep a report."""
        ...

    def last(self, newsletter: str) -> tuple[datetime, Report] | None:
        """When the newest run ended, and its report."""
        ...


class AnswerStore(Protocol):
    """What a language model answered before, by what it was asked. Raises StoreError."""

    def find(self, question: str) -> str | None:
        """The answer to a question, named by its hash; None when it was not asked before."""
        ...

    def keep(self, question: str, answer: str, *, now: datetime) -> None:
        """Keep an answer for some months."""
        ...


class KeyStore(Protocol):
    """The keys that are made once and kept with the data. Raises StoreError."""

    def key(self, name: str, make: Callable[[], str]) -> str:
        """The key of that name, made and kept when absent."""
        ...
