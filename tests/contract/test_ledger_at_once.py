"""The ledger when things happen at the same time, or twice, over every store."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from digest.models import Claim, DeliveryState, EditionState, Outcome, Planned, Rendition
from digest.stores.sql import SqlStore
from tests.contract.editions import LEASE, NOW, add_readers, make_owner, plan, save_edition
from tests.contract.test_ledger import ids, outcomes, take

LATER = NOW + timedelta(minutes=5)


def state_of(store: SqlStore, edition: int) -> EditionState | None:
    """The edition's."""
    return store.editions.state(edition)


def at_once(*works: Callable[[], object]) -> list[object]:
    """All of them in threads that begin together; what each returned."""
    gate = threading.Barrier(len(works))

    def work(one: Callable[[], object]) -> object:
        gate.wait(timeout=30)
        return one()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(work, works))


def test_a_mark_writes_the_outcomes_before_it_in_the_same_transaction(store: SqlStore) -> None:
    taken = take(store, edition := plan(store, 2))
    one, two = ids(taken)
    assert store.ledger.mark(taken, [one], "smtp", now=NOW)
    assert store.ledger.mark(taken, [two], "smtp", now=NOW, settled=outcomes([one]))
    assert store.ledger.counts(edition) == {"attempted": 1, "accepted": 1}


def test_outcomes_are_kept_though_the_lease_is_over_for_the_next_mark(store: SqlStore) -> None:
    taken = take(store, edition := plan(store, 2))
    one, two = ids(taken)
    store.ledger.mark(taken, [one], "smtp", now=NOW)
    after = LEASE + timedelta(seconds=1)
    assert not store.ledger.mark(taken, [two], "smtp", now=after, settled=outcomes([one]))
    assert store.ledger.counts(edition) == {"claimed": 1, "accepted": 1}


def test_outcomes_are_kept_though_not_all_that_follow_can_be_marked(store: SqlStore) -> None:
    edition = plan(store, 5, batch_size=3)
    taken, other = take(store, edition, "one"), take(store, edition, "two")
    one, two, three = ids(taken)
    store.ledger.mark(taken, [one], "smtp", now=NOW)
    wanted = [two, three, ids(other)[0]]
    assert not store.ledger.mark(taken, wanted, "smtp", now=NOW, settled=outcomes([one]))
    assert store.ledger.counts(edition) == {"claimed": 4, "accepted": 1}


def test_what_is_asked_for_a_second_time_changes_nothing(store: SqlStore) -> None:
    taken = take(store, edition := plan(store, 4))
    one, two, three, four = ids(taken)
    said = [*outcomes([one], DeliveryState.DEFERRED), *outcomes([two])]
    for _ in "ab":
        assert store.ledger.mark(taken, [one, two], "smtp", now=NOW)
    for _ in "ab":
        assert store.ledger.mark(taken, [three], "smtp", now=NOW, settled=said, retry_at=LATER)
    for _ in "ab":
        assert store.ledger.postpone(taken, [four], due_at=LATER, now=NOW)
    again = store.ledger.claim(edition, make_owner("two"), lease_until=LATER + timedelta(minutes=9), now=LATER)
    assert again
    # Also when somebody has claimed meanwhile what was put off.
    assert store.ledger.settle(taken, said, now=NOW, retry_at=LATER)
    assert store.ledger.postpone(taken, [four], due_at=LATER, now=NOW)
    for _ in "ab":
        store.ledger.release(taken, now=NOW)
    assert store.ledger.counts(edition) == {"planned": 1, "claimed": 1, "accepted": 1, "unknown": 1}
    rest = store.ledger.claim(edition, make_owner("three"), lease_until=LATER + timedelta(minutes=9), now=LATER)
    assert rest
    assert {*ids(again), *ids(rest)} == {one, four}
    assert store.ledger.next_due(edition) is None


def test_what_was_postponed_was_not_tried_and_waits_by_itself(store: SqlStore) -> None:
    taken = take(store, edition := plan(store, 3))
    one, two, three = ids(taken)
    store.ledger.mark(taken, [one], "smtp", now=NOW)
    store.ledger.settle(taken, outcomes([one], DeliveryState.DEFERRED), now=NOW, retry_at=LATER)
    assert store.ledger.postpone(taken, [two, three], due_at=NOW, now=NOW)
    again = take(store, edition, "two")
    assert (ids(again), again.attempt) == ([two, three], taken.attempt)
    store.ledger.release(taken, now=NOW)
    assert store.ledger.next_due(edition) == LATER


def test_nobody_postpones_what_is_marked_or_held_by_somebody_else(store: SqlStore) -> None:
    taken = take(store, edition := plan(store, 2))
    store.ledger.mark(taken, ids(taken)[:1], "smtp", now=NOW)
    assert store.ledger.postpone(taken, ids(taken)[:1], due_at=LATER, now=NOW)
    assert store.ledger.counts(edition) == {"claimed": 1, "attempted": 1}
    assert not store.ledger.postpone(taken, ids(taken)[1:], due_at=LATER, now=LEASE)


def test_an_idle_sender_frees_the_claim_of_which_it_never_heard(store: SqlStore) -> None:
    edition = plan(store, 2)
    lost = take(store, edition, "one")
    assert store.ledger.recover(edition, now=NOW, idle=make_owner("two")) == 0
    assert store.ledger.next_due(edition) is None
    assert store.ledger.recover(edition, now=NOW, idle=make_owner("one")) == 0
    assert ids(take(store, edition, "one")) == ids(lost)


def test_what_is_planned_may_be_claimed_though_the_clock_was_stepped_back(store: SqlStore) -> None:
    edition, before = plan(store, 1), NOW - timedelta(hours=1)
    assert store.ledger.claim(edition, make_owner(), lease_until=before + timedelta(minutes=1), now=before)


def test_what_was_let_go_may_be_claimed_though_the_clock_was_stepped_back(store: SqlStore) -> None:
    edition, before = plan(store, 20), NOW - timedelta(hours=1)
    taken = take(store, edition)
    store.ledger.release(taken, now=NOW)
    take(store, edition)
    assert store.ledger.recover(edition, now=LEASE) == 0
    for name in "ab":
        assert store.ledger.claim(edition, make_owner(name), lease_until=NOW, now=before)


def test_senders_settle_beside_each_other_what_each_holds(store: SqlStore) -> None:
    edition = plan(store, 40, batch_size=10)
    claims = [take(store, edition, name) for name in "abcd"]

    def send(taken: Claim) -> bool:
        last: list[Outcome] = []
        for number in ids(taken):
            assert store.ledger.mark(taken, [number], "smtp", now=NOW, settled=last, retry_at=LATER)
            state = DeliveryState.DEFERRED if number % 5 == 0 else DeliveryState.ACCEPTED
            last = outcomes([number], state)
        kept = store.ledger.settle(taken, last, now=NOW, retry_at=LATER)
        store.ledger.release(taken, now=NOW)
        return kept

    assert at_once(*(lambda taken=taken: send(taken) for taken in claims)) == [True] * 4  # type: ignore[misc]
    assert store.ledger.counts(edition) == {"accepted": 32, "deferred": 8}


def test_giving_up_while_senders_claim_and_settle_loses_nobody(store: SqlStore) -> None:
    edition = plan(store, 60, batch_size=3)

    def send(name: str) -> int:
        sent = 0
        while taken := store.ledger.claim(edition, make_owner(name), lease_until=LEASE, now=NOW):
            assert store.ledger.mark(taken, ids(taken), "smtp", now=NOW)
            first, *others = ids(taken)
            said = [*outcomes([first], DeliveryState.DEFERRED), *outcomes(others)]
            assert store.ledger.settle(taken, said, now=NOW, retry_at=LATER)
            store.ledger.release(taken, now=NOW)
            sent += len(others)
        return sent

    one, given_up, two = at_once(
        lambda: send("one"), lambda: store.ledger.give_up(edition, "too old", now=NOW), lambda: send("two")
    )
    counts = store.ledger.counts(edition)
    assert isinstance(one, int)
    assert isinstance(two, int)
    assert counts.get("accepted", 0) == one + two
    assert counts.get("skipped", 0) == given_up
    assert sum(counts.values()) == 60


def test_an_edition_begins_once_however_many_begin_it(store: SqlStore) -> None:
    stored = store.editions.get(plan(store, 3))
    assert stored
    begun = at_once(*[lambda: store.ledger.begin(stored.id, as_of=stored.changed_at, now=NOW)] * 4)
    assert sorted(map(bool, begun)) == [False, False, False, True]
    assert state_of(store, stored.id) is EditionState.SENDING


def test_an_edition_does_not_begin_before_each_planned_variant_has_its_rendition(store: SqlStore) -> None:
    stored = save_edition(store)
    (reader,) = add_readers(store, 1)
    store.ledger.plan(stored.id, [Planned(subscriber=reader, send_key="k", variant="world")], batch_size=10, now=NOW)
    assert store.ledger.unrendered(stored.id) == {"world"}
    assert not store.ledger.begin(stored.id, as_of=stored.changed_at, now=NOW)
    late = Rendition(variant="world", subject="s", html="h", text="t")
    store.editions.add_renditions(stored.id, [late], as_of=NOW - timedelta(seconds=1))  # of what it was before
    assert not store.ledger.begin(stored.id, as_of=stored.changed_at, now=NOW)
    store.editions.add_renditions(stored.id, [late], as_of=stored.changed_at)
    assert not store.ledger.begin(stored.id, as_of=NOW - timedelta(seconds=1), now=NOW)
    assert store.ledger.begin(stored.id, as_of=stored.changed_at, now=NOW)


def test_nobody_is_planned_into_an_edition_that_is_being_sent(store: SqlStore) -> None:
    edition = plan(store, 1)
    assert store.ledger.begin(edition, as_of=None, now=NOW)
    (reader,) = store.subscribers.reached("morning")
    late = [Planned(subscriber=reader, send_key="another", variant="all")]
    assert store.ledger.plan(edition, late, batch_size=10, now=NOW) == 0


def test_an_edition_is_finished_when_nothing_waits_and_nothing_is_claimed(store: SqlStore) -> None:
    edition = plan(store, 1)
    store.ledger.begin(edition, as_of=None, now=NOW)
    assert not store.ledger.finish(edition, now=NOW)
    taken = take(store, edition)
    assert not store.ledger.finish(edition, now=NOW)
    store.ledger.mark(taken, ids(taken), "smtp", now=NOW)
    store.ledger.release(taken, now=NOW)
    assert store.ledger.finish(edition, "closed", now=NOW)
    stored = store.editions.get(edition)
    assert stored
    assert (stored.state, stored.reason, stored.sent_at) == (EditionState.SENT, "closed", NOW)
    assert not store.ledger.finish(edition, now=NOW)


def test_what_certainly_failed_is_planned_again_and_nothing_else(store: SqlStore) -> None:
    edition = plan(store, 8, batch_size=6)
    store.ledger.begin(edition, as_of=None, now=NOW)
    taken = take(store, edition)
    states = ["refused", "accepted", "unknown", "refused", "deferred"]
    said = [
        Outcome(delivery=number, state=DeliveryState(state), raw="said", provider_id="p")
        for number, state in zip(ids(taken), states, strict=False)
    ]
    store.ledger.mark(taken, ids(taken)[:5], "smtp", now=NOW)
    store.ledger.settle(taken, said, now=NOW, retry_at=LATER)
    store.ledger.release(taken, now=NOW)
    assert store.ledger.give_up(edition, "too old", now=NOW) == 4
    assert store.ledger.finish(edition, now=NOW)
    gone = taken.recipients[0]
    store.subscribers.leave("morning", gone.subscriber_key, now=NOW)
    assert store.ledger.retry(edition, batch_size=2, now=LATER) == 5
    assert store.ledger.counts(edition) == {"planned": 5, "accepted": 1, "refused": 1, "unknown": 1}
    stored = store.editions.get(edition)
    assert stored
    assert (stored.state, stored.resumed_at) == (EditionState.SENDING, LATER)
    again = store.ledger.claim(edition, make_owner(), lease_until=LATER + timedelta(minutes=1), now=LATER)
    assert again
    assert (len(again.recipients), again.attempt, again.variant) == (2, 1, "all")
    assert store.ledger.retry(edition, batch_size=2, now=LATER) == 0
    waiting = [one for one in store.ledger.deliveries(edition) if one.state is DeliveryState.PLANNED]
    assert {(one.transport, one.attempted_at, one.answer, one.provider_id) for one in waiting} == {(None,) * 4}


def test_an_edition_of_which_nothing_failed_stays_as_it_is(store: SqlStore) -> None:
    edition = plan(store, 1)
    assert store.ledger.retry(edition, batch_size=2, now=NOW) == 0
    assert state_of(store, edition) is EditionState.READY


def test_what_a_person_says_of_the_unknown_is_kept_and_of_who_was_erased_no_words(store: SqlStore) -> None:
    edition = plan(store, 3)
    taken = take(store, edition)
    store.ledger.mark(taken, ids(taken), "smtp", now=NOW)
    store.ledger.release(taken, now=NOW)
    erased, *_ = taken.recipients
    store.subscribers.erase(erased.email, now=NOW)
    keys = [one.send_key for one in store.ledger.unknown(edition)]
    assert len(keys) == 3
    settle = store.ledger.settle_unknown
    assert settle(edition, keys, DeliveryState.REFUSED, f"550 <{erased.email}> is gone", now=NOW) == 3
    assert settle(edition, keys, DeliveryState.ACCEPTED, "late", now=NOW) == 0
    answers = [one.answer for one in store.ledger.deliveries(edition)]
    assert answers.count(None) == 1
    assert all(erased.email not in one.email for one in store.ledger.deliveries(edition))
