"""Addresses that must not be mailed, as keyed hashes: they outlive the person's erasure and name nobody.

The key is made with the database, is kept with the data, and never changes: with another key everybody who left would
be forgotten.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, union, update

from digest.models import SubscriberState
from digest.stores.journal import Journal
from digest.stores.keys import SqlKeys
from digest.stores.schema import editions, subscriptions, suppressions
from digest.stores.statements import chunks, count_rows, is_one_of, upsert

EVERY_NEWSLETTER: Final = ""


class Suppressing:
    """Who is on the list, for one newsletter or for all."""

    def __init__(self, keys: SqlKeys, journal: Journal | None = None) -> None:
        """Reads nothing yet. Who comes onto a list, or off it, is noted in the journal, if there is one."""
        self._keys = keys
        self._journal = journal

    def add(
        self, connection: Connection, newsletter: str, email_keys: Sequence[str], reason: str, *, now: datetime
    ) -> None:
        """Put addresses on the list of one newsletter; "" is every newsletter. The first reason stays."""
        self.put(connection, newsletter, self.hashes(connection, email_keys), reason, at=now)

    def put(
        self, connection: Connection, newsletter: str, addresses: Sequence[str], reason: str, *, at: datetime
    ) -> None:
        """The same, of addresses by what the list knows them."""
        wanted = dict.fromkeys(addresses)
        if reason == SubscriberState.ERASED.value:
            # Also of who is on the list already: it is not that alone which a restore must not undo.
            self._note_left(connection, newsletter, list(wanted), reason, at)
        for chunk in chunks(list(wanted)):
            query = select(suppressions.c.address).where(
                suppressions.c.address.in_(chunk), suppressions.c.newsletter == newsletter
            )
            for listed in connection.execute(query).scalars():
                del wanted[listed]
        if not wanted:
            return
        rows = [
            {"address": address, "newsletter": newsletter, "reason": reason, "created_at": at} for address in wanted
        ]
        connection.execute(upsert(suppressions).on_conflict_do_nothing(), rows)
        if reason != SubscriberState.ERASED.value:
            self._note_left(connection, newsletter, list(wanted), reason, at)

    def _note_left(
        self, connection: Connection, newsletter: str, addresses: Sequence[str], reason: str, at: datetime
    ) -> None:
        if self._journal and addresses:
            self._journal.note_left(connection, self._keys.secret(connection), newsletter, addresses, reason, at=at)

    def _note_back(self, connection: Connection, newsletter: str, addresses: Sequence[str], at: datetime) -> None:
        if self._journal and addresses:
            self._journal.note_back(connection, self._keys.secret(connection), newsletter, addresses, at=at)

    def add_complaints(self, connection: Connection, email_keys: Sequence[str], *, now: datetime) -> None:
        """Put addresses on the list of every newsletter as those of people who complained, also where they bounced."""
        self.put_complaints(connection, self.hashes(connection, email_keys), at=now)

    def put_complaints(self, connection: Connection, addresses: Sequence[str], *, at: datetime) -> None:
        """The same, of addresses by what the list knows them."""
        self.put(connection, EVERY_NEWSLETTER, addresses, "complained", at=at)
        for chunk in chunks(addresses):
            change = (
                update(suppressions)
                .where(
                    suppressions.c.address.in_(chunk),
                    suppressions.c.newsletter == EVERY_NEWSLETTER,
                    suppressions.c.reason == "bounced",
                )
                .values(reason="complained")
            )
            changed = connection.execute(change.returning(suppressions.c.address)).scalars().all()
            self._note_left(connection, EVERY_NEWSLETTER, changed, "complained", at)

    def complained(self, connection: Connection, newsletter: str, email_keys: Sequence[str]) -> set[str]:
        """Those of these addresses that this newsletter, or all, must not mail for more than bounces and leaving."""
        hashed = dict(zip(self.hashes(connection, email_keys), email_keys, strict=True))
        found: set[str] = set()
        for chunk in chunks(sorted(hashed)):
            query = select(suppressions.c.address).where(
                suppressions.c.address.in_(chunk),
                suppressions.c.newsletter.in_((newsletter, EVERY_NEWSLETTER)),
                suppressions.c.reason.in_(("complained", "erased")),
            )
            found |= {hashed[address] for address in connection.execute(query).scalars()}
        return found

    def reasons(self, connection: Connection, email_keys: Sequence[str]) -> dict[str, tuple[str, datetime]]:
        """Why, and since when, those of these addresses that are on the list of every newsletter are."""
        hashed = dict(zip(self.hashes(connection, email_keys), email_keys, strict=True))
        found: dict[str, tuple[str, datetime]] = {}
        for chunk in chunks(sorted(hashed)):
            query = select(suppressions.c.address, suppressions.c.reason, suppressions.c.created_at).where(
                suppressions.c.address.in_(chunk), suppressions.c.newsletter == EVERY_NEWSLETTER
            )
            found |= {hashed[row.address]: (row.reason, row.created_at) for row in connection.execute(query)}
        return found

    def lift_bounces(self, connection: Connection, email_keys: Sequence[str], *, now: datetime) -> None:
        """Take addresses off the list of every newsletter that are on it for bounces, and for nothing else."""
        for chunk in chunks(self.hashes(connection, email_keys)):
            change = delete(suppressions).where(
                suppressions.c.address.in_(chunk),
                suppressions.c.newsletter == EVERY_NEWSLETTER,
                suppressions.c.reason == "bounced",
            )
            lifted = connection.execute(change.returning(suppressions.c.address)).scalars().all()
            self._note_back(connection, EVERY_NEWSLETTER, lifted, now)

    def name(self, connection: Connection, words: str) -> str:
        """What anything is counted by that must not be kept in clear."""
        return hash_address(self._keys.secret(connection), words)

    def lift(self, connection: Connection, newsletter: str, email_key: str, *, now: datetime) -> None:
        """Let one newsletter mail an address again. What kept it from all keeps it from the others that are known."""
        (address,) = self.hashes(connection, [email_key])
        mine = suppressions.c.address == address
        if count_rows(connection, delete(suppressions).where(mine, suppressions.c.newsletter == newsletter)):
            self._note_back(connection, newsletter, [address], now)
        everywhere = (mine, suppressions.c.newsletter == EVERY_NEWSLETTER)
        reason = connection.execute(select(suppressions.c.reason).where(*everywhere)).scalar()
        if reason is None:
            return
        connection.execute(delete(suppressions).where(*everywhere))
        self._note_back(connection, EVERY_NEWSLETTER, [address], now)
        known = union(select(subscriptions.c.newsletter), select(editions.c.newsletter)).subquery()
        others = connection.execute(select(known.c.newsletter).where(known.c.newsletter != newsletter)).scalars().all()
        for other in others:
            self.add(connection, other, [email_key], reason, now=now)

    def hashes(self, connection: Connection, email_keys: Sequence[str]) -> list[str]:
        """By what the list knows each of these addresses."""
        if not email_keys:
            return []
        secret = self._keys.secret(connection)
        return [hash_address(secret, key) for key in email_keys]

    @staticmethod
    def is_empty(connection: Connection) -> bool:
        """Whether nobody is on any list."""
        return connection.execute(select(suppressions.c.address).limit(1)).first() is None

    def among(self, connection: Connection, newsletter: str, email_keys: Sequence[str]) -> set[str]:
        """Those of these addresses that must not be mailed."""
        if self.is_empty(connection):  # as of a new newsletter: then nobody has to be hashed
            return set()
        hashed = dict(zip(self.hashes(connection, email_keys), email_keys, strict=True))
        query = select(suppressions.c.address).where(
            is_one_of(connection, suppressions.c.address, list(hashed)),
            suppressions.c.newsletter.in_((newsletter, EVERY_NEWSLETTER)),
        )
        return {hashed[address] for address in connection.execute(query).scalars()}


def hash_address(secret: str, email_key: str) -> str:
    """By what a list knows a folded address. Pure."""
    return hmac.digest(secret.encode(), email_key.encode(), hashlib.sha256).hex()
