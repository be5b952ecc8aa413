"""Of which version a database is: whether it is ours, what it lacks, and the migrations that bring it up."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect

from digest.errors import OtherRevision, StoreError
from digest.stores.database import Database

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_ENGINES: Final = ("procrastinate_", "engine_")  # tables of tasks, which are beside the store, and no other program's


def make_or_recognize(database: Database, *, create: bool) -> bool:
    """Whether it was made; else it is of this version. Raises StoreError for every other, and for none to be made."""
    revision, foreign = find_revision(database)
    if foreign:
        raise not_ours(database)
    if revision is None:
        if not create:
            raise not_there(database)
        migrate(database)
        return True
    if revision not in known_revisions():
        raise from_the_future(database, revision)
    if revision != find_head():
        raise _from_the_past(database, revision)
    return False


def find_revision(database: Database) -> tuple[str | None, bool]:
    """The revision, None where there is nothing; and whether the tables are somebody else's. Raises StoreError."""
    if not database.exists():
        return None, False
    with database.read() as connection:
        names = {name for name in inspect(connection).get_table_names() if not name.startswith(_ENGINES)}
        if "alembic_version" not in names:
            return None, bool(names)
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision is None:
        return None, bool(names - {"alembic_version"})
    return revision, not {"editions", "deliveries"} <= names


def migrate(database: Database) -> None:
    """All migrations that are missing, in one transaction. Raises StoreError."""
    from alembic import command

    database.prepare()
    with database.upgrade() as connection:
        command.upgrade(make_alembic(connection), "head")


def make_alembic(connection: object) -> "AlembicConfig":
    """How Alembic finds the migrations, and the database that they are made in."""
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def find_head() -> str:
    """This version's revision."""
    return max(known_revisions())


@cache
def known_revisions() -> frozenset[str]:
    """All up to this version's.

    By the names of the files: each command asks, and Alembic, which would know, takes 0.12 s to be there.
    """
    return frozenset(file.name[:4] for file in (_MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def not_there(database: Database) -> StoreError:
    """What is said where there is nothing."""
    return StoreError(database.name, "there is no database", remedy="check [store] url; `digest run` makes one")


def not_ours(database: Database) -> StoreError:
    """What is said of another program's."""
    remedy = "name another one in [store] url; this one was left as it is"
    return StoreError(database.name, "it is a database of another program", remedy=remedy)


def _from_the_past(database: Database, revision: str) -> StoreError:
    return OtherRevision(
        database.name,
        f"it is at revision {revision}, this version of Digest needs {find_head()}",
        remedy="copy it with `digest db backup`, then run `digest db upgrade`",
    )


def from_the_future(database: Database, revision: str) -> StoreError:
    """What is said of a later version's."""
    return OtherRevision(
        database.name,
        f"it is at revision {revision}, which this version of Digest does not know",
        remedy="upgrade Digest",
    )
