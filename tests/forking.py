"""Commands as forks of a process that has loaded the program already.

To start Python and load the program takes one to three seconds of a core, several hundred times in this suite; a fork
takes a hundredth. What is forked is a process like any other, with an environment, a folder and streams of its own.
How a command starts is not tried by this: tests about that start Python themselves. Nor is how Python takes itself
apart at the end; a fork ends before that.
"""

import atexit
import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zoneinfo
from pathlib import Path
from typing import Final, NoReturn, TextIO

import digest

# With which commands are run: nothing of the tester's, but that they are measured when tests are (`make coverage`).
COMMON: Final = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"} | {
    name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")
}
ADDRESS: Final = "DIGEST_TEST_FORKS"  # in the environment: where a test run's server listens
_BYTES: Final = 1 << 20  # of a request
_SECONDS: Final = 60.0  # until a command has begun
# What a command loads when it needs it; each by itself is cheap, and all of them are no harm to a command.
_BESIDE: Final = (
    "alembic.command",
    "apscheduler.schedulers.background",
    "openai",
    "psycopg",
    "scipy.cluster.hierarchy",
    "sklearn.feature_extraction.text",
    "sqlalchemy.dialects.sqlite",
    "structlog",
    "trafilatura",
)
# What commands read once and keep: they find it read.
_READ: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("digest.months", "foreign_months", ()),
    ("digest.meaning", "_load_vectors", ()),
    ("digest.summarizers.grounding.forms", "lemma_of", ("word", "en")),
)
_NOT_LOADED: Final = {"digest.__main__", "digest.stores.migrations.env"}  # they act when they are loaded


class Forked:
    """A command under way, with as much of what `subprocess.Popen` can do as tests ask for."""

    def __init__(self, pid: int, asking: socket.socket, stdout: TextIO, stderr: TextIO) -> None:
        """The socket says how it ends; it is closed then, the streams are the test's to close."""
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self.returncode: int | None = None
        self._asking = asking

    def poll(self) -> int | None:
        """How it ended; None while it goes on."""
        if self.returncode is None and select.select([self._asking], [], [], 0)[0]:
            return self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """How it ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._asking], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("digest", timeout or 0)
            with self._asking, self._asking.makefile() as answers:
                self.returncode = int(answers.readline())
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it says, to its end. Raises subprocess.TimeoutExpired."""
        said = ["", ""]

        def read(number: int, stream: TextIO) -> None:
            with stream:
                said[number] = stream.read()

        streams = enumerate((self.stdout, self.stderr))
        readers = [threading.Thread(target=read, args=one, daemon=True) for one in streams]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        return said[0], said[1]

    def send_signal(self, number: int) -> None:
        """To itself alone; to nobody when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """As a service manager does."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """At once."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that is forked, for all of a test run's processes; it ends when this one does.

    It loads the program, which takes it seven seconds, when it is first asked for a command.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        """Starts it, with Python in that environment, and says in this process's where it is."""
        self._folder = Path(tempfile.mkdtemp(prefix="digest-forks-"))
        os.environ[ADDRESS] = address = str(self._folder / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(100)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(listener.fileno())],
                cwd=Path(__file__).parent.parent,
                env=environment,
                stdin=subprocess.PIPE,  # by which it learns that this process is gone
                pass_fds=[listener.fileno()],
            )

    def end(self) -> None:
        """End it, not the commands that are still under way."""
        self._process.communicate()
        shutil.rmtree(self._folder)


class Forks:
    """Runs commands by a server that listens at an address."""

    def __init__(self, address: str) -> None:
        """Connects to nothing yet."""
        self._address = address

    def run(
        self, arguments: list[str], folder: Path, environment: dict[str, str], seconds: float
    ) -> tuple[int, str, str]:
        """A command run to its end: its exit code, stdout and stderr. Raises TimeoutError, and then it is killed."""
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        ):
            number, asking = self._ask(arguments, folder, environment, out.fileno(), err.fileno())
            with asking, asking.makefile() as answers:
                asking.settimeout(seconds)
                try:
                    code = int(answers.readline())
                except TimeoutError:
                    os.kill(number, signal.SIGKILL)
                    raise
            for file in (out, err):
                file.seek(0)
            return code, out.read(), err.read()

    def start(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> Forked:
        """A command that goes on."""
        (out, its_out), (err, its_err) = os.pipe(), os.pipe()
        number, asking = self._ask(arguments, folder, environment, its_out, its_err)
        for end in (its_out, its_err):
            os.close(end)
        return Forked(number, asking, os.fdopen(out, encoding="utf-8"), os.fdopen(err, encoding="utf-8"))

    def _ask(
        self, arguments: list[str], folder: Path, environment: dict[str, str], out: int, err: int
    ) -> tuple[int, socket.socket]:
        request = json.dumps([arguments, str(folder), environment]).encode()
        asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        asking.settimeout(_SECONDS)
        asking.connect(self._address)
        socket.send_fds(asking, [request], [out, err])
        asking.shutdown(socket.SHUT_WR)
        number = b""
        while not number.endswith(b"\n"):  # and no further: how it ends is for another to read
            number += asking.recv(1)
        asking.settimeout(None)
        return int(number), asking


def _serve(listener: socket.socket) -> list[str] | None:
    """Fork for each request; in the fork, the arguments of its command. None when the test run has ended."""
    is_loaded = False
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:  # nothing is ever written to it: it was closed
            listener.close()
            return None
        if not is_loaded:
            _load()
            is_loaded = True
        asked, _ = listener.accept()
        if os.fork():
            asked.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # it waits for its command
        request, streams, _, _ = socket.recv_fds(asked, _BYTES, 2)
        while more := asked.recv(_BYTES):
            request += more
        number = os.fork()
        if number:
            asked.sendall(f"{number}\n".encode())
            _, status = os.waitpid(number, 0)
            asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
        listener.close()
        asked.close()
        return _become(streams, *json.loads(request))


def _become(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> list[str]:
    for number, stream in enumerate((os.open(os.devnull, os.O_RDONLY), *streams)):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    zoneinfo.reset_tzpath()
    random.seed()
    return arguments


def _load() -> None:
    for module in pkgutil.walk_packages(digest.__path__, "digest."):
        if module.name not in _NOT_LOADED and ".versions." not in module.name:
            importlib.import_module(module.name)
    for name in _BESIDE:
        importlib.import_module(name)
    for module_name, function, arguments in _READ:
        getattr(importlib.import_module(module_name), function)(*arguments)
    assert threading.active_count() == 1, "a fork has one thread"
    gc.collect()
    gc.freeze()  # a fork's memory is shared until it is written to


def main() -> None:
    """Serve on the listening socket that is handed down."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    arguments = _serve(socket.socket(fileno=int(sys.argv[1])))
    if arguments is None:
        return
    sys.argv = ["digest", *arguments]
    # Processes that the command starts load what is the main module here: that of the program, not this one.
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("digest.__main__")
    from digest.__main__ import main as run_command

    code: object = 0
    try:
        run_command()
    except SystemExit as left:
        code = left.code
    _end(code if isinstance(code, int) else 0 if code is None else 1)


def _end(code: int) -> NoReturn:
    """End as Python does, but for the taking apart of all that is loaded: two thirds of a small command's time."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads that are to be waited for
    atexit._run_exitfuncs()
    gc.collect()  # what was left open is told of
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
