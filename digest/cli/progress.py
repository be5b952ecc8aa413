"""How far an edition has come on its way to its readers: a bar on a terminal, plain lines elsewhere, both on stderr.

    counts by state ─ count ─> Standing ─┬─ Pace ──> messages a second, time left
                                         └─> a bar that draws itself, or a line now and then

Nothing is counted here: the ledger's counts are shown as they come, also when they fall.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from digest.cli.output import say
from digest.models import UNSETTLED

if TYPE_CHECKING:
    from digest.cli.bar import Bar

_FAILED: Final = ("refused", "dropped", "bounced")
_SMOOTHED: Final = 10.0  # seconds over which the rate is taken
_STALLED: Final = 60.0  # without progress, after which there is no rate
_OFTEN: Final = 10.0  # seconds between lines
_SELDOM: Final = 60.0  # and when it takes long
_LONG: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an edition stands, in messages; what is skipped is none."""

    total: int
    done: int
    deferred: int = 0
    unknown: int = 0
    failed: int = 0

    @property
    def share(self) -> float:
        """How much is done, between 0 and 1."""
        return self.done / self.total if self.total else 1.0


def count(counts: Mapping[str, int]) -> Standing:
    """What deliveries by state say of the whole. Pure."""
    total = sum(number for state, number in counts.items() if state != "skipped")
    return Standing(
        total=total,
        done=total - sum(counts.get(state, 0) for state in UNSETTLED),
        deferred=counts.get("deferred", 0),
        unknown=counts.get("unknown", 0),
        failed=sum(counts.get(state, 0) for state in _FAILED),
    )


class Pace:
    """How fast it goes: over the last ten seconds, or the last step where steps are longer.

    What was done before the first look is nobody's speed, and when less is done than before it begins anew.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._steps: tuple[tuple[float, int], ...] = ()  # replaced whole: a bar reads it from a thread of its own

    def note(self, done: int, at: float) -> None:
        """So much is done at an instant, in seconds of a clock that is never set."""
        if not self._steps or done < self._steps[-1][1]:
            self._steps = ((at, done),)
        elif done > self._steps[-1][1]:
            before = [step for step in self._steps if at - step[0] >= _SMOOTHED][-1:]
            self._steps = (*before, *(step for step in self._steps if at - step[0] < _SMOOTHED), (at, done))

    def rate(self, now: float) -> float | None:
        """Messages a second; 0 when it stands still; None as long as nothing is known."""
        if len(self._steps) < 2:
            return None
        (since, before), (last, done) = self._steps[0], self._steps[-1]
        if now - last > _STALLED or now <= since:
            return 0.0
        return (done - before) / (now - since)

    def seconds_left(self, standing: Standing, now: float) -> float | None:
        """How long the rest will take at this rate; None when nobody can say."""
        rate = self.rate(now)
        return (standing.total - standing.done) / rate if rate else None


def write_line(standing: Standing, rate: float | None, left: float | None) -> str:
    """One line for a log. Pure."""
    parts = [f"{standing.done:,} of {standing.total:,} ({int(standing.share * 100)} %)"]
    if rate is not None and standing.done < standing.total:
        parts.append(f"{write_rate(rate)}, {write_duration(left)} left" if left is not None else write_rate(rate))
    return f"{'deliver':<10} {', '.join([*parts, *write_trouble(standing)])}"


def write_rate(rate: float | None) -> str:
    """Messages a second."""
    if rate is None:
        return "–/s"
    return f"{rate:,.0f}/s" if rate >= 10 or rate == 0 else f"{rate:.1f}/s"


def write_duration(seconds: float | None) -> str:
    """Minutes and seconds, with hours where there are some."""
    if seconds is None:
        return "–:––"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def write_trouble(standing: Standing) -> list[str]:
    """What did not go as it should."""
    named = {"deferred": standing.deferred, "unknown": standing.unknown, "failed": standing.failed}
    return [f"{number:,} {word}" for word, number in named.items() if number]


class Progress:
    """Shows an edition's counts as they come. A context manager; `show` may be called from any thread."""

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, tell: Callable[[str], None] = say, live: bool = True
    ) -> None:
        """`live` draws a bar where stderr is a terminal that can; else lines go to `tell`, now and then."""
        self._monotonic = monotonic
        self._tell = tell
        self._live = live and sys.stderr.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
        self._bar: Bar | None = None
        self._told: Standing | None = None  # the last line; also when what is shown begins anew
        self._begin()

    def _begin(self) -> None:
        self._pace = Pace()
        self._standing: Standing | None = None
        self._began_at = self._told_at = self._monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def is_drawn(self) -> bool:
        """Whether a bar stands on the terminal, and its cursor is hidden."""
        return self._bar is not None

    def show(self, counts: Mapping[str, int]) -> None:
        """The newest counts by state."""
        now, standing = self._monotonic(), count(counts)
        self._standing = standing
        self._pace.note(standing.done, now)
        if not standing.total:
            return
        with contextlib.suppress(OSError):  # nobody reads it any more: no reason to end a sending
            if self._live:
                self._draw(standing)
            elif is_line_due(self._told, standing, waited=now - self._told_at, running=now - self._began_at):
                self._tell_standing(standing, now)

    def say(self, line: str) -> None:
        """Talk that stands above the bar, where there is one."""
        bar = self._bar
        if bar is None:
            self._tell(line)
        else:
            bar.say(line)

    def end(self) -> None:
        """Take the bar away, or write how it stands at last; what is shown afterwards begins anew."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()
        standing = self._standing
        if not self._live and standing and standing.total and standing != self._told:
            self._tell_standing(standing, self._monotonic())
        self._begin()

    def _tell_standing(self, standing: Standing, now: float) -> None:
        self._told, self._told_at = standing, now
        self._tell(write_line(standing, self._pace.rate(now), self._pace.seconds_left(standing, now)))

    def _draw(self, standing: Standing) -> None:
        if self._bar is not None:
            self._bar.update(standing)
            return
        from digest.cli.bar import Bar

        bar = Bar(standing, self._write_speed)
        bar.start()
        self._bar = bar

    def _write_speed(self, standing: Standing) -> str:
        now = self._monotonic()
        return f"{write_rate(self._pace.rate(now))} {write_duration(self._pace.seconds_left(standing, now))}"


def is_line_due(told: Standing | None, standing: Standing, *, waited: float, running: float) -> bool:
    """Whether a log wants another line: at the start, at each tenth, and after a while. Never the same twice. Pure."""
    if told is None:
        return True
    if told == standing:
        return False
    if int(told.share * 10) != int(standing.share * 10):
        return True
    return waited >= (_OFTEN if running < _LONG else _SELDOM)
