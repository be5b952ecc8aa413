"""The tables of docs/scale.md that follow from its measured figures: `python -m benchmarks.scale` prints them.

The figures stand in the page alone, each in a row with its name; what is counted from them stands here. A test compares
the two, so that neither can be changed without the other.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
SIZES = ((1_000, 100_000), (10_000, 1_000_000), (100_000, 10_000_000))  # sources, readers
_DAY, _HOUR = 86_400, 3_600
_BEFORE_AN_EDITION = 720  # seconds in which every source is visited once more
_MONTH = 30  # editions

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a table: what it says, and how it follows from the figures, a number of sources and of readers."""

    says: str
    count: Callable[[Figures, int, int], float]
    shown: Callable[[float], str]


def read_figures(page: str) -> dict[str, float]:
    """The figures of the page, by name."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.,]+) \|", page, re.MULTILINE)
    return {name: float(value.replace(",", "")) for name, value in rows}


def show(value: float) -> str:
    """Two figures of a number: more are not known."""
    if value < 10:
        return f"{value:.2g}"
    digits = len(str(int(value))) - 2
    return f"{round(value / 10**digits) * 10**digits:,}"


def show_bytes(value: float) -> str:
    """In the unit that suits."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{show(value / size)} {unit}"
    return f"{show(value / 1e3)} kB"


def show_seconds(value: float) -> str:
    """In the unit that suits."""
    for unit, size in (("days", 2 * _DAY), ("h", 1.5 * _HOUR), ("min", 90)):
        if value >= size:
            return f"{show(value / {'days': _DAY, 'h': _HOUR, 'min': 60}[unit])} {unit}"
    return f"{show(value)} s"


def _visits(figures: Figures, sources: int) -> float:
    return sources * figures["visits"]


def _entries(figures: Figures, sources: int) -> float:
    return sources * figures["entries"]


COLLECTING = (
    Row(says="visits a day", count=lambda f, s, _: _visits(f, s), shown=show),
    Row(says="visits a second, through the day", count=lambda f, s, _: _visits(f, s) / _DAY, shown=show),
    Row(
        says="… in the quarter of an hour before an edition", count=lambda _f, s, _r: s / _BEFORE_AN_EDITION, shown=show
    ),
    Row(
        says="CPU for the visits, a day",
        count=lambda f, s, _: _visits(f, s) * (f["visit_cpu"] + f["task_cpu"]) / 1000,
        shown=show_seconds,
    ),
    Row(says="pages read a day", count=lambda f, s, _: _entries(f, s), shown=show),
    Row(
        says="CPU for the pages, a day",
        count=lambda f, s, _: _entries(f, s) * (f["page_cpu"] + f["task_cpu"]) / 1000,
        shown=show_seconds,
    ),
    Row(
        says="network in, a day",
        count=lambda f, s, _: _visits(f, s) * f["feed_bytes"] + _entries(f, s) * f["page_bytes"],
        shown=show_bytes,
    ),
    Row(
        says="entries on disk, a month, SQLite",
        count=lambda f, s, _: _MONTH * _entries(f, s) * f["entry_sqlite"],
        shown=show_bytes,
    ),
    Row(says="… PostgreSQL", count=lambda f, s, _: _MONTH * _entries(f, s) * f["entry_postgresql"], shown=show_bytes),
    Row(
        says="gathering a day's articles into stories, one core",
        count=lambda f, s, _: f["cluster_10000"] * (_entries(f, s) / 10_000) ** f["cluster_exponent"],
        shown=show_seconds,
    ),
    Row(
        says="… its memory, in proportion",
        count=lambda f, s, _: f["cluster_megabytes"] * 1e6 * _entries(f, s) / 10_000,
        shown=show_bytes,
    ),
)

READERS = (
    Row(says="readers on disk, SQLite", count=lambda f, _, r: r * f["reader_sqlite"], shown=show_bytes),
    Row(says="… PostgreSQL", count=lambda f, _, r: r * f["reader_postgresql"], shown=show_bytes),
    Row(says="deliveries of an edition, SQLite", count=lambda f, _, r: r * f["delivery_sqlite"], shown=show_bytes),
    Row(says="… PostgreSQL", count=lambda f, _, r: r * f["delivery_postgresql"], shown=show_bytes),
    Row(says="… a month of them", count=lambda f, _, r: _MONTH * r * f["delivery_postgresql"], shown=show_bytes),
    Row(says="temporary folder while planning", count=lambda f, _, r: r * f["planned_bytes"], shown=show_bytes),
    Row(says="planning, SQLite", count=lambda f, _, r: r / 1e6 * f["plan_sqlite"], shown=show_seconds),
    Row(says="… PostgreSQL", count=lambda f, _, r: r / 1e6 * f["plan_postgresql"], shown=show_seconds),
    Row(
        says="the ledger alone, one sender, requests of 1,000, SQLite",
        count=lambda f, _, r: r / 1e6 * (f["send_sqlite"] - f["plan_sqlite"]),
        shown=show_seconds,
    ),
    Row(
        says="… PostgreSQL",
        count=lambda f, _, r: r / 1e6 * (f["send_postgresql"] - f["plan_postgresql"]),
        shown=show_seconds,
    ),
)

SENDING = (
    Row(says="the shipped rate, 50/s", count=lambda _f, _, r: r / 50, shown=show_seconds),
    Row(says="rate for an edition within the hour, messages/s", count=lambda _f, _, r: r / _HOUR, shown=show),
    Row(says="SendGrid: requests of 1,000", count=lambda _f, _, r: r / 1000, shown=show),
    Row(says="… CPU of the workers", count=lambda f, _, r: r * f["sendgrid_cpu"] / 1000, shown=show_seconds),
    Row(says="… CPU of PostgreSQL", count=lambda f, _, r: r * f["sendgrid_server_cpu"] / 1000, shown=show_seconds),
    Row(says="… network out", count=lambda f, _, r: r * f["sendgrid_bytes"], shown=show_bytes),
    Row(says="… with one worker", count=lambda f, _, r: r / f["sendgrid_rate"], shown=show_seconds),
    Row(
        says="… workers for an edition within the hour",
        count=lambda f, _, r: _whole(r / _HOUR / f["sendgrid_rate"]),
        shown=show,
    ),
    Row(says="SMTP: CPU of the workers", count=lambda f, _, r: r * f["smtp_cpu"] / 1000, shown=show_seconds),
    Row(says="… CPU of PostgreSQL", count=lambda f, _, r: r * f["smtp_server_cpu"] / 1000, shown=show_seconds),
    Row(says="… network out", count=lambda f, _, r: r * f["message_bytes"], shown=show_bytes),
    Row(says="… with one worker, at 50 ms a message", count=lambda f, _, r: r / f["smtp_rate"], shown=show_seconds),
    Row(
        says="… workers for an edition within the hour",
        count=lambda f, _, r: _whole(r / _HOUR / f["smtp_rate"]),
        shown=show,
    ),
    Row(
        says="events of the provider, two a message: taken in",
        count=lambda f, _, r: 2 * r / f["events"],
        shown=show_seconds,
    ),
)

MONEY = (
    Row(says="messages a month", count=lambda _f, _, r: _MONTH * r, shown=show),
    Row(
        says="at `price` a thousand, a month",
        count=lambda f, _, r: _MONTH * r / 1000 * f["price"],
        shown=show,
    ),
)

TABLES = {"collecting": COLLECTING, "readers": READERS, "sending": SENDING, "money": MONEY}


def _whole(value: float) -> float:
    return float(-(-value // 1))


def write_table(name: str, rows: tuple[Row, ...], figures: Figures) -> Iterator[str]:
    """A table in Markdown, line by line."""
    heads = [f"{sources:,} sources, {readers:,} readers" for sources, readers in SIZES]
    yield f"| {name} | {' | '.join(heads)} |"
    yield f"| --- {'| ---: ' * len(SIZES)}|"
    for row in rows:
        cells = [row.shown(row.count(figures, sources, readers)) for sources, readers in SIZES]
        yield f"| {row.says} | {' | '.join(cells)} |"


def main() -> None:
    """Print all tables."""
    figures = read_figures(PAGE.read_text(encoding="utf-8"))
    for name, rows in TABLES.items():
        sys.stdout.write("\n".join(write_table(name, rows, figures)) + "\n\n")


if __name__ == "__main__":
    main()
