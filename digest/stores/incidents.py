"""What the operator was told of, until it has passed: remembered here, so that no restart tells it again."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from digest.stores.database import Database
from digest.stores.schema import incidents
from digest.stores.statements import count_rows, upsert

_LEASE: Final = timedelta(minutes=10)  # to tell it by all ways; each gives up much sooner
_SEEN_EVERY: Final = timedelta(hours=1)  # is written down: nothing is, mostly, by those who look each minute
_FORGOTTEN_AFTER: Final = timedelta(days=1)


class SqlIncidents:
    """protocols.IncidentStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def observe(
        self, newsletter: str, seen: Mapping[str, str], *, scopes: Collection[str], now: datetime
    ) -> dict[str, datetime]:
        """What is the case now, as far as the caller can judge. Since when each of these is seen."""
        query = select(incidents).where(incidents.c.newsletter == newsletter)
        with self._database.read() as connection:
            known = {row.name: row for row in connection.execute(query)}
        passed = [
            name
            for name, row in known.items()
            if name not in seen and (row.scope in scopes or (row.seen_at and now - row.seen_at > _FORGOTTEN_AFTER))
        ]
        new = [
            {"newsletter": newsletter, "name": name, "scope": scope, "since": now, "seen_at": now}
            for name, scope in sorted(seen.items())
            if name not in known
        ]
        old = [name for name in seen if name in known and not _is_fresh(known[name].seen_at, now)]
        if passed or new or old:  # nothing is written where nothing has changed
            with self._database.write_beside() as connection:
                connection.execute(delete(incidents).where(_named(newsletter, passed)))
                connection.execute(update(incidents).where(_named(newsletter, old)).values(seen_at=now))
                if new:
                    connection.execute(upsert(incidents).on_conflict_do_nothing(), new)
        return {name: known[name].since if name in known else now for name in seen}

    def take(self, newsletter: str, name: str, *, now: datetime) -> Collection[str] | None:
        """By which ways it was told already, where it falls to this caller to tell the rest; None: it does not."""
        mine = _named(newsletter, [name])
        is_free = or_(incidents.c.taken_at.is_(None), incidents.c.taken_at <= now - _LEASE)
        change = update(incidents).where(mine, incidents.c.told_at.is_(None), is_free).values(taken_at=now)
        with self._database.write_beside() as connection:
            if count_rows(connection, change) != 1:
                return None
            return str(connection.execute(select(incidents.c.ways).where(mine)).scalar_one()).split()

    def note(self, newsletter: str, name: str, way: str) -> None:
        """It was told by this way."""
        change = update(incidents).where(_named(newsletter, [name])).values(ways=incidents.c.ways + f"{way} ")
        with self._database.write_beside() as connection:
            connection.execute(change)

    def settle(self, newsletter: str, name: str, *, is_told: bool, now: datetime) -> None:
        """It was told by all ways; or somebody may try again."""
        values = {"taken_at": None} | ({"told_at": now} if is_told else {})
        with self._database.write_beside() as connection:
            connection.execute(update(incidents).where(_named(newsletter, [name])).values(values))


def _is_fresh(seen_at: datetime | None, now: datetime) -> bool:
    return seen_at is not None and now - seen_at < _SEEN_EVERY


def _named(newsletter: str, names: Collection[str]) -> ColumnElement[bool]:
    return and_(incidents.c.newsletter == newsletter, incidents.c.name.in_(names))
