"""The one way to the database: connections, transactions, and its faults as StoreErrors.

The only place that knows which database it is. SQLite runs with a write-ahead log: readers never wait for a writer. A
writer takes its lock at once (BEGIN IMMEDIATE), so that nothing it read can change before it writes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from digest.errors import StoreError

_BUSY_SECONDS = 10.0
_OPTION = "digest_begin"


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
    def _transaction(self, kind: str) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                connection.execution_options(**{_OPTION: kind})
                with connection.begin():
                    yield connection
        except SQLAlchemyError as error:
            raise self.explain(error) from None
        except sqlite3.Error as error:
            raise self.explain(error) from None

    def explain(self, error: Exception) -> StoreError:
        """What the database's own words mean for the operator."""
        original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        words = str(original)
        if "locked" in words or "busy" in words:
            return StoreError(
                str(self.path), "it is locked by another process", remedy="wait until that one is done, or stop it"
            )
        if "full" in words:
            return StoreError(str(self.path), "the disk is full", remedy="make room; nothing of this step was written")
        if "readonly" in words:
            return StoreError(
                str(self.path), "it cannot be written", remedy="check the permissions of it and its folder"
            )
        if "unable to open" in words:
            return StoreError(
                str(self.path), "it cannot be opened", remedy="check that its folder is there and may be written"
            )
        if "not a database" in words or "malformed" in words:
            return StoreError(
                str(self.path),
                "it is no sound database",
                remedy="restore a backup, or name another file in [store] url",
            )
        return StoreError(str(self.path), " ".join(words.split()))


def _set_up(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are ours
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys = ON")
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
        case _:
            connection.exec_driver_sql("BEGIN")
