"""What the distributed engine takes: recipients a second by workers, a task's cost, an idle worker, a killed one.

Over a PostgreSQL server of our own that waits for the disk, with `digest worker` in processes of their own, and at the
other end a server that thinks for 50 ms about each message, as a provider on the network does.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from benchmarks.figures import Figure
from benchmarks.making import ROOT
from benchmarks.sinks import run_sink
from digest.app import App
from digest.config import load_config
from digest.models import Arrival, EditionState, Subscriber, SubscriberState, Task
from digest.protocols import Queue
from tests.doubles.postgresql import PostgresServer, find_binaries

_LATENCY = 0.05  # seconds, of the provider
_WORKERS = (1, 2, 4)
_EACH = 1500  # readers, of a worker
_TASKS = 2000
_IDLE_SECONDS = 15.0
_KILLED_OF = 600  # readers, in batches of 100
_PATIENCE = 180.0
_CONFIG = """
[newsletter]
name = "Bench"
slug = "bench"
sender = "Bench <bench@example.com>"
base_url = "http://127.0.0.1:8000"

[schedule]
at = "00:00"
max_lateness = "48h"

[edition]
min_stories = 1

[[sources]]
id = "sample"
kind = "file"
path = "sample.xml"
relative_dates = true
full_text = false
rights = "own"

{transport}

[store]
url = "{url}"

[engine]
kind = "procrastinate"
"""
_SMTP = """
[transport]
kind = "smtp"
host = "127.0.0.1"
port = {port}
tls = "none"
rate = "100000/s"
per_domain = "off"
"""
_SENDGRID = """
[transport]
kind = "sendgrid"
host = "http://127.0.0.1:{port}"
rate = "100000/s"
per_domain = "off"
"""


def measure_engine() -> Iterator[Figure]:
    """Throughput by workers, for each kind of provider; a no-op task; an idle worker; the time after a kill."""
    if find_binaries() is None:
        yield Figure(name="engine", value=0, unit="", note="PostgreSQL is not installed here: nothing was measured")
        return
    with PostgresServer(durable=True) as server:
        yield from _measure_throughput(server, "smtp", _SMTP, each=_EACH)
        yield from _measure_throughput(server, "sendgrid", _SENDGRID, each=_EACH * 40)
        yield from _measure_no_op(server)
        yield _measure_idle(server)
        yield _measure_recovery(server)


def _measure_throughput(server: PostgresServer, kind: str, transport: str, *, each: int) -> Iterator[Figure]:
    rates: dict[int, float] = {}
    for workers in _WORKERS:
        with run_sink(kind, _LATENCY) as sink, _desk(server, transport, sink.port, workers * each) as desk:
            with desk.working(workers) as processes:
                desk.send()
                _wait(lambda: sink.count, "the first was sent")
                before = _cpu_of(processes), _cpu_of([server.pid])  # composing and planning are not what is measured
                _wait(lambda: sink.count >= workers * each, f"{workers * each} recipients")  # noqa: B023
                after = _cpu_of(processes), _cpu_of([server.pid])
                desk.wait_for_end()
            assert sink.count == workers * each, f"{sink.count} were taken of {workers * each}"
            rates[workers] = sink.rate()
        note = f"{workers * each:,} recipients, {_LATENCY * 1000:.0f} ms latency"
        name = f"engine: {kind}, {workers} worker{'s' * (workers > 1)}"
        if workers == 1:
            yield Figure(name=name, value=rates[1], unit="recipients/s", note=note)
            cost = [(now - then) / each * 1000 for now, then in zip(after, before, strict=True)]
            yield Figure(name=f"engine: {kind}, CPU of a worker", value=cost[0], unit="ms/recipient", note=note)
            yield Figure(name=f"engine: {kind}, CPU of the server", value=cost[1], unit="ms/recipient", note=note)
        else:
            aim = "; aim: ratio 1.8" if workers == 2 else f"; {os.cpu_count()} cores for all of it"
            yield Figure.beside(name, rates[workers], "recipients/s", "1 worker", rates[1], note + aim)


def _measure_no_op(server: PostgresServer) -> Iterator[Figure]:
    """A task that finds nothing to do, beside procrastinate's own worker with a task that does nothing."""
    with run_sink("smtp", _LATENCY) as sink, _desk(server, _SMTP, sink.port, 1) as desk:
        with desk.working(1) as processes:
            desk.send()
            desk.wait_for_end()
            task = Task(kind="deliver", newsletter="bench", subject=str(desk.edition))
            before = _cpu_of(processes)
            ours = _time_tasks(desk.url, lambda: desk.queue.enqueue([task] * _TASKS))
            worked = (_cpu_of(processes) - before) / _TASKS * 1000
        peer = _time_bare(server)
    note = f"{_TASKS:,} deliver tasks of an edition that is sent, one worker; aim 5 ms"
    yield Figure.beside("engine: a no-op task", ours, "ms/task", "procrastinate alone", peer, note)
    yield Figure(name="engine: a no-op task, CPU", value=worked, unit="ms/task", note="of the worker")


def _time_tasks(url: str, enqueue: Callable[[], object]) -> float:
    """Milliseconds a task, from when they are there until none waits."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database:
        enqueue()
        start = time.perf_counter()
        query = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        _wait(lambda: not database.execute(query).fetchone()[0], "no task waits")  # type: ignore[index]
        return (time.perf_counter() - start) / _TASKS * 1000


def _time_bare(server: PostgresServer) -> float:
    url = server.create()
    address = url.replace("+psycopg", "")
    subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_tasks", address, "prepare"], check=True, cwd=ROOT, capture_output=True
    )
    with _running([sys.executable, "-m", "benchmarks.bare_tasks", address, "work"], ROOT, {}) as worker:
        _wait_for_workers(url, 1, [worker])
        command = [sys.executable, "-m", "benchmarks.bare_tasks", address, "defer", str(_TASKS)]
        return _time_tasks(url, lambda: subprocess.run(command, check=True, cwd=ROOT, capture_output=True))


def _measure_idle(server: PostgresServer) -> Figure:
    """CPU of a worker that has nothing to do."""
    with run_sink("smtp", _LATENCY) as sink, _desk(server, _SMTP, sink.port, 10) as desk, desk.working(1) as processes:
        time.sleep(2)  # what it does at its start is not counted
        before, of_server = _cpu_of(processes), _cpu_of([server.pid])
        time.sleep(_IDLE_SECONDS)
        share = (_cpu_of(processes) - before) / _IDLE_SECONDS * 100
        others = (_cpu_of([server.pid]) - of_server) / _IDLE_SECONDS * 100
    note = f"over {_IDLE_SECONDS:.0f} s; the server with it {others:.1f} %; aim 2 %"
    return Figure(name="engine: an idle worker", value=share, unit="% CPU", note=note)


def _measure_recovery(server: PostgresServer) -> Figure:
    """From the SIGKILL of one of two workers, which have room for more, until all that it had claimed is done."""
    with (
        run_sink("smtp", _LATENCY) as sink,
        _desk(server, _SMTP, sink.port, _KILLED_OF) as desk,
        desk.working(2) as processes,
        psycopg.connect(desk.url.replace("+psycopg", ""), autocommit=True) as database,
    ):
        query = "SELECT id, attempt FROM batches WHERE state = 'claimed' AND owner LIKE %s"

        def find_held(process: int) -> list[tuple[int, int]]:
            return [(row[0], row[1]) for row in database.execute(query, (f'%"pid":{process},%',))]

        desk.send()
        _wait(lambda: sink.count >= _KILLED_OF * 0.2, "a fifth was sent")
        victim = max(processes, key=lambda process: len(find_held(process)))
        os.kill(victim, signal.SIGSTOP)
        held = find_held(victim)
        assert held, "it is to be killed in the midst of a batch"
        os.kill(victim, signal.SIGKILL)
        killed = time.perf_counter()

        def is_taken_up(number: int, attempt: int) -> bool:
            (row,) = database.execute("SELECT state, attempt FROM batches WHERE id = %s", (number,))
            return row[0] == "done" or row[1] > attempt

        _wait(lambda: all(is_taken_up(*one) for one in held), "its batches are taken up")
        taken_up = time.perf_counter() - killed
        open_ = "SELECT count(*) FROM batches WHERE id = ANY(%s) AND state <> 'done'"
        numbers = [number for number, _ in held]
        _wait(lambda: not database.execute(open_, (numbers,)).fetchone()[0], "its batches are done")  # type: ignore[index]
        seconds = time.perf_counter() - killed
        desk.wait_for_end()
        counts = desk.app.store.ledger.counts(desk.edition)
    unknown = counts.get("unknown", 0)
    assert counts.get("accepted", 0) + unknown == _KILLED_OF, counts
    note = f"{len(held)} batches of 100, taken up after {taken_up:.1f} s; {unknown} recipients unknown; aim 15 s"
    return Figure(name="engine: recovery", value=seconds, unit="s", note=note)


class _Desk:
    """A newsletter of some readers whose edition is ready, over a database of its own."""

    def __init__(self, folder: Path, url: str, app: App) -> None:
        self.folder, self.url, self.app = folder, url, app
        self.environment = {"DIGEST_SENDGRID_API_KEY": "SG.bench"}

    @property
    def edition(self) -> int:
        """The edition's number."""
        return self.app.store.editions.newest("bench", 1)[0].id

    @property
    def queue(self) -> Queue:
        """Where its tasks wait."""
        assert self.app.queue
        return self.app.queue

    @contextmanager
    def working(self, count: int) -> Iterator[list[int]]:
        """So many workers, once they are there; their process numbers."""
        command = [sys.executable, "-m", "digest", "worker"]
        with ExitStack() as stack:
            processes = [stack.enter_context(_running(command, self.folder, self.environment)) for _ in range(count)]
            _wait_for_workers(self.url, count, processes)
            yield [process.pid for process in processes]

    def send(self) -> None:
        """Let the workers begin."""
        day = self.app.today().isoformat()
        self.queue.enqueue([Task(kind="compose", newsletter="bench", subject=f"daily/{day}")])

    def wait_for_end(self) -> None:
        """Until the edition is sent."""
        editions = self.app.store.editions
        _wait(lambda: editions.newest("bench", 1, state=EditionState.SENT), "the edition is sent")


@contextmanager
def _desk(server: PostgresServer, transport: str, port: int, readers: int) -> Iterator[_Desk]:
    url = server.create()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copy(ROOT / "samples" / "harbour-herald.xml", folder / "sample.xml")
        text = _CONFIG.format(transport=transport.format(port=port), url=url)
        (folder / "config.toml").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "digest", "db", "upgrade"]
        subprocess.run(command, check=True, cwd=folder, capture_output=True, env=_environment({}))
        with App(load_config(folder / "config.toml", {"DIGEST_SENDGRID_API_KEY": "SG.bench"})) as app:
            now = app.clock()
            like = Subscriber(email="", state=SubscriberState.ACTIVE, consent_at=now)
            for first in range(0, readers, 5000):
                chunk = [
                    Arrival(f"reader{number}@mail{number % 997}.news", None, like)
                    for number in range(first, min(readers, first + 5000))
                ]
                app.store.subscribers.take("bench", chunk, now=now, mark=("bench", first))
            app.store.subscribers.unmark("bench", "bench")
            yield _Desk(folder, url, app)


def _environment(further: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DIGEST_")}
    return {**kept, "PYTHONPATH": str(ROOT), **further}


@contextmanager
def _running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> "Iterator[subprocess.Popen[bytes]]":
    """A command until the end of the block; what it says is shown when it ends before."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=folder, env=_environment(environment), stdout=said, stderr=said)
        try:
            yield process
            if process.poll() not in {None, -signal.SIGKILL}:
                said.seek(0)
                raise RuntimeError(f"{command} ended with {process.returncode}: {said.read().decode()}")
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_workers(url: str, wanted: int, processes: "Sequence[subprocess.Popen[bytes]]") -> None:
    """Until they look for tasks: each has a row of procrastinate's own."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database:

        def are_there() -> bool:
            if ended := [process for process in processes if process.poll() is not None]:
                raise RuntimeError(f"a worker ended with {ended[0].returncode} at its start")
            return int(database.execute("SELECT count(*) FROM procrastinate_workers").fetchone()[0]) >= wanted  # type: ignore[index]

        _wait(are_there, f"{wanted} workers")


def _wait(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {_PATIENCE:.0f} s: {what}")
        time.sleep(0.02)


def _cpu_of(processes: Sequence[int]) -> float:
    """CPU seconds of these processes, of their children, and of those that these had."""
    total = 0.0
    for number in processes:
        top = psutil.Process(number)
        for process in (top, *top.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])
    return total


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"engine": measure_engine}
