"""From one database to another: named as files, or as [store] url names them."""

from contextlib import closing
from pathlib import Path


def copy_store(source: str, target: str) -> dict[str, int]:
    """Every row, into a new or an empty database; returns how many, by table. Raises ConfigError, StoreError."""
    from digest.stores.sql import SqlStore

    with closing(SqlStore.open(find_url(source), create=False)) as store:
        return store.copy(find_url(target))


def find_url(place: str) -> str:
    """As [store] url has it: of a file, its path from here."""
    return place if "://" in place or place.startswith("sqlite:") else f"sqlite:///{Path(place).absolute()}"
