"""What a worker does for each kind of task, and beside its tasks."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, get_args

from digest.errors import ConfigError
from digest.models import Cadence, Task, TaskKind
from digest.operate.chores import Chore
from digest.operate.delivering import Deliveries, make_sweep
from digest.operate.events import take_refusals
from digest.protocols import Perform

if TYPE_CHECKING:
    from digest.app import App

_BUSY: Final = timedelta(seconds=15)
_CADENCES: Final[tuple[Cadence, ...]] = get_args(Cadence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performing:
    """The tasks of one App; close it when the last has ended."""

    performs: Mapping[TaskKind, Perform]
    deliveries: Deliveries

    def close(self) -> None:
        """Let go of connections."""
        self.deliveries.close()


def make_performing(app: "App", *, concurrency: int) -> Performing:
    """What performs each kind of task, with the parts of one App; so many at once."""
    deliveries = Deliveries(app, concurrency=concurrency)

    def deliver(task: Task) -> timedelta | None:
        return deliveries.deliver(int(task.subject)) if task.subject.isdecimal() else None

    return Performing(performs={"compose": lambda task: compose(app, task), "deliver": deliver}, deliveries=deliveries)


def compose(app: "App", task: Task) -> timedelta | None:
    """Make an edition, up to where its batches wait for workers; the canary included. Raises DigestError."""
    cadence, day = read_subject(task.subject)
    # With connections of its own: another edition may be made beside it, in another thread.
    with closing(app.beside()) as own, own.store.alone(f"compose {task.newsletter} {task.subject}") as is_alone:
        if not is_alone:
            return _BUSY  # another worker is at it
        own.run(day, cadence=cadence, on_time=True, by_workers=True)
        take_refusals(own)
    return None


def read_subject(subject: str) -> tuple[Cadence, date]:
    """The edition that a `compose` task is about. Raises ConfigError."""
    name, _, text = subject.partition("/")
    cadence = next((one for one in _CADENCES if one == name), None)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if cadence is None or day is None:
        raise ConfigError(f'task compose "{subject[:80]}"', "it names no edition")
    return cadence, day


def list_worker_chores(app: "App") -> Sequence[Chore]:
    """What each worker does beside its tasks."""
    return [make_sweep(app)]
