"""A pruning that is killed, again and again, is gone on with by the next, and takes nothing that is younger."""

from contextlib import closing
from datetime import date, timedelta

from digest.models import Collected, Entry, Event, EventKind, Report, Subscriber
from digest.stores.schema import batches, deliveries, events, runs, subscriptions, tallies
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, RULES, add_readers, count, send_all
from tests.contract.test_months import plan_on
from tests.faults.killing import count_kills

BEFORE = date(2026, 4, 1)
READERS = 4
OLD, YOUNG = (date(2026, 2, 3), date(2026, 3, 4), date(2026, 3, 5)), (date(2026, 4, 1), date(2026, 4, 2))


def fill(store: SqlStore) -> tuple[list[int], list[int]]:
    """Editions that were sent and heard of, in a shape that takes a pruning many steps; the old, and the young."""
    add_readers(store, READERS)
    made = [plan_on(store, day) for day in (*OLD, *YOUNG)]
    for edition in made:
        send_all(store, edition)
        for name in _names(store, edition):
            at = NOW - timedelta(days=1) if edition in made[: len(OLD)] else NOW + timedelta(days=1)
            said = Event(provider="sendgrid", event_id=name, kind=EventKind.DEFERRED, occurred_at=at, send_key=name)
            store.events.take("morning", [said], RULES, now=at)
    for number, at in enumerate((NOW - timedelta(days=1), NOW + timedelta(days=1))):
        entry = Entry(id=str(number), title=f"Title {number}", link=f"https://news.test/{number}", content="It says")
        store.entries.add("morning", "wire", Collected(entries=(entry,)), now=at, since=NOW - timedelta(days=9))
        reader = Subscriber(email=f"new{number}@rehearsal.test", consent_at=at, consent_from="192.0.2.7")
        store.subscribers.add("morning", reader, now=at)
        report = Report(newsletter="morning", date=at.date(), status="done", message="it went out")
        store.runs.record(report, started_at=at, finished_at=at)
    return made[: len(OLD)], made[len(OLD) :]


def prune_at(url: str) -> None:
    """All that a day's pruning forgets, of what is older than that."""
    with closing(SqlStore.open(url)) as store:
        store.pruning.forget_pages("morning", before=NOW)
        store.pruning.forget_events(before=NOW)
        store.pruning.forget_networks("morning", before=NOW)
        store.pruning.forget_deliveries("morning", before=BEFORE)
        store.pruning.forget_runs("morning", before=NOW)


def _names(store: SqlStore, edition: int) -> list[str]:
    return [one.send_key for one in store.ledger.deliveries(edition) if one.send_key]


def test_a_pruning_killed_at_each_of_its_steps_is_ended_by_the_next(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store:
        old, young = fill(store)
        kept = {edition: (store.ledger.counts(edition), _names(store, edition)) for edition in young}
        sent = {edition: store.ledger.counts(edition) for edition in old}
        assert set(map(len, sent.values())) == {1}

        def look() -> None:
            assert {edition: store.ledger.counts(edition) for edition in old} == sent
            assert {edition: (store.ledger.counts(edition), _names(store, edition)) for edition in young} == kept

        assert count_kills(prune_at, store_url, after_each=look) > 6
        look()
        for table in (deliveries, batches, tallies):
            assert count(store, table, table.c.edition.in_(old)) == 0
        young_events = READERS * len(YOUNG)
        assert count(store, events, events.c.delivery.is_not(None)) == young_events
        texts = [one.entry.content for one in store.entries.get([1, 2])]
        assert texts == [None, "It says"]
        assert count(store, subscriptions, subscriptions.c.consent_from.is_not(None)) == 1
        assert count(store, runs) == 1
        assert store.pruning.forget_deliveries("morning", before=BEFORE) == 0
