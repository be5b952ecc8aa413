"""What a backup must not make undone: who left since, and which editions began to be sent since."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import delete, update

from digest.errors import OtherRevision, StoreError, StoreUnavailable
from digest.models import EditionState, SubscriberState
from digest.stores.schema import editions, journal_lines, subscriptions
from digest.stores.sql import SqlStore
from tests.contract.editions import LEASE, NOW, add_readers, begin, make_edition, make_owner, plan, save_edition

LATER = NOW + timedelta(hours=1)
Open = Callable[[], SqlStore]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Where the journal is; on both databases in a file."""
    return tmp_path / "its.leavers"


@pytest.fixture
def reopen(store_url: str, journal: Path) -> Open:
    """The database with its journal."""
    return lambda: SqlStore.open(store_url, journal=journal)


def state_of(store: SqlStore, email: str) -> SubscriberState | None:
    found = store.subscribers.find("morning", email)
    return found.state if found else None


def test_who_left_after_the_backup_is_not_mailed_after_it_is_restored(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        leaver, erased, complainer, stays = (reader.email for reader in add_readers(store, 4))
        store.backup(tmp_path / "backup")
        assert store.subscribers.remove("morning", leaver, now=LATER)
        assert store.subscribers.erase(erased, now=LATER)
        store.reconciling.suppress("morning", [complainer], SubscriberState.COMPLAINED, now=LATER)
    said = SqlStore.restore(other_url, tmp_path / "backup", journals=[journal])
    assert "3 addresses that left since are not mailed" in said
    assert "1 people who asked to be forgotten are forgotten again" in said
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        assert [reader.email for reader in restored.subscribers.reached("morning")] == [stays]
        assert state_of(restored, leaver) is SubscriberState.UNSUBSCRIBED
        assert state_of(restored, complainer) is SubscriberState.COMPLAINED
        assert state_of(restored, erased) is None
        assert restored.subscribers.is_suppressed("evening", erased)
        assert restored.subscribers.is_suppressed("evening", complainer)
        assert not restored.subscribers.is_suppressed("evening", leaver)


def test_the_journal_names_nobody(reopen: Open, journal: Path) -> None:
    with closing(reopen()) as store:
        (reader,) = add_readers(store, 1)
        store.subscribers.remove("morning", reader.email, now=LATER)
    assert reader.email.partition("@")[0] not in journal.read_text()
    assert journal.stat().st_mode & 0o777 == 0o600


def test_a_database_that_was_copied_back_by_hand_is_brought_up_when_it_is_opened(tmp_path: Path) -> None:
    store_url, journal = f"sqlite:///{tmp_path / 'digest.db'}", tmp_path / "digest.db.leavers"
    with closing(SqlStore.open(store_url)) as store:
        leaver, stays = (reader.email for reader in add_readers(store, 2))
        store.backup(tmp_path / "backup")
        store.subscribers.remove("morning", leaver, now=LATER)
    assert journal.exists()
    (tmp_path / "digest.db").write_bytes((tmp_path / "backup").read_bytes())
    told: list[str] = []
    with closing(SqlStore.open(store_url, on_replayed=lambda done: told.append(str(done)))) as put_back:
        assert [reader.email for reader in put_back.subscribers.reached("morning")] == [stays]
    assert told == ["1 addresses that left since are not mailed"]
    with closing(SqlStore.open(store_url, on_replayed=lambda done: told.append(str(done)))):
        pass
    assert len(told) == 1, "what was brought up once is as new as its journal"


def test_who_came_back_after_having_left_is_not_taken_for_gone(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        (reader,) = add_readers(store, 1)
        store.backup(tmp_path / "backup")
        store.subscribers.remove("morning", reader.email, now=LATER)
        with store._database.write() as connection:
            store.subscribers._suppressing.lift(connection, "morning", reader.email, now=LATER)
    assert "nothing was missing" in SqlStore.restore(other_url, tmp_path / "backup", journals=[journal])
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        assert state_of(restored, reader.email) is SubscriberState.ACTIVE


def test_what_was_undone_is_not_in_the_journal(reopen: Open, journal: Path) -> None:
    with closing(reopen()) as store:
        (reader,) = add_readers(store, 1)
        with store._database.write() as connection:
            store.subscribers._suppressing.add(connection, "morning", [reader.email], "unsubscribed", now=LATER)
            connection.rollback()
    assert not journal.exists()


def test_an_edition_that_was_made_and_begun_after_the_backup_is_not_sent_again(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        store.backup(tmp_path / "backup")
        edition = plan(store, 3)
        begin(store, edition)
    assert "1 editions that began to be sent" in SqlStore.restore(other_url, tmp_path / "backup", journals=[journal])
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        found = restored.editions.find("morning", "daily", make_edition().date)
        assert found
        assert found.state is EditionState.SENT
        assert found.reason
        assert "who has it is not on record" in found.reason
        assert restored.editions.last_cutoff("morning", "daily") == NOW


def test_an_edition_that_was_ready_at_the_backup_and_begun_since_is_unknown_to_all_its_readers(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        edition = plan(store, 3)
        store.backup(tmp_path / "backup")
        begin(store, edition)
    assert "3 deliveries may have been made since" in SqlStore.restore(
        other_url, tmp_path / "backup", journals=[journal]
    )
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        assert restored.ledger.counts(edition) == {"unknown": 3}
        assert restored.editions.state(edition) is EditionState.SENT


def test_an_edition_that_only_became_ready_is_sent_after_a_restore(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        edition = plan(store, 3)
        store.backup(tmp_path / "backup")
    said = SqlStore.restore(other_url, tmp_path / "backup", own=journal)
    assert "without a journal, of which there is none: nothing was missing" in said
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        begin(restored, edition)


def test_what_was_under_way_at_the_backup_is_in_doubt_but_for_what_is_due_later(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        edition = plan(store, 6, batch_size=2)
        begin(store, edition)
        second = store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
        assert second
        in_the_future = store.clock() + timedelta(days=1)
        numbers = [recipient.delivery for recipient in second.recipients]
        store.ledger.postpone(second, numbers, due_at=in_the_future, now=NOW)
        store.ledger.release(second, now=NOW)
        store.backup(tmp_path / "backup")
    assert "4 deliveries may have been made since" in SqlStore.restore(
        other_url, tmp_path / "backup", journals=[journal]
    )
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        assert restored.ledger.counts(edition) == {"unknown": 4, "planned": 2}
        assert restored.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW) is None


def test_each_process_notes_an_edition_once(reopen: Open, journal: Path) -> None:
    with closing(reopen()) as store:
        edition = plan(store, 4, batch_size=2)
        begin(store, edition)
        assert store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
    assert [json.loads(line)["begun"] for line in journal.read_text().splitlines()] == [NOW.date().isoformat()]


def test_a_new_database_has_nothing_to_do_with_the_journal_of_an_old_one(
    reopen: Open, other_url: str, journal: Path
) -> None:
    with closing(reopen()) as store:
        edition = plan(store, 1)
        begin(store, edition)
    with closing(SqlStore.open(other_url, journal=journal)) as new:
        assert new.editions.newest("morning") == []
        assert str(new.replay([journal])) == "1 lines are of another database, and were left alone"


def test_a_torn_line_spoils_no_other(reopen: Open, journal: Path) -> None:
    with closing(reopen()) as store:
        one, two = (reader.email for reader in add_readers(store, 2))
        store.subscribers.remove("morning", one, now=LATER)
        with journal.open("ab") as file:
            file.write(b'{"at":"2026-03-02T08:0')
        store.subscribers.remove("morning", two, now=LATER)
        assert "1 lines could not be read" in str(store.replay([]))
    assert len(journal.read_bytes().splitlines()) == 3


def test_a_journal_that_cannot_be_written_keeps_nobody_from_leaving(reopen: Open, journal: Path) -> None:
    with closing(reopen()) as store:
        (reader,) = add_readers(store, 1)
        journal.mkdir()
        assert store.subscribers.remove("morning", reader.email, now=LATER)
        assert state_of(store, reader.email) is SubscriberState.UNSUBSCRIBED
        assert store.journal
        assert str(journal) in store.journal.fault
        journal.rmdir()
        assert store.journal.find_fault() == ""


def test_a_list_that_is_compared_each_day_adds_nothing_the_second_time(reopen: Open, journal: Path) -> None:
    with closing(reopen()) as store:
        for _ in range(2):
            store.reconciling.suppress("morning", ["gone@rehearsal.test"], SubscriberState.BOUNCED, now=LATER)
    assert len(journal.read_text().splitlines()) == 1


def put_back(store_url: str, backup: Path, journal: Path) -> None:
    """Empty the database under whoever has it open, and restore a backup there."""
    if store_url.startswith("sqlite"):
        for file in Path(store_url.removeprefix("sqlite:///")).parent.glob("digest.db*"):
            file.unlink()
    else:
        with closing(psycopg.connect(store_url.replace("+psycopg", ""), autocommit=True)) as server:
            server.execute("DROP SCHEMA public CASCADE")
            server.execute("CREATE SCHEMA public")
    SqlStore.restore(store_url, backup, own=journal)


def test_who_lived_through_a_restoring_begins_nothing_in_the_restored_database(
    reopen: Open, store_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as living:
        edition = plan(living, 3)
        assert living.ledger.begin(edition, as_of=None, now=NOW)
        living.backup(tmp_path / "backup")
        assert living.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
        put_back(store_url, tmp_path / "backup", journal)
        with pytest.raises(StoreError):  # the first of a lost connection, or of a file that is gone
            living.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
        with pytest.raises(OtherRevision, match="put back from a backup while this was running"):
            living.require_revision()
        with closing(reopen()) as restored:
            restored.require_revision()
            assert restored.ledger.counts(edition) == {"unknown": 3}


@pytest.mark.parametrize("is_owed", [False, True])
def test_a_backup_of_a_restored_database_is_restored_as_any_other(
    reopen: Open, store_url: str, other_url: str, journal: Path, tmp_path: Path, is_owed: bool
) -> None:
    with closing(reopen()) as store:
        leaver, stays = (reader.email for reader in add_readers(store, 2))
        store.backup(tmp_path / "first")
    SqlStore.restore(other_url, tmp_path / "first")
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        if is_owed:
            restored.keys.note("replay_owed", "[]")
        restored.backup(tmp_path / "second")
        restored.subscribers.remove("morning", leaver, now=LATER)
    put_back(store_url, tmp_path / "second", journal)
    with closing(reopen()) as again:
        assert [reader.email for reader in again.subscribers.reached("morning")] == [stays]


def test_nothing_is_claimed_before_the_journal_is_replayed(reopen: Open, store_url: str) -> None:
    with closing(reopen()) as store:
        edition = plan(store, 3)
        assert store.ledger.begin(edition, as_of=None, now=NOW)
        store.keys.note("replay_owed", "[]")
        with pytest.raises(StoreUnavailable, match="being put back"):
            store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
    told: list[str] = []
    with closing(SqlStore.open(store_url, on_replayed=lambda done: told.append(str(done)))):
        assert told == ["3 deliveries may have been made since, and are unknown"]


def test_an_edition_that_was_missed_at_the_backup_and_sent_since_is_not_sent_again(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        save_edition(store, EditionState.MISSED)
        store.backup(tmp_path / "backup")
        edition = plan(store, 3)
        begin(store, edition, now=LATER)
    assert "1 editions that began" in SqlStore.restore(other_url, tmp_path / "backup", journals=[journal])
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        assert restored.editions.state(edition) is EditionState.SENT


def test_an_edition_that_is_made_anew_after_it_began_is_left_alone_while_nothing_was_put_back(reopen: Open) -> None:
    with closing(reopen()) as store:
        edition = plan(store, 3)
        begin(store, edition)
        with store._database.write() as connection:
            connection.execute(update(editions).where(editions.c.id == edition).values(state="held"))
    with closing(reopen()) as store:
        assert store.editions.state(edition) is EditionState.HELD
        assert str(store.replay([])) == "nothing was missing"


def test_who_left_by_one_machine_and_came_back_by_another_stays(reopen: Open, store_url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.leavers"
    with closing(reopen()) as store:
        (reader,) = add_readers(store, 1)
        store.subscribers.remove("morning", reader.email, now=NOW)
    with closing(SqlStore.open(store_url, journal=other)) as elsewhere:
        come_back(elsewhere, reader.email)
    with closing(reopen()) as store:
        assert state_of(store, reader.email) is SubscriberState.ACTIVE
        assert not store.subscribers.is_suppressed("morning", reader.email)


def come_back(store: SqlStore, email: str) -> None:
    """By a confirmed request, an hour later."""
    with store._database.write() as connection:
        store.subscribers._suppressing.lift(connection, "morning", email, now=LATER)
        back = update(subscriptions).values(state=SubscriberState.ACTIVE.value, consent_at=LATER, changed_at=LATER)
        connection.execute(back)


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_restoring_takes_the_journals_of_all_machines_in_the_order_of_time(
    reopen: Open, store_url: str, other_url: str, journal: Path, tmp_path: Path, is_noted: bool
) -> None:
    other = tmp_path / "other.leavers"
    with closing(reopen()) as store:
        (reader,) = add_readers(store, 1)
        store.subscribers.remove("morning", reader.email, now=NOW)
    if not is_noted:
        other.mkdir()
    with closing(SqlStore.open(store_url, journal=other)) as elsewhere:
        come_back(elsewhere, reader.email)
        elsewhere.backup(tmp_path / "backup")
    if not is_noted:
        other.rmdir()
        other.touch()
    SqlStore.restore(other_url, tmp_path / "backup", journals=[other, journal])
    with closing(SqlStore.open(other_url)) as restored:
        assert state_of(restored, reader.email) is SubscriberState.ACTIVE


def test_who_bounced_and_then_asked_to_be_forgotten_is_forgotten_again(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        one, _ = (reader.email for reader in add_readers(store, 2))
        store.reconciling.suppress("morning", [one], SubscriberState.BOUNCED, now=NOW)
        store.backup(tmp_path / "backup")
        assert store.subscribers.erase(one, now=LATER)
    assert "1 people who asked" in SqlStore.restore(other_url, tmp_path / "backup", journals=[journal])
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        assert state_of(restored, one) is None


def test_who_had_bounced_and_then_left_or_complained_has_done_so_after_a_restore(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        readers, stranger = add_readers(store, 3), "gone@rehearsal.test"
        complainer, leaver, bounced = (reader.email for reader in readers)
        store.reconciling.suppress("morning", [one.email for one in readers], SubscriberState.BOUNCED, now=NOW)
        store.reconciling.suppress("morning", [stranger], SubscriberState.BOUNCED, now=NOW)
        store.backup(tmp_path / "backup")
        store.reconciling.suppress("morning", [complainer, stranger], SubscriberState.COMPLAINED, now=LATER)
        assert store.subscribers.leave("morning", readers[1].key, now=LATER)
    SqlStore.restore(other_url, tmp_path / "backup", journals=[journal])
    with closing(SqlStore.open(other_url, journal=journal)) as restored:
        assert state_of(restored, complainer) is SubscriberState.COMPLAINED
        assert state_of(restored, leaver) is SubscriberState.UNSUBSCRIBED
        assert state_of(restored, bounced) is SubscriberState.BOUNCED
        with restored._database.read() as connection:
            suppressing, everybody = restored.subscribers._suppressing, [complainer, stranger, leaver, bounced]
            assert suppressing.complained(connection, "morning", everybody) == {complainer, stranger}
        with restored._database.write() as connection:
            suppressing.lift_bounces(connection, everybody, now=LATER)
        assert restored.subscribers.is_suppressed("evening", complainer)
        assert restored.subscribers.is_suppressed("evening", stranger)
        assert restored.subscribers.is_suppressed("morning", leaver)
        assert not restored.subscribers.is_suppressed("morning", bounced)


def test_a_journal_that_is_not_where_it_was_named_restores_nothing(
    reopen: Open, other_url: str, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        store.backup(tmp_path / "backup")
    with pytest.raises(StoreError, match="there is no such journal"):
        SqlStore.restore(other_url, tmp_path / "backup", journals=[tmp_path / "typo"])
    assert SqlStore.is_new(other_url)


def test_a_restoring_names_the_journals_that_it_went_by_and_not_the_one_that_it_began(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        (reader,) = add_readers(store, 1)
        store.backup(tmp_path / "backup")
        assert store.subscribers.erase(reader.email, now=LATER)
    own = tmp_path / "own.leavers"
    said = SqlStore.restore(other_url, tmp_path / "backup", journals=[journal], own=own)
    assert own.exists()
    assert f"by the journal {journal}: " in said


def test_a_replay_by_a_journal_that_is_not_there_changes_nothing(reopen: Open, journal: Path, tmp_path: Path) -> None:
    with closing(reopen()) as store:
        (reader,) = add_readers(store, 1)
        assert store.subscribers.remove("morning", reader.email, now=LATER)
        with store._database.write() as connection:
            connection.execute(delete(journal_lines))
            connection.execute(update(subscriptions).values(state=SubscriberState.ACTIVE.value))
        with pytest.raises(StoreError, match="typo: it cannot be read"):
            store.replay([journal, tmp_path / "typo"])
        assert state_of(store, reader.email) is SubscriberState.ACTIVE
        store.replay([journal])
        assert state_of(store, reader.email) is SubscriberState.UNSUBSCRIBED


def test_many_who_leave_at_once_are_looked_for_beyond_the_end_of_the_journal(
    reopen: Open, store_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        readers = [reader.email for reader in add_readers(store, 1501)]
        store.backup(tmp_path / "backup")
        store.reconciling.suppress("morning", readers[:1500], SubscriberState.BOUNCED, now=LATER)
    assert max(len(line) for line in journal.read_bytes().splitlines()) < 50_000
    if store_url.startswith("sqlite"):
        Path(store_url.removeprefix("sqlite:///")).write_bytes((tmp_path / "backup").read_bytes())
        with closing(reopen()) as put_back:
            assert [reader.email for reader in put_back.subscribers.reached("morning")] == readers[1500:]


def test_what_could_not_be_noted_is_noted_when_there_is_room_again(
    reopen: Open, other_url: str, journal: Path, tmp_path: Path
) -> None:
    with closing(reopen()) as store:
        first, second = (reader.email for reader in add_readers(store, 2))
        store.backup(tmp_path / "backup")
        journal.mkdir()
        store.subscribers.remove("morning", first, now=LATER)
        assert store.journal
        assert str(journal) in store.journal.find_fault()
        journal.rmdir()
        store.subscribers.remove("morning", second, now=LATER)
        assert store.journal.fault == ""
    assert "2 addresses" in SqlStore.restore(other_url, tmp_path / "backup", journals=[journal])
