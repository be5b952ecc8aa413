"""Whether an edition reaches everybody before it is too old."""

from datetime import timedelta

import pytest

from digest.operate.lateness import find_lateness, write_span

FOUR_HOURS = timedelta(hours=4)


def test_a_rate_that_reaches_everybody_in_time_is_fine() -> None:
    assert find_lateness(720_000, rate=50, per_hour=None, max_lateness=FOUR_HOURS) == (
        "ok",
        "720,000 active readers at 50/s: 4 h at the least; max_lateness is 4 h",
        None,
    )
    assert find_lateness(1, rate=50, per_hour=10, max_lateness=FOUR_HOURS)[:2] == (
        "ok",
        "1 active reader at 50/s and 10 an hour: 1 s at the least; max_lateness is 4 h",
    )


def test_a_rate_that_is_too_low_is_told_of_with_the_figures_and_the_remedy() -> None:
    assert find_lateness(1_000_000, rate=50, per_hour=None, max_lateness=FOUR_HOURS) == (
        "warning",
        "1,000,000 active readers at 50/s take 5 h 34 min, and [schedule] max_lateness is 4 h:"
        " what is left then is given up, 280,000 readers get nothing",
        "raise [transport] rate to 70/s where the provider takes that, or max_lateness",
    )


def test_what_an_hour_takes_counts_too_and_its_first_one_at_once() -> None:
    assert find_lateness(4000, rate=50, per_hour=1000, max_lateness=FOUR_HOURS)[0] == "ok"
    result, message, remedy = find_lateness(4100, rate=50, per_hour=1000, max_lateness=FOUR_HOURS)
    assert (result, "4,100 active readers at 50/s and 1,000 an hour take 4 h 1 min" in message) == ("warning", True)
    assert "100 readers get nothing" in message
    assert remedy == "raise [transport] per_hour to 1,025 where the provider takes that, or max_lateness"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (40, "40 s"),
        (60.1, "61 s"),
        (119.1, "2 min"),
        (121, "3 min"),
        (3600, "1 h"),
        (20_041, "5 h 35 min"),
        (200_000, "2 days 8 h"),
    ],
)
def test_spans_are_never_less_than_they_are(seconds: float, words: str) -> None:
    assert write_span(seconds) == words
