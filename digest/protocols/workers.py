"""The store's slice for processes that work over one database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from digest.models import Peer


class WorkerStore(Protocol):
    """Who is there, by the database's clock (`store.clock()`): machines' own may be wrong. Raises StoreError."""

    def beat(self, peer: Peer, *, now: datetime) -> None:
        """Say that it is there, the first time or again. Its `started_at` and `steady_since` are those kept."""
        ...

    def leave(self, number: str) -> None:
        """Say that it ends, by its id."""
        ...

    def everyone(self, newsletter: str) -> Sequence[Peer]:
        """All who are known, the longest there first; also those that are silent."""
        ...

    def present(self, newsletter: str, *, now: datetime) -> Sequence[Peer]:
        """Those that were seen lately."""
        ...

    def find_gone(self, *, now: datetime) -> Collection[str]:
        """The ids of those that were silent for a minute and more, while another was there all that time.

        Where the database itself was away, everybody was silent, and nobody is gone for that.
        """
        ...

    def forget(self, *, before: datetime) -> int:
        """Forget those not seen since; returns how many."""
        ...


SILENT_AFTER = timedelta(seconds=20)  # without a beat
GONE_AFTER = timedelta(seconds=60)


class IncidentStore(Protocol):
    """What the operator is told of once, until it has passed. Raises StoreError."""

    def observe(
        self, newsletter: str, seen: Mapping[str, str], *, scopes: Collection[str], now: datetime
    ) -> Mapping[str, datetime]:
        """What is the case now: names, each with its scope. Since when each of them is seen.

        What is not named and of one of these `scopes`, which are those that the caller can judge, has passed; what is
        of another has when nobody saw it for a day: that machine is gone.
        """
        ...

    def take(self, newsletter: str, name: str, *, now: datetime) -> Collection[str] | None:
        """By which ways it was told already, where it falls to this caller to tell the rest; None: it does not.

        For ten minutes: what is not settled by then falls to somebody else, as when the caller was killed.
        """
        ...

    def note(self, newsletter: str, name: str, way: str) -> None:
        """It was told by this way, and is not told by it again."""
        ...

    def settle(self, newsletter: str, name: str, *, is_told: bool, now: datetime) -> None:
        """It was told by all ways; or not, and somebody else, or the same a while later, may try."""
        ...
