"""The delivering stage over a real ledger, with transports that fail on purpose."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from digest.deliver import Lane, Mailing, Sender, Sent, batch_size
from digest.errors import Ambiguous, Refused, Unavailable
from digest.models import Batch, DeliveryState, Letterhead, Outcome
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, RENDITIONS, make_owner, plan

LETTERHEAD = Letterhead(sender="b@news.test", reply_to=None, list_id="m.news.test", list_name="M", dated_at=NOW)


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


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


def send(store: SqlStore, edition: int, *transports: Scripted, may_go_on: Callable[[], bool] = lambda: True) -> Sent:
    """One sender, from start to end."""
    clock = Clock()
    mailing = Mailing(
        edition=edition,
        renditions={rendition.variant: rendition for rendition in RENDITIONS},
        letterhead=LETTERHEAD,
        unsubscribe_url=lambda key: f"https://news.test/{key}",
    )
    lanes = [Lane(transport=transport, rate=1000.0) for transport in transports]
    return Sender(mailing, store.ledger, lanes, make_owner(), clock=clock, wait=clock.wait, may_go_on=may_go_on).run()


def test_everybody_is_mailed_once(store: SqlStore) -> None:
    edition, transport = plan(store, 25), Scripted()
    assert send(store, edition, transport) == Sent(attempted=25)
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
    counts = store.ledger.counts(edition)
    assert counts["planned"] == 11


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


def test_a_stop_takes_effect_within_one_batch(store: SqlStore) -> None:
    edition, transport = plan(store, 30), Scripted()
    send(store, edition, transport, may_go_on=lambda: not transport.mailed)
    assert len(transport.mailed) == 10
    assert store.ledger.counts(edition) == {"planned": 20, "accepted": 10}


def test_a_bug_in_a_transport_leaves_no_claim_behind(store: SqlStore) -> None:
    edition = plan(store, 12)
    with pytest.raises(ZeroDivisionError):
        send(store, edition, Scripted(lambda number: ZeroDivisionError() if number == 3 else "accept"))
    assert store.ledger.counts(edition) == {"planned": 8, "accepted": 3, "unknown": 1}


def test_batches_are_small_enough_for_the_rate_and_the_transport() -> None:
    assert batch_size([Lane(transport=Scripted(), rate=1000.0)]) == 10
    assert batch_size([Lane(transport=Scripted(), rate=0.01)]) == 3
    assert batch_size([Lane(transport=Scripted(), rate=0.0001)]) == 1
