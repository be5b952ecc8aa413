"""What tests of parts that write share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from digest.stores.sql import SqlStore


@pytest.fixture
def store(blank: Path, tmp_path: Path) -> Iterator[SqlStore]:
    """An open one with nothing in it."""
    shutil.copy(blank, tmp_path / "digest.db")
    opened = SqlStore.open(f"sqlite:///{tmp_path / 'digest.db'}")
    yield opened
    opened.close()
