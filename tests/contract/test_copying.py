"""Backups, and moving from one database to another: all of it or nothing, and never over what is there."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from digest.errors import StoreError
from digest.models import (
    Collected,
    DeliveryState,
    Entry,
    Event,
    EventKind,
    Outcome,
    Page,
    Subscriber,
    SubscriberState,
)
from digest.stores.schema import events, metadata
from digest.stores.sql import SqlStore
from tests.contract.editions import LEASE, NOW, RULES, make_owner, plan, save_edition


def fill_store(store: SqlStore) -> int:
    """Something of most kinds; the edition's number."""
    edition = plan(store, 5, batch_size=3)
    claim = store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
    assert claim
    sent = [recipient.delivery for recipient in claim.recipients]
    assert store.ledger.mark(claim, sent, "smtp", now=NOW)
    store.ledger.settle(claim, [Outcome(delivery=sent[0], state=DeliveryState.ACCEPTED, raw="250 ü")], now=NOW)
    store.ledger.release(claim, now=NOW)
    odd = Subscriber(email="ö@rehearsal.test", name='O\\dd\t"\n', state=SubscriberState.ACTIVE, consent_at=NOW)
    store.subscribers.add("evening", odd, now=NOW)
    assert store.subscribers.remove("evening", odd.email, now=NOW)
    entry = Entry(id="1", title="A title", link="https://example.com/1", published_at=NOW)
    store.entries.add("morning", "wire", Collected(entries=(entry,)), now=NOW, since=NOW)
    store.entries.keep_page(1, Page(link="https://example.com/1", title="A title", text="Words\\."))
    store.entries.fail("morning", "other", "it failed", now=NOW)
    store.keys.key("secret_key", lambda: "kept")
    return edition


def rows_of(store: SqlStore) -> dict[str, list[tuple[object, ...]]]:
    """All that it holds."""
    with store._database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table.name != "tallies"  # whose sums are the same: the copy itself looks whether they are
        }


def test_a_store_is_the_same_on_a_server_and_back_in_a_file(server_url: str, tmp_path: Path) -> None:
    back = f"sqlite:///{tmp_path / 'back.db'}"
    with closing(SqlStore.open(f"sqlite:///{tmp_path / 'digest.db'}")) as store:
        edition = fill_store(store)
        copied = store.copy(server_url)
        before = rows_of(store)
    assert copied["deliveries"] == 5
    assert copied["people"] == 6
    with closing(SqlStore.open(server_url)) as moved:
        assert rows_of(moved) == before
        moved.copy(back)
        # Numbers go on behind those that came.
        assert save_edition(moved, day=NOW.date().replace(day=3)).id == edition + 1
        assert moved.subscribers.add("morning", Subscriber(email="new@rehearsal.test"), now=NOW)
        assert moved.ledger.counts(edition) == {"planned": 2, "accepted": 1, "unknown": 2}
        assert moved.subscribers.is_suppressed("evening", "Ö@rehearsal.test")
    with closing(SqlStore.open(back)) as store:
        assert rows_of(store) == before
        assert save_edition(store, day=NOW.date().replace(day=3)).id == edition + 1


def test_what_was_heard_of_a_delivery_that_is_gone_is_copied_as_of_none(server_url: str, tmp_path: Path) -> None:
    said = Event(provider="sendgrid", event_id="e", kind=EventKind.DELIVERED, occurred_at=NOW, email="a@far.test")
    with closing(SqlStore.open(server_url)) as store:
        store.events.take("morning", [said], RULES, now=NOW)
        with store._database.write() as connection:  # its month was dropped while it was heard
            connection.execute(events.update().values(delivery=999))
        store.copy(f"sqlite:///{tmp_path / 'digest.db'}")
    with closing(SqlStore.open(f"sqlite:///{tmp_path / 'digest.db'}")) as copied:
        assert [one.event_id for one in copied.events.newest()] == ["e"]


def test_nothing_is_copied_over_what_is_there_or_from_under_a_sender(server_url: str, tmp_path: Path) -> None:
    with closing(SqlStore.open(f"sqlite:///{tmp_path / 'digest.db'}")) as store:
        edition = plan(store, 3)
        assert store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
        with pytest.raises(StoreError, match="an edition is being sent"):
            store.copy(server_url)
        with closing(SqlStore.open(server_url)) as target:
            target.keys.key("secret_key", lambda: "theirs")
        store.ledger.recover(edition, now=LEASE)
        with pytest.raises(StoreError, match="it is not empty: there are keys") as caught:
            store.copy(server_url.replace("digest@", "digest:hunter2@"))
        assert "hunter2" not in str(caught.value)
    with closing(SqlStore.open(server_url)) as target:
        assert target.keys.key("secret_key", lambda: "another") == "theirs"
        assert target.subscribers.everyone("morning") == []


def test_a_copy_that_fails_midway_leaves_nothing(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "digest.db"
    with closing(SqlStore.open(f"sqlite:///{path}")) as store:
        fill_store(store)
        with closing(sqlite3.connect(path)) as database:  # a row that refers to nothing, as SQLite lets old ones be
            database.execute("UPDATE deliveries SET subscription = 999 WHERE id = 3")
            database.commit()
        with pytest.raises(StoreError, match="foreign key"):
            store.copy(server_url)
    with closing(SqlStore.open(server_url)) as target:
        held = rows_of(target)
        assert [name for name, _ in held.pop("keys")] == ["suppression_key"]
        assert not any(held.values())


def test_a_backup_is_whole_overwrites_nothing_and_comes_back(
    store: SqlStore, store_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    edition, backup = fill_store(store), tmp_path / "backup"
    store.backup(backup)
    before = rows_of(store)
    with pytest.raises(StoreError, match="there already"):
        store.backup(backup)
    with pytest.raises(StoreError, match="nowhere/backup: it cannot be written"):
        store.backup(tmp_path / "nowhere" / "backup")
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup"]
    with pytest.raises(StoreError, match="it is not empty"):
        SqlStore.restore(store_url, backup)
    if store_url.startswith("sqlite"):
        other = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        other = request.getfixturevalue("server_url")
    SqlStore.open(other).close()  # tables in which nothing is
    assert "restored from" in SqlStore.restore(other, backup)
    with closing(SqlStore.open(other)) as restored:
        after = rows_of(restored)
        assert {**after, "keys": []} == {**before, "keys": []}
        assert set(before["keys"]) <= set(after["keys"])
        assert {name for name, _ in set(after["keys"]) - set(before["keys"])} == {"lineage"}
        assert restored.ledger.counts(edition) == store.ledger.counts(edition)
        assert save_edition(restored, day=NOW.date().replace(day=3)).id == edition + 1


def test_what_is_copied_or_restored_is_read_by_its_owner_alone(store: SqlStore, store_url: str, tmp_path: Path) -> None:
    fill_store(store)
    umask = os.umask(0o022)
    try:
        store.backup(tmp_path / "backup")
        made = [tmp_path / "backup"]
        if store_url.startswith("sqlite"):
            SqlStore.restore(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "backup")
            made.append(tmp_path / "other.db")
    finally:
        os.umask(umask)
    assert [path.stat().st_mode & 0o777 for path in made] == [0o600] * len(made)


def test_a_backup_may_take_the_place_of_tables_in_which_nothing_is(
    store: SqlStore, store_url: str, tmp_path: Path
) -> None:
    store.backup(tmp_path / "backup")
    store.close()
    assert "restored from" in SqlStore.restore(store_url, tmp_path / "backup")
    SqlStore.open(store_url).close()


def test_what_is_no_backup_of_this_database_is_refused(store_url: str, server_url: str, tmp_path: Path) -> None:
    words, theirs, dump = tmp_path / "words", tmp_path / "theirs.db", tmp_path / "theirs.dump"
    words.write_text("no backup")
    with closing(sqlite3.connect(theirs)) as database:
        database.execute("CREATE TABLE theirs (x)")
    with psycopg.connect(server_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (x int)")
    from digest.stores.sql import find_database

    other = find_database(server_url)
    other.back_up(dump)
    other.close()
    for backup in (words, theirs, dump, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match=r"it is no|of another program|cannot be read"):
            SqlStore.restore(store_url, backup)
    with closing(SqlStore.open(store_url)) as store:
        held = rows_of(store)
        assert [name for name, _ in held.pop("keys")] == ["suppression_key"]
        assert not any(held.values())


def test_without_pg_dump_a_backup_says_what_to_install(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shutil.which("pg_dump")
    with closing(SqlStore.open(server_url)) as store:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(StoreError, match="postgresql-client"):
            store.backup(tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []
