"""Real workers over a real server: killed, stopped, told to read again, and with the server gone under them."""

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from digest.engine.queue import ProcrastinateQueue
from digest.engine.schema import upgrade_schema
from digest.models import Task, TaskKind
from digest.stores.sql import SqlStore
from digest.worker import choose_pause
from tests.acceptance.serving import wait_for
from tests.doubles.postgresql import PostgresServer

ROOT = Path(__file__).resolve().parents[2]


class Working:
    """A worker's process, and what it said and did."""

    def __init__(self, url: str, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.working", url, str(folder), *arguments],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        assert self.process.stderr
        self._reader = threading.Thread(target=self.said.extend, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def has_said(self, words: str) -> bool:
        return any(words in line for line in self.said)

    def done(self, words: str) -> int:
        """How often a line was written by any worker of this folder."""
        path = self.folder / "done"
        return path.read_text().splitlines().count(words) if path.exists() else 0

    def ask(self, path: str) -> tuple[int, str]:
        port = re.search(r"http://127\.0\.0\.1:(\d+)/livez", "".join(self.said))
        assert port, self.said
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode().strip()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        code = self.process.wait(30)
        self._reader.join(10)
        assert self.process.stderr
        self.process.stderr.close()
        return code


Launch = Callable[..., Working]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start a worker, and wait until it is at work; it is killed at the end."""
    begun: list[Working] = []

    def start(url: str, *arguments: str, words: str = "at work") -> Working:
        working = Working(url, tmp_path, *arguments)
        begun.append(working)
        wait_for(lambda: working.has_said(words) or working.process.poll() is not None, 40, words)
        assert working.has_said(words), working.said
        return working

    yield start
    for working in begun:
        if working.process.poll() is None:
            working.process.kill()
        working.end()


def make_url(server: PostgresServer) -> str:
    url = server.create()
    SqlStore.open(url, on_made=lambda: upgrade_schema(url)).close()
    return url


@pytest.fixture
def url(postgresql: PostgresServer) -> Iterator[str]:
    url = make_url(postgresql)
    yield url
    postgresql.drop(url)


@pytest.fixture
def queue(url: str) -> Iterator[ProcrastinateQueue]:
    with closing(ProcrastinateQueue(url, "morning", attempts=3)) as queue:
        yield queue


def add(queue: ProcrastinateQueue, *subjects: str, kind: TaskKind = "deliver") -> None:
    queue.enqueue([Task(kind=kind, newsletter="morning", subject=subject) for subject in subjects])


def is_empty(queue: ProcrastinateQueue) -> bool:
    return not any(queue.waiting().values())


def count_jobs(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchall()
    return int(count)


def test_tasks_end_as_they_say_and_only_those_that_fail_are_kept(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    working = launch(url)
    add(queue, "note:1", "fail:2", "away:3", "later:4", "bug:5")
    add(queue, "note:6", kind="read")
    wait_for(lambda: is_empty(queue), 30, "every task has ended")
    assert [working.done(f"{subject} 1") for subject in ("note:1", "note:6")] == [1, 1]
    assert [working.done(f"{subject} 1") for subject in ("fail:2", "bug:5")] == [3, 3]
    assert [working.done(f"{subject} 1") for subject in ("away:3", "later:4")] == [4, 4]  # beyond its three attempts
    faults = {aside.task.subject: (aside.attempts, aside.fault) for aside in queue.set_aside()}
    assert faults["fail:2"] == (3, "source one: it did not answer")
    attempts, fault = faults["bug:5"]
    assert attempts == 3
    assert fault.startswith("a fault of Digest's own: ZeroDivisionError in perform")
    assert count_jobs(url) == 2
    assert working.has_said("task deliver fail:2: set aside after 3 attempts: source one: it did not answer")
    assert not [fault for fault in faults.values() if "reader@" in fault[1]]


def test_what_a_killed_worker_had_is_done_by_another_of_the_same_machine_at_once(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    first = launch(url)
    add(queue, "wait:go")
    wait_for(lambda: first.done("wait:go 1"), 20, "it is under way")
    first.process.kill()
    first.process.wait()
    second = launch(url)
    wait_for(lambda: second.done("wait:go 1") == 2, 15, "the other has it")
    (second.folder / "go").touch()
    wait_for(lambda: is_empty(queue), 20, "it is done")
    assert not queue.set_aside()


def test_what_a_killed_worker_of_another_machine_had_is_done_within_fifteen_seconds(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    first, second = launch(url, "--stranger"), launch(url)
    add(queue, "wait:go", "wait:go", "wait:go", "wait:go")
    wait_for(lambda: first.done("wait:go 1") == 4, 20, "all are under way")
    first.process.kill()
    (second.folder / "go").touch()
    wait_for(lambda: is_empty(queue), 15, "all are done")
    assert second.done("wait:go 1") == 6


def test_a_worker_that_was_halted_finds_its_task_taken_and_goes_on_with_others(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    first = launch(url, "--stalled", "4")
    add(queue, "wait:go")
    wait_for(lambda: first.done("wait:go 1"), 20, "it is under way")
    first.signal(signal.SIGSTOP)
    second = launch(url, "--stalled", "4")
    wait_for(lambda: second.done("wait:go 1") == 2, 20, "the other has it")
    first.signal(signal.SIGCONT)
    (second.folder / "go").touch()
    wait_for(lambda: is_empty(queue) and first.done("waited:go 1") == 2, 20, "both have ended it")
    second.signal(signal.SIGTERM)
    assert second.end() == 0
    add(queue, "note:1")
    wait_for(lambda: first.done("note:1 1"), 20, "the first goes on")
    wait_for(lambda: is_empty(queue), 20, "and says so")
    assert not queue.set_aside()
    assert not [line for line in first.said if "trying again" in line]


def test_a_task_that_was_fetched_when_the_answer_was_lost_is_done(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    working = launch(url)
    wait_for(lambda: queue.alive(within=timedelta(minutes=1)), 20, "it is registered")
    assert [owner.pid for owner in queue.alive(within=timedelta(minutes=1))] == [working.process.pid]
    task = Task(kind="deliver", newsletter="morning", subject="note:1")
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        queue.enqueue([task], within=connection)
        connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)"
        )
    wait_for(lambda: working.done("note:1 1"), 20, "it is found")
    wait_for(lambda: is_empty(queue), 20, "it is done")


def test_a_task_that_kills_each_of_its_workers_is_set_aside_and_the_next_worker_lives(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    add(queue, "die:1")
    for _ in range(2):
        assert launch(url).process.wait(30) == -signal.SIGKILL
    assert launch(url).process.wait(30) == -signal.SIGKILL
    working = launch(url)
    wait_for(lambda: working.has_said("task deliver die:1: set aside after 3 attempts"), 20, "it is told")
    add(queue, "note:2")
    wait_for(lambda: working.done("note:2 1"), 20, "others go on")
    assert working.done("die:1 1") == 3


def test_a_worker_that_is_told_to_stop_ends_what_is_under_way_and_takes_nothing_more(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    working = launch(url)
    add(queue, "wait:never", "wait:never", "note:later")
    wait_for(lambda: working.done("wait:never 1") == 2, 20, "both are under way")
    working.signal(signal.SIGTERM)
    assert working.end() == 0
    assert working.done("waited:never 1") == 2
    assert working.done("note:later 1") == 0
    assert queue.waiting()["deliver"] == 1
    assert "Traceback" not in "".join(working.said)


def test_a_second_signal_ends_a_worker_at_once(url: str, queue: ProcrastinateQueue, launch: Launch) -> None:
    # Its tasks do not mind being told to stop: they hold their thread.
    working = launch(url)
    os.mkfifo(working.folder / "fifo")
    add(queue, "block:fifo")
    wait_for(lambda: working.done("block:fifo 1"), 20, "it is under way")
    working.signal(signal.SIGTERM)
    wait_for(lambda: working.has_said("stopping"), 20, "it has heard")
    working.signal(signal.SIGTERM)
    assert working.end() == 1
    assert queue.waiting()["deliver"] == 1


def test_told_to_read_its_configuration_again_a_worker_begins_new_tasks_with_the_new_one(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    working = launch(url)
    add(queue, "wait:go")
    wait_for(lambda: working.done("wait:go 1"), 20, "it is under way")
    working.signal(signal.SIGHUP)
    wait_for(lambda: working.has_said("was read again"), 20, "it has read")
    add(queue, "note:2")
    wait_for(lambda: working.done("note:2 2"), 20, "the new one is used")
    assert not working.done("closed 1")
    (working.folder / "go").touch()
    wait_for(lambda: working.done("closed 1"), 20, "the old one is let go of")
    assert working.done("waited:go 1") == 1
    (working.folder / "looks").touch()
    wait_for(lambda: working.done("looked 2"), 20, "what is done beside tasks is done by the new one, too")
    assert not working.done("looked 1")


def test_a_configuration_with_faults_is_told_of_and_not_taken(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    working = launch(url)
    (working.folder / "faulty").touch()
    working.signal(signal.SIGHUP)
    wait_for(lambda: working.has_said("the configuration was read again and not taken"), 20, "it has read")
    assert working.has_said("[newsletter] name: it is missing")
    add(queue, "note:1")
    wait_for(lambda: working.done("note:1 1"), 20, "it goes on")


def test_tasks_of_a_later_version_are_left_to_others(url: str, queue: ProcrastinateQueue, launch: Launch) -> None:
    add(queue, "note:1", "note:2", "note:3")
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE procrastinate_jobs SET args = jsonb_set(args, '{version}', '2') WHERE id <= 2")
    working = launch(url)
    wait_for(lambda: working.done("note:3 1"), 20, "what it knows is done")
    wait_for(lambda: working.has_said("left to other workers"), 20, "it is told")
    assert sum("left to other workers" in line for line in working.said) == 1
    wait_for(lambda: queue.waiting()["deliver"] == 2, 20, "what it knows is settled")
    assert not queue.set_aside()


def test_health_says_whether_a_worker_lives_and_can_work(launch: Launch) -> None:
    with PostgresServer() as server:
        url = server.create()
        SqlStore.open(url).close()
        working = launch(url, words="it has no tables")
        assert working.ask("/livez") == (200, "ok")
        assert working.ask("/readyz")[0] == 503
        assert working.ask("/")[0] == 404
        upgrade_schema(url)
        wait_for(lambda: working.ask("/readyz") == (200, "ok"), 30, "it is ready")
        server.stop()
        wait_for(lambda: working.ask("/readyz")[0] == 503, 30, "it is not ready")
        assert working.ask("/livez") == (200, "ok")
        assert "127.0.0.1" not in working.ask("/readyz")[1]
        server.start()


def test_a_worker_outlives_a_server_that_is_restarted_and_ends_each_task(launch: Launch) -> None:
    with PostgresServer() as server:
        url = make_url(server)
        working = launch(url)
        with closing(ProcrastinateQueue(url, "morning")) as queue:
            add(queue, "wait:go", "wait:go")
            wait_for(lambda: working.done("wait:go 1") == 2, 20, "both are under way")
            for mode in ("fast", "immediate"):
                server.stop(mode)
                (working.folder / "go").touch()  # they end while it is away
                wait_for(lambda: working.ask("/readyz")[0] == 503, 30, "it has noticed")
                server.start()
                wait_for(lambda: is_empty(queue), 30, "both are done")
                add(queue, f"note:{mode}")
                wait_for(lambda mode=mode: working.done(f"note:{mode} 1"), 30, "it goes on")
            assert working.done("waited:go 1") == 2
            assert working.has_said("it answers again")
            assert len([line for line in working.said if "trying again" in line]) <= 6, working.said
            working.signal(signal.SIGTERM)
            assert working.end() == 0
    assert "Traceback" not in "".join(working.said), working.said


def test_a_worker_that_waits_for_its_tables_ends_when_it_is_told_to(postgresql: PostgresServer, launch: Launch) -> None:
    url = postgresql.create()
    SqlStore.open(url).close()
    working = launch(url, words="it has no tables")
    assert working.has_said("run `digest db upgrade`")
    working.signal(signal.SIGTERM)
    assert working.end() == 0
    postgresql.drop(url)


def test_a_worker_begins_nothing_while_the_tables_are_of_another_version(
    url: str, queue: ProcrastinateQueue, launch: Launch
) -> None:
    working = launch(url, "--check", "0.1")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("INSERT INTO engine_migrations VALUES ('99.00.00_01_of_tomorrow')")
        wait_for(lambda: working.has_said("no task is begun until then"), 20, "it has noticed")
        assert working.ask("/readyz")[0] == 503
        add(queue, "note:1")
        connection.execute("DELETE FROM engine_migrations WHERE name = '99.00.00_01_of_tomorrow'")
    wait_for(lambda: working.has_said("tasks are begun again"), 20, "it has noticed")
    wait_for(lambda: working.done("note:1 1"), 20, "it goes on")


def test_a_worker_ends_when_it_is_told_to_while_the_server_is_away(launch: Launch) -> None:
    with PostgresServer() as server:
        working = launch(make_url(server))
        server.stop()
        wait_for(lambda: working.ask("/readyz")[0] == 503, 30, "it has noticed")
        working.signal(signal.SIGTERM)
        assert working.end() == 0
        server.start()
    assert "Traceback" not in "".join(working.said), working.said


def test_pauses_grow_with_the_attempts_and_have_an_end() -> None:
    assert [choose_pause(attempt).total_seconds() for attempt in (1, 2, 3, 4, 5, 99)] == [2, 8, 32, 128, 512, 600]
