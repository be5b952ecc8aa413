"""How often a source is visited: a function of what it published."""

from datetime import datetime, timedelta

import pytest

from digest.collect.pace import BEFORE_AN_EDITION, LONGEST, SHORTEST, choose_pace, choose_visit
from tests.unit.builders import NOON

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def every(gap: timedelta, count: int = 20) -> list[datetime]:
    """The dates of a source that publishes so often, the newest just before noon."""
    return [NOON - gap * number for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("gap", "pace"),
    [
        (2 * HOUR, HOUR),
        (HOUR, 30 * MINUTE),
        (MINUTE, SHORTEST),
        (timedelta(days=1), LONGEST),
    ],
    ids=["two hours", "one hour", "one minute", "one day"],
)
def test_a_source_is_visited_twice_as_often_as_it_publishes_within_bounds(gap: timedelta, pace: timedelta) -> None:
    assert choose_pace(None, new=20, dates=every(gap), now=NOON) == pace
    assert choose_pace(HOUR, new=1, dates=every(gap), now=NOON) == pace


def test_each_visit_that_finds_nothing_new_makes_visits_rarer_up_to_a_few_hours() -> None:
    pace, seen = SHORTEST, []
    for _ in range(12):
        pace = choose_pace(pace, new=0, dates=every(HOUR), now=NOON)
        seen.append(pace)
    assert seen == sorted(seen)
    assert seen[0] > SHORTEST
    assert seen[-1] == LONGEST


def test_a_source_without_dates_is_visited_more_often_while_it_brings_something() -> None:
    first = choose_pace(None, new=0, dates=(), now=NOON)
    assert choose_pace(first, new=2, dates=(), now=NOON) == first / 2
    assert choose_pace(SHORTEST, new=2, dates=(), now=NOON) == SHORTEST


def test_a_source_that_fell_silent_is_not_visited_as_when_it_published() -> None:
    dates = [NOON - 10 * HOUR - MINUTE * number for number in range(10)]
    assert choose_pace(None, new=10, dates=dates, now=NOON) > 30 * MINUTE


def test_dates_of_the_future_and_of_long_ago_say_nothing() -> None:
    odd = [NOON + HOUR, NOON - timedelta(days=400)]
    assert choose_pace(None, new=2, dates=odd, now=NOON) == choose_pace(None, new=2, dates=(), now=NOON)


def test_the_operators_word_overrides_what_was_found() -> None:
    assert choose_pace(HOUR, new=0, dates=every(MINUTE), now=NOON, every=5 * MINUTE) == 5 * MINUTE


def test_every_source_is_visited_in_the_quarter_of_an_hour_before_an_edition_and_not_all_at_once() -> None:
    due_at = NOON + 2 * HOUR
    visits = [choose_visit(f"s{n}", now=NOON, pace=4 * HOUR, edition_due_at=due_at) for n in range(200)]
    assert all(due_at - BEFORE_AN_EDITION <= at < due_at for at in visits)
    assert len({at.replace(second=0, microsecond=0) for at in visits}) > 10


def test_a_visit_that_comes_early_enough_stays_where_it_is() -> None:
    at = choose_visit("wire", now=NOON, pace=HOUR, edition_due_at=NOON + 6 * HOUR)
    assert abs(at - NOON - HOUR) <= 3 * MINUTE


def test_a_source_that_was_just_visited_before_an_edition_is_not_visited_again_for_it() -> None:
    at = choose_visit("wire", now=NOON, pace=HOUR, edition_due_at=NOON + 10 * MINUTE)
    assert at > NOON + 50 * MINUTE


def test_what_the_source_asks_for_itself_wins_when_it_is_later_and_only_then() -> None:
    asked = NOON + 6 * HOUR
    choose = {"now": NOON, "pace": HOUR, "edition_due_at": NOON + 2 * HOUR}
    assert choose_visit("wire", not_before=asked, **choose) == asked  # type: ignore[arg-type]
    assert choose_visit("wire", not_before=NOON + MINUTE, **choose) > NOON + 50 * MINUTE  # type: ignore[arg-type]
