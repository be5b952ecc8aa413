"""The stores that the contract suites run over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from digest.stores.sql import SqlStore


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'digest.db'}"
        return
    server = request.getfixturevalue("postgresql")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """An open store."""
    opened = SqlStore.open(store_url)
    yield opened
    opened.close()
