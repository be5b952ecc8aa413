"""What is kept no longer than it is needed, over both databases; and how many readers there were on which day."""

from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from digest.models import (
    Collected,
    Entry,
    Event,
    EventKind,
    Page,
    Planned,
    Report,
    Subscriber,
    SubscriberState,
)
from digest.stores.schema import batches, deliveries, editions, entries, events, runs, subscriptions, tallies
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, RULES, add_readers, count, plan, save_edition, send_all

OLD = NOW - timedelta(days=60)
APRIL = date(2026, 4, 1)


def collect(store: SqlStore, name: str, *, now: datetime) -> None:
    entry = Entry(
        id=name, title=f"Title {name}", link=f"https://news.test/{name}", summary="It says", content="<p>So</p>"
    )
    store.entries.add("morning", "wire", Collected(entries=(entry,)), now=now, since=OLD - timedelta(days=1))


def test_texts_of_old_entries_go_and_the_entries_are_still_known(store: SqlStore) -> None:
    collect(store, "old", now=OLD)
    store.entries.keep_page(1, Page(text="A whole article."))
    collect(store, "new", now=NOW)
    assert store.pruning.forget_pages("morning", before=NOW - timedelta(days=30)) == 1
    assert store.pruning.forget_pages("morning", before=NOW - timedelta(days=30)) == 0, "they are not looked at again"
    old, new = store.entries.get([1, 2])
    assert (old.entry.title, old.entry.link) == ("Title old", "https://news.test/old")
    assert (old.entry.summary, old.entry.content, old.page, old.is_read) == (None, None, None, True)
    assert new.entry.content == "<p>So</p>"
    collect(store, "old", now=NOW)
    assert count(store, entries) == 2, "what is listed for ever is not news for ever"


def test_texts_of_another_newsletter_are_its_own_to_forget(store: SqlStore) -> None:
    collect(store, "old", now=OLD)
    assert store.pruning.forget_pages("evening", before=NOW) == 0


def test_a_providers_own_words_go_and_what_they_came_to_stays(store: SqlStore) -> None:
    edition = plan(store, 3)
    keys = send_all(store, edition)
    said = [
        Event(
            provider="sendgrid",
            event_id=f"e{number}",
            kind=EventKind.BOUNCED if number == 0 else EventKind.DELIVERED,
            occurred_at=OLD,
            send_key=key,
            status="5.1.1" if number == 0 else None,
            answer="550 no such user" if number == 0 else None,
            raw='{"event": "said"}',
        )
        for number, key in enumerate(keys)
    ]
    store.events.take("morning", said, RULES, now=OLD)
    counts = store.ledger.counts(edition)
    assert store.pruning.forget_events(before=NOW - timedelta(days=30)) == 3 + 2
    assert count(store, events) == 1, "only what weighs against somebody"
    assert count(store, events, events.c.raw.is_not(None) | events.c.answer.is_not(None)) == 0
    assert count(store, events, events.c.weight == "hard", events.c.status == "5.1.1") == 1
    assert store.pruning.forget_events(before=NOW - timedelta(days=30)) == 0
    assert store.ledger.counts(edition) == counts


def test_from_where_readers_agreed_is_forgotten_and_that_they_agreed_is_not(store: SqlStore) -> None:
    for name, at in (("old", OLD), ("new", NOW)):
        reader = Subscriber(
            email=f"{name}@rehearsal.test",
            state=SubscriberState.ACTIVE,
            consent_at=at,
            consent_text="I agree",
            consent_from="192.0.2.7",
        )
        store.subscribers.add("morning", reader, now=at)
    assert store.pruning.forget_networks("morning", before=NOW - timedelta(days=30)) == 1
    assert count(store, subscriptions, subscriptions.c.consent_from.is_not(None)) == 1
    assert count(store, subscriptions, subscriptions.c.consent_text == "I agree") == 2


def test_reports_of_old_runs_go_and_those_of_another_newsletter_stay(store: SqlStore) -> None:
    for newsletter, at in (("morning", OLD), ("morning", NOW), ("evening", OLD)):
        report = Report(newsletter=newsletter, date=at.date(), status="done", message="it went out")
        store.runs.record(report, started_at=at, finished_at=at)
    assert store.pruning.forget_runs("morning", before=NOW - timedelta(days=30)) == 1
    assert count(store, runs) == 2
    assert count(store, runs, runs.c.newsletter == "morning", runs.c.finished_at == NOW) == 1


def test_more_is_forgotten_than_is_taken_at_once(store: SqlStore) -> None:
    many = 1_001
    found = tuple(Entry(id=f"e{number}", title=f"Title {number}", content="It says") for number in range(many))
    store.entries.add("morning", "wire", Collected(entries=found), now=OLD, since=OLD - timedelta(days=1))
    readers = [
        Subscriber(
            email=f"reader{number}@rehearsal.test",
            state=SubscriberState.ACTIVE,
            consent_at=OLD,
            consent_from="192.0.2.7",
        )
        for number in range(many)
    ]
    assert store.subscribers.add_many("morning", readers, now=OLD) == many
    forgotten = store.pruning.forget_pages("morning", before=NOW), store.pruning.forget_networks("morning", before=NOW)
    assert forgotten == (many, many)
    assert count(store, entries, entries.c.texts.is_not(None)) == 0
    assert count(store, subscriptions, subscriptions.c.consent_from.is_not(None)) == 0


def test_who_was_sent_old_editions_goes_by_whole_months_and_how_many_stays(store: SqlStore) -> None:
    edition = plan(store, 3)
    send_all(store, edition)
    assert store.pruning.forget_deliveries("morning", before=NOW.date()) == 0, "its month is not over"
    assert store.pruning.forget_deliveries("evening", before=APRIL) == 0
    assert store.pruning.forget_deliveries("morning", before=APRIL) == 1
    assert store.pruning.forget_deliveries("morning", before=APRIL) == 0
    assert (count(store, deliveries), count(store, batches)) == (0, 0)
    assert store.ledger.counts(edition) == {"accepted": 3}
    assert list(store.ledger.deliveries(edition)) == []
    stored = store.editions.get(edition)
    assert stored
    assert stored.state == "sent"


def test_an_edition_that_is_under_way_is_never_forgotten(store: SqlStore) -> None:
    edition = plan(store, 3)
    store.ledger.begin(edition, as_of=None, now=NOW)
    assert store.pruning.forget_deliveries("morning", before=date(2027, 1, 1)) == 0
    assert store.ledger.counts(edition) == {"planned": 3}


def test_months_that_two_newsletters_share_go_for_each_by_itself(store: SqlStore) -> None:
    edition = plan(store, 3)
    send_all(store, edition)
    other = save_edition(store, newsletter="evening").id
    readers = [Subscriber(email="jo@rehearsal.test", state=SubscriberState.ACTIVE, consent_at=NOW)]
    store.subscribers.add_many("evening", readers, now=NOW)
    planned = [Planned(subscriber=one, send_key="k", variant="all") for one in store.subscribers.reached("evening")]
    store.ledger.plan(other, planned, batch_size=10, now=NOW)
    store.pruning.forget_deliveries("morning", before=APRIL)
    assert store.ledger.counts(other) == {"planned": 1}
    assert count(store, deliveries) == 1


def test_what_was_killed_after_it_had_counted_is_gone_on_with(store: SqlStore) -> None:
    edition = plan(store, 3)
    send_all(store, edition)
    with store._database.write() as connection:
        connection.execute(editions.update().values(counted='{"accepted": 3}'))
        connection.execute(deliveries.delete().where(deliveries.c.id == 1))
    assert store.ledger.counts(edition) == {"accepted": 3}, "two are left, and three were sent"
    assert store.pruning.forget_deliveries("morning", before=APRIL) == 1
    assert (count(store, deliveries), count(store, batches), count(store, tallies)) == (0, 0, 0)
    assert store.ledger.counts(edition) == {"accepted": 3}
    assert store.pruning.forget_deliveries("morning", before=APRIL) == 0


def test_an_edition_of_which_nothing_was_sent_is_no_work(store: SqlStore) -> None:
    store.editions.miss("morning", "daily", NOW.date(), "it was off", now=NOW)
    assert store.pruning.forget_deliveries("morning", before=APRIL) == 0


def test_a_copy_of_a_database_that_has_forgotten_counts_alike(store: SqlStore, tmp_path: Path) -> None:
    edition = plan(store, 3)
    bounces = [
        Event(provider="sendgrid", event_id=key, kind=EventKind.BOUNCED, occurred_at=OLD, send_key=key, status="5.1.1")
        for key in send_all(store, edition)
    ]
    store.events.take("morning", bounces, RULES, now=OLD)
    counts = store.ledger.counts(edition)
    store.pruning.forget_deliveries("morning", before=APRIL)
    assert count(store, events, events.c.delivery.is_not(None)) == 0
    target = f"sqlite:///{tmp_path}/copy.db"
    store.copy(target)
    with closing(SqlStore.open(target)) as copied:
        assert copied.ledger.counts(edition) == counts == {"bounced": 3}
        assert count(copied, events) == 3


def test_a_census_keeps_the_last_count_of_a_day(store: SqlStore) -> None:
    day = NOW.date()
    store.census.keep("morning", day - timedelta(days=1), {"active": 5})
    store.census.keep("morning", day, {"active": 7, "pending": 2})
    store.census.keep("morning", day, {"active": 9})
    store.census.keep("evening", day, {"active": 1})
    assert store.census.since("morning", day) == {day: {"active": 9}}
    assert store.census.since("morning", day - timedelta(days=9)) == {
        day - timedelta(days=1): {"active": 5},
        day: {"active": 9},
    }
    add_readers(store, 2)
    assert store.managing.count("morning") == {"active": 2}


def test_who_was_sent_an_edition_of_an_old_date_today_is_kept(store: SqlStore) -> None:
    plan(store, 3)
    count_of = store.ledger.counts(1)
    assert store.ledger.begin(1, as_of=None, now=NOW)
    with store._database.write() as connection:
        connection.execute(update(editions).values(state="sent"))
    assert store.pruning.forget_deliveries("morning", before=APRIL, untouched_since=NOW) == 0
    assert count(store, deliveries) == sum(count_of.values()) == 3
    assert store.pruning.forget_deliveries("morning", before=APRIL, untouched_since=NOW + timedelta(days=1)) == 1
    assert count(store, deliveries) == 0
