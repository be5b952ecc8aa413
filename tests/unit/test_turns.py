"""Who goes when, what stops an edition, and which lane rests: decided without a clock or a store."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from digest.deliver.breaking import Breaker, Limits, find_excess, without_addresses
from digest.deliver.lanes import Health, Lane, WarmUp, back_off
from digest.deliver.turns import (
    Timed,
    cut,
    delay,
    find_ceiling,
    find_rate,
    find_tomorrow,
    fold_domain,
    group_by_domain,
    interleave,
)
from digest.models import DeliveryState, Outcome, Recipient
from digest.protocols import Transport

LIMITS = Limits(failures=0.1, bounces=0.05, complaints=0.01, after=100)


class Idle:
    name, batch_size = "idle", 50


def lane(**changes: Any) -> Lane:
    """A lane that nobody sends by."""
    return Lane(transport=cast("Transport", Idle()), **{"rate": 50.0, **changes})


def recipient(email: str) -> Recipient:
    """Whoever has that address."""
    return Recipient(delivery=0, send_key="", subscriber_key="", email=email, name=None)


@pytest.mark.parametrize(
    ("email", "domain"),
    [
        ("a@Example.ORG", "example.org"),
        ("a@example.org.", "example.org"),
        ("a@mail.example.org", "mail.example.org"),
        ("a@bücher.example", "xn--bcher-kva.example"),
        ('"a@b"@example.org', "example.org"),
    ],
)
def test_a_domain_is_counted_under_one_name(email: str, domain: str) -> None:
    assert fold_domain(email) == domain


def test_a_domain_has_its_own_rate_or_that_of_all_unless_the_lane_is_no_faster() -> None:
    made = lane(per_domain=20.0, domains={"slow.test": 1.0, "fast.test": 500.0})
    assert [find_rate(made, name) for name in ("slow.test", "fast.test", "other.test")] == [1.0, None, 20.0]
    assert find_rate(lane(), "other.test") is None
    assert find_rate(lane(rate=10.0, per_domain=20.0), "other.test") is None


def test_recipients_whose_domain_has_no_rate_stand_together() -> None:
    readers = [recipient(f"{name}.test") for name in ("a@slow", "b@free", "c@SLOW", "d@open")]
    groups = group_by_domain(lane(domains={"slow.test": 1.0}), readers)
    assert {name: [one.email[0] for one in members] for name, members in groups.items()} == {
        "slow.test": ["a", "c"],
        "": ["b", "d"],
    }


def test_domains_take_turns() -> None:
    slow, free = [recipient(f"{n}@slow.test") for n in range(3)], [recipient("x@free.test")]
    timed = interleave({"": (100.0, 0.0, free), "slow": (100.0, 1.0, slow)})
    assert [(one.due, one.recipient.email[0]) for one in timed] == [(100, "x"), (100, "0"), (101, "1"), (102, "2")]


def test_nothing_leaves_together_that_is_more_than_a_second_apart() -> None:
    timed = [Timed(due=due, recipient=recipient("a@b.test")) for due in (0.0, 0.5, 0.9, 1.0, 1.5, 9.0)]
    assert [[one.due for one in slice_] for slice_ in cut(timed, 50, span_seconds=1.0)] == [
        [0.0, 0.5, 0.9],
        [1.0, 1.5],
        [9.0],
    ]
    assert [len(slice_) for slice_ in cut(timed[:3], 2, span_seconds=1.0)] == [2, 1]


def test_what_was_held_up_keeps_its_pace_afterwards() -> None:
    paced = [Timed(due=due, recipient=recipient("a@b.test")) for due in (10.0, 10.5)]
    free = Timed(due=10.0, recipient=recipient("c@d.test"), is_paced=False)
    assert delay([free, *paced], 9.0, 0.0) == ([free, *paced], 0.0)
    held, late = delay([free, *paced], 14.0, 0.0)
    assert ([one.due for one in held], late) == ([10.0, 14.0, 14.5], 4.0)
    after, still = delay([Timed(due=11.0, recipient=recipient("a@b.test"))], 14.6, late)
    assert (after[0].due, still) == (15.0, 4.0)


@pytest.mark.parametrize(
    ("day", "ceiling"),
    [
        (date(2026, 2, 1), 200),
        (date(2026, 3, 1), 200),
        (date(2026, 3, 2), 300),
        (date(2026, 3, 3), 450),
        (date(2026, 3, 4), 675),
        (date(2026, 3, 5), None),
        (date(2999, 1, 1), None),
    ],
)
def test_a_warm_up_plan_grows_from_its_first_day_and_ends(day: date, ceiling: int | None) -> None:
    plan = WarmUp(start=date(2026, 3, 1), first=200, growth=1.5, until=1000)
    assert find_ceiling(plan, day) == ceiling


def test_a_plan_that_reaches_its_end_exactly_has_that_day() -> None:
    plan = WarmUp(start=date(2026, 3, 1), first=100, growth=10, until=1000)
    assert [find_ceiling(plan, date(2026, 3, day)) for day in (1, 2, 3)] == [100, 1000, None]


def test_a_day_ends_where_the_newsletter_is() -> None:
    evening = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
    assert find_tomorrow(evening, ZoneInfo("Asia/Tokyo")) == datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"accepted": 89, "refused": 10}, None),
        ({"accepted": 90, "refused": 10}, None),
        ({"accepted": 89, "refused": 6, "unknown": 5}, "11 of 100 messages refused or unknown, more than 10.00%"),
        ({"accepted": 94, "bounced": 6}, "6 of 100 messages bounced, more than 5.00%"),
        ({"delivered": 198, "complained": 2}, None),
        ({"delivered": 197, "complained": 3}, "3 of 200 messages complained about, more than 1.00%"),
        ({"delivered": 99, "complained": 1}, None),
        ({"delivered": 98, "complained": 2}, "2 of 100 messages complained about, more than 1.00%"),
        ({"accepted": 20, "bounced": 70, "planned": 5000, "deferred": 9, "skipped": 99}, None),
    ],
    ids=lambda value: None if isinstance(value, Mapping) else str(value)[:12],
)
def test_a_share_is_looked_at_once_enough_are_settled(counts: dict[str, int], says: str | None) -> None:
    assert find_excess(counts, LIMITS) == says


def test_what_fails_rests_longer_each_time_and_is_then_tried_again() -> None:
    health, now = Health(), 0.0
    rests = []
    for _ in range(12):
        health.note_failure("no connection", now)
        rest = health.resting(now)
        assert rest
        rests.append(rest.until - now)
        now = rest.until
        assert health.resting(now) is None
    assert rests[:4] == [2, 4, 8, 16]
    assert rests[-1] == 900


def test_connections_that_meet_the_same_failure_count_once() -> None:
    health = Health()
    for _ in range(4):
        health.note_failure("no connection", 0.0)
    rest = health.resting(1.0)
    assert rest
    assert rest.until == 2.0


def test_a_provider_that_says_how_long_to_wait_is_obeyed_and_success_forgets_failures() -> None:
    health = Health()
    health.note_failure("too many requests", 0.0, wait_seconds=37.0)
    assert health.resting(36.9)
    assert health.resting(37.0) is None
    health.note_success()
    health.note_failure("no connection", 40.0)
    assert health.resting(41.9)
    assert health.resting(42.0) is None


def test_the_longest_rest_is_a_quarter_of_an_hour() -> None:
    assert back_off(10_000).total_seconds() == 900


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("550 5.7.1 <jo.doe+x@example.org>: access denied", "550 5.7.1 <…@example.org>: access denied"),
        ("550 no relaying for jo@example.org, sorry", "550 no relaying for …@example.org, sorry"),
        ("550 5.7.1 blocked @ 10:00", "550 5.7.1 blocked @ 10:00"),
    ],
)
def test_a_fault_names_no_reader(said: str, told: str) -> None:
    assert without_addresses(said) == told


def refuse(breaker: Breaker, words: str) -> None:
    """One reader, in those words."""
    breaker.note([Outcome(delivery=1, state=DeliveryState.REFUSED, raw=words)])


@pytest.mark.parametrize(
    "words",
    [
        "554 5.7.1 <reader{0}@{0}.example.org>: Relay access denied",
        "550 5.7.1 no mail for reader{0}@example.org from you: policy",
        "550 5.7.26 unauthenticated mail is not taken from you. a4-2{0}sm1.{0} - gsmtp",
    ],
    ids=["the address", "the address in its words", "a number of its own"],
)
def test_a_refusal_for_everybody_is_known_whatever_it_repeats(words: str) -> None:
    breaker = Breaker()
    for number in range(9):
        refuse(breaker, words.format(number))
    assert not breaker.fault
    refuse(breaker, words.format(9))
    assert breaker.fault.startswith("everybody is refused, 10 times in a row: 55")


def test_refusals_for_different_reasons_stop_nobody() -> None:
    breaker = Breaker()
    for number in range(30):
        refuse(breaker, f"550 5.2.{1 + number % 2} <reader{number}@example.org>: not now")
    assert not breaker.fault


def test_readers_who_are_gone_stop_nobody() -> None:
    breaker = Breaker()
    for number in range(30):
        refuse(breaker, f"550 5.1.1 <reader{number}@example.org>: no such user")
    assert not breaker.fault


def test_a_connection_too_many_is_given_up_and_the_lane_goes_on() -> None:
    health = Health()
    for number in (0, 1, 2):
        health.note_success(number)
    assert health.note_failure("too many connections", 10.0, connection=2)
    assert health.note_failure("too many connections", 10.0, connection=3)
    assert health.resting(10.0) is None
    assert not health.takes_more(69.9)
    assert health.takes_more(70.0)
    assert health.note_failure("too many connections", 80.0, connection=2)
    assert not health.takes_more(199.9)
    assert health.takes_more(200.0)


def test_a_lane_rests_once_no_connection_is_left() -> None:
    health = Health()
    for number in (0, 1):
        health.note_success(number)
    assert health.note_failure("closing", 10.0, connection=1)
    assert not health.note_failure("closing", 10.0, connection=0)
    assert health.resting(11.9)
    assert health.resting(12.0) is None
    assert health.takes_more(12.0)  # it was the server, and no crowd


def test_a_connection_that_was_closed_holds_nobody_else_up() -> None:
    health = Health()
    health.note_success(1)
    health.leave(1)
    assert not health.note_failure("no connection", 0.0, connection=0)


def test_a_reset_is_for_all_connections() -> None:
    health = Health()
    health.note_success(0)
    assert not health.note_failure("too many requests", 0.0, wait_seconds=30.0, connection=1)
    assert health.resting(29.0)
