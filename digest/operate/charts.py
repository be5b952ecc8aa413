"""How figures are drawn: places on a picture of a given size, which templates turn into lines and bars. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from digest.models import ARRIVED, UNSETTLED

_ROUND: Final = (1, 2, 4, 6, 8, 10)
# Deliveries by what they mean for a reader, in print order; the first word is also their colour's name.
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "arrived": ARRIVED,
    "waiting": UNSETTLED,
    "unknown": ("unknown",),
    "failed": ("refused", "bounced", "dropped", "complained"),
    "skipped": ("skipped",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line over days, in a box of `width` × `height`: SVG paths, and where marks stand."""

    width: int
    height: int
    path: str
    area: str
    ticks: tuple[tuple[float, int], ...]  # height, and the number it stands for
    days: tuple[tuple[float, date], ...]  # place, and the day it stands for
    last: tuple[float, float, int]  # place, height and number of the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One edition: its pieces by group, as shares of the longest bar (0 to 1)."""

    label: str
    state: str
    total: int
    pieces: tuple[tuple[str, float, int], ...]


def plot_line(counts: Mapping[date, int], *, width: int = 720, height: int = 180) -> Line | None:
    """How a number went over days; None where there is none. A day that nobody counted is passed over."""
    if not counts:
        return None
    days = sorted(counts)
    span, top = max(1, (days[-1] - days[0]).days), _round_up(max(counts.values()))
    places = [
        (round(width * (day - days[0]).days / span, 1), round(height * (1 - counts[day] / top), 1)) for day in days
    ]
    if len(places) == 1:  # a line of one day is none
        places = [(0, places[0][1]), (width, places[0][1])]
    path = "M" + " L".join(f"{x},{y}" for x, y in places)
    (start, _), (end, level) = places[0], places[-1]
    return Line(
        width=width,
        height=height,
        path=path,
        area=f"{path} L{end},{height} L{start},{height} Z",
        ticks=tuple((round(height * (1 - part / 2), 1), round(top * part / 2)) for part in (0, 1, 2)),
        days=tuple(_mark_days(days[0], days[-1], width)),
        last=(end, level, counts[days[-1]]),
    )


def plot_bars(editions: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """The deliveries of editions, in their order, all to one scale."""
    totals = [sum(one["deliveries"].values()) for one in editions]
    longest = max(totals, default=0) or 1
    return [
        Bar(
            label=f"{one['date']}" + ("" if one["cadence"] == "daily" else f" {one['cadence']}"),
            state=f"{one['state']}",
            total=total,
            pieces=tuple(
                (name, round(number / longest, 4), number)
                for name, states in GROUPS.items()
                if (number := sum(one["deliveries"].get(state, 0) for state in states))
            ),
        )
        for one, total in zip(editions, totals, strict=True)
    ]


def _mark_days(first: date, last: date, width: int) -> list[tuple[float, date]]:
    span = (last - first).days
    if span == 0:
        return [(0.0, first)]
    steps = min(4, span)
    return [
        (round(width * step / steps, 1), first + timedelta(days=round(span * step / steps)))
        for step in range(steps + 1)
    ]


def _round_up(number: int) -> int:
    """The next number that reads well and is even: its half stands on the axis, too."""
    scale = 1
    while scale * 10 < number:
        scale *= 10
    return next(top for step in _ROUND if (top := scale * step) >= max(2, number) and top % 2 == 0)
