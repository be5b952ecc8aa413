"""Ctrl-C and the progress of `digest run`: real processes, real signals, a real terminal."""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.conftest import Desk, Ran
from tests.acceptance.serving import wait_for
from tests.doubles.smtp_server import SmtpServer
from tests.forking import Forked

READERS = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an edition that is ready, and with those who are to get it."""
    tmp_path = tmp_path_factory.mktemp("made")
    desk = Desk(tmp_path)
    assert desk.digest("init").code == 0
    readers = tmp_path / "readers.csv"
    readers.write_text("email\n" + "".join(f"reader{number}@rehearsal.test\n" for number in range(READERS)))
    assert desk.digest("subscribers", "import", str(readers), "--consent", "yes").code == 0
    assert desk.digest("run", "--no-send").code == 0
    return tmp_path


@pytest.fixture
def ready(made: Path, tmp_path: Path) -> Desk:
    """A copy of it."""
    return Desk(shutil.copytree(made, tmp_path / "ready"))


class Gate:
    """An SMTP server that holds the answer to one message back until it is opened."""

    def __init__(self, number: int, *, reply: str = "250 2.0.0 queued") -> None:
        self._number = number
        self._reply = reply
        self._asked = Counter[str]()
        self.reached, self.opened = threading.Event(), threading.Event()
        self.server = SmtpServer(on_data=self._answer)

    def _answer(self, address: str) -> str:
        self._asked["data"] += 1
        if self._asked["data"] == self._number:
            self.reached.set()
            assert self.opened.wait(60)
        return self._reply

    def __enter__(self) -> "Gate":
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.set()
        self.server.__exit__(None, None, None)

    def got(self) -> Counter[str]:
        """How often each address got it."""
        return Counter(message.recipient for message in self.server.messages)


def use(desk: Desk, port: int, *more: str) -> None:
    """Have the desk send by SMTP, one message at a time."""
    lines = ['kind = "smtp"', 'host = "127.0.0.1"', f"port = {port}", 'tls = "none"', "connections = 1", *more]
    config = desk.folder / "config.toml"
    text = re.sub(r"(?ms)^\[transport\]\n.*?(?=^\[)", "[transport]\n" + "\n".join(lines) + "\n\n", config.read_text())
    config.write_text(text)


def finish(process: "Forked | subprocess.Popen[str]") -> Ran:
    """What a command said to its end."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return Ran(process.returncode, out, err)


def test_the_first_signal_settles_what_is_in_flight_and_says_how_to_go_on(ready: Desk) -> None:
    with Gate(3) as gate:
        use(ready, gate.server.port)
        process = ready.start("run", "--json")
        assert gate.reached.wait(60)
        process.send_signal(signal.SIGINT)
        assert "stopping with what is under way" in read_until(process, "stopping")
        gate.opened.set()
        stopped = finish(process)
        (report,) = stopped.rows
        assert stopped.code == 3
        assert report["state"] == "sending"
        accepted = report["deliveries"]["accepted"]
        assert accepted == 3, "what is in flight ends well, and then nothing more goes"
        assert "unknown" not in report["deliveries"]
        assert f"stopped; {accepted} accepted, {READERS - accepted} left: `digest run --on {report['date']}`" in (
            stopped.err
        )
        again = ready.digest("run", "--json")
        got = gate.got()
    assert again.rows[0]["deliveries"] == {"accepted": READERS}
    assert again.code == 0
    assert f"deliver    3 of {READERS} (25 %)\n" in again.err, "plain lines, for nobody looks"
    assert f"deliver    {READERS} of {READERS} (100 %)\n" in again.err
    assert "\x1b" not in again.err
    assert len(got) == READERS and set(got.values()) == {1}


def read_until(process: Forked, words: str) -> str:
    """The first line of stderr with those words; the rest is left to be read."""
    for line in iter(process.stderr.readline, ""):
        if words in line:
            return line
    raise AssertionError(f"it ended without saying {words!r}")


def test_a_pause_of_the_sender_ends_with_the_signal(ready: Desk) -> None:
    """Of a server that takes nothing now: the sender waits to try again, and need not be waited for."""
    asked = list[str]()

    def put_off(address: str) -> str:
        asked.append(address)
        return "451 4.3.0 later"

    with SmtpServer(on_rcpt=put_off) as server:
        use(ready, server.port)
        process = ready.start("run", "--json")
        wait_for(lambda: len(asked) >= READERS, 60, "everybody")
        process.send_signal(signal.SIGTERM)
        stopped = finish(process)
    assert stopped.code == 3
    assert "stopped; 0 accepted, 12 left" in stopped.err


def test_before_anything_is_sent_a_signal_simply_ends_it(desk: Desk, tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()
    pipe = tmp_path / "feed.xml"
    os.mkfifo(pipe)  # a source that keeps its reader waiting

    def hold() -> None:
        with pipe.open("wb"):
            asked.set()
            go_on.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    desk.configure('[[sources]]\nid = "slow"\nkind = "file"\npath = "feed.xml"\nrights = "own"')
    process = desk.start("run")
    assert asked.wait(60)
    process.send_signal(signal.SIGINT)
    go_on.set()
    ended = finish(process)
    holder.join()
    assert ended.code == 1
    assert "stopped before anything was sent" in ended.err


class Terminal:
    """A command on a terminal of its own: what it draws there, and what it writes to stdout."""

    def __init__(self, desk: Desk, *arguments: str, columns: int = 100, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "digest", *arguments],
            cwd=desk.folder,
            env=desk.environment | {"TERM": "xterm-256color"} | environment,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        self._drawn = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            self.finish()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 4096)
            except OSError:  # Linux says so when the other side is closed
                return
            if not chunk:
                return
            self._drawn += chunk

    @property
    def drawn(self) -> str:
        """Everything so far."""
        return self._drawn.decode("utf-8", "replace")

    def finish(self) -> str:
        """Wait for its end; what it wrote to stdout."""
        out, _ = self.process.communicate(timeout=60)
        self._reader.join(30)
        os.close(self._ours)
        return out.decode()


SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


def test_a_terminal_gets_a_bar_that_is_taken_away_again(ready: Desk) -> None:
    with Gate(5) as gate:
        use(ready, gate.server.port)
        with Terminal(ready, "run", NO_COLOR="1") as terminal:
            assert gate.reached.wait(60)
            wait_for(lambda: f"/{READERS}" in terminal.drawn, 30, "the bar")
            gate.opened.set()
            out = terminal.finish()
    assert terminal.process.returncode == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", terminal.drawn), "NO_COLOR"
    assert terminal.drawn.rindex(SHOW_CURSOR) > terminal.drawn.rindex(HIDE_CURSOR)
    assert f"deliver    accepted {READERS}" in out, "what stdout says stays there"


def test_the_second_signal_ends_at_once_with_the_ledger_true_and_the_terminal_as_it_was(ready: Desk) -> None:
    with Gate(3) as gate:
        use(ready, gate.server.port)
        with Terminal(ready, "run") as terminal:
            assert gate.reached.wait(60)
            wait_for(lambda: f"/{READERS}" in terminal.drawn, 30, "the bar")
            terminal.process.send_signal(signal.SIGINT)
            wait_for(lambda: "stopping with what is under way" in terminal.drawn, 30, "the word")
            terminal.process.send_signal(signal.SIGINT)
            terminal.finish()  # while the server still holds its answer back
        gate.opened.set()
        (report,) = ready.digest("run", "--json").rows
        got = gate.got()
    assert terminal.process.returncode == 1
    assert "ended at once" in terminal.drawn
    assert terminal.drawn.rindex(SHOW_CURSOR) > terminal.drawn.rindex(HIDE_CURSOR)
    assert report["deliveries"] == {"accepted": READERS - 1, "unknown": 1}
    assert set(got.values()) == {1}


def test_a_test_mail_that_is_on_its_way_is_waited_for(ready: Desk) -> None:
    with Gate(1) as gate:
        use(ready, gate.server.port)
        process = ready.start("send-test", "someone@rehearsal.test")
        assert gate.reached.wait(60)
        process.send_signal(signal.SIGINT)
        read_until(process, "waiting for the answer of smtp")
        gate.opened.set()
        done = finish(process)
    assert done.code == 0
    assert done.out.startswith("accepted by smtp")


def test_serving_ends_with_ctrl_c_and_with_it_the_sender(ready: Desk) -> None:
    config = ready.folder / "config.toml"
    config.write_text(config.read_text().replace('at = "07:00"', 'at = "00:00"'))  # the edition is due already
    with Gate(3) as gate:
        use(ready, gate.server.port)
        process = ready.start("serve", "--port", "0")
        assert gate.reached.wait(60)
        process.send_signal(signal.SIGINT)
        read_until(process, "stopping with what is under way")
        gate.opened.set()
        ended = finish(process)
        got = gate.got()
    assert ended.code == 0
    assert f"is not sent yet: 3 messages accepted, {READERS - 3} planned" in ended.err
    assert len(got) == 3
