"""Tasks on a real server: each once in the queue, in the transaction that plans it, and its tables by every upgrade."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from digest.engine.queue import KINDS, ProcrastinateQueue, part_suspects, queue_of
from digest.engine.schema import describe_schema, upgrade_schema
from digest.errors import StoreError, StoreUnavailable
from digest.models import Task, TaskKind
from digest.stores.sql import SqlStore
from tests.contract.editions import save_edition
from tests.doubles.postgresql import PostgresServer

NOW = timedelta()


@pytest.fixture
def url(postgresql: PostgresServer) -> Iterator[str]:
    """A database of ours, with the engine's tables."""
    url = postgresql.create()
    SqlStore.open(url, on_made=lambda: upgrade_schema(url)).close()
    yield url
    postgresql.drop(url)


@pytest.fixture
def queue(url: str) -> Iterator[ProcrastinateQueue]:
    with closing(ProcrastinateQueue(url, "morning", attempts=3)) as queue:
        yield queue


def make_task(subject: str = "1", kind: TaskKind = "deliver", identity: str = "", newsletter: str = "morning") -> Task:
    return Task(kind=kind, newsletter=newsletter, subject=subject, identity=identity)


def say(url: str, statement: str, *values: object) -> list[Any]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def fetch(url: str, worker: int | None = None) -> int:
    """As a worker does it; the job's number."""
    queues = [queue_of(kind, "morning") for kind in KINDS]
    ((number, _),) = say(url, "SELECT id, worker_id FROM procrastinate_fetch_job_v2(%s::varchar[], %s)", queues, worker)
    return int(number)


def register(url: str) -> int:
    ((number,),) = say(url, "SELECT worker_id FROM procrastinate_register_worker_v1()")
    return int(number)


def states(url: str) -> list[tuple[str, str, int]]:
    rows = say(url, "SELECT args->>'subject', status::text, attempts FROM procrastinate_jobs ORDER BY id")
    return [(str(subject), str(status), int(attempts)) for subject, status, attempts in rows]


def test_of_two_tasks_with_one_identity_one_waits(queue: ProcrastinateQueue) -> None:
    assert queue.enqueue([make_task("1", identity="a"), make_task("2", identity="a"), make_task("3")]) == 2
    assert queue.enqueue([make_task("4", identity="a"), make_task("5", identity="b"), make_task("3")]) == 2
    assert queue.enqueue([]) == 0
    assert queue.waiting() == {"collect": 0, "read": 0, "compose": 0, "deliver": 4}


def test_the_same_identity_of_another_kind_or_newsletter_is_another(url: str, queue: ProcrastinateQueue) -> None:
    tasks = [make_task(kind=kind, identity="a") for kind in KINDS] + [make_task(identity="a", newsletter="evening")]
    assert queue.enqueue(tasks) == 5
    assert queue.waiting() == dict.fromkeys(KINDS, 1)
    with closing(ProcrastinateQueue(url, "evening")) as other:
        assert other.waiting()["deliver"] == 1


def test_tasks_are_there_when_the_transaction_that_plans_them_is(url: str, queue: ProcrastinateQueue) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        assert queue.enqueue([make_task("1", identity="a")], within=connection) == 1
        assert queue.waiting()["deliver"] == 0
        connection.rollback()
        assert queue.waiting()["deliver"] == 0
        assert queue.enqueue([make_task("1", identity="a")], within=connection) == 1
        connection.commit()
        assert queue.enqueue([make_task("2", identity="a"), make_task("3", identity="b")], within=connection) == 1
        connection.execute("SELECT 1")  # the clash left the transaction as it was
        connection.commit()
    assert states(url) == [("1", "todo", 0), ("3", "todo", 0)]


def test_a_queue_without_its_tables_or_its_server_is_a_clear_fault(postgresql: PostgresServer) -> None:
    url = postgresql.create()
    SqlStore.open(url).close()
    with closing(ProcrastinateQueue(url, "morning")) as queue:
        for attempt in (queue.waiting, queue.require_schema, lambda: queue.enqueue([make_task()])):
            with pytest.raises(StoreError, match="digest db upgrade"):
                attempt()
    nowhere = "postgresql+psycopg://digest:hunter2@127.0.0.1:1/nothing"
    with closing(ProcrastinateQueue(nowhere, "morning")) as queue, pytest.raises(StoreUnavailable) as caught:
        queue.waiting()
    assert "hunter2" not in str(caught.value)
    postgresql.drop(url)


def test_mail_goes_before_collecting_before_reading(url: str, queue: ProcrastinateQueue) -> None:
    queue.enqueue([make_task(kind, kind=kind) for kind in ("read", "collect", "deliver", "compose")])
    fetched = [fetch(url) for _ in KINDS]
    kinds = dict(say(url, "SELECT id, task_name FROM procrastinate_jobs"))
    assert [kinds[number] for number in fetched] == ["deliver", "compose", "collect", "read"]


def test_a_task_that_failed_too_often_is_kept_with_its_last_fault(url: str, queue: ProcrastinateQueue) -> None:
    queue.enqueue([make_task("1", identity="a")])
    worker = register(url)
    queue.put_back(fetch(url, worker), worker, pause=NOW, is_counted=True, fault="it did not answer")
    queue.put_back(fetch(url, worker), worker, pause=NOW)
    assert states(url) == [("1", "todo", 1)]
    queue.put_aside(fetch(url, worker), worker, fault="it did not answer again")
    (aside,) = queue.set_aside()
    assert (aside.task, aside.attempts) == (make_task("1", identity="a"), 2)
    assert aside.fault == "it did not answer again"
    assert queue.waiting()["deliver"] == 0
    queue.tidy()
    assert len(queue.set_aside()) == 1
    assert queue.enqueue([make_task("1", identity="a")]) == 1  # what was set aside does not wait


def test_of_a_task_that_comes_back_and_one_that_waits_with_its_identity_one_stays_with_the_attempts(
    url: str, queue: ProcrastinateQueue
) -> None:
    queue.enqueue([make_task("1", identity="a")])
    worker = register(url)
    number = fetch(url, worker)
    queue.enqueue([make_task("2", identity="a")])
    queue.put_back(number, worker, pause=NOW, is_counted=True, fault="it did not answer")
    assert states(url) == [("2", "todo", 1)]


def test_who_was_taken_for_dead_writes_over_nobody(url: str, queue: ProcrastinateQueue) -> None:
    queue.enqueue([make_task("1")])
    first, second = register(url), register(url)
    number = fetch(url, first)
    say(url, "UPDATE procrastinate_workers SET last_heartbeat = now() + interval '1 hour' WHERE id = %s", second)
    assert queue.requeue_stalled(after=NOW) == []
    assert fetch(url, second) == number
    queue.put_aside(number, first, fault="late")
    queue.put_back(number, first, pause=NOW)
    assert states(url) == [("1", "doing", 1)]
    assert say(url, "SELECT id FROM procrastinate_workers") == [(second,)]


def set_aside(url: str, queue: ProcrastinateQueue, *tasks: Task) -> list[int]:
    """Their numbers."""
    worker = register(url)
    queue.enqueue(tasks)
    numbers = [fetch(url, worker) for _ in tasks]
    for number in numbers:
        queue.put_aside(number, worker, fault="it is odd")
    return numbers


def test_what_was_set_aside_is_tried_again_as_if_it_were_new_or_forgotten(url: str, queue: ProcrastinateQueue) -> None:
    first, second = set_aside(url, queue, make_task("1", identity="a"), make_task("2", identity="b"))
    assert all(aside.set_aside_at is not None for aside in queue.set_aside(limit=None))
    assert queue.count_aside() == 2
    with closing(ProcrastinateQueue(url, "evening")) as other:
        assert other.count_aside() == 0
        assert not other.retry(first), "it is another newsletter's"
        assert not other.drop(first)
    assert queue.retry(first)
    assert not queue.retry(first), "it waits"
    assert not queue.drop(first)
    assert queue.drop(second)
    assert states(url) == [("1", "todo", 0)]
    assert fetch(url, register(url)) == first


def test_what_is_tried_again_while_another_of_its_identity_waits_is_done_once(
    url: str, queue: ProcrastinateQueue
) -> None:
    (number,) = set_aside(url, queue, make_task("1", identity="a"))
    assert queue.enqueue([make_task("1", identity="a")]) == 1
    assert queue.retry(number)
    assert states(url) == [("1", "todo", 0)]


def test_a_task_that_each_time_ends_its_worker_is_set_aside(url: str, queue: ProcrastinateQueue) -> None:
    queue.enqueue([make_task("1"), make_task("2")])
    for _ in range(2):
        fetch(url)  # of a worker whose row is gone
        assert queue.requeue_stalled() == []
        say(url, "UPDATE procrastinate_jobs SET scheduled_at = NULL")
    fetch(url)
    (aside,) = queue.requeue_stalled()
    assert (aside.task.subject, aside.attempts, aside.fault) == ("1", 3, "its worker ended while it was at it")
    assert states(url) == [("1", "failed", 3), ("2", "todo", 0)]


def test_tasks_that_were_under_way_together_are_parted_when_their_worker_ends_again() -> None:
    assert {part_suspects(number, 0) for number in range(8)} == {timedelta()}
    assert len({part_suspects(number, 1) for number in range(8)}) == 8
    assert max(part_suspects(number, 1) for number in range(8)) < timedelta(seconds=2)
    assert part_suspects(7, 99) < timedelta(minutes=1)


def test_living_workers_keep_what_they_have(url: str, queue: ProcrastinateQueue) -> None:
    queue.enqueue([make_task("1")])
    fetch(url, register(url))
    assert queue.requeue_stalled() == []
    assert states(url) == [("1", "doing", 0)]


def test_a_newsletter_of_any_name_has_queues_of_its_own(url: str) -> None:
    names = ["a" * 64, "a" * 63, "a"]
    for name in names:
        with closing(ProcrastinateQueue(url, name)) as queue:
            assert queue.enqueue([make_task(newsletter=name)]) == 1
            assert queue.waiting()["deliver"] == 1


def test_two_upgrades_at_once_make_the_tables_once(postgresql: PostgresServer) -> None:
    url = postgresql.create()
    SqlStore.open(url).close()
    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(upgrade_schema, [url, url]))
    assert sorted("were made" in line for line in done) == [False, True]
    assert "up to date" in upgrade_schema(url)
    assert describe_schema(url).startswith("Procrastinate ")
    SqlStore.open(url, create=False).close()
    postgresql.drop(url)


def test_tables_that_are_behind_or_ahead_are_named_and_upgraded(url: str, queue: ProcrastinateQueue) -> None:
    ((last,),) = say(
        url, "DELETE FROM engine_migrations WHERE name = (SELECT max(name) FROM engine_migrations) RETURNING name"
    )
    with pytest.raises(StoreError, match="digest db upgrade") as caught:
        queue.require_schema()
    assert str(last) in str(caught.value)
    assert "upgraded from" in upgrade_schema(url)
    queue.require_schema()
    say(url, "INSERT INTO engine_migrations VALUES ('99.00.00_01_of_tomorrow')")
    for attempt in (queue.require_schema, lambda: upgrade_schema(url)):
        with pytest.raises(StoreError, match=r"99\.00\.00_01_of_tomorrow.*upgrade Digest"):
            attempt()


def test_tables_of_procrastinate_that_another_program_made_are_left_alone(postgresql: PostgresServer) -> None:
    url = postgresql.create()
    SqlStore.open(url).close()
    say(url, "CREATE TABLE procrastinate_jobs (id bigint)")
    with pytest.raises(StoreError, match="did not make"):
        upgrade_schema(url)
    postgresql.drop(url)


def test_a_database_with_tasks_is_still_ours_and_a_copy_leaves_them_out(
    url: str, queue: ProcrastinateQueue, tmp_path: Path
) -> None:
    queue.enqueue([make_task("1")])
    with closing(SqlStore.open(url, create=False)) as store:
        save_edition(store)
        before = store.stamp()
        register(url)
        assert store.stamp() == before
        copied = store.copy(f"sqlite:///{tmp_path / 'digest.db'}")
    assert copied["editions"] == 1
    assert not [table for table in copied if table.startswith(("procrastinate_", "engine_"))]


def test_a_backup_holds_the_tasks_and_comes_back_into_a_database_that_has_their_tables(
    url: str, queue: ProcrastinateQueue, postgresql: PostgresServer, tmp_path: Path
) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("needs pg_dump")
    queue.enqueue([make_task("1", identity="a")])
    with closing(SqlStore.open(url)) as store:
        store.backup(tmp_path / "backup")
    other = postgresql.create()
    SqlStore.open(other, on_made=lambda: upgrade_schema(other)).close()
    assert "restored" in SqlStore.restore(other, tmp_path / "backup")
    with closing(ProcrastinateQueue(other, "morning")) as restored:
        restored.require_schema()
        assert restored.waiting()["deliver"] == 1
        assert restored.enqueue([make_task("2", identity="a"), make_task("3")]) == 1
    postgresql.drop(other)
