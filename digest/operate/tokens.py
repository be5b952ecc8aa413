"""Tokens for the API: a secret that is shown once, and what is kept of it."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from digest.errors import ConfigError, StoreError
from digest.models import Scope, Token

if TYPE_CHECKING:
    from digest.app import App

PREFIX: Final = "digest_"  # so that scanners for leaked secrets, and people, know one when they see it
_SECRET: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_NOTED_EVERY: Final = timedelta(minutes=1)  # a write for each request would cost more than the request
_LONGEST_NAME: Final = 80


def read_scopes(names: Sequence[str]) -> tuple[Scope, ...]:
    """Scopes by name; "all" is all of them. Raises ConfigError."""
    if not names:
        raise ConfigError("scopes", "none is named", remedy=f"--scope all, or some of {_known()}")
    unknown = [name for name in names if name != "all" and name not in set(Scope)]
    if unknown:
        raise ConfigError(f'scope "{unknown[0]}"', "there is none of that name", remedy=f"one of all, {_known()}")
    return tuple(scope for scope in Scope if scope.value in names or "all" in names)


def create_token(app: "App", name: str, scopes: Sequence[Scope]) -> tuple[Token, str]:
    """A new one, and its secret of 256 bits, which is kept nowhere. Raises ConfigError."""
    words = " ".join(name.split())
    if not words or len(words) > _LONGEST_NAME:
        remedy = "name the program that will have it"
        raise ConfigError("token", f"its name has to have 1 to {_LONGEST_NAME} characters", remedy=remedy)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = Token(id=secrets.token_hex(4), name=words, scopes=tuple(scopes), created_at=app.clock())
    app.store.tokens.add(app.config.newsletter.slug, token, _hash(secret))
    return token, secret


def authenticate(app: "App", secret: str) -> Token | None:
    """The token of a secret; None when it is none of this newsletter's. Raises StoreError.

    A secret of 256 random bits is looked up by its plain hash: nobody guesses it, so a slow hash would protect nothing,
    and no comparison's time tells anything.
    """
    if not _SECRET.fullmatch(secret):
        return None
    token = app.store.tokens.find(app.config.newsletter.slug, _hash(secret))
    now = app.clock()
    if token and (token.last_used_at is None or now - token.last_used_at >= _NOTED_EVERY):
        with suppress(StoreError):  # what is asked for may only read, and the database be written by another
            app.store.tokens.note_use(token.id, now=now)
    return token


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _known() -> str:
    return ", ".join(Scope)
