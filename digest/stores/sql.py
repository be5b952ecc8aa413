"""The store: a database that makes itself, and its slices."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from digest.errors import ConfigError, StoreError
from digest.stores.answers import SqlAnswers
from digest.stores.archive import SqlArchive
from digest.stores.beginnings import Beginnings
from digest.stores.census import SqlCensus
from digest.stores.copying import copy_all, find_filled
from digest.stores.counting import SqlCounts
from digest.stores.database import Database
from digest.stores.editions import SqlEditions
from digest.stores.entries import SqlEntries
from digest.stores.erasing import SqlErasures
from digest.stores.events import SqlEvents
from digest.stores.files import make_private
from digest.stores.incidents import SqlIncidents
from digest.stores.journal import Journal
from digest.stores.keys import SqlKeys, SqlRuns
from digest.stores.ledger import SqlLedger
from digest.stores.lineage import Lineage
from digest.stores.managing import SqlManaging
from digest.stores.pruning import SqlPruning
from digest.stores.rates import SqlRates
from digest.stores.reads import SqlReads
from digest.stores.reconciling import SqlReconciling
from digest.stores.replaying import Replayed, Replaying, owe_replay
from digest.stores.requests import SqlPageRequests
from digest.stores.revisions import (
    find_head,
    find_revision,
    from_the_future,
    known_revisions,
    make_or_recognize,
    migrate,
    not_ours,
    not_there,
)
from digest.stores.rounds import SqlRounds
from digest.stores.sqlite import SqliteDatabase
from digest.stores.subscribers import SqlSubscribers
from digest.stores.suppressing import Suppressing
from digest.stores.tokens import SqlTokens
from digest.stores.visits import SqlVisits
from digest.stores.workers import SqlWorkers

_LAST_BACKUP: Final = "last_backup"  # a key


class SqlStore:
    """Every slice of the store over one database. Usable from several threads; close it when done."""

    def __init__(self, database: Database, *, journal: Journal | None = None, temporary: bool = False) -> None:
        """Use `open`; a `temporary` one is deleted when it is closed."""
        self._database = database
        self._temporary = temporary
        self.journal = journal
        self.entries = SqlEntries(database)
        self.visits = SqlVisits(database)
        self.reads = SqlReads(database)
        self.rounds = SqlRounds(database)
        self.editions = SqlEditions(database, self.rounds)
        self.archive = SqlArchive(database)
        self.keys = SqlKeys(database)
        self.runs = SqlRuns(database)
        self.answers = SqlAnswers(database)
        self.counts = SqlCounts(database)
        suppressing = Suppressing(self.keys, journal)
        if journal:
            journal.follow(database.engine)
        beginnings = Beginnings(database, self.keys, journal) if journal else None
        self._lineage = Lineage(database)
        self.ledger = SqlLedger(database, suppressing, self.rounds, self._lineage, beginnings)
        self.rates = SqlRates(database)
        self.workers = SqlWorkers(database)
        self.incidents = SqlIncidents(database)
        self.subscribers = SqlSubscribers(database, suppressing)
        self.managing = SqlManaging(database, suppressing, self.subscribers)
        self.tokens = SqlTokens(database)
        self.events = SqlEvents(database, suppressing)
        self.reconciling = SqlReconciling(database, suppressing)
        self.requests = SqlPageRequests(database, suppressing)
        self.erasures = SqlErasures(database)
        self.pruning = SqlPruning(database)
        self.census = SqlCensus(database)
        self._replaying = Replaying(database, (self.keys, self.subscribers, self.managing), suppressing)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = True,
        on_made: Callable[[], object] = lambda: None,
        on_replayed: Callable[[Replayed], object] = lambda _: None,
        connections: int | None = None,
        journal: Path | None = None,
    ) -> "SqlStore":
        """Open a database of this version, or make a new one unless `create` is False; then call `on_made`.

        With at most so many `connections` at once, where it lies on a server. Its `journal` lies else beside a database
        that is a file, and a server's has none; of what it changes in one that is older, `on_replayed` hears.
        Raises StoreError for one that is missing, of another version, of another program, or that cannot be used.
        """
        database = find_database(url, connections)
        try:
            if make_or_recognize(database, create=create):
                on_made()
            path = journal or database.journal_path
            store = cls(database, journal=Journal(path) if path else None)
            if done := store._replaying.catch_up(store.journal, now=store.clock()):
                on_replayed(done)
            store._lineage.learn()
        except BaseException:
            database.close()
            raise
        return store

    @classmethod
    def upgrade(cls, url: str) -> str:
        """Bring an older database up to this version; returns what was done. Raises StoreError."""
        database = find_database(url)
        try:
            revision, foreign = find_revision(database)
            if foreign:
                raise not_ours(database)
            if revision is not None and revision not in known_revisions():
                raise from_the_future(database, revision)
            if revision == find_head():
                return f"{database.name}: it is up to date (revision {revision})"
            migrate(database)
            return f"{database.name}: upgraded from revision {revision or 'none'} to {find_head()}"
        finally:
            database.close()

    @classmethod
    def is_new(cls, url: str) -> bool:
        """Whether nothing is in that database, of ours or anybody's; it is left so. Raises StoreError."""
        database = find_database(url)
        try:
            return find_revision(database) == (None, False)
        finally:
            database.engine.dispose()

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """Whether nobody else, on any machine, is at what has that name; nobody is until this ends.

        Raises StoreError.
        """
        return self._database.alone(name)

    def check(self) -> dict[str, str]:
        """Its place, revision and integrity, and what is known of its server. Raises StoreError."""
        damage = self._database.find_damage()
        if damage:
            raise StoreError(self._database.name, f"it is damaged: {damage}", remedy="restore a backup")
        return {"place": self._database.name, "revision": find_head(), "integrity": "ok", **self._database.describe()}

    def require_revision(self) -> None:
        """Raises StoreError when the database is not the one any more that was opened, of this version."""
        make_or_recognize(self._database, create=False)
        with self._database.read() as connection:
            self._lineage.require(connection)

    def find_risk(self) -> str | None:
        """What a power cut may take of that which was written, as it is set up; None: nothing. Raises StoreError."""
        return self._database.find_risk()

    def backup(self, target: Path) -> None:
        """A consistent copy, also while others write. Raises StoreError; never overwrites."""
        if target.exists():
            raise StoreError(str(target), "it is there already", remedy="name a new file")
        draft = target.with_name(f".{target.name}.part")
        try:
            make_private(draft)
            self._database.back_up(draft)
            draft.replace(target)
        except (OSError, StoreError) as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            if isinstance(error, StoreError):
                raise
            raise StoreError(str(target), "it cannot be written") from error

    @classmethod
    def back_up(cls, url: str, target: Path) -> StoreError | None:
        """As `backup`, of a database of whatever version of Digest: what is to be upgraded is copied before.

        When it was made is noted in one of this version; returns why it could not be, which spoils no backup.
        """
        database = find_database(url)
        try:
            revision, foreign = find_revision(database)
            if foreign:
                raise not_ours(database)
            if revision is None:
                raise not_there(database)
            store = cls(database)
            store.backup(target)
            return store._note_backup() if revision == find_head() else None
        finally:
            database.close()

    def _note_backup(self) -> StoreError | None:
        try:
            self.keys.note(_LAST_BACKUP, self.clock().isoformat())
        except StoreError as error:
            return error
        return None

    def find_last_backup(self) -> datetime | None:
        """When `back_up` was last at work; of other ways nothing is known. Raises StoreError."""
        noted = self.keys.find(_LAST_BACKUP)
        return datetime.fromisoformat(noted) if noted else None

    @classmethod
    def restore(cls, url: str, backup: Path, *, journals: Sequence[Path] = (), own: Path | None = None) -> str:
        """Put a backup where there is no database, or an empty one; replay its `own` journal and those that are named.

        Returns what was done. A backup of an older version is brought up to its journals when it is opened, upgraded.
        Raises StoreError.
        """
        for path in journals:
            if not path.is_file():
                raise StoreError(str(path), "there is no such journal", remedy="name it where it is; nothing was done")
        database = find_database(url)
        kept = own or database.journal_path
        beside = [kept] if kept and kept.exists() else []  # before the replay, which may make it
        try:
            _require_empty(database)
            database.restore(backup, owe_replay(journals))
            revision, _ = find_revision(database)
            done = f"{database.name}: restored from {backup}, at revision {revision}"
            if revision != find_head():
                return f"{done}; what happened since is looked up in its journal when it is opened, upgraded"
        finally:
            database.close()
        replayed: list[Replayed] = []
        cls.open(url, create=False, journal=own, on_replayed=replayed.append).close()
        paths = ", ".join(dict.fromkeys(map(str, [*journals, *beside])))
        where = f"by the journal {paths}" if paths else "without a journal, of which there is none"
        return f"{done}; {where}: {'; '.join(map(str, replayed))}"

    def replay(self, journals: Sequence[Path]) -> Replayed:
        """Bring a database that was put back to an earlier state up to journals, or to its own. Raises StoreError."""
        own = [self.journal] if self.journal else []
        chosen = [Journal(path) for path in journals] or own
        return self._replaying.replay(chosen, now=self.clock(), doubts=True)

    def copy(self, url: str) -> dict[str, int]:
        """Every row into another database, which is made or empty; returns how many, by table. Raises StoreError."""
        target = SqlStore.open(url)
        try:
            return copy_all(self._database, target._database)  # noqa: SLF001 - another of these
        finally:
            target.close()

    @classmethod
    def empty(cls) -> "SqlStore":
        """A new store that is deleted when it is closed. Raises StoreError."""
        database = SqliteDatabase.temporary()
        try:
            migrate(database)
        except StoreError:
            database.delete()
            raise
        return cls(database, temporary=True)

    def scratch(self, *, takes_readers: bool = False) -> "SqlStore":
        """What begins as a consistent copy, to work on, deleted when it is closed. Raises StoreError.

        Readers may be there to be looked at only, unless it `takes_readers`.
        """
        return SqlStore(self._database.scratch(takes_readers=takes_readers), temporary=True)

    @property
    def files(self) -> list[Path]:
        """Where it lies, if that is in files here: the database, and what is not yet in it."""
        return self._database.files

    @property
    def has_clock(self) -> bool:
        """Whether the database's clock is another than this machine's."""
        return self._database.has_clock

    def shut(self, error: StoreError) -> None:
        """Refuse everything from now on, with that error: this program would write what is no more as it knows it."""
        self._database.refusal = error

    def clock(self) -> datetime:
        """Now, by the clock of where the database is: on a server's, all machines are measured. Raises StoreError."""
        return self._database.clock()

    def stamp(self) -> str:
        """Another text when something may have changed, where no `files` tell. Raises StoreError."""
        return self._database.stamp()

    def close(self) -> None:
        """Let go of the connections. May be called twice."""
        self._database.close()
        if self._temporary:
            self._database.delete()


def find_database(url: str, connections: int | None = None) -> Database:
    """The database that [store] url names. Raises ConfigError, which never repeats what may hold a password."""
    if url.startswith("postgresql"):
        try:
            from digest.stores.postgresql import CONNECTIONS, PostgresDatabase
        except ImportError:
            remedy = "in Digest's folder: pip install '.[postgresql]'"
            raise ConfigError("[store] url", "PostgreSQL needs a driver, not installed here", remedy=remedy) from None
        return PostgresDatabase(url, connections=connections or CONNECTIONS)
    path = url.removeprefix("sqlite:///")
    if path == url:
        remedy = 'write "sqlite:///digest.db" or "postgresql+psycopg://user@host/name"'
        raise ConfigError("[store] url", "it names no database", remedy=remedy)
    if path in {"", ":memory:"}:
        raise ConfigError(
            "[store] url",
            "a database in memory forgets who was mailed",
            remedy='name a file, as in "sqlite:///digest.db"',
        )
    return SqliteDatabase(Path(path))


def _require_empty(database: Database) -> None:
    """Raises StoreError where anything would be lost."""
    revision, foreign = find_revision(database)
    if foreign:
        raise not_ours(database)
    if revision is None:
        return
    filled = "things of another version"
    if revision == find_head():
        with database.read() as connection:
            filled = find_filled(connection) or ""
    if filled:
        raise StoreError(database.name, f"it is not empty: there are {filled}", remedy="name a new one in [store] url")
