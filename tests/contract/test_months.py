"""Deliveries by month on PostgreSQL: nobody waits for a month that is not theirs, and an old one goes at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import select, text, update

from digest.audience.bounces import BounceRules
from digest.audience.links import make_send_key
from digest.errors import StoreUnavailable
from digest.models import DeliveryState, EditionState, Event, EventKind, Outcome, Planned, month_in_key
from digest.stores.partitions import list_months
from digest.stores.schema import deliveries, editions, events
from digest.stores.sql import SqlStore
from tests.acceptance.serving import wait_for
from tests.contract.editions import LEASE, NOW, add_readers, make_owner, plan, save_edition, send_all
from tests.doubles.postgresql import PostgresServer

RULES = BounceRules(hard_days=2, soft_run=3, wave=4, wave_within=timedelta(hours=1))
MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


@pytest.fixture
def url(postgresql: PostgresServer, migrated: str) -> Iterator[str]:
    """A server's database of this version."""
    made = postgresql.create(like=migrated)
    yield made
    postgresql.drop(made)


@pytest.fixture
def server(url: str) -> Iterator[SqlStore]:
    """A store of it."""
    with closing(SqlStore.open(url)) as opened:
        yield opened


def plan_on(store: SqlStore, day: date) -> int:
    """An edition of that day for all readers, with names as they are given to deliveries."""
    edition = save_edition(store, day=day).id
    planned = [
        Planned(
            subscriber=reader,
            send_key=make_send_key(
                "s", newsletter="morning", cadence="daily", day=day.isoformat(), subscriber=reader.key
            ),
            variant="all",
        )
        for reader in store.subscribers.reached("morning")
    ]
    assert store.ledger.plan(edition, planned, batch_size=2, now=NOW) == len(planned)
    return edition


def months_of(store: SqlStore) -> list[date]:
    with store._database.read() as connection:
        return list_months(connection)


def recount(store: SqlStore, edition: int) -> dict[str, int]:
    with store._database.read() as connection:
        states = connection.execute(select(deliveries.c.state).where(deliveries.c.edition == edition)).scalars().all()
    return {state.value: states.count(state.value) for state in DeliveryState if state.value in states}


def heard(name: str, at: datetime = NOW) -> Event:
    return Event(provider="sendgrid", event_id=name, kind=EventKind.DELIVERED, occurred_at=at, send_key=name)


def test_a_month_is_made_with_the_one_after_it_whatever_the_date(server: SqlStore) -> None:
    assert months_of(server) == []
    add_readers(server, 2)
    plan_on(server, MARCH)
    assert months_of(server) == [MARCH, APRIL]
    plan_on(server, date(1999, 12, 31))
    plan_on(server, date(2031, 12, 1))
    made = [date(1999, 12, 1), date(2000, 1, 1), MARCH, APRIL, date(2031, 12, 1), date(2032, 1, 1)]
    assert months_of(server) == made


def test_senders_of_one_month_wait_for_nothing_of_another(server: SqlStore, url: str) -> None:
    add_readers(server, 3)
    edition = plan_on(server, MARCH)
    plan_on(server, APRIL)
    server._database._lock_seconds = 0.5
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE deliveries_2026_04, deliveries_2026_05 IN ACCESS EXCLUSIVE MODE")
        claim = server.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
        assert claim
        one, two = claim.recipients
        assert server.ledger.mark(claim, [one.delivery], "smtp", now=NOW)
        accepted = Outcome(delivery=one.delivery, state=DeliveryState.ACCEPTED, raw="250 ok")
        assert server.ledger.mark(claim, [two.delivery], "smtp", now=NOW, settled=[accepted])
        put_off = Outcome(delivery=two.delivery, state=DeliveryState.DEFERRED, raw="451 later")
        assert server.ledger.settle(claim, [put_off], now=NOW, retry_at=NOW)
        server.ledger.release(claim, now=NOW)
        assert server.events.take("morning", [heard(one.send_key)], RULES, now=NOW).new == 1
        assert server.ledger.recover(edition, now=LEASE) == 0
        assert server.ledger.give_up(edition, "too late", now=NOW) == 2
    assert server.ledger.counts(edition) == {"skipped": 2, "delivered": 1} == recount(server, edition)


def test_a_plan_does_not_wait_for_the_month_to_come(server: SqlStore, url: str) -> None:
    add_readers(server, 2)
    plan_on(server, MARCH)
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE batches IN ROW EXCLUSIVE MODE")  # as whoever claims
        server._database._lock_seconds = 0.5
        plan_on(server, APRIL)
        assert months_of(server) == [MARCH, APRIL]
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            plan_on(server, date(2027, 1, 1))
    plan_on(server, date(2026, 4, 2))
    assert months_of(server) == [MARCH, APRIL, date(2026, 5, 1)]


def test_a_month_is_made_once_however_many_need_it(url: str) -> None:
    with closing(SqlStore.open(url)) as one, closing(SqlStore.open(url)) as two:
        start, faults = threading.Barrier(4), []

        def make(store: SqlStore) -> None:
            start.wait(30)
            try:
                store._database.make_room(MARCH)
            except StoreUnavailable as error:
                faults.append(error)

        threads = [threading.Thread(target=make, args=(store,)) for store in (one, two, one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (faults, months_of(one)) == ([], [MARCH, APRIL])


def test_a_delivery_is_one_a_subscriber_and_a_name_on_a_server_too(server: SqlStore) -> None:
    add_readers(server, 2)
    edition = plan_on(server, MARCH)
    with server._database.read() as connection:
        row = connection.execute(select(deliveries).where(deliveries.c.edition == edition).limit(1)).one()._asdict()
    del row["id"]
    for changes in ({"send_key": "another"}, {"edition": save_edition(server, day=date(2026, 3, 9)).id}):
        with pytest.raises(Exception, match="duplicate key"), server._database.write() as connection:
            connection.execute(deliveries.insert().values(row | changes))


def test_a_month_that_is_dropped_takes_its_deliveries_and_nothing_else(store: SqlStore) -> None:
    add_readers(store, 3)
    old, kept = plan_on(store, date(2026, 2, 28)), plan_on(store, MARCH)
    with store._database.read() as connection:
        keys = connection.execute(select(deliveries.c.send_key).order_by(deliveries.c.id)).scalars().all()
    assert store.events.take("morning", [heard(key) for key in keys], RULES, now=NOW).unmatched == 0
    with store._database.write() as connection:
        connection.execute(update(editions).where(editions.c.id == old).values(state=EditionState.SENT.value))
    assert store.pruning.forget_deliveries("morning", before=MARCH) == 1
    assert recount(store, old) == {}
    assert store.ledger.counts(old) == {"delivered": 3}, "how many it was outlives who they were"
    assert store.ledger.counts(kept) == {"delivered": 3}
    with store._database.read() as connection:
        assert len(connection.execute(select(events.c.id)).all()) == 6
    assert [one.newsletter for one in store.events.newest()] == ["morning"] * 3 + [None] * 3
    assert store.events.take("morning", [heard(keys[0], NOW + timedelta(days=1))], RULES, now=NOW).repeated == 1
    assert plan_on(store, date(2026, 2, 27)) > kept


def test_a_month_that_somebody_reads_is_forgotten_another_day(server: SqlStore, url: str) -> None:
    edition = plan(server, 3)
    send_all(server, edition)
    server._database._lock_seconds = 0.5
    with psycopg.connect(url.replace("+psycopg", "")) as reader:
        reader.execute("SELECT count(*) FROM deliveries")  # as pg_dump does
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            server.pruning.forget_deliveries("morning", before=APRIL)
        assert server.ledger.counts(edition) == {"accepted": 3}
    assert server.pruning.forget_deliveries("morning", before=APRIL) == 1
    assert months_of(server) == [APRIL]
    assert server.ledger.counts(edition) == {"accepted": 3}


def test_whoever_claims_passes_a_month_that_waits_to_be_dropped(server: SqlStore, url: str) -> None:
    send_all(server, plan(server, 3))
    later = plan_on(server, APRIL)
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    with closing(SqlStore.open(url)) as sender, ThreadPoolExecutor() as threads:
        sender._database._lock_seconds = 5
        address = url.replace("+psycopg", "")
        with psycopg.connect(address) as reader, psycopg.connect(address, autocommit=True) as watcher:
            reader.execute("SELECT count(*) FROM deliveries")
            pruned = threads.submit(server.pruning.forget_deliveries, "morning", before=APRIL)
            wait_for(lambda: watcher.execute(waiting).fetchone() or pruned.done(), 10, "the pruning waits")
            assert not pruned.done(), pruned.result()
            assert sender.ledger.claim(later, make_owner(), lease_until=LEASE, now=NOW)
        assert pruned.result(60) == 1
    assert months_of(server) == [APRIL, date(2026, 5, 1)]


def test_names_of_deliveries_lead_to_the_month_and_those_from_before_are_found_too(store: SqlStore) -> None:
    edition = plan(store, 2, batch_size=1)
    old = "202601" + "0123456789abcdef" * 2  # drawn at random, it may begin as one with a month does
    with store._database.write() as connection:
        connection.execute(deliveries.update().where(deliveries.c.id == 1).values(send_key=old[:32]))
        other = connection.execute(select(deliveries.c.send_key).where(deliveries.c.id == 2)).scalar_one()
    assert month_in_key(old[:32]) == date(2026, 1, 1)
    assert month_in_key(other) is None
    found = store.events.take("morning", [heard(old[:32]), heard(other), heard("202603" + "0" * 26)], RULES, now=NOW)
    assert (found.new, found.unmatched) == (3, 1)
    assert store.ledger.counts(edition) == {"delivered": 2}


def test_whoever_is_unknown_in_one_month_is_settled_there(store: SqlStore) -> None:
    add_readers(store, 2)
    first, second = plan_on(store, MARCH), plan_on(store, APRIL)
    for edition in (first, second):
        claim = store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
        assert claim
        assert store.ledger.mark(claim, [one.delivery for one in claim.recipients], "smtp", now=NOW)
        store.ledger.release(claim, now=NOW)
    names = [one.send_key for one in store.ledger.unknown(first)]
    assert len(names) == 2
    said = store.ledger.settle_unknown(first, names, DeliveryState.REFUSED, "asked a@b.test", now=NOW)
    assert (said, store.ledger.counts(first), store.ledger.counts(second)) == (2, {"refused": 2}, {"unknown": 2})


def test_the_month_stands_on_each_delivery(store: SqlStore) -> None:
    add_readers(store, 1)
    plan_on(store, date(2026, 3, 31))
    with store._database.read() as connection:
        (row,) = connection.execute(select(deliveries.c.month, deliveries.c.send_key)).all()
    assert row.month == MARCH == month_in_key(row.send_key)
    assert len(row.send_key) == 32


def test_a_server_without_a_connection_left_says_so(server: SqlStore, url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 1")
        theirs = url.replace("digest@", "crowded@")
        with (
            psycopg.connect(theirs.replace("+psycopg", "")),
            pytest.raises(StoreUnavailable, match="it has no connection left") as caught,
        ):
            SqlStore.open(theirs)
        owner.execute("DROP ROLE crowded")
    assert "max_connections" in str(caught.value.remedy)


def test_what_takes_too_long_is_ended_and_what_waits_for_a_connection_is_told(url: str) -> None:
    from digest.stores.patience import hurried

    with closing(SqlStore.open(url, connections=1)) as store:
        with hurried(0.05), pytest.raises(StoreUnavailable, match="took too long"), store._database.read() as one:
            one.execute(text("SELECT pg_sleep(30)"))
        store._database.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
        with store._database.read_all(), pytest.raises(StoreUnavailable, match="all connections"):
            store.editions.newest("morning")
        assert store.editions.newest("morning") == []
