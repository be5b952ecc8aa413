"""digest tasks: what was set aside, and what becomes of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, load
from digest.cli.output import put_rows, say
from digest.cli.working import require_engine
from digest.errors import ConfigError

if TYPE_CHECKING:
    from digest.engine.queue import ProcrastinateQueue
    from digest.models import SetAside

commands = typer.Typer(help="Tasks that failed too often, and were set aside.", no_args_is_help=True)

NumbersArgument = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]...", help="As `digest tasks list` has them.", show_default=False)
]
AllOption = Annotated[bool, typer.Option("--all", help="All that are set aside.")]


@commands.command("list")
def list_tasks(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Those that are set aside, the newest first, each with its last fault."""
    with _open_queue(context, config) as queue:
        rows = [_to_row(aside) for aside in queue.set_aside(limit=None)]
    put_rows(rows, as_json=as_json, empty="no task is set aside")


@commands.command("retry")
def retry_tasks(
    context: typer.Context,
    numbers: NumbersArgument = None,
    every: AllOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Have workers try it again, with all its attempts before it, when what was wrong is mended."""
    with _open_queue(context, config) as queue:
        _change(queue, queue.retry, "waits for a worker", numbers, every=every, as_json=as_json)


@commands.command("drop")
def drop_tasks(
    context: typer.Context,
    numbers: NumbersArgument = None,
    every: AllOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Forget it. Nothing is lost: what is due still gets a task of its own."""
    with _open_queue(context, config) as queue:
        _change(queue, queue.drop, "dropped", numbers, every=every, as_json=as_json)


def _change(
    queue: "ProcrastinateQueue",
    change: Callable[[int], bool],
    result: str,
    numbers: list[int] | None,
    *,
    every: bool,
    as_json: bool,
) -> None:
    """Each that is named, or none where one of them is not set aside. Raises ConfigError."""
    if bool(numbers) == every:
        raise ConfigError("tasks", "say which", remedy="name their ids, as `digest tasks list` has them, or --all")
    there = {aside.id: aside for aside in queue.set_aside(limit=None)}
    for number in numbers or ():
        if number not in there:
            remedy = "see `digest tasks list`"
            raise ConfigError(f"task {number}", "none of that id is set aside", remedy=remedy)
    done = [there[number] for number in dict.fromkeys(numbers or sorted(there)) if change(number)]
    rows = [
        {"id": aside.id, "kind": aside.task.kind, "subject": aside.task.subject, "result": result} for aside in done
    ]
    put_rows(rows, as_json=as_json, empty="no task is set aside")
    if missing := len(numbers or there) - len(done):
        say(f"digest: {missing} were taken up by somebody else meanwhile")


@contextmanager
def _open_queue(context: typer.Context, config: Path | None) -> "Iterator[ProcrastinateQueue]":
    """The tasks of the newsletter. Raises ConfigError where no workers are configured."""
    found = load(context, config)
    require_engine(found, nothing="there are no tasks: `digest serve` does everything itself")
    from digest.engine.queue import ProcrastinateQueue

    queue = ProcrastinateQueue(found.store.url, found.newsletter.slug, connections=1)
    try:
        yield queue
    finally:
        queue.close()


def _to_row(aside: "SetAside") -> dict[str, object]:
    return {
        "id": aside.id,
        "kind": aside.task.kind,
        "subject": aside.task.subject,
        "attempts": aside.attempts,
        "set_aside_at": aside.set_aside_at,
        "fault": aside.fault,
    }
