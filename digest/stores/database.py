"""The one way to the database: connections, transactions, and its faults as StoreErrors.

The only place that knows which database it is. SQLite runs with a write-ahead log: readers never wait for a writer. A
writer takes its lock at once (BEGIN IMMEDIATE), so that nothing it read can change before it writes.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import URL, Column, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as _insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from digest.errors import StoreError

_BUSY_SECONDS = 10.0
_OPTION = "digest_begin"
_BULK_PAGES = 32_000  # of the write-ahead log, 128 MB: with 1,000, each commit of an import writes most pages twice
_CACHE_KB = 20_000  # pages of a connection: with SQLite's own 2 MB, imports of a million wait for the disk

# By SQLite's primary result code, https://sqlite.org/rescode.html: what it means for the operator, and the remedy.
_LOCKED = ("it is locked by another process", "wait until that one is done, or stop it")
_UNSOUND = ("it is no sound database", "restore a backup, or name another file in [store] url")
_FAULTS = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: ("the disk is full", "make room; nothing of this step was written"),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "check the permissions of it and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check that its folder is there and may be written"),
    sqlite3.SQLITE_IOERR: (
        "the disk failed to read or write it",
        "check the disk, its quota and limits; nothing of this step was written",
    ),
    sqlite3.SQLITE_NOTADB: _UNSOUND,
    sqlite3.SQLITE_CORRUPT: _UNSOUND,
}


def upsert(table: Table) -> Insert:
    """An INSERT that can say ON CONFLICT: each dialect of SQLAlchemy has its own, with the same methods."""
    return _insert(table)


def fill(connection: Connection, columns: Sequence[Column[Any]], rows: Iterable[tuple[object, ...]]) -> None:
    """Many rows into some columns of a table; past SQLAlchemy, which takes longer than the database."""
    names, marks = ", ".join(f'"{column.name}"' for column in columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {columns[0].table.name} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
    with closing(connection.connection.cursor()) as cursor:
        cursor.executemany(statement, rows)  # type: ignore[arg-type]  # sqlite3 takes any iterable


class Database:
    """A SQLite database file."""

    def __init__(self, path: Path) -> None:
        """Opens nothing yet."""
        self.path = path
        self.engine: Engine = create_engine(
            URL.create("sqlite", database=str(path)),
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        )
        event.listen(self.engine, "connect", _set_up)
        event.listen(self.engine, "begin", _begin)

    @classmethod
    def at(cls, url: str) -> "Database":
        """The database of a URL, `sqlite:///PATH`. Raises StoreError, which never repeats what may hold a password."""
        path = url.removeprefix("sqlite:///")
        if path == url:
            raise StoreError("[store] url", "it names no SQLite file", remedy='write "sqlite:///digest.db"')
        if path in {"", ":memory:"}:
            raise StoreError(
                "[store] url",
                "a database in memory forgets who was mailed",
                remedy='name a file, as in "sqlite:///digest.db"',
            )
        return cls(Path(path))

    def exists(self) -> bool:
        """Whether the file is there. Raises StoreError when its folder is not, or may not be looked into."""
        folder = self.path.parent
        try:
            if not folder.is_dir():
                remedy = f"make {folder}, or change [store] url"
                raise StoreError(str(self.path), "its folder is not there", remedy=remedy)
            return self.path.exists()
        except PermissionError:
            remedy = f"let this user into {folder}, or change [store] url"
            raise StoreError(str(self.path), "it may not be looked at", remedy=remedy) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view. Raises StoreError."""
        with self._transaction("read") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is on the disk when it ends. Raises StoreError, and then nothing of it was written."""
        with self._transaction("durable") as connection:
            yield connection

    @contextmanager
    def write_fast(self) -> Iterator[Connection]:
        """A transaction that a crash of the process cannot undo, but a power cut may. Raises StoreError."""
        with self._transaction("fast") as connection:
            yield connection

    @contextmanager
    def write_bulk(self) -> Iterator[Connection]:
        """The same for one of very many: what they change is written to its place in the file more rarely."""
        with self._transaction("bulk") as connection:
            yield connection

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                connection.execution_options(**{_OPTION: kind})
                with connection.begin():
                    yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self.explain(error) from None
        except ValidationError:  # whose words would repeat what the row holds
            remedy = "restore a backup, or upgrade Digest"
            raise StoreError(str(self.path), "it holds a row that cannot be read", remedy=remedy) from None

    def explain(self, error: Exception) -> StoreError:
        """What the database's own words mean for the operator."""
        original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        code = getattr(original, "sqlite_errorcode", None)
        if code is not None and (fault := _FAULTS.get(code & 0xFF)):  # the rest of an extended code is detail
            message, remedy = fault
            return StoreError(str(self.path), message, remedy=remedy)
        return StoreError(str(self.path), " ".join(str(original).split()))

    def use_write_ahead_log(self) -> None:
        """Kept in the file, once and for all; not possible within a transaction. Raises StoreError."""
        try:
            with closing(self.engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode = WAL")
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self.explain(error) from None

    def find_damage(self) -> str | None:
        """The first thing that is wrong with the file; None when it is sound. Raises StoreError."""
        with self.read() as connection:
            first = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar())
        return None if first == "ok" else first

    def copy(self, target: Path) -> None:
        """A consistent copy, also while others write. Raises sqlite3.Error, which may be of either file."""
        source = f"{self.path.resolve().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(source, uri=True, timeout=_BUSY_SECONDS)) as ours,
            closing(sqlite3.connect(target)) as copy,
        ):
            ours.backup(copy)

    def delete(self) -> None:
        """Remove the file and what SQLite keeps beside it."""
        self.engine.dispose()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)


def _set_up(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are ours
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    match connection.get_execution_options().get(_OPTION):
        case "durable":
            connection.exec_driver_sql("PRAGMA synchronous = FULL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        case "fast":
            connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        case "bulk":
            connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
            connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {_BULK_PAGES}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        case _:
            connection.exec_driver_sql("BEGIN")
