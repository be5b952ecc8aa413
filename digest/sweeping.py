"""What keeps a send by workers going, whoever of them dies: claims are freed, and tasks are there for what is due.

Any number of processes may sweep, and at once: what one has done, the next finds done. Without an edition that is being
sent it is one query.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from digest.models import Task
from digest.protocols import Queue
from digest.stores.rounds import Open, has_moved, is_stuck

if TYPE_CHECKING:
    from digest.stores.sql import SqlStore


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


def sweep_sends(store: "SqlStore", queue: Queue, newsletter: str, now: datetime) -> list[int]:
    """Free what dead senders hold, and add tasks for what is due; returns the editions of which nothing is left.

    Raises StoreError.
    """
    found = store.rounds.find_open(newsletter, now)
    if not found:
        return []
    held = [one.edition for one in found if one.claimed]
    for edition in held:
        store.ledger.recover(edition, now=now)
    if held:
        found = store.rounds.find_open(newsletter, now)
    due = sum(one.due for one in found)
    lacking = due > 0 and queue.waiting()["deliver"] < due
    for one in found:
        if is_wanting(one, now, lacking=lacking):
            store.rounds.renew(one.edition, lacking=lacking, now=now)
    return [one.edition for one in found if not one.due and not one.claimed and not one.later]


def is_wanting(found: Open, now: datetime, *, lacking: bool) -> bool:
    """Whether there is anything to write of an edition. Pure."""
    return (lacking and found.due > 0) or is_stuck(found, now) or has_moved(found, now)
