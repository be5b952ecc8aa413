"""Who works over this database: a row for each process, renewed as long as it lives."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, delete, exists, select

from digest.models import Peer
from digest.protocols.workers import GONE_AFTER, SILENT_AFTER
from digest.stores.database import Database
from digest.stores.schema import workers
from digest.stores.statements import count_rows, upsert


class SqlWorkers:
    """protocols.WorkerStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def beat(self, peer: Peer, *, now: datetime) -> None:
        """Say that it is there, the first time or again. Its `started_at` and `steady_since` are those kept."""
        values = {
            "newsletter": peer.newsletter,
            "host": peer.host,
            "version": peer.version,
            "queues": ",".join(peer.queues),
            "concurrency": peer.concurrency,
            "seen_at": now,
            "skew": None if peer.skew is None else round(peer.skew * 1000),
        }
        put = upsert(workers).values(id=peer.id, started_at=peer.started_at, steady_since=now, **values)
        steady = case((workers.c.seen_at < now - SILENT_AFTER, put.excluded.steady_since), else_=workers.c.steady_since)
        put = put.on_conflict_do_update(index_elements=["id"], set_={**values, "steady_since": steady})
        with self._database.write_marks() as connection:  # beside imports, which may take minutes
            connection.execute(put)

    def leave(self, number: str) -> None:
        """Say that it ends, by its id."""
        with self._database.write_marks() as connection:
            connection.execute(delete(workers).where(workers.c.id == number))

    def everyone(self, newsletter: str) -> Sequence[Peer]:
        """All who are known, the longest there first; also those that are silent."""
        query = select(workers).where(workers.c.newsletter == newsletter).order_by(workers.c.started_at, workers.c.id)
        with self._database.read() as connection:
            return [_peer(row) for row in connection.execute(query)]

    def present(self, newsletter: str, *, now: datetime) -> Sequence[Peer]:
        """Those that were seen lately."""
        return [peer for peer in self.everyone(newsletter) if now - peer.seen_at <= SILENT_AFTER]

    def find_gone(self, *, now: datetime) -> frozenset[str]:
        """The ids of those that were silent for a minute and more, while another was there all that time.

        Where the database itself was away, everybody was silent, and nobody is gone for that.
        """
        witness = workers.alias("witness")
        is_seen = exists().where(
            witness.c.id != workers.c.id,
            witness.c.seen_at >= now - SILENT_AFTER,
            witness.c.steady_since <= now - GONE_AFTER,
        )
        query = select(workers.c.id).where(workers.c.seen_at < now - GONE_AFTER, is_seen)
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def forget(self, *, before: datetime) -> int:
        """Forget those not seen since; returns how many."""
        with self._database.write_marks() as connection:
            return count_rows(connection, delete(workers).where(workers.c.seen_at < before))


def _peer(row: Row[Any]) -> Peer:
    return Peer(
        id=row.id,
        newsletter=row.newsletter,
        host=row.host,
        version=row.version,
        queues=tuple(row.queues.split(",")),
        concurrency=row.concurrency,
        started_at=row.started_at,
        seen_at=row.seen_at,
        steady_since=row.steady_since,
        skew=None if row.skew is None else row.skew / 1000,
    )
