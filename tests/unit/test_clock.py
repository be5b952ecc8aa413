"""Whether a clock may be believed."""

from datetime import UTC, datetime, timedelta

import pytest

from digest.operate.clock import find_skew, find_step_back, measure
from digest.operate.presence import next_pause

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "there", "after", "ahead"),
    [(0, 0, 0, 0), (0, 5, 10, 0), (100, 0, 110, 100), (0, 100, 10, -90)],
    ids=["at once", "between", "ahead", "behind"],
)
def test_a_clock_is_wrong_by_what_the_way_to_the_server_does_not_explain(
    before: int, there: int, after: int, ahead: int
) -> None:
    instants = [NOW + timedelta(seconds=seconds) for seconds in (before, there, after)]
    assert measure(*instants) == timedelta(seconds=ahead)


def test_half_a_minute_is_let_pass_and_two_hours_are_told_with_the_side() -> None:
    assert find_skew(timedelta(seconds=30)) == ""
    assert find_skew(timedelta(seconds=-30)) == ""
    assert "2 h ahead of the database server's; nothing is sent from here" in find_skew(timedelta(hours=2))
    assert "45 s behind the database server's" in find_skew(timedelta(seconds=-45))


def test_a_clock_that_was_set_back_behind_the_last_run_is_told() -> None:
    assert find_step_back(NOW, None) == ""
    assert find_step_back(NOW, NOW + timedelta(seconds=20)) == ""
    assert "is 3 days behind the end of the last run" in find_step_back(NOW, NOW + timedelta(days=3))


def test_a_database_that_is_away_is_asked_after_a_second_and_then_more_rarely_up_to_half_a_minute() -> None:
    beat = timedelta(seconds=5)
    pauses, pause = [], beat
    for _ in range(8):
        pause = next_pause(pause, beat)
        pauses.append(pause.seconds)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
