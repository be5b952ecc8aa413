"""The page about scale counts right: what follows from its figures is counted anew."""

import re
from pathlib import Path

import pytest

from benchmarks.__main__ import KNOWN
from benchmarks.scale import SIZES, TABLES, read_figures, show, show_bytes, show_seconds, write_table


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_follows_from_the_measured_figures(page: str, name: str) -> None:
    expected = list(write_table(name, TABLES[name], read_figures(page)))
    assert "\n".join(expected) in page, "write what `python -m benchmarks.scale` prints into docs/scale.md"


def test_every_figure_is_used_and_says_where_it_is_from(page: str) -> None:
    figures = read_figures(page)
    used: set[str] = set()

    class Watched(dict[str, float]):
        def __getitem__(self, name: str) -> float:
            used.add(name)
            return super().__getitem__(name)

    for rows in TABLES.values():
        for row in rows:
            row.count(Watched(figures), *SIZES[0])
    assert used == set(figures)
    for line in re.findall(r"^\| `\w+` \|.*$", page, re.MULTILINE):
        origin = line.strip("| ").split("|")[-1].strip()
        if not origin.startswith("assumed"):
            (measurement,) = re.findall(r"measured: `(\w+)`", origin)
            assert measurement in KNOWN, line


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (show(0.0123), "0.012"),
        (show(1), "1"),
        (show(10_000_000), "10,000,000"),
        (show(12_345), "12,000"),
        (show_bytes(1_540), "1.5 kB"),
        (show_bytes(62e9), "62 GB"),
        (show_seconds(89), "89 s"),
        (show_seconds(20_000), "5.6 h"),
        (show_seconds(200_000), "2.3 days"),
    ],
)
def test_figures_are_shown_with_two_digits_in_the_unit_that_suits(shown: str, expected: str) -> None:
    assert shown == expected
