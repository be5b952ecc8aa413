"""Which entries' pages are to be read ahead of an edition: each by one reader at a time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, select, update

from digest.models import StoredEntry
from digest.stores.database import Database
from digest.stores.entries import read_entry
from digest.stores.schema import entries, sources


class SqlReads:
    """protocols.ReadStore. Whoever takes an entry puts off its next reading: one that died leaves it to the next."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def due(self, newsletter: str, *, now: datetime, limit: int, source: str | None = None) -> list[int]:
        """Those that wait, the longest first."""
        query = (
            select(entries.c.number)
            .where(entries.c.newsletter == newsletter, entries.c.read_due_at <= now)
            .order_by(entries.c.read_due_at)
            .limit(limit)
        )
        if source is not None:
            query = query.where(entries.c.source == source)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def take(self, numbers: Sequence[int], *, now: datetime, until: datetime) -> list[tuple[StoredEntry, int]]:
        """Take those that are free."""
        free = (
            select(entries.c.number)
            .where(entries.c.number.in_(numbers), entries.c.page.is_(None), entries.c.read_due_at <= now)
            .with_for_update(skip_locked=True)  # where rows are locked one by one: two readers must not wait in a ring
        )
        taking = (
            update(entries)
            .where(entries.c.number.in_(free))
            .values(read_due_at=until, reads=entries.c.reads + 1)
            .returning(entries.c.number)
        )
        with self._database.write_marks() as connection:
            taken = list(connection.execute(taking).scalars())
        query = (
            select(entries, sources.c.title)
            .join(sources, and_(sources.c.newsletter == entries.c.newsletter, sources.c.id == entries.c.source))
            .where(entries.c.number.in_(taken))
            .order_by(entries.c.number)
        )
        with self._database.read() as connection:
            return [(read_entry(row), row.reads) for row in connection.execute(query)]

    def put_off(self, number: int, *, until: datetime) -> None:
        """Read it then, unless it was read meanwhile."""
        waits = update(entries).where(entries.c.number == number, entries.c.page.is_(None))
        with self._database.write_marks() as connection:
            connection.execute(waits.values(read_due_at=until))
