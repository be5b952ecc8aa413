"""How fast all senders of a database go together."""

import threading
from datetime import date, datetime, timedelta

import pytest

from digest.models import Granted, Turns
from digest.stores.rates import grant
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, TODAY


def take(store: SqlStore, count: int, *, at: float = 0.0, rate: float = 10.0, within: float | None = None) -> Granted:
    """Some turns of one key, so many seconds from now."""
    turns = [Turns(key="smtp", count=count, per_second=rate, within=within)]
    (given,) = store.rates.reserve(turns, now=NOW + timedelta(seconds=at))
    return given


def seconds(given: Granted) -> float:
    """From when on, in seconds from now."""
    return (given.at - NOW).total_seconds()


def test_turns_follow_each_other_at_the_interval(store: SqlStore) -> None:
    assert [seconds(take(store, 5)) for _ in range(3)] == [0.0, 0.5, 1.0]
    assert seconds(take(store, 1, at=1.2)) == 1.5


def test_a_rest_saves_up_no_turns(store: SqlStore) -> None:
    take(store, 5)
    assert seconds(take(store, 5, at=60)) == 60.0
    assert seconds(take(store, 5, at=60)) == 60.5


def test_only_what_comes_soon_enough_is_given_and_the_rest_costs_nothing(store: SqlStore) -> None:
    assert take(store, 100, within=2.0) == Granted(count=21, at=NOW)
    refused = take(store, 5, within=2.0)
    assert (refused.count, seconds(refused)) == (0, 2.1)
    assert seconds(take(store, 1)) == 2.1


def test_each_key_has_a_rate_of_its_own(store: SqlStore) -> None:
    turns = [Turns(key=key, count=5, per_second=rate) for key, rate in (("slow", 1.0), ("fast", 100.0))]
    store.rates.reserve(turns, now=NOW)
    slow, fast = store.rates.reserve(turns, now=NOW)
    assert (seconds(slow), seconds(fast)) == (5.0, 0.05)


def test_many_keys_are_taken_at_once(store: SqlStore) -> None:
    turns = [Turns(key=f"domain {number}", count=1, per_second=1.0) for number in range(2000)]
    assert all(given.at == NOW for given in store.rates.reserve(turns, now=NOW))
    assert {seconds(given) for given in store.rates.reserve(turns, now=NOW)} == {1.0}


def test_what_was_reserved_before_the_clock_was_stepped_back_holds_nobody_up(store: SqlStore) -> None:
    take(store, 5, at=3600)
    assert seconds(take(store, 5)) == 0.0
    assert seconds(take(store, 5)) == 0.5


def test_a_long_queue_is_no_stepped_clock() -> None:
    turn = Turns(key="smtp", count=1, per_second=0.1)
    assert grant(turn, NOW + timedelta(seconds=300), NOW).at == NOW + timedelta(seconds=300)
    assert grant(turn, NOW + timedelta(seconds=3600), NOW).at == NOW


def test_senders_at_once_never_get_the_same_turn(store: SqlStore) -> None:
    given: list[datetime] = []

    def take_some() -> None:
        given.extend(take(store, 1, rate=100.0).at for _ in range(20))

    threads = [threading.Thread(target=take_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == [NOW + timedelta(seconds=number / 100) for number in range(80)]


def test_a_ceiling_holds_for_its_day(store: SqlStore) -> None:
    assert [store.rates.take("smtp", TODAY, 60, ceiling=100) for _ in range(3)] == [60, 40, 0]
    assert store.rates.take("smtp", TODAY + timedelta(days=1), 60, ceiling=100) == 60
    assert store.rates.take("other", TODAY, 60, ceiling=100) == 60


def test_a_ceiling_that_was_lowered_gives_nothing_and_takes_nothing_back(store: SqlStore) -> None:
    store.rates.take("smtp", TODAY, 60, ceiling=100)
    assert store.rates.take("smtp", TODAY, 10, ceiling=50) == 0
    assert store.rates.take("smtp", TODAY, 100, ceiling=100) == 40


def test_what_was_not_used_of_a_day_may_be_taken_again(store: SqlStore) -> None:
    store.rates.take("smtp", TODAY, 100, ceiling=100)
    store.rates.give_back("smtp", TODAY, 30)
    assert store.rates.take("smtp", TODAY, 100, ceiling=100) == 30


def test_a_ceiling_is_never_passed_by_senders_at_once(store: SqlStore) -> None:
    taken: list[int] = []

    def take_some() -> None:
        taken.extend(store.rates.take("smtp", TODAY, 7, ceiling=100) for _ in range(10))

    threads = [threading.Thread(target=take_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 100


def hour(store: SqlStore, wanted: int, minutes: float) -> Granted:
    """Some of an hour that takes a hundred."""
    return store.rates.take_of_hour("smtp", wanted, ceiling=100, now=NOW + timedelta(minutes=minutes))


def test_in_no_hour_is_more_taken_than_its_ceiling(store: SqlStore) -> None:
    taken = [(minute, hour(store, 9, minute).count) for minute in range(200)]
    for start in range(140):
        assert sum(count for minute, count in taken if start <= minute <= start + 60) <= 100
    assert sum(count for _, count in taken) > 300


def test_an_hour_that_is_used_up_says_when_there_is_more(store: SqlStore) -> None:
    assert hour(store, 60, 0).count == 60
    used_up = hour(store, 60, 30)
    assert used_up.count == 40
    assert used_up.at == NOW + timedelta(minutes=62)
    assert hour(store, 1, 61.9).count == 0
    assert hour(store, 1, 62).count == 1


def test_an_hour_goes_on_over_midnight(store: SqlStore) -> None:
    late = (datetime.combine(TODAY, datetime.max.time(), tzinfo=NOW.tzinfo) - NOW).total_seconds() / 60
    assert hour(store, 100, late).count == 100
    assert hour(store, 1, late + 30).count == 0


def test_what_was_not_used_of_an_hour_may_be_taken_again(store: SqlStore) -> None:
    hour(store, 50, 0)
    hour(store, 50, 1)
    store.rates.give_back_of_hour("smtp", 60, now=NOW + timedelta(minutes=2))
    assert hour(store, 100, 3).count == 60


@pytest.mark.parametrize("day", [TODAY + timedelta(days=10)], ids=["ten days later"])
def test_what_is_long_over_is_forgotten(store: SqlStore, day: date) -> None:
    take(store, 5)
    store.rates.take("smtp", TODAY, 10, ceiling=100)
    store.rates.take("smtp", day, 10, ceiling=100)
    assert store.rates.take("smtp", TODAY, 100, ceiling=100) == 100
