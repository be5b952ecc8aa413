"""Who is there, over both databases; and what the ledger frees of those who are gone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from digest.models import Owner, Peer
from digest.stores.owners import name_process, this_owner
from digest.stores.sql import SqlStore
from tests.contract.test_ledger import NOW, ids, plan, take

T = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def make_peer(number: str = "a", **changes: object) -> Peer:
    peer = Peer(
        id=number,
        newsletter="news",
        host="one",
        version="1.0",
        queues=("compose", "deliver"),
        concurrency=4,
        started_at=T,
        seen_at=T,
        steady_since=T,
        skew=0.25,
    )
    return replace(peer, **changes)  # type: ignore[arg-type]


def beat(store: SqlStore, peer: Peer, start: datetime, end: datetime) -> None:
    """Every five seconds."""
    now = start
    while now <= end:
        store.workers.beat(peer, now=now)
        now += 5 * SECOND


def test_who_beats_is_listed_once_with_what_it_is_for(store: SqlStore) -> None:
    beat(store, make_peer(), T, T + 10 * SECOND)
    store.workers.beat(make_peer("b", newsletter="another"), now=T)
    (found,) = store.workers.everyone("news")
    assert found == make_peer(seen_at=T + 10 * SECOND)
    assert store.workers.present("news", now=T + 15 * SECOND) == [found]
    assert store.workers.present("news", now=T + 60 * SECOND) == []


def test_who_leaves_is_listed_no_more_and_may_come_again(store: SqlStore) -> None:
    store.workers.beat(make_peer(), now=T)
    store.workers.leave("a")
    store.workers.leave("a")
    assert store.workers.everyone("news") == []
    store.workers.beat(make_peer(started_at=T + SECOND), now=T + SECOND)
    assert [peer.started_at for peer in store.workers.everyone("news")] == [T + SECOND]


def test_a_longer_silence_begins_its_steadiness_anew(store: SqlStore) -> None:
    beat(store, make_peer(), T, T + 30 * SECOND)
    store.workers.beat(make_peer(), now=T + 300 * SECOND)
    assert [peer.steady_since for peer in store.workers.everyone("news")] == [T + 300 * SECOND]


def test_the_long_dead_are_forgotten(store: SqlStore) -> None:
    store.workers.beat(make_peer(), now=T)
    store.workers.beat(make_peer("b"), now=T + 60 * SECOND)
    assert store.workers.forget(before=T + 30 * SECOND) == 1
    assert [peer.id for peer in store.workers.everyone("news")] == ["b"]


def test_who_is_silent_for_a_minute_while_another_was_there_is_gone(store: SqlStore) -> None:
    store.workers.beat(make_peer("gone"), now=T)
    beat(store, make_peer("there"), T, T + 65 * SECOND)
    assert store.workers.find_gone(now=T + 59 * SECOND) == set()
    assert store.workers.find_gone(now=T + 65 * SECOND) == {"gone"}


def test_nobody_is_gone_because_the_database_was_away(store: SqlStore) -> None:
    for number in ("a", "b", "c"):
        beat(store, make_peer(number), T, T + 60 * SECOND)
    back = T + 360 * SECOND
    store.workers.beat(make_peer("a"), now=back)
    assert store.workers.find_gone(now=back) == set()
    beat(store, make_peer("a"), back, back + 60 * SECOND)
    store.workers.beat(make_peer("b"), now=back + 10 * SECOND)
    assert store.workers.find_gone(now=back + 60 * SECOND) == {"c"}


def test_nobody_says_of_itself_that_it_is_gone(store: SqlStore) -> None:
    store.workers.beat(make_peer(), now=T)
    assert store.workers.find_gone(now=T + 600 * SECOND) == set()


def test_all_senders_of_a_process_are_of_one_id_and_those_of_another_are_not() -> None:
    mine = this_owner("one")
    assert name_process(mine) == name_process(this_owner("two"))
    others = [
        replace(mine, host="elsewhere"),
        replace(mine, boot="b"),
        replace(mine, pid=1),
        replace(mine, started=0.5),
    ]
    assert len({name_process(owner) for owner in [mine, *others]}) == 5


def seen_before(store: SqlStore, owner: Owner, silent: timedelta) -> None:
    """A process that was seen last so long ago, and another that was there all the time."""
    now = store.clock()
    store.workers.beat(make_peer(name_process(owner)), now=now - silent)
    beat(store, make_peer("witness"), now - 70 * SECOND, now)


@pytest.mark.parametrize("silent", [30, 90])
def test_what_a_worker_elsewhere_held_is_free_a_minute_after_it_is_gone(store: SqlStore, silent: int) -> None:
    far = replace(this_owner("far"), host="elsewhere", boot="another", pid=7)
    edition = plan(store, 3)
    taken = store.ledger.claim(edition, far, lease_until=NOW + timedelta(minutes=10), now=NOW)
    assert taken
    first, *rest = ids(taken)
    assert store.ledger.mark(taken, [first], "smtp", now=NOW)
    seen_before(store, far, silent * SECOND)
    unknown = store.ledger.recover(edition, now=NOW + SECOND)
    if silent < 60:
        assert (unknown, store.ledger.counts(edition)) == (0, {"attempted": 1, "claimed": 2})
        return
    # A file keeps no mark of another boot that it could trust.
    assert unknown == (1 if store._database.keeps_marks else 3)
    if store._database.keeps_marks:
        assert ids(take(store, edition, "two")) == rest


def test_a_worker_that_was_only_paused_finds_its_claim_lost_and_neither_sends_nor_writes(store: SqlStore) -> None:
    # In another container of this machine, whose marks are trusted in a file, too.
    mine = this_owner("far")
    paused = replace(mine, host=f"{mine.host.partition(' ')[0]} pid:[1]")
    edition = plan(store, 3)
    claim = store.ledger.claim(edition, paused, lease_until=NOW + timedelta(minutes=10), now=NOW)
    assert claim
    one, two, three = ids(claim)
    assert store.ledger.mark(claim, [one], "smtp", now=NOW)
    seen_before(store, paused, 90 * SECOND)
    assert store.ledger.recover(edition, now=NOW) == 1
    assert not store.ledger.mark(claim, [two], "smtp", now=NOW)
    assert not store.ledger.settle(claim, [], now=NOW)
    assert not store.ledger.postpone(claim, [three], due_at=NOW, now=NOW)
    store.ledger.release(claim, now=NOW)
    successor = take(store, edition, "two")
    assert ids(successor) == [two, three]
    assert not store.ledger.mark(claim, [two], "smtp", now=NOW)
    assert store.ledger.mark(successor, [two, three], "smtp", now=NOW)


def test_whose_process_lives_here_keeps_its_claims_however_silent_it_is(store: SqlStore) -> None:
    edition = plan(store, 2)
    take(store, edition)
    mine = this_owner("one")
    seen_before(store, mine, 600 * SECOND)
    assert store.ledger.recover(edition, now=NOW) == 0
    assert store.ledger.counts(edition) == {"claimed": 2}


def test_the_database_tells_the_time(store: SqlStore) -> None:
    assert abs((store.clock() - datetime.now(UTC)).total_seconds()) < 30


EVERYBODY = {"a": "", "b": ""}


def test_an_incident_is_told_by_one_and_once_until_it_has_passed(store: SqlStore) -> None:
    incidents = store.incidents
    assert incidents.observe("news", EVERYBODY, scopes=[""], now=T) == {"a": T, "b": T}
    assert incidents.observe("news", EVERYBODY, scopes=[""], now=T + SECOND) == {"a": T, "b": T}
    assert incidents.take("news", "a", now=T) == []
    assert incidents.take("news", "a", now=T) is None
    incidents.settle("news", "a", is_told=False, now=T)
    assert incidents.take("news", "a", now=T) == []
    assert incidents.observe("other", {}, scopes=[""], now=T) == {}
    incidents.settle("news", "a", is_told=True, now=T)
    assert incidents.take("news", "a", now=T + timedelta(days=9)) is None
    assert incidents.observe("news", {"b": ""}, scopes=[""], now=T) == {"b": T}
    assert incidents.take("news", "a", now=T) is None
    assert incidents.observe("news", EVERYBODY, scopes=[""], now=T + SECOND) == {"a": T + SECOND, "b": T}
    assert incidents.take("news", "a", now=T) == []


def test_what_was_taken_by_one_who_was_killed_falls_to_another(store: SqlStore) -> None:
    incidents, soon, later = store.incidents, T + timedelta(minutes=9), T + timedelta(minutes=10)
    incidents.observe("news", {"a": ""}, scopes=[""], now=T)
    assert incidents.take("news", "a", now=T) == []
    incidents.note("news", "a", "webhook")
    assert incidents.take("news", "a", now=soon) is None
    assert incidents.take("news", "a", now=later) == ["webhook"]
    incidents.note("news", "a", "mail")
    incidents.settle("news", "a", is_told=False, now=later)
    assert incidents.take("news", "a", now=later) == ["webhook", "mail"]


def test_what_only_one_machine_can_see_passes_when_that_one_sees_it_no_more(store: SqlStore) -> None:
    incidents = store.incidents
    incidents.observe("news", {"journal one": "one"}, scopes=["", "one"], now=T)
    incidents.observe("news", {}, scopes=["", "two"], now=T)
    assert incidents.observe("news", {"journal one": "one"}, scopes=["", "one"], now=T + SECOND) == {"journal one": T}
    incidents.observe("news", {}, scopes=["", "one"], now=T + SECOND)
    again = T + 2 * SECOND
    assert incidents.observe("news", {"journal one": "one"}, scopes=["", "one"], now=again) == {"journal one": again}


def test_what_a_machine_saw_that_is_gone_passes_after_a_day(store: SqlStore) -> None:
    incidents, last = store.incidents, T + timedelta(hours=30)
    for now in (T, last):
        assert incidents.observe("news", {"journal one": "one"}, scopes=["", "one"], now=now) == {"journal one": T}
    incidents.observe("news", {}, scopes=["", "two"], now=last + timedelta(hours=24))
    assert incidents.observe("news", {"journal one": "one"}, scopes=["one"], now=last) == {"journal one": T}
    incidents.observe("news", {}, scopes=["", "two"], now=last + timedelta(hours=25))
    assert incidents.observe("news", {"journal one": "one"}, scopes=["one"], now=last) == {"journal one": last}
