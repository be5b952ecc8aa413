"""The store's slices for what an edition is made of. Each raises StoreError."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Protocol

from digest.models import (
    Cadence,
    Canary,
    Collected,
    Edition,
    EditionState,
    Entry,
    Kept,
    Page,
    Rendition,
    Report,
    SourceState,
    StoredEdition,
    StoredEntry,
)


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
        to_read: Callable[[Entry], bool] = lambda _: False,
    ) -> Kept:
        """Keep what is new, and the cursor; `to_read` says of which new entries the page is to be read ahead.

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

    def failures(self, newsletter: str) -> dict[str, int]:
        """Visits that failed in a row, by source."""
        ...

    def health(self, newsletter: str, *, now: datetime) -> list[Mapping[str, object]]:
        """One row a source: how it does, since when, why, its entries of the last 30 days, and how many a day."""
        ...


class EditionStore(Protocol):
    """What `compose` and `render` keep. Unique: (newsletter, cadence, date). Raises StoreError."""

    def find(self, newsletter: str, cadence: Cadence, day: date) -> StoredEdition | None:
        """The edition of that day."""
        ...

    def get(self, edition: int) -> StoredEdition | None:
        """The edition with that number."""
        ...

    def standing(self, edition: int) -> tuple[EditionState, datetime | None] | None:
        """Its state, and when a person last let it go on."""
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
        cadence: Cadence | None = None,
    ) -> list[StoredEdition]:
        """The newest first: behind the one numbered `before` in that order, in one state, of one day or cadence."""
        ...

    def last_sent_at(self, newsletter: str) -> datetime | None:
        """When one was sent last, of any cadence."""
        ...

    def making(self, newsletter: str, cadence: Cadence) -> AbstractContextManager[bool]:
        """Whether this caller alone makes editions of a cadence until it leaves; False: another one does.

        However its process ends, another may then.
        """
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
        canary: Canary | None = None,
    ) -> bool:
        """Put a changed edition and its renditions in the place of what was; returns whether it was still open.

        Without a state it stays in the one that it is in. With `as_of`, only when nothing was changed since then. What
        a canary found of what was counts no more: `canary` does.
        """
        ...

    def amend(self, edition: int, amended: Edition, *, now: datetime) -> None:
        """Keep what is said of an edition after it went out; its renditions stay what was sent."""
        ...

    def renditions(self, edition: int) -> dict[str, Rendition]:
        """The renditions by variant."""
        ...

    def rendition(self, edition: int, variant: str) -> Rendition | None:
        """One of them."""
        ...

    def add_renditions(self, edition: int, renditions: Sequence[Rendition], *, as_of: datetime | None = None) -> None:
        """Keep further variants of an edition; those it has already stay as they are.

        With `as_of`, only when nothing of it was changed since: they are of what it was then.
        """
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
        canary: Canary | None = None,
    ) -> bool:
        """Move to a state from one of `only_from`; returns whether it moved. Without a reason the last stays.

        With `as_of`, only when nothing of it was changed since that instant. Without `canary`, what one found stays.
        """
        ...

    def keep_canary(self, edition: int, canary: Canary, *, as_of: datetime | None) -> bool:
        """Keep what a canary found; returns whether it was kept: not when the edition was changed since `as_of`."""
        ...

    def miss(self, newsletter: str, cadence: Cadence, day: date, reason: str, *, now: datetime) -> bool:
        """Record that no edition was made that day; False when there is one already."""
        ...

    def last_cutoff(self, newsletter: str, cadence: Cadence) -> datetime | None:
        """The cutoff of the last edition that went out (sending or sent)."""
        ...


class ArchiveStore(Protocol):
    """What the public pages read of editions that went out. Raises StoreError."""

    def shown(self, newsletter: str, *, limit: int, offset: int = 0) -> list[StoredEdition]:
        """Those that went out, also in part; the newest first."""
        ...

    def count(self, newsletter: str) -> int:
        """How many went out."""
        ...

    def beside(self, stored: StoredEdition) -> tuple[StoredEdition | None, StoredEdition | None]:
        """The one before and the one after it, in the order of `shown`."""
        ...

    def rendition(self, edition: int, variant: str) -> Rendition | None:
        """One variant of an edition."""
        ...

    def having(self, variant: str, among: Sequence[int]) -> frozenset[int]:
        """Which of these editions have that variant."""
        ...

    def changed_at(self, newsletter: str) -> tuple[int, datetime | None]:
        """How many editions there are, and when one was last made, sent, corrected or withdrawn."""
        ...


class RunStore(Protocol):
    """What runs did, for `digest status`. Raises StoreError."""

    def record(self, report: Report, *, started_at: datetime, finished_at: datetime) -> None:
        """Keep a report."""
        ...

    def last(
        self, newsletter: str, *, edition: int | None = None, has_stages: bool = False
    ) -> tuple[datetime, Report] | None:
        """When the newest run ended, and its report: of all, of one edition's, or of those that did something."""
        ...

    def note_look(self, newsletter: str, cadence: Cadence, *, now: datetime) -> None:
        """Remember that a scheduler looked, and that nothing was left to be made of what was due by then."""
        ...

    def last_look(self, newsletter: str, cadence: Cadence) -> datetime | None:
        """When that was seen last; None: never."""
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
