"""A replay of what a backup lacks that is killed, again and again, is done by the next command."""

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from digest.models import EditionState, Planned
from digest.stores.sql import SqlStore, find_database
from tests.contract.editions import NOW, TODAY, add_readers, begin, save_edition
from tests.faults.killing import count_kills

LATER = NOW + timedelta(hours=1)


def open_it(url: str, journal: Path) -> None:
    """As a command does."""
    SqlStore.open(url, create=False, journal=journal).close()


def test_a_replay_that_is_killed_at_any_commit_is_done_by_the_next_command(
    store_url: str, other_url: str, tmp_path: Path
) -> None:
    journal = tmp_path / "its.leavers"
    with closing(SqlStore.open(store_url, journal=journal)) as store:
        leaver, erased, stays = (reader.email for reader in add_readers(store, 3))
        store.backup(tmp_path / "backup")
        store.subscribers.remove("morning", leaver, now=LATER)
        store.subscribers.erase(erased, now=LATER)
        edition = save_edition(store).id
        (reader,) = store.subscribers.reached("morning")
        planned = [Planned(subscriber=reader, send_key="key", variant="all")]
        assert store.ledger.plan(edition, planned, batch_size=1, now=LATER) == 1
        begin(store, edition, now=LATER)
    database = find_database(other_url)
    database.restore(tmp_path / "backup", {"replay_owed": json.dumps([str(journal)])})
    database.close()
    assert count_kills(open_it, other_url, tmp_path / "own.leavers") >= 4
    with closing(SqlStore.open(other_url)) as restored:
        assert [reader.email for reader in restored.subscribers.reached("morning")] == [stays]
        assert restored.subscribers.find("morning", erased) is None
        found = restored.editions.find("morning", "daily", TODAY)
        assert found
        assert found.state is EditionState.SENT
