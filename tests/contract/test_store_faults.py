"""SQLite when something is wrong with the file, the disk, the rows or the timing: one clear fault, nothing lost."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from digest.errors import ConfigError, StoreError
from digest.models import Claim, DeliveryState
from digest.stores.database import Straight
from digest.stores.ledger import SqlLedger
from digest.stores.lineage import Lineage
from digest.stores.sql import SqlStore
from digest.stores.sqlite import SqliteDatabase
from tests.contract.editions import LEASE, NOW, add_readers, make_owner, plan, save_edition

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """A file; what PostgreSQL does is in test_postgresql.py."""
    return f"sqlite:///{tmp_path / 'digest.db'}"


def path_of(url: str) -> Path:
    """The file of a database."""
    return Path(url.removeprefix("sqlite:///"))


def spoil(url: str, script: str) -> None:
    """Change the file behind the store's back."""
    with closing(sqlite3.connect(path_of(url))) as database:
        database.executescript(script)


@pytest.mark.parametrize("url", ["postgresql+psycopg://me:hunter2@db:x/digest", "sqlite://hunter2", "hunter2.db"])
def test_a_url_that_names_no_database_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"no(?: address of a)? database") as caught:
        SqlStore.open(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite:///"])
def test_a_database_in_memory_is_refused_since_it_forgets_who_was_mailed(url: str) -> None:
    with pytest.raises(ConfigError, match="forgets who was mailed"):
        SqlStore.open(url)


def test_a_folder_that_is_missing_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="folder is not there"):
        SqlStore.open(f"sqlite:///{tmp_path / 'nowhere' / 'digest.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_entered_is_a_clear_fault(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    script = (
        "import os, sys\n"
        "from digest.errors import StoreError\n"
        "from digest.stores.sql import SqlStore\n"
        "SqlStore.empty().close()\n"  # whatever is still to be imported
        "if os.getuid() == 0:\n"  # whom nothing is forbidden
        "    os.setuid(65534)\n"
        "try:\n"
        "    SqlStore.open(sys.argv[1])\n"
        "except StoreError as error:\n"
        "    sys.stderr.write(str(error))\n"
    )
    url = f"sqlite:///{private / 'deeper' / 'digest.db'}"
    private.chmod(0)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", script, url], cwd=ROOT, capture_output=True, text=True, check=False
        )
    finally:
        private.chmod(0o700)
    assert "it may not be looked at (let this user into" in ended.stderr


def test_a_missing_database_is_made_only_when_that_is_wanted(store_url: str) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        SqlStore.open(store_url, create=False)
    assert not path_of(store_url).exists()
    SqlStore.open(store_url).close()
    SqlStore.open(store_url, create=False).close()


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE theirs (x)",
        "CREATE TABLE theirs (x); CREATE TABLE alembic_version (version_num)",
        "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('0001')",
        "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('a'), ('b')",
    ],
)
def test_a_database_of_another_program_is_refused_and_left_as_it_was(store_url: str, script: str) -> None:
    spoil(store_url, script)
    before = path_of(store_url).read_bytes()
    for use in (SqlStore.open, SqlStore.upgrade):
        with pytest.raises(StoreError, match="another program"):
            use(store_url)
    assert path_of(store_url).read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all\n" * 300, bytes(range(256)) * 64])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(store_url: str, content: bytes) -> None:
    path_of(store_url).write_bytes(content)
    with pytest.raises(StoreError, match="no sound database"):
        SqlStore.open(store_url)
    assert path_of(store_url).read_bytes() == content


def test_a_full_disk_is_named_loses_nothing_and_is_over_when_there_is_room(store: SqlStore) -> None:
    edition = plan(store, 20)
    with store._database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="make room"):
        store.keys.key("large", lambda: "x" * 200_000)
    assert store.ledger.counts(edition) == {"planned": 20}
    with store._database.read() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1000}")
    assert store.keys.key("large", lambda: "small") == "small"
    assert store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
    assert store.check()["integrity"] == "ok"


def test_a_row_that_cannot_be_read_is_a_fault_that_does_not_repeat_it(store_url: str, store: SqlStore) -> None:
    edition = save_edition(store)
    spoil(store_url, """UPDATE editions SET edition = '{"secret": "hunter2"}'""")
    for read in (lambda: store.editions.get(edition.id), lambda: store.editions.newest("morning")):
        with pytest.raises(StoreError, match="cannot be read") as caught:
            read()
        assert "hunter2" not in str(caught.value)


def test_a_temporary_store_without_a_folder_for_it_is_a_clear_fault() -> None:
    # With a limit of no bytes a file, every folder that could be the temporary one turns out to be unusable.
    script = (
        "import resource, sys\n"
        "from digest.errors import StoreError\n"
        "from digest.stores.sql import SqlStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try:\n"
        "    SqlStore.empty()\n"
        "except StoreError as error:\n"
        "    sys.stderr.write(str(error))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stderr.startswith("the temporary folder: it cannot be written")


def test_processes_that_make_one_database_at_once_make_it_once(store_url: str) -> None:
    script = (
        "import sys\n"
        "from digest.stores.sql import SqlStore\n"
        "sys.stdin.readline()\n"
        "sys.stdout.write(SqlStore.open(sys.argv[1]).check()['integrity'])\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, store_url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert [child.communicate("go\n", timeout=60)[0] for child in children] == ["ok"] * 4


class Interrupted(SqliteDatabase):
    """A database in which something else happens just before the first writing transaction."""

    happens: Callable[[], None] | None = None

    @contextmanager
    def straight(self, *, lasting: bool = True) -> Iterator[Straight]:
        """As ever, after what happens."""
        happens, self.happens = self.happens, None
        if happens:
            happens()
        with super().straight(lasting=lasting) as straight:
            yield straight


def test_recovering_leaves_alone_what_its_owner_released_and_claimed_again_meanwhile(
    store: SqlStore, store_url: str
) -> None:
    edition = plan(store, 3)
    owner, late = make_owner(), LEASE + timedelta(seconds=1)
    expired = store.ledger.claim(edition, owner, lease_until=LEASE, now=NOW)
    assert expired
    held: list[Claim] = []

    def claim_again() -> None:
        store.ledger.release(expired, now=late)
        claim = store.ledger.claim(edition, owner, lease_until=late + timedelta(minutes=10), now=late)
        assert claim
        assert store.ledger.mark(claim, [recipient.delivery for recipient in claim.recipients], "smtp", now=late)
        held.append(claim)

    database = Interrupted(path_of(store_url))
    database.happens = claim_again
    assert (
        SqlLedger(database, store.ledger._suppressing, store.rounds, Lineage(database)).recover(edition, now=late) == 0
    )
    database.engine.dispose()
    assert held
    assert store.ledger.counts(edition) == {DeliveryState.ATTEMPTED: 3}


def test_reading_who_may_be_mailed_needs_no_writer_s_lock(store: SqlStore, store_url: str) -> None:
    add_readers(store, 2)
    with closing(sqlite3.connect(path_of(store_url), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(list(store.subscribers.reached("morning"))) == 2
        assert not store.subscribers.is_suppressed("morning", "reader00000@rehearsal.test")


def test_a_backup_is_whole_and_overwrites_nothing(store: SqlStore, tmp_path: Path) -> None:
    save_edition(store)
    target = tmp_path / "copy.db"
    store.backup(target)
    copy = SqlStore.open(f"sqlite:///{target}")
    assert copy.editions.find("morning", "daily", NOW.date())
    copy.close()
    with pytest.raises(StoreError, match="there already"):
        store.backup(target)
    with pytest.raises(StoreError, match="cannot be written"):
        store.backup(tmp_path / "nowhere" / "copy.db")


def test_a_read_only_database_is_a_clear_fault(store_url: str, store: SqlStore) -> None:
    def write() -> None:
        with store.editions._database.write() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
            connection.exec_driver_sql("INSERT INTO keys VALUES ('a', 'b')")

    with pytest.raises(StoreError) as caught:
        write()
    assert store_url.removeprefix("sqlite:///") in str(caught.value)
