"""What PostgreSQL's own words mean for the operator."""

from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError

from digest.errors import StoreError, StoreUnavailable

# By SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNREACHABLE = ("it cannot be reached", "check that it runs, and [store] url")
_NOT_LET_IN = ("it does not let us in", "check user and password in [store] url or DIGEST_STORE_URL")
_NO_DATABASE = ("there is no database of that name", "make it with createdb, or change [store] url")
_NO_CONNECTION_LEFT = ("it has no connection left", "raise max_connections, or run fewer workers")
_STARTING = ("it is being shut down or started", "wait until it is up again")
_FAULTS = {
    "28": _NOT_LET_IN,
    "3D000": _NO_DATABASE,
    "42501": ("this user may not do that there", "grant it the schema, or name another user in [store] url"),
    "25006": ("it cannot be written", "it is a standby, or set read-only; name the primary in [store] url"),
    "53100": ("the disk is full", "make room; nothing of this step was written"),
    "53200": ("it has no memory left", "give the server more, or run fewer workers"),
    "XX001": ("it is damaged", "restore a backup"),
    "XX002": ("it is damaged", "restore a backup"),
}
_MAY_PASS = {
    "08": _UNREACHABLE,
    "57P": _STARTING,
    "53300": _NO_CONNECTION_LEFT,
    "55P03": ("it is locked by another process", "wait until that one is done, or stop it"),
    "40": ("another process was at the same rows", "try again"),
    "25P": ("this process was halted for too long, and its transaction ended", "try again"),
    "57014": ("it was asked for what took too long, which was ended", "try again; `ANALYZE` there may help"),
}
# Who is not let in gets words alone, and no SQLSTATE.
_REFUSALS: Final[tuple[tuple[str, tuple[str, str], type[StoreError]], ...]] = (
    ("connection slots", _NO_CONNECTION_LEFT, StoreUnavailable),
    ("too many", _NO_CONNECTION_LEFT, StoreUnavailable),  # also of one role, whose name comes behind
    ('role "', _NOT_LET_IN, StoreError),
    ("does not exist", _NO_DATABASE, StoreError),
    ("authentication failed", _NOT_LET_IN, StoreError),
    ("no password supplied", _NOT_LET_IN, StoreError),
    ("pg_hba.conf", _NOT_LET_IN, StoreError),
    ("is not permitted to log in", _NOT_LET_IN, StoreError),
    ("permission denied", _NOT_LET_IN, StoreError),
    ("starting up", _STARTING, StoreUnavailable),
    ("shutting down", _STARTING, StoreUnavailable),
)


def explain(name: str, error: Exception) -> StoreError:
    """An error of the driver as ours, of the database that errors call `name`; nothing in it repeats a row."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state = getattr(original, "sqlstate", None) or ""
    for faults, kind in ((_FAULTS, StoreError), (_MAY_PASS, StoreUnavailable)):
        for code, (message, remedy) in faults.items():
            if state.startswith(code):
                return kind(name, message, remedy=remedy)
    words = " ".join(str(original).split())
    if isinstance(original, psycopg.OperationalError) and not state:
        for said, (message, remedy), refused in _REFUSALS:
            if said in words:
                return refused(name, message, remedy=remedy)
        message, remedy = _UNREACHABLE
        return StoreUnavailable(name, message, remedy=remedy)
    # Without its details, which repeat what a row holds.
    primary = original.diag.message_primary if isinstance(original, psycopg.Error) else None
    return StoreError(name, (primary or words)[:300])
