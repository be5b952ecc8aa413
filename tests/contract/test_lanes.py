"""The delivering stage on several connections, lanes and rates, over a real ledger."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pytest
from sqlalchemy import update

from digest.deliver import Lane, Limits, WarmUp
from digest.errors import PolicyRefused, StoreError, StoreUnavailable, Unavailable
from digest.models import Batch, DeliveryState, Outcome
from digest.protocols import Ledger
from digest.stores.schema import deliveries
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, plan
from tests.contract.test_deliver import Scripted, make_sender
from tests.doubles.clock import Clock, RealClock


class Pool:
    """Connections of one lane, and what all of them mailed."""

    def __init__(self, behave: Callable[[int], object] = lambda _: "accept") -> None:
        self.behave = behave
        self.opened: list[Scripted] = []
        self.closed = 0

    def connect(self) -> Scripted:
        """One more."""
        pool, lock = self, threading.Lock()

        class Pooled(Scripted):
            def send(self, *arguments: Any) -> None:
                assert lock.acquire(blocking=False), "two threads on one connection"
                try:
                    super().send(*arguments)
                finally:
                    lock.release()

            def close(self) -> None:
                pool.closed += 1

        made = Pooled(self.behave)
        self.opened.append(made)
        return made

    @property
    def mailed(self) -> list[str]:
        """By all of them."""
        return [email for transport in self.opened for email in transport.mailed]

    def lane(self, connections: int, **changes: Any) -> Lane:
        """A lane of so many."""
        return Lane(
            transport=self.connect(), **{"connect": self.connect, "connections": connections, "rate": 1e6, **changes}
        )


def test_several_connections_mail_everybody_once_and_only_their_own_are_closed(store: SqlStore) -> None:
    edition, pool = plan(store, 200), Pool()
    meeting = threading.Barrier(3)
    met: set[int] = set()

    def meet(_: int) -> object:
        thread = threading.get_ident()
        if thread not in met:
            met.add(thread)
            meeting.wait(30)  # all three have a message in hand at one time
        return "accept"

    pool.behave = meet
    sent = make_sender(store, edition, [pool.lane(3)], Clock(NOW)).run()
    assert sent.attempted == 200
    assert len(pool.mailed) == len(set(pool.mailed)) == 200
    assert store.ledger.counts(edition) == {"accepted": 200}
    assert len(pool.opened) == 3
    assert pool.closed == 2


def test_few_batches_open_few_connections(store: SqlStore) -> None:
    edition, pool = plan(store, 15), Pool()
    make_sender(store, edition, [pool.lane(8)], Clock(NOW)).run()
    assert len(pool.opened) <= 2
    assert store.ledger.counts(edition) == {"accepted": 15}


def test_a_fault_while_others_are_called_costs_no_batch(store: SqlStore) -> None:
    edition, pool = plan(store, 25), Pool()
    with flaky(store, next_due=["broken", "before", "", ""]):
        assert make_sender(store, edition, [pool.lane(3)], Clock(NOW)).run().fault is None
    assert len(pool.mailed) == len(set(pool.mailed)) == 25
    assert store.ledger.leased_until(edition) is None


def test_a_bug_on_one_connection_ends_all_and_leaves_no_claim(store: SqlStore) -> None:
    edition, pool = plan(store, 200), Pool()
    main = threading.get_ident()
    met = threading.Event()

    def fail(_: int) -> object:
        if threading.get_ident() != main:
            met.set()
            return ZeroDivisionError()
        met.wait(30)
        return "accept"

    pool.behave = fail
    with pytest.raises(ZeroDivisionError):
        make_sender(store, edition, [pool.lane(2)], Clock(NOW)).run()
    counts = store.ledger.counts(edition)
    assert counts.pop("unknown") == 1
    assert counts.keys() <= {"accepted", "planned"}
    assert store.ledger.leased_until(edition) is None


class Flaky:
    """A ledger that cannot be reached for a while, before or after it did what was asked."""

    def __init__(self, ledger: Ledger, faults: dict[str, Iterator[str]]) -> None:
        self._ledger = ledger
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._ledger, name)

        def call(*arguments: Any, **named: Any) -> Any:
            fault = next(self._faults[name], "") if name in self._faults else ""
            if fault == "broken":
                raise StoreError("the database", "it is broken")
            if fault == "before":
                raise StoreUnavailable("the database")
            answer = act(*arguments, **named)
            if fault == "after":
                raise StoreUnavailable("the database")
            return answer

        return call


@contextmanager
def flaky(store: SqlStore, **faults: Sequence[str]) -> Iterator[None]:
    """The store with such a ledger."""
    ledger = store.ledger
    store.ledger = cast("Any", Flaky(ledger, {name: iter(kinds) for name, kinds in faults.items()}))
    try:
        yield
    finally:
        store.ledger = ledger


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["claim", "mark", "settle", "release", "recover", "next_due"])
def test_a_database_that_is_away_for_a_while_is_waited_for(store: SqlStore, step: str, when: str) -> None:
    edition, transport, clock = plan(store, 25), Scripted(), Clock(NOW)
    with flaky(store, **{step: [when] * 3}):
        sent = make_sender(store, edition, [Lane(transport=transport, rate=1000.0)], clock).run()
    assert sent.fault is None
    assert clock.waited < 15
    assert len(transport.mailed) == len(set(transport.mailed)) == 25
    assert store.ledger.counts(edition) == {"accepted": 25}


def test_a_database_that_is_away_for_some_seconds_is_told_of_once_and_so_is_its_return(store: SqlStore) -> None:
    edition, transport, clock = plan(store, 25), Scripted(), Clock(NOW)
    told: list[StoreUnavailable | None] = []
    with flaky(store, mark=["", "before", "", *["before"] * 8]):
        make_sender(store, edition, [Lane(transport=transport, rate=1000.0)], clock, on_away=told.append).run()
    lost, found = told
    assert isinstance(lost, StoreUnavailable)
    assert found is None


def test_nothing_is_sent_while_the_database_stays_away_and_the_run_says_so(store: SqlStore) -> None:
    edition, transport, clock = plan(store, 25), Scripted(), Clock(NOW)
    with flaky(store, mark=["", "", *["before"] * 1000]), pytest.raises(StoreUnavailable):
        make_sender(store, edition, [Lane(transport=transport, rate=1000.0)], clock).run()
    assert len(transport.mailed) == 2
    assert 500 < clock.waited < 700
    assert store.ledger.counts(edition) == {"accepted": 2, "planned": 23}


def test_a_broken_database_is_no_reason_to_wait(store: SqlStore) -> None:
    edition, transport, clock = plan(store, 25), Scripted(), Clock(NOW)
    with flaky(store, mark=["", "", "broken"]), pytest.raises(StoreError):
        make_sender(store, edition, [Lane(transport=transport, rate=1000.0)], clock).run()
    assert len(transport.mailed) == 2
    assert clock.waited < 1


@pytest.mark.parametrize("who", ["the process", "the machine"])
def test_a_sender_that_slept_past_its_lease_between_mark_and_message_sends_nothing(store: SqlStore, who: str) -> None:
    edition, clock = plan(store, 10), Clock(NOW)
    ledger, transport = store.ledger, Scripted()
    marked: list[int] = []

    class Sleepy(Flaky):
        def __getattr__(self, name: str) -> Any:
            act = super().__getattr__(name)

            def call(*arguments: Any, **named: Any) -> Any:
                answer = act(*arguments, **named)
                if name == "mark":
                    marked.append(1)
                    if len(marked) == 3 and who == "the process":
                        clock.wait(1200)
                    elif len(marked) == 3:  # of which the other clock knows nothing
                        clock.now += timedelta(minutes=20)
                        assert store.ledger.recover(edition, now=clock()) == 1
                return answer

            return call

    store.ledger = cast("Any", Sleepy(ledger, {}))
    make_sender(store, edition, [Lane(transport=transport, rate=1000.0)], clock).run()
    store.ledger = ledger
    lost = 1 if who == "the machine" else 0  # it was taken for one that may have been sent
    assert len(transport.mailed) == len(set(transport.mailed)) == 10 - lost
    assert store.ledger.counts(edition) == {"accepted": 10 - lost, **({"unknown": lost} if lost else {})}


def test_outcomes_are_written_before_a_pause(store: SqlStore) -> None:
    edition, transport, clock = plan(store, 4), Scripted(), Clock(NOW)
    seen: list[dict[str, int]] = []

    def wait(seconds: float) -> None:
        seen.append(store.ledger.counts(edition))
        clock.wait(seconds)

    make_sender(store, edition, [Lane(transport=transport, rate=2.0)], clock, wait=wait).run()
    assert [counts["accepted"] for counts in seen] == [1, 2, 3]
    assert all("attempted" not in counts for counts in seen)


class Requests(Scripted):
    """All of a batch in one request."""

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        on_attempt([message.delivery for message in batch.messages])
        raise Unavailable(self.name, "503")


@pytest.mark.parametrize("ends", ["told to stop", "by a bug"])
def test_what_one_lane_did_not_send_is_not_unknown_when_the_sender_ends_with_the_next(
    store: SqlStore, ends: str
) -> None:
    edition, clock = plan(store, 10), Clock(NOW)
    second = Scripted(lambda number: ZeroDivisionError() if number == 3 and ends == "by a bug" else "accept", "second")
    lanes = [Lane(transport=one, rate=1e6) for one in (Requests(name="first"), second)]
    sender = make_sender(store, edition, lanes, clock, may_go_on=lambda: ends == "by a bug" or len(second.mailed) < 3)
    with pytest.raises(ZeroDivisionError) if ends == "by a bug" else nullcontext():
        sender.run()
    lost = {"unknown": 1} if ends == "by a bug" else {}
    counts = store.ledger.counts(edition)
    waiting = counts.pop("planned", 0) + counts.pop("deferred", 0)
    assert (counts, waiting) == ({"accepted": 3, **lost}, 7 - len(lost))


def test_a_provider_that_names_its_reset_is_left_alone_until_then(store: SqlStore) -> None:
    edition, clock = plan(store, 30), Clock(NOW)
    asked: list[float] = []

    def behave(number: int) -> object:
        asked.append(clock.waited)
        return Unavailable("first", "too many requests", wait_seconds=9.0) if number == 12 else "accept"

    transport = Scripted(behave)
    assert make_sender(store, edition, [Lane(transport=transport, rate=1e6)], clock).run().fault is None
    assert asked[13] >= 9.0
    assert store.ledger.counts(edition) == {"accepted": 30}


def test_a_reset_that_is_far_off_ends_the_run_and_says_so(store: SqlStore) -> None:
    edition, clock = plan(store, 30), Clock(NOW)
    transport = Scripted(lambda _: Unavailable("first", "too many requests", wait_seconds=900.0))
    lanes = [Lane(transport=transport, rate=1e6)]
    assert make_sender(store, edition, lanes, clock).run().fault == "first: too many requests"
    assert transport.calls == 1
    # Also in the next run of this process.
    assert make_sender(store, edition, lanes, clock).run().fault == "first: too many requests"
    assert transport.calls == 1
    assert sum(store.ledger.counts(edition).values()) == 30


@pytest.mark.parametrize("waits_for_rates", [True, False])
def test_a_limit_by_the_minute_ends_no_run(store: SqlStore, waits_for_rates: bool) -> None:
    edition, clock = plan(store, 30), Clock(NOW)
    asked: list[float] = []

    def behave(number: int) -> object:
        asked.append(clock.waited)
        return Unavailable("first", "too many requests", wait_seconds=55.0) if number % 6 == 5 else "accept"

    lanes = [Lane(transport=Scripted(behave), rate=1e6)]
    sent = make_sender(store, edition, lanes, clock, waits_for_rates=waits_for_rates).run()
    assert sent.fault is None
    assert store.ledger.counts(edition) == {"accepted": 30}
    assert 5 * 55 <= clock.waited < 6 * 60


def test_a_limit_that_is_reached_for_ever_ends_the_run(store: SqlStore) -> None:
    edition, clock = plan(store, 30), Clock(NOW)
    transport = Scripted(lambda _: Unavailable("first", "too many requests", wait_seconds=55.0))
    assert make_sender(store, edition, [Lane(transport=transport, rate=1e6)], clock).run().fault
    assert clock.waited < 300
    assert store.ledger.counts(edition).keys() <= {"deferred", "planned"}


def test_a_server_that_takes_fewer_connections_gets_fewer_and_the_lane_does_not_rest(store: SqlStore) -> None:
    edition, pool = plan(store, 400), Pool()
    let_in: list[int] = []
    turned_away: list[int] = []
    is_full, is_taken, has_come = threading.Event(), threading.Event(), threading.Event()

    def behave(number: int) -> object:
        thread = threading.get_ident()
        if thread not in let_in:
            if len(let_in) == 2:
                assert is_taken.wait(30)  # it is known that a message was taken over another connection
                turned_away.append(number)
                has_come.set()
                return Unavailable("first", "421 too many connections")
            let_in.append(thread)
            if len(let_in) == 2:
                is_full.set()
            is_full.wait(30)
        else:
            is_taken.set()
            has_come.wait(30)
        return "accept"

    pool.behave = behave
    spare = Scripted(name="second")
    lanes = [pool.lane(4), Lane(transport=spare, rate=1e6, key="second")]
    # In real time: one connection waits while others are at work, and no lease may end for that.
    sent = make_sender(store, edition, lanes, RealClock()).run()
    assert sent.fault is None
    assert sent.by_lane == {"scripted": 400}
    assert len(pool.mailed) == len(set(pool.mailed)) == 400
    assert 1 <= len(turned_away) <= 3
    assert spare.calls == 0
    assert store.ledger.counts(edition) == {"accepted": 400}


def test_a_lane_that_is_down_is_not_tried_for_each_batch(store: SqlStore) -> None:
    edition, clock = plan(store, 300), Clock(NOW)
    down = Scripted(lambda _: Unavailable("first", "no connection"), "first")
    up = Scripted(name="second")
    lanes = [Lane(transport=down, rate=1e6, key="first"), Lane(transport=up, rate=100.0, key="second")]
    sent = make_sender(store, edition, lanes, clock).run()
    assert sent.by_lane == {"second": 300}
    assert down.calls == 2  # in three seconds, thirty batches: after the first rest, and once it is over
    assert store.ledger.counts(edition) == {"accepted": 300}


def test_a_reader_who_is_put_off_is_tried_by_the_same_lane(store: SqlStore) -> None:
    edition, clock = plan(store, 10), Clock(NOW)
    first = Scripted(lambda number: "deferred" if number == 3 else "accept", "first")
    second = Scripted(name="second")
    make_sender(store, edition, [Lane(transport=one, rate=1e6) for one in (first, second)], clock).run()
    assert (len(first.mailed), second.calls) == (10, 0)


def test_a_policy_refusal_stops_the_edition_and_goes_to_nobody_else(store: SqlStore) -> None:
    edition, clock = plan(store, 30), Clock(NOW)
    first = Scripted(lambda number: PolicyRefused("first", "550 5.7.1 no") if number == 12 else "accept", "first")
    second = Scripted(name="second")
    stopped: list[str] = []
    lanes = [Lane(transport=one, rate=1e6) for one in (first, second)]
    sent = make_sender(store, edition, lanes, clock, stop_edition=stopped.append).run()
    assert stopped == [sent.stopped] == [sent.fault] == ["policy: first: 550 5.7.1 no"]
    assert second.calls == 0
    assert store.ledger.counts(edition) == {"accepted": 12, "deferred": 1, "planned": 17}


class Timing(Scripted):
    """Remembers when each message left."""

    def __init__(self, clock: Clock, **named: Any) -> None:
        super().__init__(self._note, **named)
        self._clock = clock
        self.at: list[float] = []

    def _note(self, _: int) -> object:
        self.at.append(self._clock.waited)
        return "accept"


class WholeRequests(Timing):
    """Takes a batch as one request; remembers how large each was."""

    batch_size = 60

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.sizes: list[int] = []

    def send(self, batch: Batch, on_attempt: Any, on_outcome: Any) -> None:
        """One request."""
        deliveries = [message.delivery for message in batch.messages]
        on_attempt(deliveries)
        self._note(0)
        self.sizes.append(len(deliveries))
        on_outcome([Outcome(delivery=one, state=DeliveryState.ACCEPTED) for one in deliveries])


def most_within(instants: Sequence[float], seconds: float) -> int:
    """How many there are at most in a window of that length."""
    return max(sum(start <= one < start + seconds for one in instants) for start in instants)


def test_a_lane_keeps_its_rate(store: SqlStore) -> None:
    edition, clock = plan(store, 100), Clock(NOW)
    transport = Timing(clock)
    make_sender(store, edition, [Lane(transport=transport, rate=20.0)], clock).run()
    assert most_within(transport.at, 0.999) <= 20
    assert clock.waited < 6


def test_who_was_held_up_does_not_catch_up_with_the_rate_at_once(store: SqlStore) -> None:
    edition, clock = plan(store, 100, batch_size=20), Clock(NOW)
    transport = Timing(clock)
    with flaky(store, mark=["", "", *["before"] * 10]):
        make_sender(store, edition, [Lane(transport=transport, rate=20.0)], clock).run()
    assert store.ledger.counts(edition) == {"accepted": 100}
    assert most_within(transport.at, 0.999) <= 21


def test_what_a_domain_cannot_take_now_is_put_off_and_all_are_mailed_at_its_rate(store: SqlStore) -> None:
    edition, clock = plan(store, 120, batch_size=60), Clock(NOW)
    transport = Timing(clock)
    transport.batch_size = 60
    sent = make_sender(store, edition, [Lane(transport=transport, rate=500.0, per_domain=4.0)], clock).run()
    assert sent.fault is None
    assert store.ledger.counts(edition) == {"accepted": 120}
    assert most_within(transport.at, 0.999) <= 5
    assert 29 < clock.waited < 40
    assert sum(sent.put_off.values()) < 300


def test_what_was_put_off_for_its_domain_is_not_tried_by_the_next_lane_at_once(store: SqlStore) -> None:
    edition, clock = plan(store, 60, batch_size=60), Clock(NOW)
    first = Scripted(lambda number: Unavailable("first", "closed") if number == 5 else "accept", "first")
    lanes = [Lane(transport=one, rate=500.0, per_domain=2.0) for one in (first, Scripted(name="second"))]
    assert make_sender(store, edition, lanes, clock).run().fault is None
    assert store.ledger.counts(edition) == {"accepted": 60}


def test_a_request_for_many_holds_a_second_of_a_domain_at_most(store: SqlStore) -> None:
    edition, clock = plan(store, 60, batch_size=60), Clock(NOW)
    transport = WholeRequests(clock)
    make_sender(store, edition, [Lane(transport=transport, rate=500.0, per_domain=20.0)], clock).run()
    assert sum(transport.sizes) == 60
    assert max(transport.sizes) <= 21


def test_a_request_holds_as_many_of_a_domain_as_its_rate_allows_until_the_next(store: SqlStore) -> None:
    edition, clock = plan(store, 180, batch_size=60), Clock(NOW)
    transport = WholeRequests(clock)
    lane = Lane(transport=transport, rate=10.0, per_domain=4.0, is_by_request=True)
    assert make_sender(store, edition, [lane], clock).run().fault is None
    assert store.ledger.counts(edition) == {"accepted": 180}
    assert transport.sizes[0] == max(transport.sizes) == 24  # six seconds' worth
    sent_by = [(at, sum(transport.sizes[: number + 1])) for number, at in enumerate(transport.at)]
    assert all(count <= 4.0 * (at + 6) + 1 for at, count in sent_by)
    assert len(transport.sizes) < 20
    assert clock.waited < 180 / 4 + 12


def test_a_whole_request_leaves_at_once_and_the_next_when_the_rate_allows_for_all_of_it(store: SqlStore) -> None:
    edition, clock = plan(store, 150, batch_size=60), Clock(NOW)
    transport = WholeRequests(clock)
    make_sender(store, edition, [Lane(transport=transport, rate=50.0, is_by_request=True)], clock).run()
    assert transport.sizes == [60, 60, 30]
    assert [pytest.approx(one, abs=0.1) for one in (0, 1.2, 2.4)] == transport.at


def test_in_no_hour_more_is_sent_than_the_lane_takes(store: SqlStore) -> None:
    edition, clock = plan(store, 60), Clock(NOW)
    transport = Timing(clock)
    sent = make_sender(store, edition, [Lane(transport=transport, rate=100.0, per_hour=25)], clock).run()
    assert sent.fault is None
    assert most_within(transport.at, 3600) == 25
    assert store.ledger.counts(edition) == {"accepted": 60}


def test_a_stop_ends_the_wait_for_the_next_hour_and_why_it_waits_is_told(store: SqlStore) -> None:
    edition, clock = plan(store, 60), Clock(NOW)
    told: list[tuple[str, datetime]] = []
    sent = make_sender(
        store,
        edition,
        [Lane(transport=Timing(clock), rate=100.0, per_hour=25)],
        clock,
        is_open=lambda: clock.waited < 120,
        on_long_wait=lambda why, until: told.append((why, until)),
    ).run()
    assert sent.attempted == 25
    assert 120 <= clock.waited < 140
    ((why, until),) = told
    assert why == "scripted takes 25 messages an hour, and they are sent"
    assert NOW + timedelta(hours=1) <= until < NOW + timedelta(hours=2)


def test_a_warm_up_plan_ends_the_day_and_goes_on_tomorrow(store: SqlStore) -> None:
    edition, clock = plan(store, 60), Clock(NOW)
    transport = Scripted()
    warm_up = WarmUp(start=date(2026, 3, 2), first=25, growth=1.2, until=1000)
    lanes = [Lane(transport=transport, rate=100.0, key="smtp", warm_up=warm_up)]
    sent = make_sender(store, edition, lanes, clock).run()
    assert sent.fault == "the warm-up plan of smtp allows 25 messages today; it goes on on 2026-03-03"
    assert store.ledger.counts(edition) == {"accepted": 25, "planned": 35}
    clock.wait(timedelta(days=1).total_seconds())
    make_sender(store, edition, lanes, clock).run()
    assert store.ledger.counts(edition) == {"accepted": 55, "planned": 5}


def test_what_a_warm_up_plan_leaves_goes_by_the_next_lane(store: SqlStore) -> None:
    edition, clock = plan(store, 60), Clock(NOW)
    warm_up = WarmUp(start=date(2026, 3, 2), first=25, growth=1.2, until=1000)
    lanes = [
        Lane(transport=Scripted(name="new"), rate=100.0, key="new", warm_up=warm_up),
        Lane(transport=Scripted(name="old"), rate=100.0, key="old"),
    ]
    sent = make_sender(store, edition, lanes, clock).run()
    assert sent.fault is None
    assert sent.by_lane == {"new": 25, "old": 35}


def test_what_was_not_sent_is_not_counted_to_the_day(store: SqlStore) -> None:
    edition, clock = plan(store, 60), Clock(NOW)
    warm_up = WarmUp(start=date(2026, 3, 2), first=25, growth=1.2, until=1000)
    flaky_ = Scripted(lambda number: Unavailable("smtp", "closed") if number in {3, 7, 9} else "accept")
    make_sender(store, edition, [Lane(transport=flaky_, rate=100.0, key="smtp", warm_up=warm_up)], clock).run()
    assert 22 <= store.ledger.counts(edition)["accepted"] <= 25


def test_what_the_first_lane_could_not_send_counts_to_the_day_of_the_second(store: SqlStore) -> None:
    edition, clock = plan(store, 30), Clock(NOW)
    down = Scripted(lambda _: Unavailable("first", "closed"), "first")
    warm_up = WarmUp(start=date(2026, 3, 2), first=10, growth=1.2, until=1000)
    second = Scripted(name="second")
    lanes = [
        Lane(transport=down, rate=1000.0, key="first"),
        Lane(transport=second, rate=1000.0, key="second", warm_up=warm_up),
    ]
    assert make_sender(store, edition, lanes, clock).run().fault
    assert len(second.mailed) == 10


LIMITS = Limits(failures=0.1, bounces=0.05, complaints=0.02, after=20)


def test_an_edition_of_which_too_much_is_refused_stops_and_a_person_may_let_it_go_on(store: SqlStore) -> None:
    edition, clock, stopped = plan(store, 300), Clock(NOW), list[str]()
    refusing = Scripted(lambda number: "refused" if number % 4 == 0 else "accept")
    changes: dict[str, Any] = {"limits": LIMITS, "stop_edition": stopped.append}
    sent = make_sender(store, edition, [Lane(transport=refusing, rate=20.0)], clock, **changes).run()
    assert sent.stopped
    assert sent.stopped.startswith("breakers: ")
    assert stopped == [sent.stopped]
    assert 20 <= sent.attempted <= 60
    # Not resumed: a crash in between does not let it through.
    again = make_sender(store, edition, [Lane(transport=Scripted(), rate=20.0)], clock, **changes).run()
    assert again.stopped
    assert again.attempted == 0
    clock.wait(60)
    changes["resumed_at"] = clock.now
    resumed = make_sender(store, edition, [Lane(transport=Scripted(), rate=20.0)], clock, **changes).run()
    assert resumed.stopped is None
    assert store.ledger.counts(edition).keys() == {"accepted", "refused"}


def test_what_left_before_an_edition_was_resumed_may_go_on_bouncing(store: SqlStore) -> None:
    edition, clock = plan(store, 300), Clock(NOW)
    changes: dict[str, Any] = {"limits": LIMITS, "may_go_on": lambda: clock.waited < 7}
    make_sender(store, edition, [Lane(transport=Scripted(), rate=20.0)], clock, **changes).run()
    bounce(store, edition, 20)
    changes["may_go_on"] = lambda: True
    assert make_sender(store, edition, [Lane(transport=Scripted(), rate=20.0)], clock, **changes).run().stopped
    clock.wait(60)

    def behave(number: int) -> object:
        if number == 60:
            bounce(store, edition, 40)  # of those from before
        return "refused" if number > 90 and number % 3 == 0 else "accept"

    changes["resumed_at"] = clock.now
    resumed = make_sender(store, edition, [Lane(transport=Scripted(behave), rate=20.0)], clock, **changes).run()
    assert "refused or unknown" in (resumed.stopped or "")  # what is sent since counts as ever
    assert store.ledger.counts(edition)["bounced"] == 40


def bounce(store: SqlStore, edition: int, count: int) -> None:
    """Events say so of the first that were sent."""
    ids = [one.send_key for one in sorted(store.ledger.deliveries(edition), key=lambda one: one.email)[:count]]
    with store._database.write() as connection:
        connection.execute(update(deliveries).where(deliveries.c.send_key.in_(ids)).values(state=DeliveryState.BOUNCED))


def test_the_progress_of_an_edition_is_told_at_most_once_a_second(store: SqlStore) -> None:
    edition, clock, told = plan(store, 100), Clock(NOW), list[tuple[float, int]]()
    make_sender(
        store,
        edition,
        [Lane(transport=Scripted(), rate=20.0)],
        clock,
        on_progress=lambda counts: told.append((clock.waited, sum(counts.values()))),
    ).run()
    assert 4 <= len(told) <= 7
    assert {total for _, total in told} == {100}
    assert all(later - earlier >= 1 for (earlier, _), (later, _) in pairwise(told))


def test_a_lane_of_a_message_in_ten_minutes_loses_no_lease_over_it(store: SqlStore) -> None:
    edition, clock = plan(store, 3, batch_size=1), Clock(NOW)
    transport = Timing(clock)
    make_sender(store, edition, [Lane(transport=transport, rate=1 / 600)], clock).run()
    assert store.ledger.counts(edition) == {"accepted": 3}
    assert transport.at == pytest.approx([0, 600, 1200])
