"""The stores that the contract suites run over; a second database is one more parameter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from digest.stores.sql import SqlStore


@pytest.fixture(params=["sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    assert request.param == "sqlite"
    return f"sqlite:///{tmp_path / 'digest.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """An open store."""
    opened = SqlStore.open(store_url)
    yield opened
    opened.close()
