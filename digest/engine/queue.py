"""Tasks on their way to any worker, in PostgreSQL: Procrastinate's tables, written in our own transactions.

    enqueue ──> todo ──fetched by a worker──> doing ──> gone           done; nothing piles up
                 ^                              │
                 └── again later, or its worker died ──> failed        set aside after some attempts, with its fault

A task may be done twice, never lost: what is sent is decided by the ledger. Who fetches and performs tasks is not
known here, see `library`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar, get_args

from psycopg import Connection, Error, errors

from digest.engine import statements
from digest.errors import StoreError
from digest.models import Owner, SetAside, Task, TaskKind
from digest.stores.owners import is_dead
from digest.stores.postgresql import PostgresDatabase

KINDS: Final[tuple[TaskKind, ...]] = get_args(TaskKind)
PROTOCOL: Final = 1  # of what a task's row holds; a worker leaves those of a later one to others
STALLED_AFTER: Final = timedelta(seconds=8)  # without a heartbeat, until a worker elsewhere is taken for dead
LONGEST_PAUSE: Final = timedelta(seconds=10)  # between two attempts of a worker to reach a database that was away
REMEDY: Final = "run `digest db upgrade`"

# A reader's mail before tomorrow's articles.
_PRIORITIES: Final[Mapping[TaskKind, int]] = {"compose": 30, "deliver": 30, "collect": 20, "read": 10}
_KEPT: Final = timedelta(days=30)  # what was set aside
_REMEMBERED: Final = timedelta(days=2)  # what happened to tasks that still wait
_PLAIN: Final = 30  # letters of a slug: PostgreSQL's notifications go by names of 63

T = TypeVar("T")


class ProcrastinateQueue:
    """Tasks of one newsletter. Usable from several threads; close it when done."""

    def __init__(self, url: str, newsletter: str, *, attempts: int = 5, connections: int = 4) -> None:
        """Connects to nothing yet; `attempts` is how often a task is tried. Raises ConfigError for a wrong URL."""
        self.url = url
        self.newsletter = newsletter
        self.attempts = attempts
        self._database = PostgresDatabase(url, connections=connections)
        self.name = self._database.name
        self._queues = [queue_of(kind, newsletter) for kind in KINDS]

    def enqueue(self, tasks: Sequence[Task], *, within: object | None = None) -> int:
        """Add tasks; returns how many, without those whose identity waits already. Raises StoreError.

        `within` is a connection of psycopg's: they are there when, and only if, its transaction is.
        """
        if not tasks:
            return 0
        # In one order: of two who add the same, one waits for the other, and not both.
        rows = [_to_row(task) for task in sorted(tasks, key=lambda task: task.identity)]
        columns = [list(column) for column in zip(*rows, strict=True)]

        def add(connection: Connection[Any]) -> int:
            return len(connection.execute(statements.ENQUEUE, columns).fetchall())

        if within is None:
            return self._write(add)
        if not isinstance(within, Connection):
            raise TypeError("tasks are enqueued within a connection of psycopg's")
        try:
            return add(within)
        except Error as error:
            raise self.explain(error) from None

    def waiting(self) -> Mapping[TaskKind, int]:
        """How many wait or are being done, of each kind. Raises StoreError."""
        counted = dict(self._write(lambda connection: connection.execute(statements.COUNT, [self._queues]).fetchall()))
        return {kind: int(counted.get(kind, 0)) for kind in KINDS}

    def awaited(self) -> Mapping[str, int]:
        """How many `deliver` tasks wait or are being done, by the edition's number. Raises StoreError."""
        queues = [queue_of("deliver", self.newsletter)]
        rows = self._write(lambda connection: connection.execute(statements.AWAITED, [queues]).fetchall())
        return {str(subject): int(count) for subject, count in rows}

    def set_aside(self, limit: int | None = 100) -> Sequence[SetAside]:
        """Those that failed for good, the newest first; None: all. Raises StoreError."""
        rows = self._write(
            lambda connection: connection.execute(statements.SET_ASIDE, [self._queues, limit]).fetchall()
        )
        return [
            SetAside(id=number, task=task, attempts=attempts, fault=str(arguments.get("fault", "")), set_aside_at=at)
            for number, attempts, arguments, at in rows
            if (task := read_task(arguments)) is not None
        ]

    def count_aside(self) -> int:
        """How many failed for good. Raises StoreError."""
        (count,) = self._write(
            lambda connection: connection.execute(statements.COUNT_ASIDE, [self._queues]).fetchall()
        )[0]
        return int(count)

    def retry(self, number: int) -> bool:
        """Have a task that was set aside tried again, as if it were new; False: it is not set aside. Raises StoreError.

        Where another with its identity waits already, that one stands for both.
        """

        def retry(connection: Connection[Any]) -> bool:
            if not connection.execute(statements.HOLD_ASIDE, [number, self._queues]).fetchone():
                return False
            try:
                with connection.transaction():
                    connection.execute(statements.ANEW, {"id": number})
            except errors.UniqueViolation:
                connection.execute(statements.DELETE, [number])
            connection.execute(statements.TELL, [self._queues])
            return True

        return self._write(retry)

    def drop(self, number: int) -> bool:
        """Forget a task that was set aside; False: it is not set aside. Raises StoreError."""

        def drop(connection: Connection[Any]) -> bool:
            is_there = connection.execute(statements.HOLD_ASIDE, [number, self._queues]).fetchone() is not None
            if is_there:
                connection.execute(statements.DELETE, [number])
            return is_there

        return self._write(drop)

    def put_back(
        self, number: int, worker: int | None, *, pause: timedelta, is_counted: bool = False, fault: str = ""
    ) -> None:
        """A task is to be tried again after a while. Not when another has it by now. Raises StoreError."""
        self._settle(number, worker, statements.AGAIN, pause=pause, counted=int(is_counted), note=_note(fault))

    def put_aside(self, number: int, worker: int | None, *, fault: str) -> None:
        """A task has failed for good. Not when another has it by now. Raises StoreError."""
        self._settle(number, worker, statements.ASIDE, pause=timedelta(), counted=1, note=_note(fault))

    def requeue_stalled(self, *, after: timedelta = STALLED_AFTER) -> list[SetAside]:
        """Put back what workers that are gone had under way; returns what is set aside instead. Raises StoreError.

        A worker is gone that showed no sign of life for a while, or of this machine, whose process is not there.
        That counts as an attempt: it may have been the task that killed it.
        """

        def requeue(connection: Connection[Any]) -> list[SetAside]:
            owners = connection.execute(statements.OWNERS).fetchall()
            dead = [number for number, owner in owners if _is_dead(owner)]
            aside = []
            whose = {"queues": self._queues, "dead": dead, "after": after, "back": LONGEST_PAUSE}
            stalled = connection.execute(statements.STALLED, whose).fetchall()
            for number, attempts, arguments in stalled:
                fault = "its worker ended while it was at it"
                pause = part_suspects(number, attempts)
                values = {"id": number, "pause": pause, "counted": 1, "note": _note(fault)}
                if attempts + 1 >= self.attempts:
                    connection.execute(statements.ASIDE, values)
                    task = read_task(arguments)
                    if task is not None:
                        aside.append(SetAside(id=number, task=task, attempts=attempts + 1, fault=fault))
                else:
                    _put_back(connection, statements.AGAIN, values)
            connection.execute(statements.PRUNE, whose)
            if stalled:
                connection.execute(statements.TELL, [self._queues])
            return aside

        return self._write(requeue)

    def alive(self, *, within: timedelta) -> list[Owner]:
        """The workers that showed a sign of life within so long, by the database's clock. Raises StoreError."""
        rows = self._write(lambda connection: connection.execute(statements.ALIVE, [within]).fetchall())
        found = []
        for (owner,) in rows:
            with suppress(TypeError):  # of another version of Digest
                found.append(Owner(**owner))
        return found

    def tidy(self) -> None:
        """Remove what nobody needs any more. Raises StoreError."""

        def remove(connection: Connection[Any]) -> None:
            ended, aside, events = statements.TIDY
            connection.execute(ended, [self._queues])
            connection.execute(aside, [self._queues, _KEPT])
            connection.execute(events, [self._queues, _REMEMBERED])

        self._write(remove)

    def require_schema(self) -> None:
        """Raises StoreError when its tables are not those that this version needs."""
        from digest.engine.schema import require_schema

        require_schema(self._database)

    def explain(self, error: Exception) -> StoreError:
        """What the database's own words mean for the operator."""
        if isinstance(error, errors.UndefinedTable | errors.UndefinedFunction):
            return StoreError(self.name, "it has no tables for tasks, or old ones", remedy=REMEDY)
        return self._database.explain(error)

    def close(self) -> None:
        """Let go of the connections. May be called twice."""
        self._database.close()

    def _settle(self, number: int, worker: int | None, statement: str, **values: object) -> None:
        def settle(connection: Connection[Any]) -> None:
            if connection.execute(statements.HELD, [number, worker]).fetchone():
                _put_back(connection, statement, {"id": number, **values})

        self._write(settle)

    def _write(self, work: Callable[[Connection[Any]], T]) -> T:
        try:
            with self._database.write_beside() as connection:
                driver: Any = connection.connection.driver_connection
                try:
                    return work(driver)
                except Error as error:
                    raise self.explain(error) from None
        except errors.Error as error:
            raise self.explain(error) from None


def queue_of(kind: TaskKind, newsletter: str) -> str:
    """The name of a newsletter's queue: who serves another never fetches from it."""
    if len(newsletter) <= _PLAIN:
        return f"{kind}.{newsletter}"
    return f"{kind}.{newsletter[:12]}.{hashlib.sha256(newsletter.encode()).hexdigest()[:16]}"


def part_suspects(number: int, attempts: int) -> timedelta:
    """How long a task rests whose worker ended: at first not at all, so that what was killed goes on at once. Pure.

    Then longer each time, and not those together that were under way together: one of them ends its workers, and the
    others are to get away from it.
    """
    return timedelta(seconds=min(2**attempts, 60) * (number % 8) / 8) if attempts else timedelta()


def read_task(arguments: Mapping[str, object]) -> Task | None:
    """The task that a row holds; None for one of a later version of Digest."""
    kind = arguments.get("kind")
    if arguments.get("version") != PROTOCOL or kind not in KINDS:
        return None
    return Task(
        kind=kind,
        newsletter=str(arguments.get("newsletter", "")),
        subject=str(arguments.get("subject", "")),
        identity=str(arguments.get("identity", "")),
    )


def _to_row(task: Task) -> tuple[str, str, int, str | None, str]:
    identity = f"{task.newsletter}/{task.kind}/{task.identity}" if task.identity else None
    arguments = {
        "version": PROTOCOL,
        "kind": task.kind,
        "newsletter": task.newsletter,
        "subject": task.subject,
        "identity": task.identity,
    }
    return (
        queue_of(task.kind, task.newsletter),
        task.kind,
        _PRIORITIES[task.kind],
        identity,
        json.dumps(arguments).replace("\\u0000", ""),  # which PostgreSQL does not take
    )


def _note(fault: str) -> str:
    return json.dumps({"fault": fault} if fault else {}).replace("\\u0000", "")


def _put_back(connection: Connection[Any], statement: str, values: Mapping[str, object]) -> None:
    """By that statement, unless it is to wait again and another with its identity does already."""
    if statement is statements.ASIDE:
        connection.execute(statement, values)
        return
    while not connection.execute(statements.TAKE_OVER, values).fetchone():
        try:
            with connection.transaction():
                connection.execute(statement, values)
        except errors.UniqueViolation:
            continue  # it came between the two
        return
    connection.execute(statements.DELETE, [values["id"]])


def _is_dead(owner: Mapping[str, Any]) -> bool:
    try:
        return is_dead(Owner(**owner))
    except TypeError:  # of another version of Digest
        return False
