"""A pruning as a process of its own, killed as one of its transactions is about to end."""

import os
import signal
import sys
from datetime import date

from sqlalchemy import event

from digest.stores.sql import SqlStore
from tests.contract.editions import NOW

BEFORE = date(2026, 4, 1)


def prune(store: SqlStore) -> None:
    """All that a day's pruning forgets, of what is older than that."""
    store.pruning.forget_pages("morning", before=NOW)
    store.pruning.forget_events(before=NOW)
    store.pruning.forget_deliveries("morning", before=BEFORE)


def kill_at(store: SqlStore, number: int) -> None:
    """Kill this process at the so-manieth transaction from now on, before it is committed."""
    left = iter(range(number - 1))

    def count(_: object) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store._database.engine, "commit", count)


if __name__ == "__main__":
    opened = SqlStore.open(sys.argv[1])
    kill_at(opened, int(sys.argv[2]))
    prune(opened)
