"""Opens and clicks. A network is a hash whose salt is drawn anew each day and forgotten: it follows nobody further."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, func, insert, select, update

from digest.models import Count, MadeBy
from digest.stores.database import Database
from digest.stores.partitions import read_month
from digest.stores.schema import counts, deliveries, keys
from digest.stores.statements import upsert

_SALT: Final = "counting_salt"


class SqlCounts:
    """protocols.CountStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def add(self, seen: Sequence[Count], *, again: timedelta, within: timedelta) -> list[Count]:
        """Keep what was seen, but what the same network asked for `again` ago at most.

        Returns the clicks of persons of these networks `within` that time of them, as they are stored.
        """
        with self._database.write_fast() as connection:
            hashed: dict[str, str] = {}
            for count in seen:
                network = _hash(_salt_of(connection, count.at.date()), count.network)
                hashed[count.network] = network
                if not _is_known(connection, count, network, count.at - again):
                    connection.execute(
                        insert(counts).values(
                            edition=count.edition,
                            kind=count.kind,
                            link=count.link,
                            made_by=count.made_by.value,
                            network=network,
                            counted_at=count.at,
                        )
                    )
            since = min((count.at for count in seen), default=None)
            if since is None:
                return []
            query = select(counts).where(
                counts.c.network.in_(set(hashed.values())), counts.c.counted_at >= since - within
            )
            return [_count(row) for row in connection.execute(query.where(counts.c.kind == "click"))]

    def reclassify(self, ids: Collection[int], made_by: MadeBy) -> None:
        """Say of some that it was another who made them."""
        if ids:
            with self._database.write_fast() as connection:
                connection.execute(update(counts).where(counts.c.id.in_(ids)).values(made_by=made_by.value))

    def tally(self, edition: int) -> dict[tuple[str, int | None, MadeBy], int]:
        """How many there are of an edition, by kind, link and who made them."""
        query = (
            select(counts.c.kind, counts.c.link, counts.c.made_by, func.count())
            .where(counts.c.edition == edition)
            .group_by(counts.c.kind, counts.c.link, counts.c.made_by)
        )
        with self._database.read() as connection:
            return {(kind, link, MadeBy(made_by)): number for kind, link, made_by, number in connection.execute(query)}

    def first_sent_at(self, edition: int) -> datetime | None:
        """When the first message of an edition was attempted."""
        query = (
            select(deliveries.c.attempted_at)
            .where(deliveries.c.edition == edition, deliveries.c.attempted_at.is_not(None))
            .order_by(deliveries.c.id)
            .limit(1)
        )
        with self._database.read() as connection:
            in_month = deliveries.c.month == read_month(connection, edition)
            found: datetime | None = connection.execute(query.where(in_month)).scalar()
        return found


def _is_known(connection: Connection, count: Count, network: str, since: datetime) -> bool:
    return bool(
        connection.execute(
            select(
                exists().where(
                    counts.c.network == network,
                    counts.c.counted_at > since,
                    counts.c.edition == count.edition,
                    counts.c.kind == count.kind,
                    counts.c.link.is_(None) if count.link is None else counts.c.link == count.link,
                    counts.c.made_by == count.made_by.value,
                )
            )
        ).scalar()
    )


def _salt_of(connection: Connection, day: date) -> str:
    """That day's, made when it is first asked for; the one before it is overwritten."""
    kept = connection.execute(select(keys.c.value).where(keys.c.name == _SALT)).scalar()
    of_day, _, salt = (kept or "").partition(":")
    if of_day >= day.isoformat():  # what was seen right before midnight may be kept right after it
        return salt
    salt = secrets.token_hex(32)
    fresh = upsert(keys).values(name=_SALT, value=f"{day}:{salt}")
    connection.execute(fresh.on_conflict_do_update(index_elements=["name"], set_={"value": f"{day}:{salt}"}))
    return salt


def _hash(salt: str, network: str) -> str:
    return hmac.digest(salt.encode(), network.encode(), hashlib.sha256).hex()


def _count(row: Row[*tuple[Any, ...]]) -> Count:
    return Count(
        id=row.id,
        edition=row.edition,
        kind=row.kind,
        link=row.link,
        made_by=MadeBy(row.made_by),
        network=row.network,
        at=row.counted_at,
    )
