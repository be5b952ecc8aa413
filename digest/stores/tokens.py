"""Who may use the API: tokens by the hash of their secret, which itself is nowhere."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from digest.models import Scope, Token
from digest.stores.database import Database
from digest.stores.schema import api_tokens


class SqlTokens:
    """protocols.TokenStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def add(self, newsletter: str, token: Token, hashed: str) -> None:
        """Keep a new one under the hash of its secret."""
        values = {
            "id": token.id,
            "newsletter": newsletter,
            "name": token.name,
            "scopes": json.dumps(token.scopes),
            "hash": hashed,
            "created_at": token.created_at,
        }
        with self._database.write() as connection:
            connection.execute(insert(api_tokens).values(**values))

    def find(self, newsletter: str, hashed: str) -> Token | None:
        """The one with that hash; None when there is none, it was revoked, or it is another newsletter's."""
        query = select(api_tokens).where(
            api_tokens.c.hash == hashed, api_tokens.c.newsletter == newsletter, api_tokens.c.revoked_at.is_(None)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return _token(row) if row else None

    def everyone(self, newsletter: str) -> list[Token]:
        """All, the revoked ones too, the newest first."""
        query = select(api_tokens).where(api_tokens.c.newsletter == newsletter)
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(query.order_by(api_tokens.c.created_at.desc()))]

    def revoke(self, newsletter: str, number: str, *, now: datetime) -> bool:
        """End one for good; False when there is none of that id. When it was ended before, that instant stays."""
        mine = (api_tokens.c.newsletter == newsletter, api_tokens.c.id == number)
        with self._database.write() as connection:
            connection.execute(
                update(api_tokens).where(*mine, api_tokens.c.revoked_at.is_(None)).values(revoked_at=now)
            )
            return connection.execute(select(api_tokens.c.id).where(*mine)).scalar() is not None

    def note_use(self, number: str, *, now: datetime) -> None:
        """Remember when it was used last."""
        with self._database.write_fast() as connection:
            connection.execute(update(api_tokens).where(api_tokens.c.id == number).values(last_used_at=now))


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=tuple(Scope(scope) for scope in json.loads(row.scopes)),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
