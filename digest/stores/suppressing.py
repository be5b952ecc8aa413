"""Addresses that must not be mailed, as keyed hashes: they outlive the person's erasure and name nobody.

The key is made once, is kept with the data, and never changes: with another key everybody who left would be forgotten.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, or_, select
from sqlalchemy.dialects.sqlite import insert as upsert

from digest.stores.keys import SqlKeys
from digest.stores.schema import suppressions

_KEY = "suppression_key"
_EVERY_NEWSLETTER = ""


class Suppressing:
    """Who is on the list, for one newsletter or for all."""

    def __init__(self, keys: SqlKeys) -> None:
        """The key is read when it is first needed."""
        self._keys = keys
        self._secret: bytes | None = None

    def add(self, connection: Connection, newsletter: str, email_key: str, reason: str, *, now: datetime) -> None:
        """Put an address on the list of one newsletter; "" is every newsletter. The first reason stays."""
        statement = upsert(suppressions).values(
            address=self._hash(email_key, connection), newsletter=newsletter, reason=reason, created_at=now
        )
        connection.execute(statement.on_conflict_do_nothing())

    def among(self, connection: Connection, newsletter: str, email_keys: Sequence[str]) -> set[str]:
        """Those of these addresses that must not be mailed."""
        hashed = {self._hash(email_key, connection): email_key for email_key in email_keys}
        wanted, found = sorted(hashed), set()
        for start in range(0, len(wanted), 500):
            query = select(suppressions.c.address).where(
                suppressions.c.address.in_(wanted[start : start + 500]),
                or_(suppressions.c.newsletter == newsletter, suppressions.c.newsletter == _EVERY_NEWSLETTER),
            )
            found |= {hashed[address] for address in connection.execute(query).scalars()}
        return found

    def _hash(self, email_key: str, connection: Connection) -> str:
        if self._secret is None:
            self._secret = self._keys.key_in(connection, _KEY, lambda: secrets.token_hex(32)).encode()
        return hmac.new(self._secret, email_key.encode(), hashlib.sha256).hexdigest()
