"""What a worker does for each kind of task."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from digest.models import TaskKind
from digest.operate.chores import Chore
from digest.protocols import Perform

if TYPE_CHECKING:
    from digest.app import App


def make_performs(app: "App") -> Mapping[TaskKind, Perform]:  # noqa: ARG001
    """What performs each kind of task, with the parts of one App."""
    return {}


def list_worker_chores(app: "App") -> Sequence[Chore]:  # noqa: ARG001
    """What each worker does beside its tasks."""
    return ()
