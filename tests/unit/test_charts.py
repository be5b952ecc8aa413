"""Where things stand on the operator's pictures."""

from datetime import date, timedelta

from digest.models import EditionState
from digest.operate.charts import plot_bars, plot_line

DAY = date(2026, 11, 27)


def test_a_line_goes_from_the_first_day_to_the_last_and_from_nothing_to_a_round_number() -> None:
    line = plot_line({DAY: 40, DAY + timedelta(days=10): 95, DAY + timedelta(days=5): 0}, width=100, height=50)
    assert line
    assert line.path == "M0.0,30.0 L50.0,50.0 L100.0,2.5"
    assert line.area.endswith("L100.0,50 L0.0,50 Z")
    assert line.ticks == ((50.0, 0), (25.0, 50), (0.0, 100))
    assert (line.days[0], line.days[-1]) == ((0.0, DAY), (100.0, DAY + timedelta(days=10)))
    assert line.last == (100.0, 2.5, 95)


def test_one_day_is_a_line_too_and_none_is_no_picture() -> None:
    line = plot_line({DAY: 3}, width=100, height=50)
    assert line
    assert line.path == "M0,12.5 L100,12.5"
    assert [number for _, number in line.ticks] == [0, 2, 4]
    assert line.last == (100, 12.5, 3)
    assert plot_line({}) is None
    empty = plot_line({DAY: 0})
    assert empty
    assert [number for _, number in empty.ticks] == [0, 1, 2]


def test_every_number_of_readers_has_a_round_top_that_holds_it() -> None:
    for number in [*range(300), 999, 1001, 12_345, 9_999_999]:
        line = plot_line({DAY: number})
        assert line
        top, half = line.ticks[2][1], line.ticks[1][1]
        assert number <= top <= max(2, 2 * number)
        assert top == 2 * half


def test_bars_are_of_one_scale_and_leave_out_what_is_not() -> None:
    editions = [
        {"date": DAY, "cadence": "daily", "state": EditionState.SENT, "deliveries": {"accepted": 5, "delivered": 3}},
        {"date": DAY, "cadence": "weekly", "state": EditionState.HELD, "deliveries": {}},
        {"date": DAY, "cadence": "daily", "state": EditionState.SENT, "deliveries": {"unknown": 1, "bounced": 3}},
    ]
    first, second, third = plot_bars(editions)
    assert (first.label, first.pieces) == ("2026-11-27", (("arrived", 1.0, 8),))
    assert (second.label, second.total, second.pieces) == ("2026-11-27 weekly", 0, ())
    assert third.pieces == (("unknown", 0.125, 1), ("failed", 0.375, 3))
