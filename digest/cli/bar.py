"""The bar of `progress`, drawn by Rich; imported only where there is a terminal to draw it on."""

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from digest.cli.progress import Pace, write_duration, write_rate, write_trouble

_NARROW, _MIDDLING = 48, 72  # columns of a terminal


def make_bar(pace: Pace, monotonic: Callable[[], float]) -> Progress:
    """A bar on stderr for one task, whose field `standing` is what `progress` knows. What stdout says stays there."""
    return _Bar(pace, monotonic)


class _Bar(Progress):
    """Rich's, with the columns that there is room for: the terminal may be made narrower at any time."""

    def __init__(self, pace: Pace, monotonic: Callable[[], float]) -> None:
        super().__init__(
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=monotonic,
            refresh_per_second=4,
        )
        self._speed = _Speed(pace, monotonic)

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """One line, never two: a line that wraps cannot be drawn over."""
        width = self.console.width
        room: list[ProgressColumn] = [_Counted()]
        if width >= _NARROW:
            room = [*room, self._speed]
        room = [*room, _Trouble()]
        if width >= _MIDDLING:
            room = [TextColumn("deliver   "), BarColumn(bar_width=None), *room]
        self.columns = tuple(room)
        table = super().make_tasks_table(tasks)
        table.expand = True
        for column in table.columns:
            column.no_wrap = True
            column.overflow = "ellipsis"
        return table


class _Counted(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:,.0f}/{task.total or 0:,.0f}", style="progress.download")


class _Speed(ProgressColumn):
    def __init__(self, pace: Pace, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._pace = pace
        self._monotonic = monotonic

    def render(self, task: Task) -> Text:
        now = self._monotonic()
        left = self._pace.seconds_left(task.fields["standing"], now)
        return Text(f"{write_rate(self._pace.rate(now))} {write_duration(left)}", style="progress.remaining")


class _Trouble(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(" ".join(write_trouble(task.fields["standing"])), style="bold red")
