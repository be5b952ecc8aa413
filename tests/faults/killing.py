"""Work on a database in processes of its own, each killed as another of its transactions is about to be committed."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

from sqlalchemy import Engine, event

_FORKS = multiprocessing.get_context("forkserver")  # a Python of its own for each would take most of the time
_FORKS.set_forkserver_preload(["tests.faults.killing", "digest.stores.sql", "psycopg"])
_SECONDS = 60.0


def count_kills(work: Callable[..., object], *arguments: Any, after_each: Callable[[], object] = lambda: None) -> int:
    """Kill it at its first commit, at its second, and so on until it is done; look after each. How often it was killed.

    Each goes on with what the one before left. `work` is a function of a module, and `arguments` can be pickled.
    """
    for number in count(1):
        process = _FORKS.Process(target=_work, args=(work, arguments, number))
        process.start()
        process.join(_SECONDS)
        if process.exitcode == 0:
            return number - 1
        process.kill()
        assert process.exitcode == -signal.SIGKILL
        after_each()
    raise AssertionError


def _work(work: Callable[..., object], arguments: tuple[Any, ...], number: int) -> None:
    left = iter(range(number - 1))

    def kill(_: object) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", kill)  # of all, since it is the work that opens its own
    work(*arguments)
