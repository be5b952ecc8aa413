"""What SIGHUP does to a command that goes on: it reads its configuration again, and takes it when nothing is wrong."""

import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from digest.errors import ConfigError, DigestError

_NOT_TAKEN: Final = "digest: the configuration was read again and not taken; work goes on with the one before"
_TAKEN: Final = "digest: the configuration was read again, and is used when what is under way has ended"


class _Closing(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=_Closing)


class Rereading(Generic[T]):
    """A context manager for the main thread."""

    def __init__(
        self, read: Callable[[], T], *, tell: Callable[[str], None], on_taken: Callable[[], None] = lambda: None
    ) -> None:
        """`read()` gives what is to be gone on with, or raises DigestError; `on_taken` hears of it, both in a thread.

        A signal that comes because the terminal is gone, where this was started, is taken for SIGTERM.
        """
        self._read = read
        self._tell = tell
        self._on_taken = on_taken
        self._is_hung_up = watch_terminal()
        self._found: T | None = None
        self._turn = threading.Lock()
        # The only lock-free way out of a signal handler: what it interrupts may hold any other lock.
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._watcher = threading.Thread(target=self._watch, name="digest rereading", daemon=True)
        self._before: Any = None

    def __enter__(self) -> "Rereading[T]":
        self._watcher.start()
        self._before = signal.signal(signal.SIGHUP, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGHUP, self._before)
        self._asked.put(False)
        self._watcher.join()
        if left := self.take():
            left.close()

    @property
    def is_taken(self) -> bool:
        """Whether there is something to go on with."""
        return self._found is not None

    def take(self) -> T | None:
        """What to go on with, once; None: nothing was read since."""
        with self._turn:
            found, self._found = self._found, None
            return found

    def _note(self, *_: object) -> None:
        if self._is_hung_up():
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._asked.put(True)

    def _watch(self) -> None:
        while self._asked.get():
            with self._turn:  # what is read is read for the one that works now
                self._read_again()

    def _read_again(self) -> None:
        try:
            found = self._read()
        except ConfigError as error:
            self._refuse(*(error.faults or (str(error),)))
        except DigestError as error:
            self._refuse(str(error))
        except Exception:  # noqa: BLE001 - a bug must not end what works
            self._refuse(traceback.format_exc())
        else:
            if self._found is not None:
                self._found.close()
            self._tell(_TAKEN)
            self._on_taken()
            self._found = found

    def _refuse(self, *faults: str) -> None:
        for fault in faults:
            self._tell(f"digest: {fault}")
        self._tell(_NOT_TAKEN)


def watch_terminal() -> Callable[[], bool]:
    """Gives what says whether the terminal is gone that this process was started in. Where was none it never is."""
    terminals = [number for number in (0, 1, 2) if os.isatty(number)]
    return lambda: any(not os.isatty(number) for number in terminals)
