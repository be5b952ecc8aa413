"""What Ctrl-C and SIGTERM do while mail is sent: the first asks the sender to end well, the second ends at once.

Until the first message is handed over there is nothing to end well: then the first signal ends the command. A process
that ends at once leaves what it was at to the ledger, which names it.
"""

import os
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from digest.cli.output import FAILED

_STDERR: Final = 2
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_AT_ONCE: Final = b"digest: ended at once; the next `digest run` says of whom it is unknown whether they got it\n"
_NOTHING: Final = b"digest: ended at once; nothing was sent\n"
_SHOW_CURSOR: Final = b"\r\x1b[K\x1b[?25h"


class Stopping:
    """A context manager for the main thread. `was_asked` says whether to stop was asked for."""

    def __init__(
        self,
        stop: Callable[[], None],
        *,
        tell: Callable[[], None] = lambda: None,
        is_under_way: Callable[[], bool] = lambda: True,
        is_drawn: Callable[[], bool] = lambda: False,
        at_once: bytes = _AT_ONCE,
    ) -> None:
        """`stop()` asks, `tell()` says so, both in a thread; before `is_under_way()` KeyboardInterrupt is raised.

        `is_drawn()` says whether the terminal's cursor is hidden.
        """
        self._stop = stop
        self._tell = tell
        self._is_under_way = is_under_way
        self._is_drawn = is_drawn
        self._at_once = at_once
        self.was_asked = False
        self._is_second = False
        # The only lock-free way out of a signal handler: what it interrupts may hold any other lock.
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._watcher = threading.Thread(target=self._watch, name="digest stopping", daemon=True)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Stopping":
        self._watcher.start()
        self._before = {number: signal.signal(number, self.note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._asked.put(False)
        self._watcher.join()

    def note(self, number: int = signal.SIGINT, frame: FrameType | None = None) -> None:  # noqa: ARG002 - signal's shape
        """A signal has come."""
        is_second, self._is_second = self._is_second, True
        if is_second:
            words = self._at_once if self._is_under_way() else _NOTHING
            os.write(_STDERR, (_SHOW_CURSOR if self._is_drawn() else b"") + words)
            os._exit(FAILED)
        if not self._is_under_way():
            raise KeyboardInterrupt
        self.was_asked = True
        self._asked.put(True)

    def _watch(self) -> None:
        if self._asked.get():
            self._stop()
            self._tell()
