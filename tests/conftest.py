"""What every test may use."""

from pathlib import Path

import pytest


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
