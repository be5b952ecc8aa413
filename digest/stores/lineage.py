"""Whether a database is still the one that was opened.

One that was put back from a backup has other editions under the same numbers, and does not know yet who left since:
what ran before may begin nothing in it. It is another by a mark that each restoring leaves, or, of a file, by being
another file.
"""

from typing import Final

from sqlalchemy import Connection, select

from digest.errors import OtherRevision, StoreUnavailable
from digest.stores.database import Database
from digest.stores.schema import keys

OWED: Final = "replay_owed"  # a key that is there from a restoring on until the journals were replayed: their paths
LINEAGE: Final = "lineage"  # one that each restoring makes anew


class Lineage:
    """Of an open database."""

    def __init__(self, database: Database) -> None:
        """Looks at nothing yet."""
        self._database = database
        self._known: tuple[str | None, tuple[int, int] | None] | None = None  # None: of a scratch one nobody asks

    def learn(self) -> None:
        """Which one it is now, as it is opened. Raises StoreError."""
        with self._database.read() as connection:
            self._known = self._find(connection).get(LINEAGE), self._database.find_file()

    def require(self, connection: Connection) -> None:
        """Raises OtherRevision when it is another now; StoreUnavailable while that is not known yet."""
        found = self._find(connection)
        if OWED in found:
            remedy = "wait for `digest db restore` to end, or run any command to go on with it"
            raise StoreUnavailable(self._database.name, "it is being put back from a backup", remedy=remedy)
        if self._known not in (None, (found.get(LINEAGE), self._database.find_file())):
            raise OtherRevision(
                self._database.name, "it was put back from a backup while this was running", remedy="start this again"
            )

    @staticmethod
    def _find(connection: Connection) -> dict[str, str]:
        rows = connection.execute(select(keys.c.name, keys.c.value).where(keys.c.name.in_((OWED, LINEAGE))))
        return {row.name: row.value for row in rows}
