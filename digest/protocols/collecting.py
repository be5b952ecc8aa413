"""The store's slices for collecting through the day. Each raises StoreError."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from digest.models import SourceState, StoredEntry


class VisitStore(Protocol):
    """When sources are visited, and by whom. What visits bring is in EntryStore."""

    def enrol(self, newsletter: str, sources: Sequence[str], *, now: datetime) -> int:
        """Plan the first visit of those of which none is planned, for now; returns how many those were."""
        ...

    def due(self, newsletter: str, *, now: datetime, limit: int) -> list[str]:
        """Sources that are due, the longest first, without those that somebody visits. Also what is configured no more.

        One of which no visit is planned is not among them: `enrol` plans it.
        """
        ...

    def postpone(self, newsletter: str, sources: Sequence[str], *, until: datetime) -> None:
        """Plan their visits for later, without one."""
        ...

    def claim(
        self,
        newsletter: str,
        source: str,
        *,
        now: datetime,
        until: datetime,
        only_due: bool = False,
        take_over: bool = False,
    ) -> SourceState | None:
        """Take a visit, so that nobody else visits it before `until`; what earlier visits left.

        None when somebody else has taken it, unless with `take_over`, or, with `only_due`, when it is not due any more.
        """
        ...

    def release(self, newsletter: str, source: str) -> None:
        """Give back a visit that was not made."""
        ...

    def plan(self, newsletter: str, source: str, *, pace: timedelta, due_at: datetime) -> None:
        """After a visit: keep the pace and when the next one is due, and give the visit back."""
        ...

    def note_told(self, newsletter: str, source: str, *, now: datetime) -> None:
        """That it has failed for long was reported."""
        ...

    def states(self, newsletter: str) -> dict[str, SourceState]:
        """What is known of each source."""
        ...


class ReadStore(Protocol):
    """Which entries' pages are to be read ahead of an edition, and when."""

    def due(self, newsletter: str, *, now: datetime, limit: int, source: str | None = None) -> list[int]:
        """The numbers of entries whose pages are to be read by now, the longest waiting first."""
        ...

    def take(self, numbers: Sequence[int], *, now: datetime, until: datetime) -> list[tuple[StoredEntry, int]]:
        """Those of them that are still to be read and nobody else reads before `until`, and how often each was taken.

        A page that was kept is not read again (EntryStore.keep_page).
        """
        ...

    def put_off(self, number: int, *, until: datetime) -> None:
        """Try again then."""
        ...
