"""SIGHUP: `digest serve` and `digest worker` read their configuration again, and nobody gets anything twice for it."""

import contextlib
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.conftest import Desk
from tests.acceptance.serving import wait_for
from tests.acceptance.test_stopping import READERS, Gate, use
from tests.doubles.postgresql import PostgresServer
from tests.forking import Forked


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with those who are to get an edition that is due already."""
    desk = Desk(tmp_path_factory.mktemp("made"))
    assert desk.digest("init").code == 0
    due = datetime.now(UTC) - timedelta(minutes=1)
    change(desk, r'at = "07:00"', f'at = "{due:%H:%M}"')
    return desk.folder


@pytest.fixture
def ready(made: Path, tmp_path: Path) -> Desk:
    return Desk(shutil.copytree(made, tmp_path / "ready"))


def change(desk: Desk, pattern: str, words: str) -> None:
    """Of its configuration."""
    config = desk.folder / "config.toml"
    text, count = re.subn(pattern, words, config.read_text())
    assert count == 1
    config.write_text(text)


def enrol(desk: Desk) -> None:
    readers = desk.folder / "readers.csv"
    readers.write_text("email\n" + "".join(f"reader{number}@rehearsal.test\n" for number in range(READERS)))
    assert desk.digest("subscribers", "import", str(readers), "--consent", "yes").code == 0


class Started:
    """A command that goes on, and what it says."""

    def __init__(self, process: "Forked | subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        self._reader = threading.Thread(target=lambda: self.said.extend(process.stderr or ()), daemon=True)
        self._reader.start()

    def count(self, words: str) -> int:
        return sum(words in line for line in self.said)

    def await_line(self, words: str, times: int = 1) -> None:
        wait_for(lambda: self.count(words) >= times or self.process.poll() is not None, 60, words)
        assert self.count(words) >= times, self.said

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """As its service does."""
        self.process.terminate()
        assert self.process.wait(40) == 0, self.said

    def clear_away(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        assert "Traceback" not in "".join(self.said), self.said


@contextlib.contextmanager
def starting(desk: Desk, *command: str) -> Iterator[Started]:
    started = Started(desk.start(*command))
    try:
        yield started
    finally:
        started.clear_away()


def ask(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/morning/privacy", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_serve_keeps_what_it_has_when_the_new_one_is_faulty_and_else_goes_on_with_it_and_nobody_gets_it_twice(
    ready: Desk,
) -> None:
    enrol(ready)
    with Gate(3) as gate, socket.socket() as taken, socket.socket() as free:
        for each in (taken, free):
            each.bind(("127.0.0.1", 0))
        taken.listen()
        first, later = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        use(ready, gate.server.port)
        change(ready, r"(?m)^port = 8000", f"port = {first}")
        change(ready, r'name = "Morning Brief"', 'name = "Before"')
        with starting(ready, "serve") as serve:
            assert gate.reached.wait(90), serve.said
            change(ready, r'name = "Before"', "name = 3")
            serve.reload()
            serve.await_line("not taken")
            assert serve.count("config.toml:5: "), serve.said
            change(ready, r"name = 3", 'name = "After"')
            template = ready.folder / "templates" / "email" / "edition.html"
            kept = template.read_text()
            template.write_text(kept + "{% if %}")
            serve.reload()
            serve.await_line("not taken", 2)
            assert serve.count("edition.html"), serve.said
            template.write_text(kept)
            change(ready, rf"port = {first}", f"port = {later}")
            serve.reload()
            serve.await_line("not taken", 3)
            assert serve.count(f"127.0.0.1:{later}: it cannot be listened on"), serve.said
            change(ready, rf"port = {later}", f"port = {first}")
            serve.reload()
            serve.await_line("is used when")
            assert "Before" in ask(first)[1], "the pages do not wait for the batch under way"
            assert len(gate.server.messages) < READERS
            gate.opened.set()
            serve.await_line(f"Serving http://127.0.0.1:{first}/", 2)
            assert "After" in ask(first)[1]
            serve.await_line(f"went out: {READERS} messages accepted")
            change(ready, rf"port = {first}", f"port = {later}")
            taken.close()
            serve.reload()
            serve.await_line(f"Serving http://127.0.0.1:{later}/")
            assert "After" in ask(later)[1]
            with pytest.raises(urllib.error.URLError, match="refused"):
                ask(first)
            serve.end()
        got = gate.got()
    assert len(got) == READERS
    assert set(got.values()) == {1}


def test_serve_ends_when_its_terminal_is_closed(ready: Desk) -> None:
    ours, theirs = pty.openpty()
    with (ready.folder / "said").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _IN_A_TERMINAL, os.ttyname(theirs), "serve", "--port", "0"],
            cwd=ready.folder,
            env=ready.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            wait_for(lambda: "Serving" in (ready.folder / "said").read_text(), 60, "it serves")
            os.close(ours)
            assert process.wait(40) == 0
        finally:
            process.kill()
            process.wait()
    assert "was read again" not in (ready.folder / "said").read_text()


_IN_A_TERMINAL = """\
import os, sys
os.dup2(os.open(sys.argv.pop(1), os.O_RDWR), 0)  # a session's first terminal is the one that it belongs to
from digest.cli import main
main()
"""


def test_a_worker_reads_again_during_a_send_and_nobody_gets_it_twice(ready: Desk, postgresql: PostgresServer) -> None:
    url = postgresql.create()
    ready.environment["DIGEST_STORE_URL"] = url
    change(ready, r'(?m)^kind = "local".*$', 'kind = "procrastinate"')
    enrol(ready)
    with Gate(3) as gate:
        use(ready, gate.server.port)
        with starting(ready, "worker") as worker:
            worker.await_line("Working for")
            with starting(ready, "run") as run:
                assert gate.reached.wait(90), (worker.said, run.said)
                worker.reload()
                worker.await_line("tasks that begin now use it")
                gate.opened.set()
                assert run.process.wait(90) == 0, (run.said, worker.said)
            worker.end()
        got = gate.got()
    postgresql.drop(url)
    assert len(got) == READERS
    assert set(got.values()) == {1}
