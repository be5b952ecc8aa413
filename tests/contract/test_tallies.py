"""Deliveries by state are counted as they change: exact whoever writes, whatever is undone, and after a move."""

import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, update

from digest.errors import StoreError
from digest.models import DeliveryState, Outcome, Planned
from digest.stores.revisions import find_head, known_revisions, make_alembic
from digest.stores.schema import batches, deliveries, editions, tallies
from digest.stores.sql import SqlStore, find_database
from digest.stores.statements import number_on
from tests.contract.editions import LEASE, NOW, make_owner, plan, save_edition

STATES = [state.value for state in DeliveryState]


def recount(store: SqlStore, edition: int) -> dict[str, int]:
    with store._database.read() as connection:
        query = select(deliveries.c.state).where(deliveries.c.edition == edition)
        found = Counter(connection.execute(query).scalars())
    return {state: found[state] for state in STATES if found[state]}


def test_whatever_changes_deliveries_is_counted_and_what_is_undone_is_not(store: SqlStore) -> None:
    edition, chance = plan(store, 40), random.Random(8)
    assert store.ledger.counts(edition) == {"planned": 40}
    for _ in range(60):
        numbers = chance.sample(range(1, 41), chance.randint(1, 12))
        change = update(deliveries).where(deliveries.c.id.in_(numbers)).values(state=chance.choice(STATES))
        with suppress(ZeroDivisionError), store._database.write() as connection:
            connection.execute(change)
            if chance.random() < 0.4:
                raise ZeroDivisionError
        assert store.ledger.counts(edition) == recount(store, edition)
    with store._database.write() as connection:
        connection.execute(delete(deliveries).where(deliveries.c.id < 5))
        connection.execute(update(deliveries).where(deliveries.c.id == 5).values(answer="nothing of its state"))
    assert store.ledger.counts(edition) == recount(store, edition)
    assert sum(store.ledger.counts(edition).values()) == 36


def test_they_stay_few_however_often_something_changes(store: SqlStore) -> None:
    edition = plan(store, 4)
    with store._database.write() as connection:
        for number in range(600):
            state = STATES[number % 3]
            connection.execute(update(deliveries).where(deliveries.c.id == 1 + number % 4).values(state=state))
    with store._database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tallies)).scalar_one() < 150
    assert store.ledger.counts(edition) == recount(store, edition)


def test_senders_at_once_are_all_counted(store: SqlStore) -> None:
    edition = plan(store, 120, batch_size=10)

    def send(name: str) -> None:
        while claim := store.ledger.claim(edition, make_owner(name), lease_until=LEASE, now=NOW):
            for recipient in claim.recipients:
                assert store.ledger.mark(claim, [recipient.delivery], "smtp", now=NOW)
                state = DeliveryState.REFUSED if recipient.delivery % 7 == 0 else DeliveryState.ACCEPTED
                store.ledger.settle(claim, [Outcome(delivery=recipient.delivery, state=state, raw="said")], now=NOW)
                assert sum(store.ledger.counts(edition).values()) == 120
            store.ledger.release(claim, now=NOW)

    senders = [threading.Thread(target=send, args=(str(number),)) for number in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert store.ledger.counts(edition) == recount(store, edition) == {"accepted": 103, "refused": 17}


def test_each_edition_has_its_own(store: SqlStore) -> None:
    edition = plan(store, 3)
    assert store.ledger.counts(save_edition(store, day=NOW.date().replace(day=9)).id) == {}
    assert store.ledger.counts(edition) == {"planned": 3}
    with closing(store.scratch()) as scratch:
        assert scratch.ledger.counts(edition) == {"planned": 3}


def _insert(connection: Connection, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """As the columns were then."""
    for row in rows:
        values = ", ".join("NULL" if value is None else repr(value) for value in row.values())
        given = "OVERRIDING SYSTEM VALUE " if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(row)}) {given}VALUES ({values})")


def _make_old(url: str) -> None:
    """A database of the revision before, with an edition in each of two months."""
    from alembic import command

    database, at = find_database(url), "2026-01-31T00:00:00.000000+00:00"
    with database.write() as connection:
        command.upgrade(make_alembic(connection), "0008")
        _insert(connection, "people", [
            {"id": n, "email": f"r{n}@x.test", "email_key": f"r{n}@x.test", "created_at": at} for n in (1, 2, 3)
        ])  # fmt: skip
        _insert(connection, "subscriptions", [
            {"id": n, "newsletter": "morning", "person": n, "key": f"{n:032x}", "topics": "[]", "frequency": "daily",
             "state": "active", "created_at": at, "changed_at": at} for n in (1, 2, 3)
        ])  # fmt: skip
        _insert(connection, "editions", [
            {"id": n, "newsletter": "morning", "cadence": "daily", "date": day, "state": "sending", "changed_at": at}
            for n, day in ((1, "2026-01-31"), (2, "2026-03-02"))
        ])  # fmt: skip
        _insert(connection, "batches", [
            {"id": n, "edition": n, "variant": "all", "state": "planned", "due_at": at, "attempt": 0} for n in (1, 2)
        ])  # fmt: skip
        _insert(connection, "deliveries", [
            {"id": 10 * edition + who, "edition": edition, "subscription": who, "batch": edition,
             "send_key": f"{edition:016x}{who:016x}", "state": "planned" if who < 3 else "accepted"}
            for edition in (1, 2) for who in (1, 2, 3)
        ])  # fmt: skip
        _insert(connection, "events", [
            {"id": 1, "provider": "smtp", "event_id": "e", "kind": "bounced", "occurred_at": at, "received_at": at,
             "delivery": 13, "effect": "none"}
        ])  # fmt: skip
        for table in (editions, batches, deliveries):
            number_on(connection, table.c.id)
    database.close()


def test_a_database_from_before_keeps_all_its_deliveries_and_goes_on(store_url: str) -> None:
    _make_old(store_url)
    with pytest.raises(StoreError, match="digest db upgrade"):
        SqlStore.open(store_url)
    assert "from revision 0008" in SqlStore.upgrade(store_url)
    with closing(SqlStore.open(store_url)) as store:
        for edition in (1, 2):
            assert store.ledger.counts(edition) == recount(store, edition) == {"planned": 2, "accepted": 1}
        with store._database.read() as connection:
            rows = connection.execute(select(deliveries.c.id, deliveries.c.month).order_by(deliveries.c.id)).all()
        assert [(row.id, str(row.month)) for row in rows] == [
            (11, "2026-01-01"), (12, "2026-01-01"), (13, "2026-01-01"),
            (21, "2026-03-01"), (22, "2026-03-01"), (23, "2026-03-01"),
        ]  # fmt: skip
        claim = store.ledger.claim(2, make_owner(), lease_until=LEASE, now=NOW)
        assert claim
        assert [one.delivery for one in claim.recipients] == [21, 22]
        assert store.ledger.mark(claim, [21], "smtp", now=NOW)
        store.ledger.release(claim, now=NOW)
        assert store.ledger.counts(2) == {"planned": 1, "accepted": 1, "unknown": 1}
        later = save_edition(store, day=NOW.date().replace(day=9)).id
        again = [
            Planned(subscriber=reader, send_key=f"new-{reader.key}", variant="all")
            for reader in store.subscribers.reached("morning")
        ]
        assert store.ledger.plan(later, again, batch_size=10, now=NOW) == 3
        assert store.ledger.counts(later) == {"planned": 3}
        with store._database.read() as connection:
            fresh = connection.execute(select(deliveries.c.id).where(deliveries.c.edition == later)).scalars().all()
        assert min(fresh) > 23
        assert [one.newsletter for one in store.events.newest()] == ["morning"]


def test_a_database_is_upgraded_once_however_many_ask_for_it(store_url: str) -> None:
    _make_old(store_url)
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(SqlStore.upgrade(store_url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 3
    with closing(SqlStore.open(store_url)) as store:
        assert store.ledger.counts(1) == {"planned": 2, "accepted": 1}


def test_revisions_are_known_by_their_files() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(make_alembic(None))
    assert scripts.get_current_head() == find_head()
    assert {script.revision for script in scripts.walk_revisions()} == known_revisions()


def test_a_process_that_is_killed_in_the_middle_has_counted_nothing(tmp_path: Path) -> None:
    path = tmp_path / "digest.db"
    with closing(SqlStore.open(f"sqlite:///{path}")) as store:
        edition = plan(store, 3)
        with closing(sqlite3.connect(path)) as other:  # another program's connection, that ends without a COMMIT
            other.execute("UPDATE deliveries SET state = 'accepted'")
        assert store.ledger.counts(edition) == {"planned": 3}
