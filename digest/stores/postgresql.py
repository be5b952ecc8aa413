"""PostgreSQL: one database for many machines.

The rule of `database` holds here by an advisory lock: of all that use `write`, `write_fast` and `write_bulk`, one at a
time is at work, as with SQLite. Senders use `write_beside` and `write_marks`, and lock rows: any number of them are at
work at once. A view is of one moment (REPEATABLE READ).
"""

from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.abc import Buffer
from psycopg.types.string import StrDumper
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.schema import CreateTable

from digest.errors import StoreError, StoreUnavailable
from digest.stores.columns import passing
from digest.stores.database import OPTION, Database, Spelling
from digest.stores.schema import metadata

_WRITERS: Final = 0x64696765_7374  # "digest": the number of the advisory lock that writers take
_LOCK_SECONDS: Final = 10
_IDLE_SECONDS: Final = 60  # a sender that was halted in a transaction is thrown out: others wait for its locks
_BESIDE: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED",
    f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'",
    f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'",
)
_FORGETS: Final = "digest_forgets"  # whether this connection would tell of a commit before it is on the disk

# Who is cut off from the server, or the server from them, learns of it within a minute.
_CONNECT: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "client_encoding": "utf8",
    "application_name": "digest",
}
_SET_UP: Final = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"

# What composing an edition never writes, and what there may be millions of.
_AUDIENCE: Final = frozenset(
    ["people", "subscriptions", "suppressions", "imports", "deliveries", "batches", "events", "counts"]
)
_TAKEN_IN: Final = frozenset(["people", "subscriptions", "suppressions", "imports"])

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
    "57014": ("it ended what took too long", "raise statement_timeout, or try again"),
}
# Who is not let in gets words alone, and no SQLSTATE.
_REFUSALS: Final[tuple[tuple[str, tuple[str, str], type[StoreError]], ...]] = (
    ("does not exist", _NO_DATABASE, StoreError),
    ("authentication failed", _NOT_LET_IN, StoreError),
    ("no password supplied", _NOT_LET_IN, StoreError),
    ("pg_hba.conf", _NOT_LET_IN, StoreError),
    ("is not permitted to log in", _NOT_LET_IN, StoreError),
    ("permission denied", _NOT_LET_IN, StoreError),
    ("connection slots", _NO_CONNECTION_LEFT, StoreUnavailable),
    ("too many", _NO_CONNECTION_LEFT, StoreUnavailable),
    ("starting up", _STARTING, StoreUnavailable),
    ("shutting down", _STARTING, StoreUnavailable),
)


class PostgresDatabase(Database):
    """A database of a PostgreSQL server."""

    keeps_marks = True
    spelling = Spelling(value="%s", among="= ANY(%s)", lock="FOR UPDATE", pack=list)

    def __init__(self, url: str | URL, *, connections: int = 64) -> None:
        """Connects to nothing yet. Raises StoreError for a URL that is none, and never repeats it."""
        super().__init__()
        self._url = _read_url(url)
        place = f"{self._url.host or 'the local socket'}{f':{self._url.port}' if self._url.port else ''}"
        self.name = f"database {self._url.database or ''} on {place}"
        self.engine: Engine = create_engine(
            self._url,
            connect_args={name: value for name, value in _CONNECT.items() if name not in self._url.query},
            pool_size=min(4, connections),
            max_overflow=max(0, connections - 4),
            isolation_level="AUTOCOMMIT",  # how a transaction begins is ours
        )
        event.listen(self.engine, "connect", self._set_up)
        event.listen(self.engine, "begin", self._start)

    def exists(self) -> bool:
        """It is there when it can be asked. Raises StoreError."""
        with self.read() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            remedy = "make another with createdb --encoding=UTF8 --template=template0"
            raise StoreError(self.name, f"it keeps text as {encoding}, and not every letter as UTF8", remedy=remedy)
        return True

    def prepare(self) -> None:
        """Nothing."""

    def find_damage(self) -> str | None:
        """PostgreSQL looks after that itself; None."""
        self.exists()
        return None

    def describe(self) -> dict[str, str]:
        """Its version, and whether what it was told survives a power cut of its machine. Raises StoreError."""
        with self.read() as connection:
            version, fsync, commit = connection.exec_driver_sql(
                "SELECT current_setting('server_version'), current_setting('fsync'), "
                "current_setting('synchronous_commit')"
            ).one()
        durability = "claims and marks wait for the disk"
        if fsync == "off":
            durability = "RISK: fsync is off, a power cut may destroy everything; set it on"
        elif commit == "off":
            durability += ", though synchronous_commit is off"
        return {"server": f"PostgreSQL {version}", "durability": durability}

    def back_up(self, target: Path) -> None:
        """Raises StoreError: the server's own tools do that."""
        raise NotImplementedError(target)

    def scratch(self, *, takes_readers: bool = False) -> "Database":
        """This database, with tables of one's own in front of those that are written. Raises StoreError."""
        kept = _AUDIENCE - _TAKEN_IN if takes_readers else _AUDIENCE
        return _Scratch(self._url, [table for table in metadata.sorted_tables if table.name not in kept])

    def delete(self) -> None:
        """Remove a scratch database."""
        self.close()

    def is_own_error(self, error: Exception) -> bool:
        """Whether it is one of psycopg's."""
        return isinstance(error, psycopg.Error)

    def begin_straight(self, cursor: Any, about: MutableMapping[Any, Any], *, lasting: bool) -> None:
        """In one exchange, that is never prepared: the server prepares single statements only."""
        steps = list(_BESIDE)
        if not lasting:
            steps.append("SET LOCAL synchronous_commit = off")
        elif about.get(_FORGETS):
            steps.append("SET LOCAL synchronous_commit = on")
        cursor.execute("; ".join(steps).encode(), prepare=False)

    def explain(self, error: Exception) -> StoreError:
        """What the database's own words mean for the operator."""
        original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        state = getattr(original, "sqlstate", None) or ""
        for faults, kind in ((_FAULTS, StoreError), (_MAY_PASS, StoreUnavailable)):
            for code, (message, remedy) in faults.items():
                if state.startswith(code):
                    return kind(self.name, message, remedy=remedy)
        words = " ".join(str(original).split())
        if isinstance(original, psycopg.OperationalError) and not state:
            for said, (message, remedy), refused in _REFUSALS:
                if said in words:
                    return refused(self.name, message, remedy=remedy)
            message, remedy = _UNREACHABLE
            return StoreUnavailable(self.name, message, remedy=remedy)
        return StoreError(self.name, words[:300])

    def _set_up(self, connection: psycopg.Connection[Any], record: Any) -> None:
        connection.autocommit = True
        connection.adapters.register_dumper(str, _WithoutNul)
        connection.execute(_SET_UP)
        row = connection.execute("SHOW synchronous_commit").fetchone()
        record.info[_FORGETS] = row is not None and row[0] == "off"

    def _start(self, connection: Connection) -> None:
        """As one statement, since each is a way to the server and back."""
        kind = connection.get_execution_options().get(OPTION)
        if kind == "read":
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        steps = list(_BESIDE)
        if kind in {"fast", "bulk"}:
            steps.append("SET LOCAL synchronous_commit = off")
        elif connection.info.get(_FORGETS):
            # A mark that the server forgot in a crash of its own would send a message twice: it waits for the disk.
            steps.append("SET LOCAL synchronous_commit = on")
        if kind in {"durable", "fast", "bulk"}:
            steps.append(f"SELECT pg_advisory_xact_lock({_WRITERS})")
        connection.exec_driver_sql("; ".join(steps))


class _Scratch(PostgresDatabase):
    """A database in front of which stand temporary tables, of one connection; they go with it, whatever happens.

    What is written goes to these. Every transaction is read-only, which PostgreSQL lets write temporary tables alone,
    and nothing is locked that a sender would wait for. Threads take turns.
    """

    def __init__(self, url: URL, tables: Iterable[Table]) -> None:
        """Makes the tables, and fills them. Raises StoreError."""
        super().__init__(url, connections=1)
        self._tables = list(tables)
        self._is_made = False
        try:
            with self.read():
                pass
        except StoreError:
            self.close()
            raise

    def _set_up(self, connection: psycopg.Connection[Any], record: Any) -> None:
        super()._set_up(connection, record)
        if self._is_made:
            connection.close()
            raise StoreUnavailable(self.name, "the connection was lost, and what was tried there", remedy="try again")
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            (schema,) = connection.execute("SELECT quote_ident(current_schema())").fetchone() or ("public",)
            for table in self._tables:
                for step in _copy_steps(table, schema):
                    connection.execute(step.encode())
            for table in passing.sorted_tables:
                connection.execute(str(CreateTable(table).compile(dialect=self.engine.dialect)).encode())
        self._is_made = True

    def _start(self, connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")


def _copy_steps(table: Table, schema: str) -> list[str]:
    """How a table gets a temporary one of the same name in front of it, with the same rows."""
    name = table.name
    steps = [
        f"CREATE TEMPORARY TABLE {name} (LIKE {name} INCLUDING ALL)",
        f"INSERT INTO pg_temp.{name} SELECT * FROM {schema}.{name}",  # noqa: S608 - our own names
        f"ANALYZE pg_temp.{name}",
    ]
    steps += [
        f"SELECT setval(pg_get_serial_sequence('pg_temp.{name}', '{column.name}'), max({column.name})) FROM {name}"  # noqa: S608
        for column in table.columns
        if column.identity
    ]
    return steps


class _WithoutNul(StrDumper):
    """PostgreSQL takes no NUL in text, and strangers write it: into titles, names, and what servers answer."""

    def dump(self, obj: str) -> Buffer | None:
        """As ever."""
        return super().dump(obj.replace("\0", "") if "\0" in obj else obj)


def _read_url(url: str | URL) -> URL:
    """A URL for the driver that we have. Raises StoreError, which never repeats what may hold a password."""
    try:
        read = make_url(url)
    except (ArgumentError, ValueError):
        remedy = 'write "postgresql+psycopg://user@host/name"'
        raise StoreError("[store] url", "it is no address of a database", remedy=remedy) from None
    if read.drivername not in {"postgresql", "postgresql+psycopg"}:
        remedy = 'begin it with "postgresql+psycopg://"'
        raise StoreError("[store] url", f"{read.drivername} is a driver that Digest does not use", remedy=remedy)
    return read.set(drivername="postgresql+psycopg")
