"""What every test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.doubles.postgresql import PostgresServer, find_binaries

# `make fuzz` asks for many more documents of each property than a test run should cost.
settings.register_profile("test", deadline=None, max_examples=int(os.environ.get("FUZZ_INPUTS", "400")))
settings.load_profile("test")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(repository: Path) -> Path:
    """Real feeds, pages and articles beside the checkout; the test is skipped where they are not."""
    folder = repository.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared")
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL server; the test is skipped where it is not installed."""
    if find_binaries() is None:
        pytest.skip("needs postgresql")
    with PostgresServer() as server:
        yield server
