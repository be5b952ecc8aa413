"""Fields for senders to be killed in."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.postgresql import PostgresServer, find_binaries
from tests.faults.field import Field, Launcher, Sinks, grounds

Sow = Callable[..., Field]
FULL = bool(os.environ.get("FAULTS_FULL"))  # `make faults` tries everything with everything


def mix(*choices: Sequence[Any], every: int) -> list[tuple[Any, ...]]:
    """Everything with everything; in a short run every so-manieth of it."""
    return list(product(*choices))[:: 1 if FULL else every]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Launcher, Sinks]]:
    """The process that senders are forked from, and the one of the servers."""
    with grounds(tmp_path_factory.mktemp("ground")) as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of a module's own, to be stopped and started: it waits for the disk, as an operator's does."""
    if find_binaries() is None:
        pytest.skip("needs postgresql")
    with PostgresServer(durable=True) as started:
        yield started


@pytest.fixture(scope="module")
def sow(
    ground: tuple[Launcher, Sinks], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Sow]:
    """Make a field of a store and a transport, or give the one that was made before."""
    made: dict[tuple[str, str, int], Field] = {}

    def find(store: str, transport: str, connections: int = 1) -> Field:
        if (store, transport, connections) not in made:
            folder: Path = tmp_path_factory.mktemp("field")
            url = f"sqlite:///{folder / 'digest.db'}"
            if store == "postgresql":
                server: PostgresServer = request.getfixturevalue("postgresql")
                url = server.create()
            made[store, transport, connections] = Field(folder, url, transport, *ground, connections=connections)
        return made[store, transport, connections]

    yield find
    for field in made.values():
        field.close()
