"""Who gets what, once: the promises of the ledger, over every store."""

import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from digest.models import Choices, Claim, DeliveryState, Outcome, Planned
from digest.stores.sql import SqlStore
from tests.contract.editions import LEASE, NOW, add_readers, make_owner, plan, save_edition


def claim(store: SqlStore, edition: int, name: str = "one") -> Claim | None:
    """The next batch."""
    return store.ledger.claim(edition, make_owner(name), lease_until=LEASE, now=NOW)


def take(store: SqlStore, edition: int, name: str = "one") -> Claim:
    """The next batch, which must be there."""
    taken = claim(store, edition, name)
    assert taken
    return taken


def ids(taken: Claim) -> list[int]:
    """Its deliveries."""
    return [recipient.delivery for recipient in taken.recipients]


def outcomes(deliveries: list[int], state: DeliveryState = DeliveryState.ACCEPTED) -> list[Outcome]:
    """The same outcome for all."""
    return [Outcome(delivery=delivery, state=state, raw="250 ok") for delivery in deliveries]


def test_everybody_is_planned_once_however_often_it_is_planned(store: SqlStore) -> None:
    edition = plan(store, 25)
    readers = list(store.subscribers.reached("morning"))
    again = [Planned(subscriber=reader, send_key=f"key-{reader.key}", variant="all") for reader in readers]
    assert store.ledger.plan(edition, again, batch_size=10, now=NOW) == 0
    assert store.ledger.counts(edition) == {"planned": 25}


def test_who_was_left_out_or_given_up_of_an_edition_that_is_ready_again_is_planned(store: SqlStore) -> None:
    edition, readers = save_edition(store).id, add_readers(store, 4)
    choices = [
        Planned(subscriber=reader, send_key=f"k{reader.id}", variant=variant, reason=None if variant else "no story")
        for reader, variant in zip(readers, ["all", "all", None, None], strict=True)
    ]
    store.ledger.plan(edition, choices, batch_size=10, now=NOW)
    assert store.ledger.give_up(edition, "too old", now=NOW) == 2  # and then it is composed anew
    again = [replace(one, variant="all", reason=None) for one in choices[:3]] + choices[3:]
    assert store.ledger.plan(edition, again, batch_size=10, now=NOW) == 3
    assert store.ledger.counts(edition) == {"planned": 3, "skipped": 1}
    taken = take(store, edition)
    assert [one.email for one in taken.recipients] == [reader.email for reader in readers[:3]]
    assert [one.answer for one in store.ledger.deliveries(edition)] == [None, None, None, "no story"]


def test_the_oldest_claim_of_each_edition_is_known_until_it_is_settled(store: SqlStore) -> None:
    edition = plan(store, 25)
    assert store.ledger.first_leases([edition]) == {}
    first = take(store, edition)
    later = LEASE + timedelta(minutes=1)
    assert store.ledger.claim(edition, make_owner("two"), lease_until=later, now=NOW + timedelta(minutes=1))
    assert store.ledger.first_leases([edition, edition + 1]) == {edition: LEASE}
    store.ledger.mark(first, ids(first), "outbox", now=NOW)
    store.ledger.settle(first, outcomes(ids(first)), now=NOW)
    store.ledger.release(first, now=NOW)
    assert store.ledger.first_leases([edition]) == {edition: later}


def test_who_is_left_out_is_written_down_with_the_reason(store: SqlStore) -> None:
    edition = save_edition(store).id
    (reader,) = add_readers(store, 1)
    store.ledger.plan(
        edition, [Planned(subscriber=reader, send_key="k", variant=None, reason="no story")], batch_size=10, now=NOW
    )
    (delivery,) = store.ledger.deliveries(edition, missing=True)
    assert (delivery.state, delivery.answer) == (DeliveryState.SKIPPED, "no story")
    assert claim(store, edition) is None
    assert store.ledger.next_due(edition) is None


def test_a_batch_is_claimed_marked_settled_and_done(store: SqlStore) -> None:
    edition = plan(store, 25)
    seen: list[str] = []
    while taken := claim(store, edition):
        seen += [recipient.email for recipient in taken.recipients]
        assert store.ledger.mark(taken, ids(taken), "outbox", now=NOW)
        assert store.ledger.settle(taken, outcomes(ids(taken)), now=NOW)
        store.ledger.release(taken, now=NOW)
    assert Counter(seen) == Counter(f"reader{number:05}@rehearsal.test" for number in range(25))
    assert store.ledger.counts(edition) == {"accepted": 25}
    assert store.ledger.next_due(edition) is None
    first = next(store.ledger.deliveries(edition))
    assert (first.transport, first.attempted_at, first.answer) == ("outbox", NOW, "250 ok")


def test_who_is_erased_while_their_message_is_on_its_way_is_not_named_by_its_answer(store: SqlStore) -> None:
    edition = plan(store, 2)
    taken = take(store, edition)
    store.ledger.mark(taken, ids(taken), "smtp", now=NOW)
    assert store.subscribers.erase(taken.recipients[0].email, now=NOW)
    said = [
        Outcome(delivery=one.delivery, state=DeliveryState.REFUSED, raw=f"550 <{one.email}> unknown")
        for one in taken.recipients
    ]
    assert store.ledger.settle(taken, said, now=NOW)
    assert {one.answer for one in store.ledger.deliveries(edition)} == {None, said[1].raw}


def test_threads_that_claim_at_once_never_share_a_batch(store: SqlStore) -> None:
    edition = plan(store, 200, batch_size=5)

    def work(name: str) -> list[int]:
        mine: list[int] = []
        while taken := claim(store, edition, name):
            mine += ids(taken)
        return mine

    with ThreadPoolExecutor(4) as pool:
        found = [delivery for mine in pool.map(work, "abcd") for delivery in mine]
    assert len(found) == len(set(found)) == 200


def test_who_left_since_the_planning_is_skipped_at_the_claim(store: SqlStore) -> None:
    edition = plan(store, 3)
    reader = list(store.subscribers.reached("morning"))[1]
    store.subscribers.leave("morning", reader.key, now=NOW)
    taken = take(store, edition)
    assert reader.email not in {recipient.email for recipient in taken.recipients}
    (missing,) = [d for d in store.ledger.deliveries(edition, missing=True) if d.email == reader.email]
    assert missing.state is DeliveryState.SKIPPED
    assert "unsubscribed" in (missing.answer or "")


def test_who_paused_since_the_planning_is_skipped_at_the_claim_and_who_pauses_no_more_is_not(store: SqlStore) -> None:
    edition = plan(store, 3)
    still, over, _ = list(store.subscribers.reached("morning"))
    for reader, until in ((still, NOW + timedelta(hours=1)), (over, NOW)):
        assert store.subscribers.choose("morning", reader.key, Choices(), paused_until=until, now=NOW)
    assert still.email not in {recipient.email for recipient in take(store, edition).recipients}
    (missing,) = [d for d in store.ledger.deliveries(edition, missing=True) if d.state is DeliveryState.SKIPPED]
    assert (missing.email, missing.answer) == (still.email, "the reader paused until 2026-03-02 08:00 UTC")


def test_a_batch_in_which_everybody_left_is_passed_over(store: SqlStore) -> None:
    edition = plan(store, 4, batch_size=2)
    for reader in list(store.subscribers.reached("morning"))[:2]:
        store.subscribers.leave("morning", reader.key, now=NOW)
    assert len(take(store, edition).recipients) == 2
    assert claim(store, edition) is None


def test_what_was_marked_and_has_no_outcome_is_unknown_and_never_claimed_again(store: SqlStore) -> None:
    edition = plan(store, 10)
    taken = take(store, edition)
    store.ledger.mark(taken, ids(taken)[:4], "smtp", now=NOW)
    store.ledger.settle(taken, outcomes(ids(taken)[:3]), now=NOW)
    store.ledger.release(taken, now=NOW)
    assert store.ledger.counts(edition) == {"planned": 6, "accepted": 3, "unknown": 1}
    again = take(store, edition)
    assert again.attempt == taken.attempt + 1
    assert set(ids(again)) == set(ids(taken)[4:])


def test_what_was_deferred_is_due_again_later_and_not_before(store: SqlStore) -> None:
    edition = plan(store, 2)
    taken = take(store, edition)
    first, second = ids(taken)
    later = NOW + timedelta(minutes=5)
    store.ledger.mark(taken, [first, second], "smtp", now=NOW)
    store.ledger.settle(taken, outcomes([first], DeliveryState.DEFERRED), now=NOW, retry_at=later)
    store.ledger.settle(taken, outcomes([second]), now=NOW)
    store.ledger.release(taken, now=NOW)
    assert store.ledger.counts(edition) == {"accepted": 1, "deferred": 1}
    assert store.ledger.next_due(edition) == later
    assert claim(store, edition) is None
    again = store.ledger.claim(edition, make_owner(), lease_until=later + timedelta(minutes=1), now=later)
    assert again
    assert ids(again) == [first]


def test_a_claim_is_left_alone_while_its_owner_lives_and_its_lease_runs(store: SqlStore) -> None:
    edition = plan(store, 3)
    take(store, edition)
    assert store.ledger.recover(edition, now=NOW) == 0
    assert claim(store, edition, "two") is None
    assert store.ledger.next_due(edition) is None
    assert store.ledger.leased_until(edition) == LEASE


def test_a_sender_that_slept_through_its_lease_can_neither_send_nor_write(store: SqlStore) -> None:
    edition = plan(store, 3)
    sleeper = take(store, edition)
    one, two, three = ids(sleeper)
    store.ledger.mark(sleeper, [one], "smtp", now=NOW)
    after = LEASE + timedelta(seconds=1)
    assert not store.ledger.mark(sleeper, [two], "smtp", now=after)
    assert store.ledger.recover(edition, now=after) == 1
    successor = store.ledger.claim(edition, make_owner("two"), lease_until=after + timedelta(minutes=1), now=after)
    assert successor
    assert ids(successor) == [two, three]
    store.ledger.mark(successor, [two], "smtp", now=after)
    assert not store.ledger.settle(sleeper, outcomes([one, two], DeliveryState.REFUSED), now=after)
    store.ledger.release(sleeper, now=after)
    store.ledger.settle(successor, outcomes([two]), now=after)
    assert store.ledger.counts(edition) == {"claimed": 1, "accepted": 1, "unknown": 1}


def test_a_claim_in_another_owner_s_name_is_no_claim(store: SqlStore) -> None:
    edition = plan(store, 2)
    taken = take(store, edition)
    forged = replace(taken, owner=make_owner("two"))
    assert not store.ledger.mark(forged, ids(taken), "smtp", now=NOW)
    store.ledger.mark(taken, ids(taken), "smtp", now=NOW)
    assert not store.ledger.settle(forged, outcomes(ids(taken)), now=NOW)
    store.ledger.release(forged, now=NOW)
    assert store.ledger.counts(edition) == {"attempted": 2}


def test_a_dead_process_on_this_machine_frees_its_claims_at_once(store: SqlStore) -> None:
    edition = plan(store, 3)
    with subprocess.Popen(["true"]) as process:
        pid = process.pid
    gone = make_owner("gone", pid=pid, started=1.0)
    taken = store.ledger.claim(edition, gone, lease_until=LEASE, now=NOW)
    assert taken
    store.ledger.mark(taken, ids(taken)[:1], "smtp", now=NOW)
    assert store.ledger.recover(edition, now=NOW) == 1
    assert set(ids(take(store, edition, "two"))) == set(ids(taken)[1:])


def test_what_a_dead_sender_held_goes_before_the_rest_until_it_may_be_what_ends_senders(store: SqlStore) -> None:
    edition = plan(store, 6, batch_size=2)
    with subprocess.Popen(["true"]) as process:
        pid = process.pid
    gone = make_owner("gone", pid=pid, started=1.0)
    taken = []
    for _ in range(4):
        one = store.ledger.claim(edition, gone, lease_until=LEASE, now=NOW)
        assert one
        taken.append(one.batch)
        store.ledger.recover(edition, now=NOW)
    assert taken[0] == taken[1] == taken[2]
    assert taken[3] != taken[0]


def test_after_a_reboot_marks_in_a_file_are_not_trusted_and_the_whole_batch_is_unknown(store: SqlStore) -> None:
    edition = plan(store, 3)
    before = make_owner("before", boot="another boot")
    taken = store.ledger.claim(edition, before, lease_until=LEASE, now=NOW)
    assert taken
    store.ledger.mark(taken, ids(taken)[:1], "smtp", now=NOW)
    store.ledger.settle(taken, outcomes(ids(taken)[:1]), now=NOW)
    if store._database.keeps_marks:  # on a server, which they outlived
        assert store.ledger.recover(edition, now=NOW) == 0
        assert store.ledger.counts(edition) == {"planned": 2, "accepted": 1}
        return
    assert store.ledger.recover(edition, now=NOW) == 2
    assert store.ledger.counts(edition) == {"accepted": 1, "unknown": 2}
    assert claim(store, edition) is None


def test_an_owner_elsewhere_keeps_its_claim_until_the_lease_ends(store: SqlStore) -> None:
    edition = plan(store, 3)
    far = make_owner("far", host="elsewhere", pid=1)  # another container of this machine
    taken = store.ledger.claim(edition, far, lease_until=LEASE, now=NOW)
    assert taken
    store.ledger.mark(taken, ids(taken)[:1], "smtp", now=NOW)
    assert store.ledger.recover(edition, now=NOW) == 0
    assert store.ledger.recover(edition, now=LEASE + timedelta(seconds=1)) == 1
    assert store.ledger.counts(edition) == {"planned": 2, "unknown": 1}


def test_the_marks_of_another_boot_in_a_file_are_not_trusted_whatever_its_host_was_called(store: SqlStore) -> None:
    edition = plan(store, 3)
    far = make_owner("far", host="elsewhere", boot="another boot", pid=1)
    taken = store.ledger.claim(edition, far, lease_until=LEASE, now=NOW)
    assert taken
    store.ledger.mark(taken, ids(taken)[:1], "smtp", now=NOW)
    trusted = store._database.keeps_marks
    assert store.ledger.recover(edition, now=LEASE + timedelta(seconds=1)) == (1 if trusted else 3)
    assert store.ledger.counts(edition) == ({"planned": 2, "unknown": 1} if trusted else {"unknown": 3})


def test_all_that_one_claim_puts_off_waits_in_one_batch(store: SqlStore) -> None:
    edition = plan(store, 8)
    taken = take(store, edition)
    later = NOW + timedelta(minutes=5)
    for delivery in ids(taken):
        store.ledger.mark(taken, [delivery], "smtp", now=NOW)
        store.ledger.settle(taken, outcomes([delivery], DeliveryState.DEFERRED), now=NOW, retry_at=later)
    store.ledger.release(taken, now=NOW)
    again = store.ledger.claim(edition, make_owner(), lease_until=later + timedelta(minutes=1), now=later)
    assert again
    assert set(ids(again)) == set(ids(taken))
    assert again.attempt == taken.attempt + 1


def test_what_is_put_off_after_the_rest_was_claimed_again_gets_a_batch_of_its_own(store: SqlStore) -> None:
    edition = plan(store, 2)
    slow = take(store, edition)
    first, second = ids(slow)
    store.ledger.mark(slow, [first, second], "smtp", now=NOW)
    store.ledger.settle(slow, outcomes([first], DeliveryState.DEFERRED), now=NOW, retry_at=NOW)
    assert ids(take(store, edition, "two")) == [first]
    store.ledger.settle(slow, outcomes([second], DeliveryState.DEFERRED), now=NOW, retry_at=NOW)
    assert ids(take(store, edition, "three")) == [second]


def test_what_is_given_up_is_skipped_with_the_reason_and_nothing_else_is_touched(store: SqlStore) -> None:
    edition = plan(store, 30)
    taken = take(store, edition)
    first, second, *_ = ids(taken)
    store.ledger.mark(taken, [first, second], "smtp", now=NOW)
    store.ledger.settle(taken, outcomes([first]), now=NOW)
    store.ledger.settle(taken, outcomes([second], DeliveryState.DEFERRED), now=NOW, retry_at=LEASE)
    assert store.ledger.give_up(edition, "too old", now=NOW) == 21
    assert store.ledger.counts(edition) == {"claimed": 8, "accepted": 1, "skipped": 21}
    assert store.ledger.next_due(edition) is None
    reasons = {delivery.answer for delivery in store.ledger.deliveries(edition, missing=True)}
    assert reasons == {"too old", None}
    assert store.ledger.give_up(edition, "too old", now=NOW) == 0


def test_a_delivery_of_another_batch_cannot_be_marked_or_settled_through_a_claim(store: SqlStore) -> None:
    edition = plan(store, 4, batch_size=2)
    mine, others = take(store, edition, "one"), take(store, edition, "two")
    store.ledger.mark(mine, ids(others), "smtp", now=NOW)
    store.ledger.settle(mine, outcomes(ids(others)), now=NOW)
    assert store.ledger.counts(edition) == {"claimed": 4}
