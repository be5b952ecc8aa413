"""SQLite: a file beside the configuration. With a write-ahead log, readers never wait for a writer.

A writer takes its lock at once (BEGIN IMMEDIATE), so that nothing it read can change before it writes.
"""

import fcntl
import glob
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from digest.errors import StoreError, StoreUnavailable
from digest.stores.database import OPTION, Database, Spelling
from digest.stores.files import begins_with, make_private

_MAGIC = b"SQLite format 3\0"  # with which the file begins
_BUSY_SECONDS = 10.0
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
_MAY_PASS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _pack(value: list[int] | date) -> str:
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


class SqliteDatabase(Database):
    """A SQLite database file."""

    keeps_marks = False
    has_clock = False
    # A list as one value: by so many marks as it has members, each length would be another statement to prepare.
    spelling = Spelling(value="?", among="IN (SELECT value FROM json_each(?))", lock="", pack=_pack)

    def __init__(self, path: Path) -> None:
        """Opens nothing yet."""
        super().__init__()
        self.path = path
        self.journal_path = path.with_name(f"{path.name}.leavers")
        self.name = str(path)
        self.engine: Engine = create_engine(
            URL.create("sqlite", database=str(path)),
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        )
        event.listen(self.engine, "connect", _set_up)
        event.listen(self.engine, "begin", _begin)

    @classmethod
    def temporary(cls) -> "SqliteDatabase":
        """An empty file in the temporary folder. Raises StoreError."""
        try:
            number, name = tempfile.mkstemp(prefix="digest-scratch-", suffix=".db")
        except OSError as error:
            raise StoreError("the temporary folder", "it cannot be written", remedy="set TMPDIR") from error
        os.close(number)
        return cls(Path(name))

    @property
    def files(self) -> list[Path]:
        """The database, and what is not yet in it."""
        return [self.path, self.path.with_name(f"{self.path.name}-wal")]

    def exists(self) -> bool:
        """Whether the file is there. Raises StoreError when its folder is not, or may not be looked into."""
        folder = self.path.parent
        try:
            if not folder.is_dir():
                remedy = f"make {folder}, or change [store] url"
                raise StoreError(self.name, "its folder is not there", remedy=remedy)
            return self.path.exists()
        except PermissionError:
            remedy = f"let this user into {folder}, or change [store] url"
            raise StoreError(self.name, "it may not be looked at", remedy=remedy) from None

    def prepare(self) -> None:
        """The write-ahead log, kept in the file once and for all; not possible within a transaction.

        A new file is its owner's alone: readers' addresses come into it.
        """
        try:
            if not self.path.exists():
                make_private(self.path)
            with closing(self.engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode = WAL")
        except OSError as error:
            raise StoreError(self.name, "it cannot be made", remedy="let this user write in its folder") from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self.explain(error) from None

    def find_file(self) -> tuple[int, int] | None:
        """Which file lies there now, by its device and number; None: none does."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def find_damage(self) -> str | None:
        """The first thing that is wrong with the file; None when it is sound. Raises StoreError."""
        with self.read() as connection:
            first = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar())
        return None if first == "ok" else first

    def back_up(self, target: Path) -> None:
        """A consistent copy, also while others write. Raises StoreError."""
        try:
            self._copy(target)
        except sqlite3.Error as error:
            raise StoreError(str(target), "it cannot be written") from error

    def restore(self, backup: Path, notes: Mapping[str, str]) -> None:
        """In the place of this file, which holds nothing. Raises StoreError."""
        if not begins_with(backup, _MAGIC):
            remedy = "make one with `digest db backup`; `digest db copy` moves what lies on a server here"
            raise StoreError(str(backup), "it is no SQLite database", remedy=remedy)
        draft = self.path.with_name(f".{self.path.name}.part")
        try:
            make_private(draft)
            SqliteDatabase(backup.resolve())._copy(draft)  # noqa: SLF001 - another of these
            _require_whole(draft, backup)
            _note(draft, notes)
            self.delete()
            draft.replace(self.path)
        except sqlite3.Error as error:
            raise self.explain(error) from None
        except OSError as error:
            raise StoreError(self.name, "it cannot be written") from error
        finally:
            SqliteDatabase(draft).delete()

    def scratch(self, *, takes_readers: bool = False) -> "SqliteDatabase":  # noqa: ARG002 - a copy has everything
        """A copy in the temporary folder. Raises StoreError."""
        copy = SqliteDatabase.temporary()
        try:
            self._copy(copy.path)
        except sqlite3.Error as error:
            copy.delete()
            raise self.explain(error) from None
        return copy

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """By a lock of the system's on a file beside the database, one for each name."""
        mark = blake2b(name.encode(), digest_size=4).hexdigest()
        try:
            number = os.open(f"{self.path}-{mark}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(self.name, "no file can be made beside it", remedy="let this user write there") from error
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_ours = True
            except OSError:
                is_ours = False
            yield is_ours
        finally:
            os.close(number)

    def _copy(self, target: Path) -> None:
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
            with suppress(OSError):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        for lock in self.path.parent.glob(f"{glob.escape(self.path.name)}-*.lock"):
            with suppress(OSError):
                lock.unlink()

    def is_own_error(self, error: Exception) -> bool:
        """Whether it is one of sqlite3's."""
        return isinstance(error, sqlite3.Error)

    def begin_straight(
        self,
        cursor: Any,
        about: MutableMapping[Any, Any],  # noqa: ARG002 - nothing
        *,
        lasting: bool,  # noqa: ARG002 - the same here
    ) -> None:
        """As for marks."""
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("BEGIN IMMEDIATE")

    def clock(self) -> datetime:
        """This machine's: a file has none of its own. Raises StoreError."""
        with self.read() as connection:
            now = str(connection.exec_driver_sql("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')").scalar())
        return datetime.fromisoformat(now).replace(tzinfo=UTC)

    def explain(self, error: Exception) -> StoreError:
        """What the database's own words mean for the operator."""
        original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        code = getattr(original, "sqlite_errorcode", None)
        if code is not None and (fault := _FAULTS.get(code & 0xFF)):  # the rest of an extended code is detail
            message, remedy = fault
            kind = StoreUnavailable if code & 0xFF in _MAY_PASS else StoreError
            return kind(self.name, message, remedy=remedy)
        return StoreError(self.name, " ".join(str(original).split()))


def _note(path: Path, notes: Mapping[str, str]) -> None:
    with closing(sqlite3.connect(path)) as draft, draft:
        draft.executemany("INSERT OR REPLACE INTO keys (name, value) VALUES (?, ?)", list(notes.items()))


def _require_whole(draft: Path, backup: Path) -> None:
    with closing(sqlite3.connect(draft)) as copy:
        damage = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        ours = "SELECT count(*) FROM sqlite_master WHERE name IN ('editions', 'deliveries', 'alembic_version')"
        is_ours = copy.execute(ours).fetchone()[0] == 3
    if damage != "ok":
        raise StoreError(str(backup), f"it is damaged: {damage}", remedy="restore another")
    if not is_ours:
        raise StoreError(str(backup), "it holds a database of another program", remedy="restore another")


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
    match connection.get_execution_options().get(OPTION):
        case "durable" | "beside" | "upgrade":
            connection.exec_driver_sql("PRAGMA synchronous = FULL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        case "fast" | "marking":
            connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        case "bulk":
            connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
            connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {_BULK_PAGES}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        case _:
            connection.exec_driver_sql("BEGIN")
