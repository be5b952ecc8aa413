"""What passes between a worker and the engine's library: tasks, how they ended, and whether the database answers."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from digest.engine.queue import LONGEST_PAUSE
from digest.errors import StoreError, StoreUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A task as it was fetched."""

    id: int
    attempts: int  # before this one
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is done, or was not needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """It is to be tried again after a while."""

    pause: timedelta
    is_counted: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """It failed as often as it was tried."""

    fault: str


Ended = Done | Again | Aside


@dataclass(slots=True)
class Contact:
    """Whether the database answers, and of what was told."""

    tell: Callable[[str], None]
    note_lost: Callable[[StoreUnavailable], bool] = lambda _: False  # whether somebody else tells of it
    note_found: Callable[[], None] = lambda: None  # of what somebody else told
    is_told_elsewhere: bool = False
    is_there: bool = False
    fault: str = ""
    obstacle: str = ""  # why nothing is fetched although it answers
    turn: asyncio.Event = field(default_factory=asyncio.Event)  # set when it answers again, for who waits for that

    @property
    def is_ready(self) -> bool:
        """Whether tasks can be fetched."""
        return self.is_there and not self.obstacle

    def lost(self, error: StoreError) -> None:
        """It did not answer: said once for each fault."""
        self.is_there = False
        if str(error) != self.fault:
            self.fault = str(error)
            self.is_told_elsewhere = isinstance(error, StoreUnavailable) and self.note_lost(error)
            if self.is_told_elsewhere:
                return
            self.tell(f"digest: {error}; trying again, every {LONGEST_PAUSE.seconds} s at the longest")

    def found(self, name: str) -> None:
        """It answers."""
        self.is_there = True
        if self.fault:
            self.turn.set()
            self.turn = asyncio.Event()
            self.fault = ""
            if self.is_told_elsewhere:
                self.note_found()
            else:
                self.tell(f"digest: {name}: it answers again")

    def block(self, error: StoreError, *, is_told: bool = False) -> None:
        """It is not of this version any more: nothing is fetched until it is; said once for each fault."""
        if str(error) != self.obstacle:
            self.obstacle = str(error)
            if is_told:
                return
            self.tell(f"digest: {error}; no task is begun until then")

    def unblock(self) -> None:
        """It is of this version."""
        if self.obstacle:
            self.obstacle = ""
            self.tell("digest: the database is of this version again; tasks are begun again")
