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

    def observe(self, newsletter: str, names: Collection[str], *, now: datetime) -> Mapping[str, datetime]:
        """What is the case now, all of it: what is not named has passed. Since when each of these is seen."""
        ...

    def take(self, newsletter: str, name: str, *, now: datetime) -> bool:
        """Whether it falls to this caller to tell of it: to one, once."""
        ...

    def give_back(self, newsletter: str, name: str) -> None:
        """It could not be told: somebody else, or the same a while later, may try."""
        ...
