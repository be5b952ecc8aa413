"""What is to be done by a worker, whichever: the engine's only noun."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

TaskKind = Literal["collect", "read", "compose", "deliver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work. It may be done twice, or when it is not needed any more: the store decides what is done.

    `subject` is, of `collect`, a source's id; of `read`, an entry's number; of `compose`, an edition's cadence and
    date ("daily/2026-03-01"); of `deliver`, an edition's number: one batch of it, whichever is due.
    """

    kind: TaskKind
    newsletter: str
    subject: str
    identity: str = ""  # of two that wait and have the same, one is left out; "": each is done


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A task that failed as often as it was tried, and is not tried again."""

    id: int
    task: Task
    attempts: int
    fault: str = ""  # the last one, in words
    set_aside_at: datetime | None = None
