"""PostgreSQL: one database for many machines.

The rule of `database` holds here by an advisory lock: of all that use `write`, `write_fast` and `write_bulk`, one at a
time is at work, as with SQLite. Senders use `write_beside` and `write_marks`, and lock rows: any number of them are at
work at once. A view is of one moment (REPEATABLE READ).
"""

from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from digest.errors import StoreError, StoreUnavailable
from digest.stores.database import OPTION, Database, Spelling

_WRITERS = 0x64696765_7374  # "digest": the number of the advisory lock that writers take
_CONNECT_SECONDS = 10
_LOCK_SECONDS = 10

# By SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_FAULTS = {
    "28": ("it does not let us in", "check user and password in [store] url or DIGEST_STORE_URL"),
    "3D000": ("there is no database of that name", "make it with createdb, or change [store] url"),
    "42501": ("this user may not do that there", "grant it the schema, or name another user in [store] url"),
    "25006": ("it cannot be written", "it is a standby, or set read-only; name the primary in [store] url"),
    "53100": ("the disk is full", "make room; nothing of this step was written"),
}
_MAY_PASS = {
    "08": ("it cannot be reached", "check that it runs, and [store] url"),
    "57P": ("it is being shut down or started", "wait until it is up again"),
    "53300": ("it has no connection left", "raise max_connections, or run fewer workers"),
    "55P03": ("it is locked by another process", "wait until that one is done, or stop it"),
    "40": ("another process was at the same rows", "try again"),
}


class PostgresDatabase(Database):
    """A database of a PostgreSQL server."""

    keeps_marks = True
    spelling = Spelling(value="%s", among="= ANY(%s)", lock="FOR UPDATE", pack=list)

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises StoreError for a URL that is none, and never repeats it."""
        super().__init__()
        try:
            self._url = make_url(url)
        except (ArgumentError, ValueError):
            remedy = 'write "postgresql+psycopg://user@host/name"'
            raise StoreError("[store] url", "it is no address of a database", remedy=remedy) from None
        place = f"{self._url.host or 'the local socket'}{f':{self._url.port}' if self._url.port else ''}"
        self.name = f"database {self._url.database or ''} on {place}"
        self.engine: Engine = create_engine(
            self._url,
            connect_args={"connect_timeout": _CONNECT_SECONDS, "application_name": "digest"},
            pool_pre_ping=False,
            pool_size=4,
            max_overflow=60,
            isolation_level="AUTOCOMMIT",  # how a transaction begins is ours
        )
        event.listen(self.engine, "begin", _begin)

    def exists(self) -> bool:
        """It is there when it can be asked. Raises StoreError."""
        with self.read() as connection:
            connection.exec_driver_sql("SELECT 1")
        return True

    def prepare(self) -> None:
        """Nothing."""

    def find_damage(self) -> str | None:
        """PostgreSQL looks after that itself; None."""
        self.exists()
        return None

    def back_up(self, target: Path) -> None:
        """Raises StoreError: the server's own tools do that."""
        raise NotImplementedError(target)

    def scratch(self) -> Database:
        """One to work on."""
        raise NotImplementedError

    def delete(self) -> None:
        """Remove a scratch database."""
        self.engine.dispose()

    def is_own_error(self, error: Exception) -> bool:
        """Whether it is one of psycopg's."""
        return isinstance(error, psycopg.Error)

    def begin_straight(self, cursor: psycopg.Cursor[tuple[object, ...]], *, lasting: bool) -> None:
        """In one exchange."""
        begin = f"BEGIN; SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"
        cursor.execute((begin if lasting else f"{begin}; SET LOCAL synchronous_commit = off").encode(), prepare=False)

    def explain(self, error: Exception) -> StoreError:
        """What the database's own words mean for the operator."""
        original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        state = getattr(original, "sqlstate", None) or ""
        for faults, kind in ((_FAULTS, StoreError), (_MAY_PASS, StoreUnavailable)):
            for code, (message, remedy) in faults.items():
                if state.startswith(code):
                    return kind(self.name, message, remedy=remedy)
        if isinstance(original, psycopg.OperationalError) and not state:
            message, remedy = _MAY_PASS["08"]
            return StoreUnavailable(self.name, message, remedy=remedy)
        return StoreError(self.name, " ".join(str(original).split())[:300])


def _begin(connection: Connection) -> None:
    match connection.get_execution_options().get(OPTION):
        case "durable" | "fast" | "bulk" as kind:
            commit = "on" if kind == "durable" else "off"
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            connection.exec_driver_sql(f"SET LOCAL synchronous_commit = {commit}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
        case "beside" | "marking":
            # A mark that the server forgot in a crash of its own would send a message twice: it waits for the disk.
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        case _:
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
