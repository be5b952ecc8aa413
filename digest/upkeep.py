"""What a person does to a newsletter's database: bring it up to date, try it, copy it away and put it back.

The engine of workers keeps its tables in the same database; whatever is done to one is done to both.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from digest.config import Config
from digest.config.reading import DEFAULT_JOURNAL
from digest.errors import StoreError

if TYPE_CHECKING:
    from digest.stores.sql import SqlStore


def make_engine_tables(config: Config) -> str | None:
    """What the engine of workers needs in the database; what was done, if anything. Raises StoreError."""
    if config.engine.kind != "procrastinate":
        return None
    from digest.engine.schema import upgrade_schema

    return upgrade_schema(config.store.url)


def upgrade_store(config: Config) -> list[str]:
    """Bring the database up to this version, and the engine's tables in it; returns what was done."""
    from digest.stores.sql import SqlStore

    done = SqlStore.upgrade(config.store.url)
    made = make_engine_tables(config)
    return [done, made] if made else [done]


def check_store(config: Config, store: "SqlStore") -> dict[str, str]:
    """The database's place, version and soundness, and the version of the engine's tables. Raises StoreError."""
    found = store.check()
    if config.engine.kind == "procrastinate":
        from digest.engine.schema import describe_schema

        found["engine"] = describe_schema(config.store.url)
    return found


def back_up_store(config: Config, target: Path) -> StoreError | None:
    """Copy the database, of whatever version it is, into a new file; why that could not be noted. Raises StoreError."""
    from digest.stores.sql import SqlStore

    return SqlStore.back_up(config.store.url, target)


def restore_store(config: Config, backup: Path, journals: Sequence[Path] = (), *, without_journal: bool = False) -> str:
    """Put a backup in the place of a missing or empty database, and replay its own journal and those that are named.

    Returns what was done. Raises StoreError, also where [store] journal is not there, unless that is meant.
    """
    from digest.stores.sql import SqlStore

    own = config.store.journal
    is_chosen = own is not None and own != config.path.parent / DEFAULT_JOURNAL  # where nobody left, there is none
    if own and is_chosen and not own.exists() and not journals and not without_journal:
        remedy = "mount or copy it there, name others with --journal, or say --no-journal if nobody left since"
        raise StoreError(str(own), "the journal is not there, and who left since would be mailed", remedy=remedy)
    return SqlStore.restore(config.store.url, backup, journals=journals, own=own)
