"""The bar of `progress`, drawn by Rich; imported only where there is a terminal to draw it on."""

from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from digest.cli.progress import Standing, write_trouble

_LABEL = "deliver   "
_SHORTEST, _LONGEST = 10, 60  # columns of the bar itself


class Bar:
    """One line on stderr that draws itself anew four times a second. What stdout says stays there."""

    def __init__(
        self, standing: Standing, write_speed: Callable[[Standing], str], *, console: Console | None = None
    ) -> None:
        """`write_speed` is asked each time: a rate falls while nothing comes. `console` is stderr's, if not another."""
        self._standing = standing
        self._write_speed = write_speed
        self._console = console or Console(stderr=True)
        self._live = Live(
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            refresh_per_second=4,
            get_renderable=self.draw,
        )

    def start(self) -> None:
        """Hide the cursor and draw."""
        self._live.start(refresh=True)

    def update(self, standing: Standing) -> None:
        """Draw something else from now on."""
        self._standing = standing

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(line, markup=False, highlight=False)

    def stop(self) -> None:
        """Take it away, and show the cursor."""
        self._live.stop()

    def draw(self) -> RenderableType:
        """As much as there is room for: a line that wraps cannot be drawn over, and a terminal may be made narrower."""
        standing, room = self._standing, self._console.width - 1
        counts = f"{standing.done:,}/{standing.total:,}"
        trouble = " ".join(write_trouble(standing))
        for words in ([counts, self._write_speed(standing)], [counts]):
            said = Text(" ".join(words), no_wrap=True, overflow="crop")
            if trouble:
                said.append(f" {trouble}", style="bold red")
            if len(said) <= room:
                break
        said.truncate(room)
        left = min(_LONGEST, room - len(said) - len(_LABEL) - 2)
        if left < _SHORTEST:
            return said
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(_LABEL, ProgressBar(standing.total, standing.done, width=left), said)
        return line
