"""Which editions are sent from here: noted beside the database before anything of them leaves."""

from datetime import datetime

from sqlalchemy import select

from digest.stores.database import Database
from digest.stores.journal import Begun, Journal
from digest.stores.keys import SqlKeys
from digest.stores.schema import editions


class Beginnings:
    """Each edition once for each process."""

    def __init__(self, database: Database, keys: SqlKeys, journal: Journal) -> None:
        """Notes nothing yet."""
        self._database = database
        self._keys = keys
        self._journal = journal
        self._noted: set[int] = set()

    def note(self, edition: int, *, now: datetime) -> None:
        """That something of it is about to leave. Raises StoreError."""
        if edition in self._noted:
            return
        with self._database.write_beside() as connection:
            row = connection.execute(select(editions).where(editions.c.id == edition)).one()
            which = {"newsletter": row.newsletter, "cadence": row.cadence, "date": row.date}
            key = self._keys.secret(connection)
            self._journal.note_begun(connection, key, Begun(**which, cutoff_at=row.cutoff_at, at=now))
        self._noted.add(edition)
