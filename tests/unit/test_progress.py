"""What is shown of an edition on its way: what the counts say, how fast it goes, and when a log gets a line."""

import io
import re

import pytest
from rich.console import Console

from digest.cli.bar import Bar
from digest.cli.progress import Pace, Progress, Standing, count, is_line_due, write_duration, write_line


class Monotonic:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_skipped_is_no_message_and_what_is_put_off_is_not_done() -> None:
    standing = count({"planned": 5, "claimed": 1, "attempted": 1, "deferred": 3, "accepted": 8, "refused": 1,
                      "unknown": 2, "bounced": 1, "skipped": 40})  # fmt: skip
    assert standing == Standing(total=22, done=12, deferred=3, unknown=2, failed=2)


def test_what_was_done_before_the_first_look_is_nobodys_speed() -> None:
    pace = Pace()
    pace.note(9_000, 0.0)
    assert pace.rate(0.0) is None
    pace.note(9_050, 1.0)
    assert pace.rate(1.0) == 50.0


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    pace = Pace()
    for second in range(61):
        pace.note(min(second, 40) * 100 + max(0, second - 40) * 10, float(second))
    assert pace.rate(60.0) == pytest.approx(10.0)


def test_steps_longer_than_ten_seconds_still_have_a_rate() -> None:
    pace = Pace()
    for step in range(5):
        pace.note(step * 1000, step * 20.0)
    assert pace.rate(80.0) == pytest.approx(50.0)
    assert pace.rate(100.0) == pytest.approx(25.0)


def test_a_standstill_is_a_rate_of_nothing_and_no_remaining_time() -> None:
    pace = Pace()
    pace.note(0, 0.0)
    pace.note(100, 1.0)
    assert pace.rate(200.0) == 0.0
    assert pace.seconds_left(Standing(total=200, done=100), 200.0) is None


def test_counts_that_fall_begin_anew() -> None:
    pace = Pace()
    pace.note(0, 0.0)
    pace.note(100, 1.0)
    pace.note(60, 2.0)  # forty are tried again
    assert pace.rate(2.0) is None
    pace.note(70, 3.0)
    assert pace.rate(3.0) == 10.0


def test_a_line_says_all_that_is_known() -> None:
    standing = Standing(total=12_000, done=3_000, deferred=4, unknown=2, failed=1)
    assert write_line(standing, 48.4, 186.0) == (
        "deliver    3,000 of 12,000 (25 %), 48/s, 3:06 left, 4 deferred, 2 unknown, 1 failed"
    )
    assert write_line(Standing(total=3, done=0), None, None) == "deliver    0 of 3 (0 %)"
    assert write_line(Standing(total=3, done=1), 0.0, None) == "deliver    1 of 3 (33 %), 0/s"
    assert write_line(Standing(total=3, done=3), 2.0, 0.0) == "deliver    3 of 3 (100 %)"


def test_durations_have_hours_where_there_are_some() -> None:
    assert [write_duration(seconds) for seconds in (None, 0, 59.6, 3599, 3600, 90_061)] == [
        "–:––", "0:00", "1:00", "59:59", "1:00:00", "25:01:01",
    ]  # fmt: skip


def test_a_log_gets_a_line_at_the_start_at_each_tenth_and_now_and_then() -> None:
    told = Standing(total=1000, done=210)
    assert is_line_due(None, told, waited=0, running=0)
    assert not is_line_due(told, Standing(total=1000, done=299), waited=9, running=9)
    assert is_line_due(told, Standing(total=1000, done=300), waited=1, running=1)
    assert is_line_due(told, Standing(total=1000, done=211), waited=10, running=10)
    assert not is_line_due(told, Standing(total=1000, done=211), waited=59, running=4000)
    assert is_line_due(told, Standing(total=1000, done=211), waited=60, running=4000)


def test_a_log_gets_few_lines_and_the_last_count() -> None:
    clock, lines = Monotonic(), list[str]()
    with Progress(monotonic=clock, tell=lines.append, live=False) as progress:
        progress.show({})
        for done in range(96):
            progress.show({"planned": 95 - done, "accepted": done, "skipped": 3})
            clock.now += 0.5
    assert lines[0] == "deliver    0 of 95 (0 %)"
    assert lines[-1] == "deliver    95 of 95 (100 %)"
    assert len(lines) <= 16


def test_a_log_gets_no_line_twice_also_when_what_is_shown_begins_anew() -> None:
    clock, lines = Monotonic(), list[str]()
    with Progress(monotonic=clock, tell=lines.append, live=False) as progress:
        for done in (0, 0, 1):
            progress.show({"planned": 1 - done, "accepted": done})
            progress.end()  # a stage was told of
            clock.now += 100
        progress.show({"accepted": 1})
    assert lines == ["deliver    0 of 1 (0 %)", "deliver    1 of 1 (100 %)"]


def test_nothing_to_send_is_not_talked_about() -> None:
    lines = list[str]()
    with Progress(tell=lines.append, live=False) as progress:
        progress.show({"skipped": 4})
    assert lines == []


@pytest.mark.parametrize("columns", [1, 5, 20, 30, 60, 100, 300])
def test_a_bar_is_one_line_on_any_terminal(columns: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=columns, force_terminal=True, no_color=True, legacy_windows=False)
    standing = Standing(total=1_000_000, done=250_000, deferred=3, unknown=2, failed=1)
    console.print(Bar(standing, lambda _: "48/s 4:20:00", console=console).draw())
    (line,) = screen.getvalue().splitlines()
    plain = re.sub("\x1b.*?m", "", line).rstrip()
    assert len(plain) <= columns
    assert ("250,000/1,000,000" in plain) is (columns >= 20)
    assert ("deliver" in plain) is ("48/s" in plain) is (columns >= 100)
    assert ("2 unknown" in plain) is (columns >= 60)
