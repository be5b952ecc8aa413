"""The stores that the contract suites run over."""

from collections.abc import Iterator

import pytest

from digest.stores.sql import SqlStore


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """An open store."""
    opened = SqlStore.open(store_url)
    yield opened
    opened.close()
