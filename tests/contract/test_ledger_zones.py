"""Readers who wait for a time of their own: what the ledger promises of zones, over every store."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

import pytest

from digest.deliver import Lane
from digest.errors import StoreError
from digest.models import Claim, DeliveryState, EditionState, Outcome, Planned, Report
from digest.stores.sql import SqlStore
from tests.contract.editions import LEASE, NOW, add_readers, make_owner, plan, save_edition
from tests.contract.test_deliver import Scripted, make_mailing, make_sender
from tests.doubles.clock import Clock

BERLIN, LONDON, NEW_YORK = "Europe/Berlin", "Europe/London", "America/New_York"
LONG = timedelta(hours=4)
DUE = {BERLIN: NOW - timedelta(hours=1), LONDON: NOW, NEW_YORK: NOW + timedelta(hours=5)}


def plan_zones(store: SqlStore, due: Mapping[str, datetime] = DUE, *, each: int = 3, batch_size: int = 2) -> int:
    """An edition planned for so many readers of each zone; its number."""
    edition, readers = save_edition(store).id, iter(add_readers(store, each * len(due)))
    planned = [
        Planned(subscriber=reader, send_key=f"key-{reader.key}", variant="all", timezone=zone, due_at=at)
        for zone, at in due.items()
        for reader in islice(readers, each)
    ]
    assert store.ledger.plan(edition, planned, batch_size=batch_size, now=NOW) == len(planned)
    return edition


def claim(store: SqlStore, edition: int, at: datetime = NOW) -> Claim | None:
    """The next batch that is due by then."""
    return store.ledger.claim(edition, make_owner(), lease_until=LEASE + (at - NOW), now=at)


def take(store: SqlStore, edition: int, at: datetime = NOW) -> Claim:
    """The next batch, which must be there."""
    taken = claim(store, edition, at)
    assert taken
    return taken


def send(store: SqlStore, taken: Claim, at: datetime = NOW, state: DeliveryState = DeliveryState.ACCEPTED) -> None:
    """All of a batch, with one answer."""
    numbers = [one.delivery for one in taken.recipients]
    assert store.ledger.mark(taken, numbers, "smtp", now=at)
    said = [Outcome(delivery=number, state=state, raw="so") for number in numbers]
    assert store.ledger.settle(taken, said, now=at, retry_at=at + timedelta(minutes=1))
    store.ledger.release(taken, now=at)


def test_each_zone_is_claimed_from_its_own_instant_on_in_batches_of_its_own(store: SqlStore) -> None:
    edition = plan_zones(store)
    assert store.ledger.begin(edition, as_of=None, now=NOW)
    assert list(store.ledger.zones(edition).items()) == list(DUE.items())
    seen = []
    while taken := claim(store, edition):
        seen.append((taken.timezone, len(taken.recipients)))
        send(store, taken)
    assert seen == [(BERLIN, 2), (BERLIN, 1), (LONDON, 2), (LONDON, 1)]
    assert store.ledger.count_waiting(edition, now=NOW) == {NEW_YORK: 3}
    assert store.ledger.next_due(edition) == DUE[NEW_YORK]
    assert store.ledger.next_due(edition, besides=[NEW_YORK]) is None
    assert not store.ledger.finish(edition, now=NOW)
    assert store.ledger.count_by_zone(edition) == {
        BERLIN: {"accepted": 3},
        LONDON: {"accepted": 3},
        NEW_YORK: {"planned": 3},
    }
    later = DUE[NEW_YORK]
    while taken := claim(store, edition, later):
        send(store, taken, later)
    assert store.ledger.count_waiting(edition, now=later) == {}
    assert store.ledger.finish(edition, now=later)


def test_of_some_zones_nothing_is_claimed_when_the_sender_says_so(store: SqlStore) -> None:
    edition = plan_zones(store)
    store.ledger.begin(edition, as_of=None, now=NOW)
    till = LEASE + timedelta(hours=5)
    taken = store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW, besides=[BERLIN])
    assert taken
    assert taken.timezone == LONDON
    nothing = store.ledger.claim(edition, make_owner(), lease_until=till, now=DUE[NEW_YORK], besides=list(DUE))
    assert nothing is None
    assert store.ledger.next_due(edition, besides=[BERLIN, LONDON, ""]) == DUE[NEW_YORK]


def test_who_is_of_no_zone_goes_by_an_empty_name(store: SqlStore) -> None:
    edition = plan(store, 3)
    store.ledger.begin(edition, as_of=None, now=NOW)
    assert store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW, besides=[""]) is None
    assert store.ledger.next_due(edition, besides=[""]) is None
    assert store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW, besides=[BERLIN])


def test_without_zones_there_are_none(store: SqlStore) -> None:
    edition = plan(store, 3)
    assert store.ledger.zones(edition) == store.ledger.count_by_zone(edition) == {}
    assert store.ledger.count_waiting(edition, now=NOW) == {}
    assert take(store, edition).timezone is None


@pytest.mark.parametrize("how", ["deferred", "postponed", "released", "recovered", "retried"])
def test_what_becomes_a_batch_again_stays_in_its_zone(store: SqlStore, how: str) -> None:
    edition = plan_zones(store, {BERLIN: DUE[BERLIN]}, each=2)
    store.ledger.begin(edition, as_of=None, now=NOW)
    taken, later = take(store, edition), NOW + timedelta(hours=1)
    numbers = [one.delivery for one in taken.recipients]
    match how:
        case "deferred":
            send(store, taken, state=DeliveryState.DEFERRED)
        case "postponed":
            assert store.ledger.postpone(taken, numbers, due_at=NOW + timedelta(minutes=1), now=NOW)
            store.ledger.release(taken, now=NOW)
        case "released":
            store.ledger.release(taken, now=NOW, retry_at=NOW + timedelta(minutes=1))
        case "recovered":
            store.ledger.recover(edition, now=LEASE)
        case _:
            send(store, taken, state=DeliveryState.REFUSED)
            assert store.ledger.retry(edition, batch_size=10, now=NOW) == 2
    again = take(store, edition, later)
    assert (again.timezone, [one.delivery for one in again.recipients]) == (BERLIN, numbers)


def test_one_zone_is_given_up_and_the_others_are_not(store: SqlStore) -> None:
    edition = plan_zones(store)
    assert store.ledger.give_up(edition, "too late there", now=NOW, timezone=BERLIN) == 3
    assert store.ledger.count_by_zone(edition) == {
        BERLIN: {"skipped": 3},
        LONDON: {"planned": 3},
        NEW_YORK: {"planned": 3},
    }
    assert {one.answer for one in store.ledger.deliveries(edition, missing=True) if one.answer} == {"too late there"}


def end(store: SqlStore, edition: int, reason: str | None = None) -> tuple[EditionState, str | None]:
    """What becomes of an edition that is finished, and why."""
    assert store.ledger.finish(edition, reason, now=NOW)
    stored = store.editions.get(edition)
    assert stored
    assert (stored.sent_at is not None) == (stored.state is EditionState.SENT)
    return stored.state, stored.reason


def test_an_edition_that_was_too_late_for_everybody_is_missed_and_says_why(store: SqlStore) -> None:
    edition = plan_zones(store)
    for zone in DUE:  # some before it begins, some after
        store.ledger.give_up(edition, f"too late in {zone}", now=NOW, timezone=zone)
        store.ledger.begin(edition, as_of=None, now=NOW)
    assert end(store, edition) == (
        EditionState.MISSED,
        "too late in Europe/Berlin; 2 more zones were too late as well",
    )


def test_it_is_missed_also_without_zones_and_for_the_reason_that_is_given(store: SqlStore) -> None:
    edition = plan(store, 2)
    store.ledger.begin(edition, as_of=None, now=NOW)
    send(store, take(store, edition), state=DeliveryState.DEFERRED)
    store.ledger.give_up(edition, "too late", now=NOW)
    assert end(store, edition, "no news any more") == (EditionState.MISSED, "no news any more")


@pytest.mark.parametrize("state", [DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.UNKNOWN])
def test_it_is_sent_when_anybody_got_it_refused_it_or_may_have_it(store: SqlStore, state: DeliveryState) -> None:
    edition = plan_zones(store)
    store.ledger.begin(edition, as_of=None, now=NOW)
    send(store, take(store, edition), state=state)
    store.ledger.give_up(edition, "too late", now=NOW)
    assert end(store, edition) == (EditionState.SENT, None)


def test_it_is_sent_to_nobody_when_nobody_was_left_out_for_being_late(store: SqlStore) -> None:
    edition = plan_zones(store)
    store.ledger.begin(edition, as_of=None, now=NOW)
    store.ledger.give_up(edition, "no story", now=NOW, variant="all")
    assert end(store, edition) == (EditionState.SENT, None)


def test_who_left_meanwhile_makes_no_difference_to_who_was_too_late(store: SqlStore) -> None:
    edition = plan_zones(store, {BERLIN: DUE[BERLIN], LONDON: DUE[LONDON]}, each=1, batch_size=1)
    store.ledger.begin(edition, as_of=None, now=NOW)
    store.ledger.give_up(edition, "too late", now=NOW, timezone=BERLIN)
    assert store.subscribers.leave("morning", list(store.subscribers.reached("morning"))[1].key, now=NOW)
    assert claim(store, edition) is None
    assert end(store, edition) == (EditionState.MISSED, "too late")


def test_a_missed_edition_that_was_begun_can_be_planned_again_by_hand(store: SqlStore) -> None:
    edition = plan_zones(store)
    store.ledger.begin(edition, as_of=None, now=NOW)
    store.ledger.give_up(edition, "too late", now=NOW)
    assert end(store, edition)[0] is EditionState.MISSED
    assert store.ledger.retry(edition, batch_size=10, now=NOW) == 9
    send(store, take(store, edition))
    store.ledger.give_up(edition, "too late again", now=NOW)
    assert end(store, edition)[0] is EditionState.SENT


def test_a_missed_edition_whose_variants_were_never_rendered_is_not_planned_again(store: SqlStore) -> None:
    edition, readers = save_edition(store).id, add_readers(store, 2)
    planned = [Planned(subscriber=one, send_key=f"key-{one.key}", variant="world") for one in readers]
    store.ledger.plan(edition, planned, batch_size=10, now=NOW)
    store.editions.set_state(edition, EditionState.MISSED, "too late", now=NOW, only_from=[EditionState.READY])
    store.ledger.give_up(edition, "too late", now=NOW)
    with pytest.raises(StoreError, match="rendition"):
        store.ledger.retry(edition, batch_size=10, now=NOW)
    assert store.editions.state(edition) is EditionState.MISSED
    assert store.ledger.counts(edition) == {"skipped": 2}


def test_who_was_given_up_before_their_time_waits_for_it_when_they_are_planned_again(store: SqlStore) -> None:
    edition = plan_zones(store)
    store.ledger.begin(edition, as_of=None, now=NOW)
    assert store.ledger.give_up(edition, "stopped", now=NOW) == 9
    assert store.ledger.retry(edition, batch_size=10, now=NOW) == 9
    assert store.ledger.count_waiting(edition, now=NOW) == {NEW_YORK: 3}
    assert {take(store, edition).timezone for _ in range(2)} == {BERLIN, LONDON}
    assert claim(store, edition) is None
    assert store.ledger.next_due(edition) == DUE[NEW_YORK]


def test_an_edition_that_is_planned_again_goes_by_the_times_of_the_second_plan(store: SqlStore) -> None:
    edition = plan_zones(store, {BERLIN: DUE[BERLIN]}, each=2)
    later, readers = NOW + timedelta(hours=2), list(store.subscribers.reached("morning"))
    again = [
        Planned(subscriber=one, send_key=f"key-{one.key}", variant="all", timezone=BERLIN, due_at=later)
        for one in readers
    ]
    assert store.ledger.plan(edition, again, batch_size=10, now=NOW) == 0
    assert store.ledger.zones(edition) == {BERLIN: later}
    assert store.ledger.next_due(edition) == later


def test_a_zone_in_which_everybody_is_left_out_is_none(store: SqlStore) -> None:
    edition, (reader,) = save_edition(store).id, add_readers(store, 1)
    left_out = Planned(
        subscriber=reader, send_key="k", variant=None, reason="no story", timezone=BERLIN, due_at=DUE[BERLIN]
    )
    assert store.ledger.plan(edition, [left_out], batch_size=10, now=NOW) == 1
    assert store.ledger.zones(edition) == {}


def test_a_batch_that_is_too_late_when_it_is_claimed_does_not_leave(store: SqlStore) -> None:
    edition, clock = plan_zones(store, each=4), Clock(DUE[NEW_YORK])
    store.ledger.begin(edition, as_of=None, now=NOW)
    until = {BERLIN: NOW + timedelta(hours=1), LONDON: clock.now + timedelta(seconds=1), NEW_YORK: clock.now + LONG}
    mailing = replace(make_mailing(edition), zones=store.ledger.zones(edition), news_until=until)
    sender = make_sender(store, edition, [Lane(transport=Scripted(), rate=0.5)], clock, mailing=mailing)
    sent = sender.run()  # a message in two seconds: of London's two batches the second is too late
    assert (sent.attempted, sent.fault) == (6, None)
    assert store.ledger.count_by_zone(edition) == {
        BERLIN: {"planned": 4},
        LONDON: {"planned": 2, "accepted": 2},
        NEW_YORK: {"accepted": 4},
    }
    assert sender.leaves_late()
    store.ledger.give_up(edition, "too late", now=clock.now, timezone=BERLIN)
    store.ledger.give_up(edition, "too late", now=clock.now, timezone=LONDON)
    assert not sender.leaves_late()


def test_the_newest_run_of_one_edition_is_found_behind_those_of_others(store: SqlStore) -> None:
    for number, words in ((1, "first"), (11, "other"), (2, 'says "edition":1, too')):
        report = Report(newsletter="morning", date=NOW.date(), status="done", message=words, edition=number)
        store.runs.record(report, started_at=NOW, finished_at=NOW)
    found = store.runs.last("morning", edition=1)
    assert found
    assert found[1].message == "first"
    assert store.runs.last("morning", edition=3) is None


def test_the_newest_editions_of_one_cadence(store: SqlStore) -> None:
    save_edition(store, EditionState.SENT)
    weekly = save_edition(store, EditionState.SENT, cadence="weekly")
    assert [one.id for one in store.editions.newest("morning", cadence="weekly")] == [weekly.id]
    assert (weekly.title, weekly.reference, weekly.options) == (
        "weekly edition of 2026-03-02",
        "2026-03-02-weekly",
        "--on 2026-03-02 --weekly",
    )


@pytest.mark.parametrize(("each", "hours"), [(2, 0), (3, 1)], ids=["all that was due went", "one waits for the rate"])
def test_a_sender_waits_for_a_rate_as_long_as_something_is_due_and_never_for_a_zone(
    store: SqlStore, each: int, hours: int
) -> None:
    edition, clock = plan_zones(store, {BERLIN: DUE[BERLIN], NEW_YORK: DUE[NEW_YORK]}, each=each), Clock(NOW)
    mailing = replace(make_mailing(edition), zones=store.ledger.zones(edition))
    sent = make_sender(
        store, edition, [Lane(transport=Scripted(), rate=100.0, per_hour=2)], clock, mailing=mailing
    ).run()
    assert (sent.attempted, sent.fault) == (each, None)
    assert timedelta(hours=hours) <= clock.now - NOW < timedelta(hours=hours, minutes=3)
    assert store.ledger.count_waiting(edition, now=clock.now) == {NEW_YORK: each}
