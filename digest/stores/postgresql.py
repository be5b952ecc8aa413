"""PostgreSQL: one database for many machines.

The rule of `database` holds here by an advisory lock: of all that use `write`, `write_fast` and `write_bulk`, one at a
time is at work, as with SQLite. Senders use `write_beside` and `write_marks`, and lock rows: any number of them are at
work at once. A view is of one moment (REPEATABLE READ).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.abc import Buffer
from psycopg.types.string import StrDumper
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.schema import CreateTable

from digest.errors import ConfigError, StoreError, StoreUnavailable
from digest.stores import patience
from digest.stores.columns import passing
from digest.stores.database import OPTION, Database, Spelling
from digest.stores.dumping import MAGIC, dump, restore
from digest.stores.files import begins_with
from digest.stores.partitions import add_months, following, holds_only, list_months, name_table
from digest.stores.postgresql_faults import explain
from digest.stores.schema import metadata

_WRITERS: Final = 0x64696765_7374  # "digest": the number of the advisory lock that writers take
_MONTHS: Final = _WRITERS + 1  # of that which who makes a month takes
_LOCK_SECONDS: Final = 10.0
_LOCK_TRIES: Final = 20  # in that time, for locks that would hold up senders
_IDLE_SECONDS: Final = 60  # a sender that was halted in a transaction is thrown out: others wait for its locks
# Single statements: a mark is one of milliseconds; some thousands of plans, or what an edition gives up, one of many
# seconds. See patience for what is read.
_MARKING_SECONDS: Final = 60.0
_LONG_SECONDS: Final = 3600.0
_SCRATCH: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
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
CONNECTIONS: Final = 64  # at once, of one process: more than its threads are
_KEPT: Final = 16  # more than that are closed when they are done with: opening one takes longer than most that it does
_POOL_SECONDS: Final = 30.0  # for another thread to be done with one
_SET_UP: Final = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"

# What composing an edition never writes, and what there may be millions of.
_AUDIENCE: Final = frozenset(
    "people subscriptions suppressions imports deliveries batches events counts tallies journal_lines".split()
)
_TAKEN_IN: Final = frozenset(["people", "subscriptions", "suppressions", "imports"])


class PostgresDatabase(Database):
    """A database of a PostgreSQL server."""

    keeps_marks = True
    has_clock = True
    spelling = Spelling(value="%s", among="= ANY(%s)", lock="FOR UPDATE", pack=lambda value: value)

    def __init__(self, url: str | URL, *, connections: int = CONNECTIONS) -> None:
        """Connects to nothing yet. Raises ConfigError for a URL that is none, and never repeats it.

        At most so many connections at once, of which some stay open: each is made when it is first needed.
        """
        super().__init__()
        self._url = _read_url(url)
        place = f"{self._url.host or 'the local socket'}{f':{self._url.port}' if self._url.port else ''}"
        self.name = f"database {self._url.database or self._url.username or ''} on {place}"
        self.engine: Engine = create_engine(
            self._url,
            connect_args={name: value for name, value in _CONNECT.items() if name not in self._url.query},
            pool_size=min(_KEPT, connections),
            max_overflow=max(0, connections - _KEPT),
            pool_use_lifo=True,  # those that are needed rarely rest
            pool_timeout=_POOL_SECONDS,
            isolation_level="AUTOCOMMIT",  # how a transaction begins is ours
        )
        self._lock_seconds = _LOCK_SECONDS
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
        """The server's version. Raises StoreError."""
        return {"server": f"PostgreSQL {self._ask('server_version')}"}

    def find_risk(self) -> str | None:
        """Whether a power cut of the server may take what it said was written. Raises StoreError.

        That it may forget its last commits (synchronous_commit) is no risk: writers who need them say so.
        """
        if self._ask("fsync") == "off":
            return "fsync is off: a power cut of the server may destroy everything"
        if self._ask("full_page_writes") == "off":
            return "full_page_writes is off: a power cut of the server may damage pages that were being written"
        return None

    def _ask(self, setting: str) -> str:
        with self.read() as connection:
            return str(connection.execute(select(func.current_setting(setting))).scalar())

    def clock(self) -> datetime:
        """The server's, which all machines share. Raises StoreError."""
        with self.read() as connection:
            now: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return now.astimezone(UTC)

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """By an advisory lock, which goes with its connection: also when this process is killed. Raises StoreError."""
        number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
        with self.engine.connect() as held:
            try:
                held.execution_options(**{OPTION: "session"})
                is_alone = bool(held.execute(select(func.pg_try_advisory_lock(number))).scalar())
            except DBAPIError as error:
                raise self.explain(error) from None
            try:
                yield is_alone
            finally:
                with suppress(DBAPIError):  # lost: so is the lock
                    if is_alone:
                        held.execute(select(func.pg_advisory_unlock(number)))

    def stamp(self) -> str:
        """How many rows were ever written: the server counts them. Raises StoreError."""
        counted = (
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) "
            "FROM pg_stat_user_tables WHERE schemaname = current_schema() "
            "AND left(relname, 14) <> 'procrastinate_' AND left(relname, 7) <> 'engine_' "
            "AND relname <> 'workers'"  # there hearts beat
        )
        with self.read() as connection:
            return str(connection.exec_driver_sql(counted).scalar())

    def back_up(self, target: Path) -> None:
        """By pg_dump. Raises StoreError."""
        dump(self._url, self.name, target)

    def restore(self, backup: Path, notes: Mapping[str, str]) -> None:
        """By pg_restore. Raises StoreError."""
        if not begins_with(backup, MAGIC):
            remedy = "make one with `digest db backup`; `digest db copy` moves a SQLite file here"
            raise StoreError(str(backup), "it is no dump of PostgreSQL's", remedy=remedy)
        restore(self._url, self.name, backup, notes)

    def scratch(self, *, takes_readers: bool = False) -> "Database":
        """This database, with tables of one's own in front of those that are written. Raises StoreError."""
        kept = _AUDIENCE - _TAKEN_IN if takes_readers else _AUDIENCE
        return _Scratch(self._url, [table for table in metadata.sorted_tables if table.name not in kept])

    def make_room(self, month: date) -> None:
        """A table for the deliveries of that month, and ahead of its time one for the next. Raises StoreError."""
        ahead = following(month)
        with self.read() as connection:
            missing = {month, ahead} - set(list_months(connection))
        if month in missing:
            self._add_month(month, _LOCK_TRIES)
        if ahead in missing:
            with suppress(StoreUnavailable):  # there is time
                self._add_month(ahead, 1)

    def _add_month(self, month: date, tries: int) -> None:
        self._change_months(lambda connection: add_months(connection, [month]), tries)

    def drop_month(self, month: date, numbers: Collection[int]) -> None:
        """With its table, under a lock for which everybody waits. Its tallies stay.

        Raises StoreUnavailable where the lock cannot be had.
        """

        def drop(connection: Connection) -> None:
            # In the order in which everybody takes them; then nobody adds to it while we look.
            names = f"deliveries, {name_table(month)}"
            connection.exec_driver_sql(f"LOCK TABLE ONLY {names} IN ACCESS EXCLUSIVE MODE")
            if holds_only(connection, month, numbers):
                connection.exec_driver_sql(f"DROP TABLE {name_table(month)}")

        self._change_months(drop, _LOCK_TRIES)

    def _change_months(self, change: Callable[[Connection], None], tries: int) -> None:
        """Beside others, who must not be kept waiting by one that waits."""
        for left in reversed(range(tries)):
            try:
                with self.write_beside() as connection:
                    connection.exec_driver_sql(
                        f"SET LOCAL lock_timeout = {int(self._lock_seconds * 1000 / _LOCK_TRIES)};"
                        f" SELECT pg_advisory_xact_lock({_MONTHS})"
                    )
                    change(connection)
            except StoreUnavailable:
                if not left:
                    raise
            else:
                return

    def delete(self) -> None:
        """Remove a scratch database."""
        self.close()

    def is_own_error(self, error: Exception) -> bool:
        """Whether it is one of psycopg's."""
        return isinstance(error, psycopg.Error)

    def begin_straight(self, cursor: Any, about: MutableMapping[Any, Any], *, lasting: bool) -> None:
        """In one exchange, that is never prepared: the server prepares single statements only."""
        steps = self._begin_beside(_MARKING_SECONDS)
        if not lasting:
            steps.append("SET LOCAL synchronous_commit = off")
        elif about.get(_FORGETS):
            steps.append("SET LOCAL synchronous_commit = on")
        cursor.execute("; ".join(steps).encode(), prepare=False)

    def explain(self, error: Exception) -> StoreError:
        """What the database's own words mean for the operator."""
        return explain(self.name, error)

    def _set_up(self, connection: psycopg.Connection[Any], record: Any) -> None:
        connection.autocommit = True
        connection.adapters.register_dumper(str, _WithoutNul)
        connection.execute(_SET_UP)
        row = connection.execute("SHOW synchronous_commit").fetchone()
        record.info[_FORGETS] = row is not None and row[0] == "off"

    def _begin_beside(self, most: float) -> list[str]:
        return [
            "BEGIN ISOLATION LEVEL READ COMMITTED",
            _end_after(most),
            f"SET LOCAL lock_timeout = {int(self._lock_seconds * 1000)}",
            f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'",
        ]

    def _start(self, connection: Connection) -> None:
        """As one statement, since each is a way to the server and back."""
        kind = connection.get_execution_options().get(OPTION)
        if kind == "session":  # no transaction: it would keep the database from tidying up for as long as it lasts
            return
        if kind in {"read", "reading"}:
            most = patience.seconds() if kind == "read" else _LONG_SECONDS
            connection.exec_driver_sql(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_end_after(most)}")
            return
        steps = self._begin_beside(_MARKING_SECONDS if kind == "marking" else _LONG_SECONDS)
        if kind == "upgrade":  # which waits for another upgrade, and takes as long as it takes
            steps[1:1] = ["SET LOCAL lock_timeout = 0", _end_after(0), f"SELECT pg_advisory_xact_lock({_WRITERS})"]
            steps.append(_end_after(0))
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

    def begin_straight(self, cursor: Any, about: MutableMapping[Any, Any], *, lasting: bool) -> None:  # noqa: ARG002
        """As all others: what a scratch database is told lasts as long as it does."""
        cursor.execute(_SCRATCH)

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:  # noqa: ARG002
        """Always: there is one connection, and nobody else."""
        yield True

    def _start(self, connection: Connection) -> None:
        connection.exec_driver_sql(_SCRATCH)


def _end_after(seconds: float) -> str:
    """A statement that goes on for longer is ended; 0: none is."""
    return f"SET LOCAL statement_timeout = {int(seconds * 1000)}"


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
    """A URL for the driver that we have. Raises ConfigError, which never repeats what may hold a password."""
    try:
        read = make_url(url)
    except (ArgumentError, ValueError):
        remedy = 'write "postgresql+psycopg://user@host/name"'
        raise ConfigError("[store] url", "it is no address of a database", remedy=remedy) from None
    if read.drivername not in {"postgresql", "postgresql+psycopg"}:
        remedy = 'begin it with "postgresql+psycopg://"'
        raise ConfigError("[store] url", f"{read.drivername} is a driver that Digest does not use", remedy=remedy)
    return read.set(drivername="postgresql+psycopg")
