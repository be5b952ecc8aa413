"""Real workers and a real `digest serve` of two versions, over a database behind or ahead, and by a wrong clock.

Another version is a copy of the package: with another number, and where that is wanted one more migration.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.serving import wait_for
from tests.doubles.postgresql import PostgresServer
from tests.faults.conftest import FULL
from tests.faults.field import ROOT, Field, Launcher, Sinks
from tests.faults.later import VERSION, make_version
from tests.faults.programs import Program, check, count_reports, is_sent, plan, programs, took

pytestmark = pytest.mark.skipif(not FULL, reason="it takes two minutes: FAULTS_FULL=1")

READERS = 600


def upgrade(field: Field, root: Path) -> str:
    """`digest db upgrade` of that version."""
    done = subprocess.run(
        [sys.executable, "-m", "digest", "db", "upgrade", "--config", str(field.folder / "config.toml")],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


@pytest.fixture
def field(tmp_path: Path, postgresql: PostgresServer, ground: tuple[Launcher, Sinks]) -> Iterator[Field]:
    """Slow enough for something to happen in the midst of it."""
    url = postgresql.create()
    made = Field(tmp_path, url, "smtp", *ground, readers=READERS, connections=4, engine="procrastinate", rate="40/s")
    yield made
    made.close()
    postgresql.drop(url)


@pytest.mark.timeout(300)
def test_an_upgrade_in_mid_send_ends_the_old_version_and_lets_the_new_one_go_on(field: Field) -> None:
    later = make_version(field.folder, migrates=True)
    old = [Program(field.folder, "worker"), Program(field.folder, "serve", "--port", "0")]
    new: list[Program] = []
    try:
        for program in old:
            program.wait_until_at_work()
        trial = field.edition()
        plan(trial)
        wait_for(lambda: took(trial) >= READERS // 10, 60, "a part is taken")
        # The database is one behind: those of the new version wait and say so.
        new += [Program(field.folder, "worker", root=later)]
        new += [Program(field.folder, "serve", "--port", "0", root=later)]
        for program in new:
            program.wait_until_said("digest db upgrade")
        upgrade(field, later)
        for program in new:
            program.wait_until_at_work()
        # It is one ahead: those of the old version say so, begin nothing and end, to be started again as the new one.
        for program in old:
            program.wait_until_said("which this version of Digest does not know", 90)
            assert program.end() == 1, program.said
        again = Program(field.folder, "worker")
        new.append(again)
        again.wait_until_said("which this version of Digest does not know")
        wait_for(lambda: is_sent(trial), 120, "all is sent")
        assert not again.count("Working for")
        assert [program.stop() for program in new] == [0] * len(new), [program.said for program in new]
    finally:
        for program in (*old, *new):
            if program.is_there:
                program.kill()
    for program in (*old, *new):
        assert not program.count("Traceback"), program.said
    check(trial, 0)
    assert count_reports(trial)


@pytest.mark.timeout(300)
def test_workers_of_two_versions_deliver_together_and_the_status_warns(field: Field) -> None:
    later = make_version(field.folder, migrates=False)
    with programs(Program(field.folder, "worker"), Program(field.folder, "worker", root=later)) as both:
        trial = field.edition()
        plan(trial)
        busy: set[int] = set()

        def look() -> bool:
            busy.update(worker.pid for worker in both if worker.holds(trial))
            return len(busy) == len(both)

        wait_for(look, 60, "each has a part in it")
        status = subprocess.run(
            [sys.executable, "-m", "digest", "status", "--config", str(field.folder / "config.toml")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert VERSION in status.stdout + status.stderr
        wait_for(lambda: is_sent(trial), 120, "all is sent")
    check(trial, 0)


@pytest.mark.timeout(300)
def test_nothing_is_sent_by_a_clock_that_is_two_hours_wrong_and_all_when_it_is_right(field: Field) -> None:
    """The server's is turned, and not ours: what is wrong is the difference, and a process can be made no other."""
    address = field.url.replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA clocks")
        connection.execute("CREATE TABLE clocks.turned AS SELECT interval '2 hours 20 seconds' AS by")
        connection.execute(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS"
            " 'SELECT pg_catalog.clock_timestamp() + by FROM clocks.turned'"
        )
        # What stands behind public there is found after it.
        connection.execute(
            f"ALTER DATABASE {address.rpartition('/')[2]} SET search_path = public, pg_catalog"  # type: ignore[arg-type]
        )
        with programs(Program(field.folder, "worker"), Program(field.folder, "serve", "--port", "0")) as both:
            for program in both:
                program.wait_until_said("2 h behind the database server's; nothing is sent")
            trial = field.edition()
            plan(trial)

            def was_put_back() -> bool:
                query = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'deliver' AND scheduled_at > now()"
                row = connection.execute(query).fetchone()
                return bool(row and row[0])

            wait_for(was_put_back, 60, "the worker has had tasks, and left them")
            assert trial.got() == []
            connection.execute("UPDATE clocks.turned SET by = interval '0'")
            for program in both:
                program.wait_until_said("the clock of this machine is right again", 90)
            wait_for(lambda: is_sent(trial), 120, "all is sent")
    check(trial, 0)
    for program in both:
        assert program.count("2 h behind") == 1, program.said
