"""What keeps a send by workers going, whoever of them dies: claims are freed, and tasks are there for what is due.

Any number of processes may sweep, and at once: what one has done, the next finds done. Without an edition that is being
sent it is one query.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from digest.errors import StoreUnavailable
from digest.models import Owner, Task
from digest.protocols import Queue
from digest.stores.rounds import Open, has_moved, is_stuck

if TYPE_CHECKING:
    from digest.stores.sql import SqlStore

WORKER: Final = "worker "  # how the name of an owner begins who is a worker, and shows signs of life
_SILENT: Final = timedelta(seconds=9)  # without one, until a worker is taken for dead
_STEADY: Final = 45.0  # seconds that the database answered: until then a living worker may not have been back, either


class Sweeper:
    """One process's looks. Not for several threads."""

    def __init__(
        self,
        store: "SqlStore",
        queue: Queue,
        newsletter: str,
        *,
        monotonic: Callable[[], float],
        steady: float = _STEADY,
    ) -> None:
        """Nothing is looked at yet. `steady`: seconds for which it must have answered before workers are judged."""
        self._store, self._queue, self._newsletter = store, queue, newsletter
        self._monotonic, self._steady = monotonic, steady
        self._answered_since: float | None = None

    def sweep(self, now: datetime) -> list[int]:
        """Free what dead senders hold, and add tasks for what is due; returns the editions of which nothing is left.

        Raises StoreError.
        """
        try:
            over = self._sweep(now)
        except StoreUnavailable:
            self._answered_since = None
            raise
        if self._answered_since is None:
            self._answered_since = self._monotonic()
        return over

    def _sweep(self, now: datetime) -> list[int]:
        store = self._store
        found = store.rounds.find_open(self._newsletter, now)
        if not found:
            return []
        held = [one.edition for one in found if one.claimed]
        for edition in held:
            store.ledger.recover(edition, now=now, gone=self._find_gone(edition))
        if held:
            found = store.rounds.find_open(self._newsletter, now)
        tasks = self._queue.awaited() if any(one.due for one in found) else {}
        for one in found:
            waiting = tasks.get(str(one.edition), 0)
            if is_wanting(one, now, tasks=waiting):
                store.rounds.renew(one.edition, lacking=waiting < one.due, now=now)
        return [one.edition for one in found if not one.due and not one.claimed and not one.later]

    def _find_gone(self, edition: int) -> Sequence[Owner]:
        """Workers on other machines that hold batches and show no sign of life."""
        since = self._answered_since
        if since is None or self._monotonic() - since < self._steady:
            return ()
        workers = [owner for owner in self._store.ledger.owners(edition) if owner.name.startswith(WORKER)]
        if not workers:
            return ()
        alive = {replace(owner, name="") for owner in self._queue.alive(within=_SILENT)}
        return [owner for owner in workers if replace(owner, name="") not in alive]


def make_enqueue(queue: Queue, newsletter: str) -> Callable[[object, int, int, int], None]:
    """What adds a task for each batch that is due, within a transaction of the store's."""

    def enqueue(connection: object, edition: int, number: int, due: int) -> None:
        tasks = [
            # Not the batch's: a task takes whichever is due. Of one round no more wait than batches did.
            Task(kind="deliver", newsletter=newsletter, subject=str(edition), identity=f"{edition}/{number}/{place}")
            for place in range(due)
        ]
        queue.enqueue(tasks, within=connection)

    return enqueue


def is_wanting(found: Open, now: datetime, *, tasks: int) -> bool:
    """Whether there is anything to write of an edition for which so many tasks wait. Pure.

    Where they only rest, for hours or until another day, no more and more of them are added: two for each batch do.
    """
    return tasks < found.due or has_moved(found, now) or (is_stuck(found, now) and tasks < 2 * found.due)
