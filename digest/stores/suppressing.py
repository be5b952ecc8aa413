"""Addresses that must not be mailed, as keyed hashes: they outlive the person's erasure and name nobody.

The key is made with the first suppression, is kept with the data, and never changes: with another key everybody who
left would be forgotten. It is read each time and never remembered, since one that was made in a transaction that then
failed must not be used again.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select, union, update

from digest.stores.database import upsert
from digest.stores.keys import SqlKeys
from digest.stores.schema import editions, subscriptions, suppressions

_KEY = "suppression_key"
_EVERY_NEWSLETTER = ""


class Suppressing:
    """Who is on the list, for one newsletter or for all."""

    def __init__(self, keys: SqlKeys) -> None:
        """Reads nothing yet."""
        self._keys = keys

    def add(
        self, connection: Connection, newsletter: str, email_keys: Sequence[str], reason: str, *, now: datetime
    ) -> None:
        """Put addresses on the list of one newsletter; "" is every newsletter. The first reason stays."""
        secret = self._keys.key_in(connection, _KEY, lambda: secrets.token_hex(32))
        rows = [
            {"address": _hash(secret, key), "newsletter": newsletter, "reason": reason, "created_at": now}
            for key in email_keys
        ]
        if rows:
            connection.execute(upsert(suppressions).on_conflict_do_nothing(), rows)

    def add_complaints(self, connection: Connection, email_keys: Sequence[str], *, now: datetime) -> None:
        """Put addresses on the list of every newsletter as those of people who complained, also where they bounced."""
        self.add(connection, _EVERY_NEWSLETTER, email_keys, "complained", now=now)
        secret = self._keys.kept_in(connection, _KEY)
        for chunk in _chunks([_hash(secret, key) for key in email_keys] if secret else []):
            connection.execute(
                update(suppressions)
                .where(
                    suppressions.c.address.in_(chunk),
                    suppressions.c.newsletter == _EVERY_NEWSLETTER,
                    suppressions.c.reason == "bounced",
                )
                .values(reason="complained")
            )

    def complained(self, connection: Connection, newsletter: str, email_keys: Sequence[str]) -> set[str]:
        """Those of these addresses that this newsletter, or all, must not mail for more than bounces and leaving."""
        hashed = dict(zip(self.hashes(connection, email_keys), email_keys, strict=True))
        found: set[str] = set()
        for chunk in _chunks(sorted(address for address in hashed if address)):
            query = select(suppressions.c.address).where(
                suppressions.c.address.in_(chunk),
                suppressions.c.newsletter.in_((newsletter, _EVERY_NEWSLETTER)),
                suppressions.c.reason.in_(("complained", "erased")),
            )
            found |= {hashed[address] for address in connection.execute(query).scalars()}
        return found

    def reasons(self, connection: Connection, email_keys: Sequence[str]) -> dict[str, tuple[str, datetime]]:
        """Why, and since when, those of these addresses that are on the list of every newsletter are."""
        secret = self._keys.kept_in(connection, _KEY)
        if secret is None:
            return {}
        hashed = {_hash(secret, key): key for key in email_keys}
        found: dict[str, tuple[str, datetime]] = {}
        for chunk in _chunks(sorted(hashed)):
            query = select(suppressions.c.address, suppressions.c.reason, suppressions.c.created_at).where(
                suppressions.c.address.in_(chunk), suppressions.c.newsletter == _EVERY_NEWSLETTER
            )
            found |= {hashed[row.address]: (row.reason, row.created_at) for row in connection.execute(query)}
        return found

    def lift_bounces(self, connection: Connection, email_keys: Sequence[str]) -> None:
        """Take addresses off the list of every newsletter that are on it for bounces, and for nothing else."""
        secret = self._keys.kept_in(connection, _KEY)
        for chunk in _chunks([_hash(secret, key) for key in email_keys] if secret else []):
            connection.execute(
                delete(suppressions).where(
                    suppressions.c.address.in_(chunk),
                    suppressions.c.newsletter == _EVERY_NEWSLETTER,
                    suppressions.c.reason == "bounced",
                )
            )

    def name(self, connection: Connection, words: str) -> str:
        """What anything is counted by that must not be kept in clear; within a writing transaction."""
        return _hash(self._keys.key_in(connection, _KEY, lambda: secrets.token_hex(32)), words)

    def lift(self, connection: Connection, newsletter: str, email_key: str, *, now: datetime) -> None:
        """Let one newsletter mail an address again. What kept it from all keeps it from the others that are known."""
        (address,) = self.hashes(connection, [email_key])
        if address is None:
            return
        mine = suppressions.c.address == address
        connection.execute(delete(suppressions).where(mine, suppressions.c.newsletter == newsletter))
        everywhere = (mine, suppressions.c.newsletter == _EVERY_NEWSLETTER)
        reason = connection.execute(select(suppressions.c.reason).where(*everywhere)).scalar()
        if reason is None:
            return
        connection.execute(delete(suppressions).where(*everywhere))
        known = union(select(subscriptions.c.newsletter), select(editions.c.newsletter)).subquery()
        others = connection.execute(select(known.c.newsletter).where(known.c.newsletter != newsletter)).scalars().all()
        for other in others:
            self.add(connection, other, [email_key], reason, now=now)

    def hashes(self, connection: Connection, email_keys: Sequence[str]) -> list[str | None]:
        """By what the list knows each of these addresses; None for all while nothing was ever put on it."""
        secret = self._keys.kept_in(connection, _KEY)
        return [_hash(secret, key) if secret else None for key in email_keys]

    def among(self, connection: Connection, newsletter: str, email_keys: Sequence[str]) -> set[str]:
        """Those of these addresses that must not be mailed."""
        secret = self._keys.kept_in(connection, _KEY)
        if secret is None:  # nobody was ever put on a list
            return set()
        hashed = {_hash(secret, email_key): email_key for email_key in email_keys}
        wanted, found = sorted(hashed), set()
        for start in range(0, len(wanted), 500):
            query = select(suppressions.c.address).where(
                suppressions.c.address.in_(wanted[start : start + 500]),
                or_(suppressions.c.newsletter == newsletter, suppressions.c.newsletter == _EVERY_NEWSLETTER),
            )
            found |= {hashed[address] for address in connection.execute(query).scalars()}
        return found


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), 500):
        yield values[start : start + 500]


def _hash(secret: str, email_key: str) -> str:
    return hmac.digest(secret.encode(), email_key.encode(), hashlib.sha256).hex()
