"""Databases that are locked, full, read-only or restarted while a sender is at work: the promise holds all the same."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.doubles.postgresql import PostgresServer
from tests.faults.conftest import FULL, Sow, mix
from tests.faults.field import Field, Launcher, Running, Sinks, Trial, traps

TRANSPORTS = ["smtp", "sendgrid"]
STEPS = ["claimed", "before mark", "reply read", "before release"]
at_steps = pytest.mark.parametrize(("transport", "step"), mix(TRANSPORTS, STEPS, every=3))


def wake(running: Running) -> dict[str, int]:
    """Let a sender that has stopped itself go on, until it ends or stops again."""
    os.kill(running.pid, signal.SIGCONT)
    return running.wait()


def assert_kept(trial: Trial, *, cut_off: bool) -> None:
    """Nobody twice, nobody lost unnamed; unknown is at most what was under way, where the sender was cut off."""
    trial.bound += trial.field.under_way if cut_off else 0
    kept = trial.check()
    assert kept.is_kept, kept


def assert_ended_with(running: Running, trial: Trial, *words: str) -> None:
    """The sender said what is wrong; the next one, when it is right again, does the rest."""
    report = running.report()
    assert any(word in report["message"] for word in words), report
    trial.field.sinks.settle()
    trial.finish()
    assert_kept(trial, cut_off=True)


@at_steps
def test_a_sender_outwaits_a_database_that_another_process_has_locked(sow: Sow, transport: str, step: str) -> None:
    field = sow("sqlite", transport)
    trial = field.edition()
    running = trial.start(*traps((step, 2, "stop"), ("fault", 1, "stop")))
    assert running.wait() == {"stopped": signal.SIGSTOP}
    with closing(sqlite3.connect(field.url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert wake(running) == {"stopped": signal.SIGSTOP}  # it waited for the lock in vain
        other.execute("ROLLBACK")
    assert wake(running) == {"exited": 0}, running.report()
    assert running.report()["state"] == "sent"
    assert_kept(trial, cut_off=False)


@at_steps
def test_a_sender_whose_quota_is_used_up_says_so_and_the_next_one_goes_on(sow: Sow, transport: str, step: str) -> None:
    trial = sow("sqlite", transport).edition()
    running = trial.start(*traps((step, 2, "quota")))
    assert running.wait() == {"exited": 1}, running.report()
    assert_ended_with(running, trial, "the disk is full", "the disk failed")


@pytest.mark.parametrize("transport", ["smtp", "sendgrid"])
def test_a_sender_on_a_file_system_without_room_says_so_and_the_next_one_goes_on(
    ground: tuple[Launcher, Sinks], tmp_path: Path, transport: str
) -> None:
    with mounted(tmp_path / "small") as folder:
        field = Field(folder, f"sqlite:///{folder / 'digest.db'}", transport, *ground, reports=tmp_path)
        with closing(field):
            trial = field.edition()
            running = trial.start(*traps(("marked", 2, "stop")))
            assert running.wait() == {"stopped": signal.SIGSTOP}
            ballast = folder / "ballast"
            free = os.statvfs(folder)
            ballast.write_bytes(bytes(free.f_bavail * free.f_frsize))
            assert wake(running) == {"exited": 1}, running.report()
            ballast.unlink()
            assert_ended_with(running, trial, "the disk is full")


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """A small file system; the test is skipped where this user may mount none."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("needs the right to mount a small file system; the quota is tried all the same")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@at_steps
def test_a_sender_whose_database_becomes_read_only_says_so_and_the_next_one_goes_on(
    sow: Sow, transport: str, step: str
) -> None:
    trial = sow("sqlite", transport).edition()
    running = trial.start(*traps((step, 2, "read-only")))
    assert running.wait() == {"exited": 1}, running.report()
    assert_ended_with(running, trial, "it cannot be written")


@pytest.fixture(scope="module")
def till(
    server: PostgresServer, ground: tuple[Launcher, Sinks], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Field]]:
    """A field on that server."""
    made: dict[str, Field] = {}

    def find(transport: str) -> Field:
        if transport not in made:
            folder = tmp_path_factory.mktemp("field")
            made[transport] = Field(folder, server.create(), transport, *ground)
        return made[transport]

    yield find
    for field in made.values():
        field.close()


@pytest.mark.parametrize(
    ("transport", "step", "mode"),
    mix(TRANSPORTS, ["planning", *STEPS, "marked"], ["fast", "immediate"], every=5),
)
def test_a_sender_goes_on_by_itself_when_postgresql_was_restarted(
    server: PostgresServer, till: Callable[[str], Field], transport: str, step: str, mode: str
) -> None:
    trial = till(transport).edition()
    running = trial.start(*traps((step, 1 if step == "planning" else 2, "stop"), ("fault", 1, "stop")))
    assert running.wait() == {"stopped": signal.SIGSTOP}
    server.stop(mode)
    try:
        ended = wake(running)
    finally:
        server.start()
    if ended == {"stopped": signal.SIGSTOP}:  # it has met what it cannot reach
        ended = wake(running)
    if step == "planning":
        # Nothing of the plan was written: it is said, and the next run plans.
        assert ended == {"exited": 1}, running.report()
        trial.finish()
    else:
        assert ended == {"exited": 0}, running.report()
        assert running.report()["state"] == "sent"
    assert_kept(trial, cut_off=False)


@pytest.mark.parametrize("step", STEPS[: 1 if not FULL else None])
def test_a_sender_whose_postgresql_becomes_read_only_says_so_and_the_next_one_goes_on(
    server: PostgresServer, till: Callable[[str], Field], step: str
) -> None:
    trial = till("smtp").edition()
    running = trial.start(*traps((step, 2, "stop")))
    assert running.wait() == {"stopped": signal.SIGSTOP}
    set_read_only(server, "on")
    try:
        assert wake(running) == {"exited": 1}, running.report()
    finally:
        set_read_only(server, "off")
    assert_ended_with(running, trial, "it cannot be written")


def set_read_only(server: PostgresServer, value: str) -> None:
    """For all sessions, also those that are open."""
    address = f"postgresql://digest@127.0.0.1:{server.port}/postgres?options=-c%20default_transaction_read_only%3Doff"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")  # type: ignore[arg-type]
        connection.execute("SELECT pg_reload_conf()")
