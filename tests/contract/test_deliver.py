"""The delivering stage over a real ledger, with transports that fail on purpose."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from digest.deliver import Lane, Mailing, Sender, Sent, batch_size
from digest.errors import Ambiguous, Refused, Unavailable
from digest.models import Batch, DeliveryState, Letterhead, Outcome, Rendition
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, RENDITIONS, make_owner, plan
from tests.doubles.clock import Clock

LETTERHEAD = Letterhead(sender="b@news.test", reply_to=None, list_id="m.news.test", list_name="M", dated_at=NOW)


class Scripted:
    """A transport that does what it is told for each message, and remembers whom it mailed."""

    batch_size = 10

    def __init__(self, behave: Callable[[int], object] = lambda number: "accept", name: str = "scripted") -> None:
        self.name = name
        self.behave = behave
        self.calls = 0
        self.mailed: list[str] = []

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        for message in batch.messages:
            number, self.calls = self.calls, self.calls + 1
            on_attempt([message.delivery])
            what = self.behave(number)
            if isinstance(what, Exception):
                raise what
            if what != "accept":
                on_outcome([Outcome(delivery=message.delivery, state=DeliveryState(str(what)), raw=str(what))])
                continue
            self.mailed.append(message.email)
            on_outcome([Outcome(delivery=message.delivery, state=DeliveryState.ACCEPTED)])

    def render(self, batch: Batch) -> list[bytes]:
        return []

    def check(self) -> str:
        return "fine"

    def close(self) -> None:
        pass


def make_mailing(edition: int) -> Mailing:
    """The mailing of an edition of which all variants are there."""
    return Mailing(
        edition=edition,
        rendition={rendition.variant: rendition for rendition in RENDITIONS}.__getitem__,
        letterhead=LETTERHEAD,
        unsubscribe_url=lambda key: f"https://news.test/{key}",
    )


def make_sender(store: SqlStore, edition: int, lanes: Sequence[Lane], clock: Clock, **changes: Any) -> Sender:
    """A sender that nothing stops, in the test's own time."""
    return Sender(
        changes.pop("mailing", None) or make_mailing(edition),
        store.ledger,
        store.rates,
        lanes,
        make_owner(),
        **{
            "clock": clock,
            "monotonic": clock.monotonic,
            "wait": clock.wait,
            "may_go_on": lambda: True,
            **changes,
        },
    )


def send(store: SqlStore, edition: int, *transports: Scripted, may_go_on: Callable[[], bool] = lambda: True) -> Sent:
    """One sender, from start to end."""
    clock = Clock(NOW)
    lanes = [Lane(transport=transport, rate=1000.0) for transport in transports]
    return make_sender(store, edition, lanes, clock, may_go_on=may_go_on).run()


def test_everybody_is_mailed_once(store: SqlStore) -> None:
    edition, transport = plan(store, 25), Scripted()
    assert send(store, edition, transport) == Sent(attempted=25, by_lane={"scripted": 25})
    assert len(transport.mailed) == len(set(transport.mailed)) == 25
    assert store.ledger.counts(edition) == {"accepted": 25}


def test_what_certainly_was_not_sent_goes_to_the_next_transport(store: SqlStore) -> None:
    edition = plan(store, 12)
    first = Scripted(lambda number: Unavailable("first", "closed") if number == 4 else "accept", "first")
    second = Scripted(name="second")
    send(store, edition, first, second)
    assert Counter(first.mailed + second.mailed).most_common(1)[0][1] == 1
    assert len(first.mailed) + len(second.mailed) == 12
    assert store.ledger.counts(edition) == {"accepted": 12}
    assert {delivery.transport for delivery in store.ledger.deliveries(edition)} == {"first", "second"}


def test_what_may_have_been_sent_is_unknown_and_goes_nowhere_else(store: SqlStore) -> None:
    edition = plan(store, 12)
    first = Scripted(lambda number: Ambiguous("first", "no answer") if number == 4 else "accept", "first")
    second = Scripted(name="second")
    send(store, edition, first, second)
    assert second.mailed == []
    assert store.ledger.counts(edition) == {"accepted": 11, "unknown": 1}


def test_a_refusal_of_everything_stops_and_the_rest_stays_planned(store: SqlStore) -> None:
    edition = plan(store, 12)
    transport = Scripted(lambda number: Refused("smtp", "bad login") if number == 0 else "accept")
    sent = send(store, edition, transport)
    assert sent.fault == "smtp: bad login"
    assert transport.mailed == []
    assert store.ledger.counts(edition) == {"planned": 11, "deferred": 1}
    assert send(store, edition, Scripted()).fault is None
    assert store.ledger.counts(edition) == {"accepted": 12}


def test_a_transport_that_stays_away_is_given_up_with_its_reason_and_nothing_is_lost(store: SqlStore) -> None:
    edition = plan(store, 12)
    down = Scripted(lambda _: Unavailable("smtp", "no connection"))
    sent = send(store, edition, down)
    assert sent.fault == "smtp: no connection"
    assert 1 < down.calls < 10
    assert sum(store.ledger.counts(edition).get(state, 0) for state in ("planned", "deferred")) == 12
    assert send(store, edition, Scripted()).fault is None
    assert store.ledger.counts(edition) == {"accepted": 12}


def test_a_transport_that_comes_back_goes_on(store: SqlStore) -> None:
    edition = plan(store, 12)
    flaky = Scripted(lambda number: Unavailable("smtp", "no connection") if number in {0, 1} else "accept")
    assert send(store, edition, flaky).fault is None
    assert store.ledger.counts(edition) == {"accepted": 12}


def test_what_was_put_off_is_tried_again_and_later_each_time(store: SqlStore) -> None:
    edition = plan(store, 1)
    greylisting = Scripted(lambda number: "deferred" if number < 2 else "accept")
    send(store, edition, greylisting)
    assert greylisting.calls == 3
    assert store.ledger.counts(edition) == {"accepted": 1}


def test_what_is_put_off_for_long_is_left_for_a_later_run(store: SqlStore) -> None:
    edition = plan(store, 1)
    stubborn = Scripted(lambda _: "deferred")
    assert send(store, edition, stubborn).fault is None
    assert stubborn.calls < 6
    assert store.ledger.counts(edition) == {"deferred": 1}
    due = store.ledger.next_due(edition)
    assert due
    assert due > NOW + timedelta(seconds=15)


def test_who_is_told_to_end_finishes_the_message_on_its_way_and_plans_the_rest_anew(store: SqlStore) -> None:
    edition, transport = plan(store, 30), Scripted()
    send(store, edition, transport, may_go_on=lambda: len(transport.mailed) < 3)
    assert len(transport.mailed) == 3
    assert store.ledger.counts(edition) == {"planned": 27, "accepted": 3}


def test_an_edition_that_is_stopped_goes_out_to_one_batch_more_at_most(store: SqlStore) -> None:
    edition, transport, clock = plan(store, 30), Scripted(), Clock(NOW)
    lanes = [Lane(transport=transport, rate=1000.0)]
    make_sender(store, edition, lanes, clock, is_open=lambda: not transport.mailed).run()
    assert len(transport.mailed) == 10
    assert store.ledger.counts(edition) == {"planned": 20, "accepted": 10}


def test_a_slow_edition_that_is_stopped_does_not_finish_its_batch(store: SqlStore) -> None:
    edition, transport, clock = plan(store, 30), Scripted(), Clock(NOW)
    lanes = [Lane(transport=transport, rate=1.0)]
    make_sender(store, edition, lanes, clock, is_open=lambda: len(transport.mailed) < 2).run()
    assert len(transport.mailed) in {2, 3}


def test_a_bug_in_a_transport_leaves_no_claim_behind(store: SqlStore) -> None:
    edition = plan(store, 12)
    with pytest.raises(ZeroDivisionError):
        send(store, edition, Scripted(lambda number: ZeroDivisionError() if number == 3 else "accept"))
    assert store.ledger.counts(edition) == {"planned": 8, "accepted": 3, "unknown": 1}


@pytest.mark.parametrize(("state", "calls"), [("unknown", 3), ("refused", 10)])
def test_a_sender_stops_when_all_its_messages_meet_the_same_end(store: SqlStore, state: str, calls: int) -> None:
    edition, broken = plan(store, 30), Scripted(lambda _: state)
    sent = send(store, edition, broken)
    assert state in (sent.fault or "").replace("answers are lost", "unknown")
    assert sent.attempted == calls
    assert store.ledger.counts(edition) == {state: calls, "planned": 30 - calls}


def test_troubles_between_which_mail_is_accepted_stop_nobody(store: SqlStore) -> None:
    edition = plan(store, 60)
    unlucky = Scripted(lambda number: ["accept", "unknown", "unknown", "refused"][number % 4])
    assert send(store, edition, unlucky).fault is None
    assert store.ledger.counts(edition) == {"accepted": 15, "refused": 15, "unknown": 30}


class Rejecting(Scripted):
    """A transport whose first request is rejected for one reader each time; the others are announced anew."""

    batch_size = 18

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """One answer for each reader, about the first of those who are left."""
        left = [message.delivery for message in batch.messages]
        while left:
            on_attempt(left)
            self.calls += 1
            on_outcome([Outcome(delivery=left.pop(0), state=DeliveryState.REFUSED, raw="no valid address")])


def test_what_a_rejected_request_left_unsettled_is_not_lost_when_the_sender_stops(store: SqlStore) -> None:
    edition, rejecting = plan(store, 18, batch_size=18), Rejecting()
    assert "no valid address" in (send(store, edition, rejecting).fault or "")
    assert rejecting.calls == 10
    assert store.ledger.counts(edition) == {"deferred": 8, "refused": 10}


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)], ids=["back", "forward"])
def test_a_clock_that_is_stepped_mails_nobody_twice_and_stretches_no_pause(store: SqlStore, step: timedelta) -> None:
    edition, transport, clock = plan(store, 6, batch_size=3), Scripted(), Clock(NOW)
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        clock.wait(seconds)
        if len(pauses) == 1:
            clock.now += step

    lanes = [Lane(transport=transport, rate=2.0)]
    make_sender(store, edition, lanes, clock, wait=wait).run()
    assert len(transport.mailed) == len(set(transport.mailed)) == 6
    assert store.ledger.counts(edition) == {"accepted": 6}
    assert 2.5 <= clock.waited < 4


def test_a_variant_that_another_process_planned_is_asked_for_when_it_is_met(store: SqlStore) -> None:
    edition = plan(store, 3)
    asked: list[str] = []

    def find(variant: str) -> Rendition:
        asked.append(variant)
        return RENDITIONS[0]

    mailing = replace(make_mailing(edition), rendition=find)
    transport, clock = Scripted(), Clock(NOW)
    lanes = [Lane(transport=transport, rate=1000.0)]
    make_sender(store, edition, lanes, clock, mailing=mailing).run()
    assert asked == ["all"]
    assert len(transport.mailed) == 3


def test_batches_are_small_enough_for_the_rate_and_the_transport() -> None:
    assert batch_size([Lane(transport=Scripted(), rate=1000.0)]) == 10
    assert batch_size([Lane(transport=Scripted(), rate=0.0001)]) == 1
    slow = Lane(transport=Scripted(), rate=0.02)
    assert batch_size([Lane(transport=Scripted(), rate=1000.0), slow]) == 6


def test_a_batch_is_what_the_first_lane_takes_in_a_second() -> None:
    class Roomy(Scripted):
        batch_size = 1000

    fallback = Lane(transport=Roomy(), rate=5.0)
    assert batch_size([Lane(transport=Roomy(), rate=50.0), fallback]) == 50
    assert batch_size([Lane(transport=Roomy(), rate=5000.0), fallback]) == 1000
    assert batch_size([Lane(transport=Roomy(), rate=50.0, is_by_request=True), fallback]) == 1000
