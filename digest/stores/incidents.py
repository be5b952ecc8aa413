"""What the operator was told of, until it has passed: remembered here, so that no restart tells it again."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select, update

from digest.stores.database import Database, count_rows, upsert
from digest.stores.schema import incidents


class SqlIncidents:
    """protocols.IncidentStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def observe(self, newsletter: str, names: Collection[str], *, now: datetime) -> dict[str, datetime]:
        """What is the case now, all of it: what is not named has passed. Since when each of these is seen."""
        mine = incidents.c.newsletter == newsletter
        query = select(incidents.c.name, incidents.c.since).where(mine)
        with self._database.read() as connection:
            known = {row.name: row.since for row in connection.execute(query)}
        if known.keys() != set(names):  # nothing is written where nothing has changed
            with self._database.write_beside() as connection:
                connection.execute(delete(incidents).where(mine, incidents.c.name.not_in(names)))
                new = [
                    {"newsletter": newsletter, "name": name, "since": now} for name in sorted(set(names) - set(known))
                ]
                if new:
                    connection.execute(upsert(incidents).on_conflict_do_nothing(), new)
        return {name: known.get(name, now) for name in names}

    def take(self, newsletter: str, name: str, *, now: datetime) -> bool:
        """Whether it falls to this caller to tell of it: to one, once."""
        mine = (incidents.c.newsletter == newsletter, incidents.c.name == name)
        change = update(incidents).where(*mine, incidents.c.told_at.is_(None)).values(told_at=now)
        with self._database.write_beside() as connection:
            return count_rows(connection, change) == 1

    def give_back(self, newsletter: str, name: str) -> None:
        """It could not be told: somebody else, or the same a while later, may try."""
        mine = (incidents.c.newsletter == newsletter, incidents.c.name == name)
        with self._database.write_beside() as connection:
            connection.execute(update(incidents).where(*mine).values(told_at=None))
