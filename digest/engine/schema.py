"""The tables of Procrastinate in our database: its own schema and migrations, each once, and a record of which.

`digest db upgrade` applies them; they are found in the installed package, and nothing of it is loaded for that.
"""

from importlib import metadata, util
from pathlib import Path
from typing import Any, Final

from psycopg import Connection, Error

from digest.errors import ConfigError, StoreError
from digest.stores.postgresql import PostgresDatabase

_UPGRADERS: Final = 0x64696765_656E67  # the number of the advisory lock of who upgrades
_UPGRADE: Final = "copy it with `digest db backup`, then run `digest db upgrade`"
_RECORD: Final = "INSERT INTO engine_migrations (name) VALUES (%s)"
# Which process a worker is tells whether it lives at once, where it is of this machine.
_OURS: Final = """
CREATE TABLE engine_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE engine_workers (
    worker_id bigint PRIMARY KEY REFERENCES procrastinate_workers (id) ON DELETE CASCADE,
    owner jsonb NOT NULL
)
"""


def upgrade_schema(url: str) -> str:
    """Make the engine's tables, or bring them up to the installed version; returns what was done. Raises StoreError.

    Two at once are none too many: one waits for the other. What was cut off goes on where it was.
    """
    database = PostgresDatabase(url, connections=1)
    try:
        pooled = database.engine.raw_connection()
        driver: Any = pooled.driver_connection
        try:
            driver.execute("SELECT pg_advisory_lock(%s)", [_UPGRADERS])
            try:
                return _upgrade(database.name, driver)
            finally:
                driver.execute("SELECT pg_advisory_unlock(%s)", [_UPGRADERS])
        finally:
            pooled.close()
    except StoreError:
        raise
    except Exception as error:
        if database.is_own_error(error) or "sqlalchemy" in type(error).__module__:
            raise database.explain(error) from None
        raise
    finally:
        database.close()


def require_schema(database: PostgresDatabase) -> None:
    """Raises StoreError when its tables are not those of the installed version, with what helps."""
    with database.read() as connection:
        driver: Any = connection.connection.driver_connection
        try:
            applied = _read_applied(database.name, driver)
        except Error as error:
            raise database.explain(error) from None
    known = list(_find_migrations())
    if applied is None:
        raise StoreError(database.name, "it has no tables for the engine's tasks", remedy="run `digest db upgrade`")
    _refuse_later(database.name, applied, known)
    missing = [name for name in known if name not in applied]
    if missing:
        fault = f"its tables for tasks are at {_version_of(applied)}, Procrastinate {_installed()} needs {missing[-1]}"
        raise StoreError(database.name, fault, remedy=_UPGRADE)


def describe_schema(url: str) -> str:
    """The version of the engine and of its tables, for the operator. Raises StoreError."""
    database = PostgresDatabase(url, connections=1)
    try:
        require_schema(database)
        return f"Procrastinate {_installed()}, tables of {list(_find_migrations())[-1].partition('_')[0]}"
    finally:
        database.close()


def _upgrade(name: str, connection: Connection[Any]) -> str:
    applied, known = _read_applied(name, connection), _find_migrations()
    if applied is None:
        schema = (_find_folder() / "schema.sql").read_bytes()
        with connection.transaction():
            connection.execute(schema)
            connection.execute(_OURS)
            connection.cursor().executemany(_RECORD, [(migration,) for migration in known])
        return f"{name}: tables for the engine's tasks were made (Procrastinate {_installed()})"
    _refuse_later(name, applied, list(known))
    missing = [migration for migration in known if migration not in applied]
    for migration in missing:  # each alone: a value that one adds to a type is there for the next
        with connection.transaction():
            connection.execute(known[migration].read_bytes())
            connection.execute(_RECORD, [migration])
    if not missing:
        return f"{name}: the engine's tables are up to date (Procrastinate {_installed()})"
    return f"{name}: the engine's tables were upgraded from {_version_of(applied)} to {_version_of(set(known))}"


def _read_applied(name: str, connection: Connection[Any]) -> set[str] | None:
    """The migrations that are on record; None where there are no tables. Raises StoreError for somebody else's."""
    row = connection.execute(
        "SELECT to_regclass('engine_migrations') IS NOT NULL, to_regclass('procrastinate_jobs') IS NOT NULL"
    ).fetchone()
    is_ours, is_there = row or (False, False)
    if is_ours:
        return {str(migration) for (migration,) in connection.execute("SELECT name FROM engine_migrations")}
    if is_there:
        fault = "it holds tables of Procrastinate that Digest did not make"
        raise StoreError(name, fault, remedy="name a database or a schema without them in [store] url")
    return None


def _refuse_later(name: str, applied: set[str], known: list[str]) -> None:
    later = sorted(applied - set(known))
    if later:
        fault = f"its tables for tasks are at {later[-1]}, which Procrastinate {_installed()} does not know"
        raise StoreError(name, fault, remedy="upgrade Digest, and Procrastinate with it")


def _version_of(applied: set[str]) -> str:
    return max(applied, default="none")


def _find_migrations() -> dict[str, Path]:
    """By name, in the order in which they are applied."""
    files = sorted((_find_folder() / "migrations").glob("*.sql"))
    return {file.stem: file for file in files}


def _find_folder() -> Path:
    spec = util.find_spec("procrastinate")
    if spec is None or not spec.submodule_search_locations:
        remedy = "in Digest's folder: pip install '.[postgresql]'"
        raise ConfigError("[engine] kind", "Procrastinate is not installed here", remedy=remedy)
    return Path(next(iter(spec.submodule_search_locations))) / "sql"


def _installed() -> str:
    return metadata.version("procrastinate")
