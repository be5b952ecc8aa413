"""The stores that the contract suites run over."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from digest.stores.sql import SqlStore
from tests.doubles.postgresql import PostgresServer


@pytest.fixture(scope="session")
def migrated(postgresql: PostgresServer) -> str:
    """The name of a database of this version, to make others like it: in half the time that migrations take."""
    url = postgresql.create()
    SqlStore.open(url).close()
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database; of one of this version for those who open it at once."""
    is_open = "store" in request.fixturenames
    if request.param == "sqlite":
        if is_open:
            shutil.copy(request.getfixturevalue("blank"), tmp_path / "digest.db")
        yield f"sqlite:///{tmp_path / 'digest.db'}"
        return
    server = request.getfixturevalue("postgresql")
    url = server.create(like=request.getfixturevalue("migrated")) if is_open else server.create()
    yield url
    server.drop(url)


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """An open store."""
    opened = SqlStore.open(store_url)
    yield opened
    opened.close()


@pytest.fixture
def server_url(postgresql: PostgresServer) -> Iterator[str]:
    """An empty database of a server."""
    url = postgresql.create()
    yield url
    postgresql.drop(url)
