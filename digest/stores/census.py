"""How many readers there were, day by day."""

from datetime import date

from sqlalchemy import delete, select

from digest.stores.database import Database
from digest.stores.schema import censuses
from digest.stores.statements import upsert


class SqlCensus:
    """Counts of readers by their state, kept for the operator's picture."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def keep(self, newsletter: str, day: date, counts: dict[str, int]) -> None:
        """What was counted on a day; the last count of it stays. Raises StoreError."""
        theirs = (censuses.c.newsletter == newsletter, censuses.c.day == day)
        with self._database.write() as connection:
            connection.execute(delete(censuses).where(*theirs, censuses.c.state.not_in(list(counts))))
            for state, number in counts.items():  # row by row: on a server somebody else may count at this moment
                values = upsert(censuses).values(newsletter=newsletter, day=day, state=state, number=number)
                connection.execute(
                    values.on_conflict_do_update(index_elements=["newsletter", "day", "state"], set_={"number": number})
                )

    def since(self, newsletter: str, day: date) -> dict[date, dict[str, int]]:
        """By day, the first first, and state. Raises StoreError."""
        query = select(censuses).where(censuses.c.newsletter == newsletter, censuses.c.day >= day)
        found: dict[date, dict[str, int]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query.order_by(censuses.c.day, censuses.c.state)):
                found.setdefault(row.day, {})[row.state] = row.number
        return found
