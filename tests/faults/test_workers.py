"""Editions delivered by real workers (`digest worker`), killed again and again, and with their database gone."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import EditionState
from tests.acceptance.serving import wait_for
from tests.doubles.postgresql import PostgresServer
from tests.doubles.sendgrid_api import SendGridDouble
from tests.faults.conftest import FULL
from tests.faults.field import ROOT, Field, Launcher, Sinks, Trial

READERS = 50_000 if FULL else 2_000
KILLS = 20 if FULL else 4
CONCURRENCY = 4
SECONDS = 900.0 if FULL else 120.0


class Worker:
    """A `digest worker`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "digest", "worker", "--config", str(folder / "config.toml"), *arguments],
            cwd=ROOT,
            env={**os.environ, "DIGEST_SENDGRID_API_KEY": SendGridDouble.KEY},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self.said.extend, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    def holds(self, trial: Trial) -> bool:
        """Whether batches stand in its name."""
        return any(owner.pid == self._process.pid for owner in trial.field.store.ledger.owners(trial.edition))

    def wait_until_at_work(self) -> None:
        wait_for(lambda: any("Working for" in line for line in self.said), 60, f"a worker at work: {self.said}")

    def kill(self) -> None:
        self._process.kill()
        self.end()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> int:
        code = self._process.wait(60)
        self._reader.join(10)
        assert self._process.stderr
        self._process.stderr.close()
        return code


@contextmanager
def working(folder: Path, number: int) -> Iterator[list[Worker]]:
    """So many workers; those of the list at the end are stopped, and have said nothing untoward."""
    workers = [Worker(folder) for _ in range(number)]
    try:
        for worker in workers:
            worker.wait_until_at_work()
        yield workers
    except BaseException:
        for worker in workers:
            worker.kill()
        sys.stderr.write("".join(line for worker in workers for line in worker.said))
        raise
    assert [worker.stop() for worker in workers] == [0] * len(workers)
    assert not any("Traceback" in line for worker in workers for line in worker.said), [one.said for one in workers]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be stopped: nobody else uses it."""
    with PostgresServer(durable=True) as started:
        yield started


@pytest.fixture(params=["smtp", "sendgrid"] if FULL else ["smtp"])  # a request has a thousand
def field(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    server: PostgresServer,
    ground: tuple[Launcher, Sinks],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Field]:
    monkeypatch.setenv("DIGEST_SENDGRID_API_KEY", SendGridDouble.KEY)
    url = server.create()
    made = Field(
        tmp_path, url, request.param, *ground, readers=READERS, connections=CONCURRENCY, engine="procrastinate"
    )
    yield made
    made.close()
    server.drop(url)


def plan(field: Field) -> Trial:
    """An edition that is planned for workers."""
    trial = field.edition()
    with App(load_config(field.folder / "config.toml")) as app:
        stored = field.store.editions.get(trial.edition)
        assert stored
        report = app.run(stored.date, by_workers=True)
    assert report.state is EditionState.SENDING
    assert "workers deliver it" in report.message
    return trial


def is_sent(trial: Trial) -> bool:
    return trial.field.store.editions.state(trial.edition) is EditionState.SENT


def check(trial: Trial, under_way: int) -> None:
    """Nobody twice, nobody unnamed, and no more unknown than were under way at the kills."""
    trial.bound = under_way
    trial.field.sinks.settle()
    kept = trial.check()
    assert kept.is_kept, kept


def took(trial: Trial) -> int:
    counts = trial.field.store.ledger.counts(trial.edition)
    return counts.get("accepted", 0)


def count_reports(trial: Trial) -> Sequence[object]:
    """The reports that say that it is over."""
    found = trial.field.store.runs.last("morning", edition=trial.edition)
    return [found[1]] if found and found[1].state is EditionState.SENT else []


@pytest.mark.timeout(1800 if FULL else 300)
def test_workers_killed_through_an_edition_send_nobody_twice_and_lose_nobody(field: Field) -> None:
    chance = random.Random(len(field.transport))
    killed = 0
    with working(field.folder, 2) as workers:
        trial = plan(field)
        steps = sorted(chance.sample(range(READERS // 10, READERS * 9 // 10), KILLS))
        for step in steps:
            wait_for(lambda s=step: took(trial) >= s or is_sent(trial), SECONDS, f"{step} are taken")  # type: ignore[misc]
            if is_sent(trial):
                break
            for worker in workers:
                worker.wait_until_at_work()  # else the one that is left would be one that is still starting
            if is_sent(trial):
                break
            victim = workers.pop(0)
            victim.kill()
            killed += 1
            before = took(trial)
            workers.append(Worker(field.folder))
            wait_for(lambda b=before: took(trial) > b or is_sent(trial), 15, "the others go on")  # type: ignore[misc]
            wait_for(lambda v=victim: not v.holds(trial), 15, "what it held is free")  # type: ignore[misc]
        wait_for(lambda: is_sent(trial), SECONDS, "all is sent")
        for worker in workers:
            worker.wait_until_at_work()
    under_way = CONCURRENCY * (1 if field.transport == "smtp" else 1000)
    check(trial, killed * under_way)
    assert killed > 0
    assert count_reports(trial)


@pytest.mark.timeout(1800 if FULL else 300)
def test_a_database_that_crashes_in_mid_send_changes_nothing_but_the_hour(field: Field, server: PostgresServer) -> None:
    with working(field.folder, 2):
        trial = plan(field)
        for share in (3, 2):
            wait_for(lambda s=share: took(trial) >= READERS // s, SECONDS, "a part is taken")  # type: ignore[misc]
            server.stop("immediate")
            server.start()
        wait_for(lambda: is_sent(trial), SECONDS, "all is sent")
    # The workers live, and know what they were told: what they could not write they write when it is back.
    check(trial, 0)
    assert count_reports(trial)
