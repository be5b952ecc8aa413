"""Where tasks wait for workers, and what may be in the way of who works."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from digest.errors import StoreError
from digest.models import Owner, SetAside, Task, TaskKind

# Does one task; returns after how long it is to be tried again, None when it is done. What it raises as DigestError is
# a failure: it is tried again, later each time, and set aside after some attempts. StoreUnavailable is none: it waits.
Perform = Callable[[Task], timedelta | None]


class Queue(Protocol):
    """Tasks on their way to any worker. Each is done at least once. Raises StoreError."""

    def enqueue(self, tasks: Sequence[Task], *, within: object | None = None) -> int:
        """Add tasks; returns how many, without those whose identity waits already.

        `within` is a connection of the database's driver: they are there when, and only if, its transaction is.
        """
        ...

    def waiting(self) -> Mapping[TaskKind, int]:
        """How many wait or are being done, of each kind."""
        ...

    def awaited(self) -> Mapping[str, int]:
        """How many `deliver` tasks wait or are being done, by the edition's number."""
        ...

    def alive(self, *, within: timedelta) -> Sequence[Owner]:
        """The workers that showed a sign of life within so long."""
        ...

    def set_aside(self, limit: int = 100) -> Sequence[SetAside]:
        """Those that failed for good, the newest first."""
        ...

    def count_aside(self) -> int:
        """How many these are, without a limit."""
        ...


class Watch(Protocol):
    """Minds what may be in the way of a process that goes on for long; see operate.presence."""

    def find_obstacle(self) -> str:
        """Why nothing may be composed or delivered from here now; "" when it may."""
        ...

    def find_public_obstacle(self) -> str:
        """The same in words that name no place."""
        ...

    def may_send(self) -> bool:
        """Whether a send under way may go on. Where only the database is away, it waits for that itself."""
        ...

    def note_lost(self, error: StoreError) -> bool:
        """The database is away, or of another version; whether that was told, and is looked after."""
        ...


class Unwatched:
    """Watch of a process that does one thing, and ends: nothing is in its way, and it tells its faults itself."""

    def find_obstacle(self) -> str:
        """Nothing."""
        return ""

    def find_public_obstacle(self) -> str:
        """Nothing."""
        return ""

    def may_send(self) -> bool:
        """It may."""
        return True

    def note_lost(self, error: StoreError) -> bool:  # noqa: ARG002 - Watch's shape
        """Nobody told."""
        return False
