"""A command that serves, while a test uses it."""

import contextlib
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

from tests.acceptance.conftest import Desk


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Ask until it is so. Fails when it is not in time."""
    deadline = time.monotonic() + seconds
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds: {what}"
        tick.wait(0.05)


@contextlib.contextmanager
def serving(desk: Desk, *command: str, said: list[str] | None = None) -> Iterator[str]:
    """`digest serve`, or another command that serves, on a free port; gives its address, and sees that it ends well.

    `said` gets its lines as they come.
    """
    process = desk.start(*(command or ("serve",)), "--port", "0")
    said = [] if said is None else said
    reader = threading.Thread(target=lambda: said.extend(iter(process.stderr.readline, "")), daemon=True)
    reader.start()
    try:
        wait_for(lambda: any("http://" in line for line in said) or process.poll() is not None, 40, "an address")
        match = re.search(r"http://[\d.]+:\d+", "".join(said))
        assert match, "".join(said)
        yield match[0]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            ended = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        reader.join(10)
        for stream in (process.stdout, process.stderr):
            stream.close()
    assert "Traceback" not in "".join(said), "".join(said)
    assert ended == 0, "it was cut off: what it was at may be half done"
