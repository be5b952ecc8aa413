"""What a worker does for each kind of task, and beside its tasks."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, get_args

from digest.due import is_past, last_due_at
from digest.errors import ConfigError
from digest.models import Cadence, EditionState, Report, StoredEdition, Task, TaskKind
from digest.operate.alerts import tell_of_machine
from digest.operate.chores import Chore
from digest.operate.collecting import collect_source, read_entry
from digest.operate.delivering import Deliveries, make_sweep
from digest.operate.events import take_refusals
from digest.protocols import Perform
from digest.schedule.ensuring import read_zones

if TYPE_CHECKING:
    from digest.app import App
    from digest.config.scheduling import Schedule

_BUSY: Final = timedelta(seconds=15)
_MINUTE: Final = timedelta(minutes=1)
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

    def read(task: Task) -> timedelta | None:
        return read_entry(app, int(task.subject)) if task.subject.isdecimal() else None

    performs: dict[TaskKind, Perform] = {
        "collect": lambda task: collect_source(app, task.subject),
        "read": read,
        "compose": lambda task: compose(app, task),
        "deliver": deliver,
    }
    return Performing(performs=performs, deliveries=deliveries)


def compose(app: "App", task: Task) -> timedelta | None:
    """Make an edition, up to where its batches wait for workers; the canary included. Raises DigestError."""
    cadence, day = read_subject(task.subject)
    # With connections of its own: another edition may be made beside it, in another thread.
    with closing(app.beside()) as own, own.store.alone(f"compose {task.newsletter} {task.subject}") as is_alone:
        if not is_alone:
            return _BUSY  # another worker is at it
        stored = own.store.editions.find(task.newsletter, cadence, day)
        last = last_due_at(own.config.schedule, day, cadence, read_zones(own))
        if is_too_late(own.config.schedule, stored, last, own.clock()):
            return None
        own.run(day, cadence=cadence, on_time=True, by_workers=True)
        take_refusals(own)
    return None


def is_too_late(schedule: "Schedule", stored: StoredEdition | None, due: datetime | None, now: datetime) -> bool:
    """Whether a task has waited for so long that its edition, last due at that instant, is no news any more. Pure.

    The scheduler says of such a one that it was missed. What is under way, or held, is not ended here.
    """
    if stored is None or stored.state in {EditionState.DRAFT, EditionState.MISSED}:
        return due is not None and now - due > schedule.max_lateness
    return stored.state is EditionState.READY and is_past(schedule, stored, due, now)


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


def list_worker_chores(app: "App", *, on_report: Callable[[Report], None]) -> Sequence[Chore]:
    """What each worker does beside its tasks; `on_report` hears of editions that are sent by now."""
    return [
        make_sweep(app, on_report=on_report),
        # Its own machine's journal; all else is told by `digest serve`.
        Chore(name="incidents", every=_MINUTE, first=_MINUTE, work=lambda: tell_of_machine(app)),
    ]
