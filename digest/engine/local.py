"""Runs a function over many arguments here: in threads where it waits, in worker processes where it computes.

A page that makes its parser spin for ever must cost one page and no more: a process that overstays is killed and the
others go on, which the standard library's pools cannot do (pebble can). Which task runs on which machine is not
decided here.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pebble import ProcessPool

A = TypeVar("A")
B = TypeVar("B")

_TASKS_OF_A_PROCESS = 500  # then it is replaced: parsers of strangers' pages do not give all memory back


class LocalEngine:
    """The engine of one machine."""

    def __init__(self, *, processes: int | None = None, threads: int = 16) -> None:
        """`processes` defaults to the number of processors this process may use."""
        self._processes = processes or os.cpu_count() or 1
        self._threads = threads
        self._kept: ProcessPool | None = None
        self._keeping = threading.Lock()

    def in_processes(
        self, function: Callable[[A], B], arguments: Sequence[A], *, seconds: float
    ) -> list[B | Exception]:
        """Results in the order of `arguments`; what raised, died or took over `seconds` is an exception instead.

        `function` and its arguments must be picklable. Also a single one has a process: only that can be killed, and it
        costs 0.2 s.
        """
        if not arguments:
            return []
        from pebble import ProcessPool

        # "spawn": a fork of a process with threads may inherit a lock that nobody will ever release.
        context = multiprocessing.get_context("spawn")
        with ProcessPool(max_workers=min(self._processes, len(arguments)), context=context) as pool:
            futures = [pool.schedule(_attempt, args=(function, argument), timeout=seconds) for argument in arguments]
            return [_result_of(future) for future in futures]

    def in_kept_processes(
        self, function: Callable[[A], B], arguments: Sequence[A], *, seconds: float
    ) -> list[B | Exception]:
        """As `in_processes`, for who goes on for long: the processes stay for the next call, until `rest`."""
        from pebble import ProcessPool

        with self._keeping:
            if self._kept is None or not self._kept.active:
                context = multiprocessing.get_context("spawn")
                self._kept = ProcessPool(max_workers=self._processes, max_tasks=_TASKS_OF_A_PROCESS, context=context)
            futures = [self._kept.schedule(_attempt, args=(function, a), timeout=seconds) for a in arguments]
        return [_result_of(future) for future in futures]

    def rest(self) -> None:
        """End the kept processes; what they are at is given up."""
        with self._keeping:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept.stop()  # type: ignore[no-untyped-call]
            kept.join()

    def in_threads(self, function: Callable[[A], B], arguments: Sequence[A], *, seconds: float) -> list[B | Exception]:
        """The same in threads, for work that waits; a thread cannot be killed, so `seconds` only bounds our waiting."""
        pool = ThreadPoolExecutor(max_workers=self._threads)
        try:
            futures = [pool.submit(_attempt, function, argument) for argument in arguments]
            return [_result_of(future, seconds) for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _attempt(function: Callable[[A], B], argument: A) -> B | Exception:
    try:
        return function(argument)
    except Exception as error:  # noqa: BLE001 - the failure of one among many is a value
        return error


def _result_of(future: Future[B | Exception], seconds: float | None = None) -> B | Exception:
    try:
        return future.result(timeout=seconds)
    except Exception as error:  # noqa: BLE001 - a timeout or a dead worker, also of one among many
        return error
