"""What the commands print: data to stdout, talk to stderr; errors as one line; exit codes.

0 done (also: nothing due)   1 failed   2 usage or configuration   3 finished but not whole
"""

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from enum import Enum
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from digest.errors import ConfigError, DigestError

if TYPE_CHECKING:
    from digest.models import StageReport

DONE, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
_PAGE = 1000  # rows whose columns are aligned together
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def say(line: str) -> None:
    """Talk: a line to stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints


def put(line: str) -> None:
    """Data: a line to stdout."""
    print(line, flush=True)  # noqa: T201


def put_json(value: Any) -> None:
    """One JSON object on a line of its own."""
    put(json.dumps(to_json(value), ensure_ascii=False))


def put_rows(rows: Iterable[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """A listing: JSON Lines, or columns (aligned on a terminal, else tab-separated); `empty` is said when it is.

    Rows are printed as they come: there may be a million.
    """
    rest = iter(rows)
    first = next(rest, None)
    if as_json:
        for row in chain([first] if first is not None else [], rest):
            put_json(row)
    elif first is None:
        say(empty)
    elif sys.stdout.isatty():
        rest = chain([first], rest)
        while page := list(islice(rest, _PAGE)):
            _put_table(page)
    else:
        put("\t".join(first))
        for row in chain([first], rest):
            put("\t".join(_cell(value) for value in row.values()))


def to_json(value: Any) -> Any:
    """Dataclasses, dates, enumerations, paths and collections as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [to_json(item) for item in value]
    return value


@contextmanager
def progress(of: str) -> Iterator[Callable[[int], None]]:
    """How far something of unknown length has come, on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    with Progress(SpinnerColumn(), TextColumn("{task.completed:,.0f} " + of), console=Console(stderr=True)) as bar:
        task = bar.add_task(of, total=None)
        yield lambda done: bar.update(task, completed=done)


def report_error(error: DigestError) -> int:
    """Print an error, a line a fault, and give its exit code."""
    if isinstance(error, ConfigError):
        for line in error.faults or (str(error),):
            say(f"digest: {line}")
        return USAGE
    say(f"digest: {error}")
    return FAILED


def leave(code: int) -> NoReturn:
    """End the command with an exit code."""
    raise typer.Exit(code)


def _put_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value) or "–"
    # What strangers wrote moves no cursor.
    return " ".join(_CONTROL.sub(" ", str(value)).split())


def write_stage(stage: "StageReport") -> str:
    """A stage of a run, in lines for people."""
    counts = ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in stage.counts.items())
    first, *others = [counts, *stage.notes] if counts or not stage.notes else stage.notes
    return "\n".join([f"{stage.stage:<10} {first}".rstrip(), *(f"{'':<10} {note}" for note in others)])
