"""The one way to the database: connections, transactions, and its faults as StoreErrors.

What is the same for both kinds; `sqlite` and `postgresql` each know one. A writer may rely on this: nothing that it
read in its transaction is changed by another `write` before it ends. `write_beside` gives that up for speed: many
senders write at once, each under the locks that its own statements take.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, exc
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from digest.errors import StoreError, StoreUnavailable

A = TypeVar("A")

Kind = Literal["read", "reading", "durable", "fast", "bulk", "beside", "marking", "upgrade", "session"]
OPTION = "digest_begin"  # of a connection's execution options: the kind of its next transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How one kind of database says what statements past SQLAlchemy need."""

    value: str  # in place of a value
    among: str  # "one of a list"
    lock: str  # what is read stays as it is until the transaction ends
    pack: Callable[[Any], Any]  # a list, or a day, as a value

    def spell(self, statement: str) -> str:
        """A statement in which `?` is a value, `{among}` one of a list and `{lock}` a lock."""
        return statement.replace("?", self.value).replace("{among}", self.among).replace("{lock}", self.lock)


class Straight:
    """A transaction in the driver's own words. SQLAlchemy takes several times as long as what is done for a message."""

    def __init__(self, cursor: Any, spelling: Spelling, known: dict[str, str]) -> None:
        """Within a transaction that has begun; `known` are the statements that were spelled before."""
        self._cursor = cursor
        self._spelling = spelling
        self._known = known

    def execute(self, statement: str, *values: Any) -> int:
        """Do it; returns how many rows changed. See Spelling for the words."""
        text = self._known.get(statement)
        if text is None:
            text = self._known[statement] = self._spelling.spell(statement)
        pack = self._spelling.pack
        packed = tuple(pack(value) if isinstance(value, (list, date)) else value for value in values)
        self._cursor.execute(text, packed)
        return int(self._cursor.rowcount)

    def one(self, statement: str, *values: Any) -> Any:
        """The first row; None when there is none."""
        self.execute(statement, *values)
        return self._cursor.fetchone()


class Database(ABC):
    """A database: how it is opened, written and copied, and what its faults mean."""

    engine: Engine
    name: str  # as errors call it, without what is secret
    keeps_marks: bool  # whether what `write_marks` wrote outlives a power cut of the machine that wrote it
    has_clock: bool  # whether its clock is another than this machine's
    spelling: Spelling
    journal_path: Path | None = None  # beside it, where it is a file

    def __init__(self) -> None:
        """Opens nothing yet."""
        self.refusal: StoreError | None = None  # why nothing may be done here any more
        self._known: dict[str, str] = {}  # statements, as they are spelled here

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything to open. Raises StoreError when it cannot even be looked for."""

    @abstractmethod
    def prepare(self) -> None:
        """What is done once, before a new database gets its tables. Raises StoreError."""

    @abstractmethod
    def find_damage(self) -> str | None:
        """The first thing that is wrong with it; None when it is sound. Raises StoreError."""

    def describe(self) -> dict[str, str]:
        """What else an operator may want to know of it. Raises StoreError."""
        return {}

    def find_risk(self) -> str | None:
        """What may be lost of that which it says is written; None: nothing, or not for its sake. Raises StoreError."""
        return None

    @abstractmethod
    def back_up(self, target: Path) -> None:
        """A consistent copy in a file, also while others write; in an empty one that is there. Raises StoreError."""

    @abstractmethod
    def restore(self, backup: Path, notes: Mapping[str, str]) -> None:
        """Become what a backup of this kind of database holds, where nothing is yet, and `notes` beside its keys.

        All of it at once: nobody sees the one without the other. Raises StoreError.
        """

    def find_file(self) -> tuple[int, int] | None:
        """Which file lies there now, by its device and number: files are put in the place of files; None: none does."""
        return None

    @abstractmethod
    def scratch(self, *, takes_readers: bool = False) -> "Database":
        """One to work on that begins as this one is now, and is gone when it is deleted. Raises StoreError.

        Where copies are dear, readers are there to be read only, unless it `takes_readers`.
        """

    @abstractmethod
    def delete(self) -> None:
        """Remove a scratch database."""

    def make_room(self, month: date) -> None:  # noqa: B027 - most have all that they need
        """Before deliveries of editions of that month are written. Raises StoreError."""

    def drop_month(self, month: date, numbers: Collection[int]) -> None:  # noqa: B027 - most have one table for all
        """Forget a month's deliveries at once, if they are all of editions with these numbers. Raises StoreError."""

    def close(self) -> None:
        """Let go of the connections. May be called twice."""
        self.engine.dispose()

    @abstractmethod
    def explain(self, error: Exception) -> StoreError:
        """What the database's own words mean for the operator; StoreUnavailable where trying again may help."""

    @abstractmethod
    def clock(self) -> datetime:
        """Now, by the clock of where the database is. Raises StoreError."""

    @abstractmethod
    def alone(self, name: str) -> AbstractContextManager[bool]:
        """Whether nobody else is at what has that name, here or elsewhere; nobody is until this ends.

        It ends with the process, however that does. Raises StoreError.
        """

    def _explain(self, error: Exception) -> StoreError:
        if isinstance(error, exc.TimeoutError):
            remedy = "try again, or raise [store] connections"
            return StoreUnavailable(self.name, "all connections that this process may have are in use", remedy=remedy)
        return self.explain(error)

    def stamp(self) -> str:
        """Another text when something may have changed, where no files tell. Raises StoreError."""
        return ""

    @property
    def files(self) -> list[Path]:
        """The files in which it lies, if it lies in files here."""
        return []

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view. Raises StoreError."""
        with self._transaction("read") as connection:
            yield connection

    @contextmanager
    def read_all(self) -> Iterator[Connection]:
        """The same for as long as there are rows: of a copy, of a whole edition's deliveries. Raises StoreError."""
        with self._transaction("reading") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is on the disk when it ends. Raises StoreError, and then nothing of it was written."""
        with self._transaction("durable") as connection:
            yield connection

    @contextmanager
    def upgrade(self) -> Iterator[Connection]:
        """The same, one at a time: who upgrades as well waits, however long that takes. Raises StoreError."""
        with self._transaction("upgrade") as connection:
            yield connection

    @contextmanager
    def write_fast(self) -> Iterator[Connection]:
        """A transaction that a crash of the process cannot undo, but a power cut may. Raises StoreError."""
        with self._transaction("fast") as connection:
            yield connection

    @contextmanager
    def write_bulk(self) -> Iterator[Connection]:
        """The same for one of very many: what they change is written to its place more rarely. Raises StoreError."""
        with self._transaction("bulk") as connection:
            yield connection

    @contextmanager
    def write_beside(self) -> Iterator[Connection]:
        """On the disk when it ends, and beside other writers: lock the rows that must not change. Raises StoreError."""
        with self._transaction("beside") as connection:
            yield connection

    @contextmanager
    def write_marks(self) -> Iterator[Connection]:
        """The same for marks and outcomes: no crash of this process or of a database server can undo it.

        A power cut of this machine may: of a claim from before it, no mark is trusted. Raises StoreError.
        """
        with self._transaction("marking") as connection:
            yield connection

    @contextmanager
    def straight(self, *, lasting: bool = True) -> Iterator[Straight]:
        """As `write_marks`, past SQLAlchemy; not `lasting`: a crash of a database server may undo it.

        Beside other writers: lock the rows that must not change. Raises StoreError.
        """
        try:
            with closing(self._open_straight(lasting=lasting)) as pooled, closing(pooled.cursor()) as cursor:
                try:
                    yield Straight(cursor, self.spelling, self._known)
                    cursor.execute("COMMIT")
                except Exception as error:
                    self._let_go_of_lost(pooled, error)
                    raise
        except Exception as error:
            if isinstance(error, SQLAlchemyError) or self.is_own_error(error):
                raise self._explain(error) from None
            raise

    def _open_straight(self, *, lasting: bool) -> PoolProxiedConnection:
        """A connection in a new transaction. If it was lost in the pool, another: nothing was asked of it yet."""
        self._require_open()
        for is_last in (False, True):
            pooled = self.engine.raw_connection()
            try:
                with closing(pooled.cursor()) as cursor:
                    self.begin_straight(cursor, pooled.info, lasting=lasting)
            except BaseException as error:
                is_lost = self._let_go_of_lost(pooled, error)
                pooled.close()
                if is_last or not is_lost:
                    raise
            else:
                break
        return pooled

    def _let_go_of_lost(self, pooled: PoolProxiedConnection, error: BaseException) -> bool:
        """When the connection is lost, the others in the pool are, too; returns whether it is."""
        fault: Any = error
        driven: Any = pooled.driver_connection
        if not (isinstance(error, Exception) and self.is_own_error(error)):
            return False
        if not self.engine.dialect.is_disconnect(fault, driven, None):
            return False
        pooled.invalidate()
        self.engine.dispose()
        return True

    def _require_open(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    @abstractmethod
    def begin_straight(self, cursor: Any, about: MutableMapping[Any, Any], *, lasting: bool) -> None:
        """Begin such a transaction on a connection of which that is known."""

    @contextmanager
    def _transaction(self, kind: Kind) -> Iterator[Connection]:
        try:
            with self._begin(kind) as connection, connection.get_transaction() or nullcontext():
                yield connection
        except ValidationError:  # whose words would repeat what the row holds
            remedy = "restore a backup, or upgrade Digest"
            raise StoreError(self.name, "it holds a row that cannot be read", remedy=remedy) from None
        except Exception as error:
            if isinstance(error, SQLAlchemyError) or self.is_own_error(error):
                raise self._explain(error) from None
            raise

    def _begin(self, kind: Kind) -> Connection:
        """A connection in a new transaction. If it was lost in the pool, another: nothing was asked of it yet."""
        self._require_open()
        for is_last in (False, True):
            connection = self.engine.connect()
            try:
                connection.execution_options(**{OPTION: kind})
                connection.begin()
            except BaseException as error:
                connection.close()
                if is_last or not (isinstance(error, DBAPIError) and error.connection_invalidated):
                    raise
            else:
                break
        return connection

    @abstractmethod
    def is_own_error(self, error: Exception) -> bool:
        """Whether it comes from this kind of database's driver."""
