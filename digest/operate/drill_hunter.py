"""Who kills the sender of a drill: at a step that is told, or a moment after it."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_back() -> Iterator[None]:
    """Have what would end the drill wait until here is over. For the main thread.

    Who is interrupted while a process starts has no handle on it: nobody would end that sender.
    """
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for missed in came:
        signal.raise_signal(missed)


class Hunter:
    """Kills a process so many steps from now, or a moment later. Steps come from any thread."""

    def __init__(self) -> None:
        """Aims at nobody."""
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._left = 0
        self._delay = 0.0
        self.steps = 0  # of all senders

    def aim(self, process: "subprocess.Popen[bytes]", steps: int, delay: float) -> None:
        """This one, at that step."""
        with self._turn:
            self._process, self._left, self._delay = process, steps, delay

    def step(self) -> None:
        """Something happened."""
        with self._turn:
            self.steps += 1
            self._left -= 1
            if self._process is None or self._left > 0:
                return
            process, self._process = self._process, None
        if self._delay:
            threading.Timer(self._delay, process.kill).start()
        else:
            process.kill()

    def rest(self) -> None:
        """No more of it."""
        with self._turn:
            self._process = None
