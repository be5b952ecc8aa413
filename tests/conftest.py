"""What every test may use."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.doubles.postgresql import PostgresServer, find_binaries

# `make fuzz` asks for many more documents of each property than a test run should cost.
settings.register_profile("test", deadline=None, max_examples=int(os.environ.get("FUZZ_INPUTS", "400")))
settings.load_profile("test")

_MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's folder in memory, in which all names are made up
_ROOM = 4 << 30  # bytes; a run needs less than one


def _find_temporary_folder() -> str | None:
    """A folder in memory for what tests write: a database waits for the disk in each commit, for half of a run's time.

    None where there is none, where nothing in it may be executed, as tests do, and where TMPDIR names another.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK) or os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        return None
    return str(_MEMORY) if shutil.disk_usage(_MEMORY).free >= _ROOM else None


if folder := _find_temporary_folder():
    os.environ["TMPDIR"] = tempfile.tempdir = folder  # that of pytest, and of the workers that it starts


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
