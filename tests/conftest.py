"""What every test may use."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from digest.stores.sql import SqlStore
from tests.doubles.postgresql import PostgresServer, find_binaries
from tests.forking import COMMON, ForkServer

# `make fuzz` asks for many more documents of each property than a test run should cost.
settings.register_profile("test", deadline=None, max_examples=int(os.environ.get("FUZZ_INPUTS", "100")))
settings.load_profile("test")

# Files with tests that wait for tens of seconds, for a clock, a server or a deadline; the longest first.
_LONG = (
    "tests/faults/test_many_machines.py",
    "tests/acceptance/test_serve.py",
    "tests/acceptance/test_bad_input.py",
    "tests/acceptance/test_drill.py",
    "tests/acceptance/test_hostile_sources.py",
    "tests/acceptance/test_week.py",
    "tests/acceptance/test_database_away.py",
    "tests/unit/test_grounding_cases.py",
    "tests/acceptance/test_api.py",
    "tests/faults/test_workers.py",
    "tests/faults/test_servers.py",
    "tests/contract/test_workers.py",
    "tests/acceptance/test_tutorial.py",
)
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


_FORKS = pytest.StashKey[ForkServer]()


def pytest_configure(config: pytest.Config) -> None:
    """All processes of this run have their commands from one that forks them."""
    missing = [name for name in _LONG if not (config.rootpath / name).is_file()]
    assert not missing, f"there is no {missing}"
    if not hasattr(config, "workerinput"):
        config.stash[_FORKS] = ForkServer(COMMON)


def pytest_unconfigure(config: pytest.Config) -> None:
    """It goes with the run."""
    if server := config.stash.get(_FORKS, None):
        server.end()


def pytest_collection_finish() -> None:
    """What is loaded by now stays: not to look through all of it again and again saves a seventh of a run's time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor, and one: a third of a run's time is waiting, for a clock, a server or a deadline."""
    return 2 * (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what waits long, lest one worker is left with it at the end.

    xdist gives each of its workers an equal part of the row to begin with.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    first: list[list[pytest.Item]] = [[] for _ in range(workers)]
    others = []
    for item in items:
        file = item.nodeid.partition("::")[0]
        (first[_LONG.index(file) % workers] if file in _LONG else others).append(item)
    row: list[pytest.Item] = []
    for number, long in enumerate(first):
        part = (len(items) - len(row)) // (workers - number)
        count = max(0, part - len(long))
        row += long + others[:count]
        del others[:count]
    items[:] = row + others


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
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file of this version with nothing in it, to be copied: migrations take twenty times as long."""
    path = tmp_path_factory.mktemp("blank") / "digest.db"
    SqlStore.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def own_folder(blank: Path, tmp_path: Path) -> Path:
    """A folder of the test's own, with an empty database where a configuration has it by default."""
    shutil.copy(blank, tmp_path / "digest.db")
    return tmp_path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL server; the test is skipped where it is not installed."""
    if find_binaries() is None:
        pytest.skip("needs postgresql")
    with PostgresServer() as server:
        yield server


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
def server_url(postgresql: PostgresServer) -> Iterator[str]:
    """An empty database of a server."""
    url = postgresql.create()
    yield url
    postgresql.drop(url)


@pytest.fixture
def other_url(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> str:
    """Another, empty database of the same kind."""
    if store_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'other.db'}"
    return str(request.getfixturevalue("server_url"))
