"""What a worker works with: of each reading of the configuration, until the last task that began with it has ended."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from digest.errors import StoreUnavailable
from digest.models import TaskKind
from digest.operate.chores import Chore
from digest.protocols import Perform


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What one reading of the configuration gives."""

    performs: Mapping[TaskKind, Perform]
    chores: Sequence[Chore] = ()  # what each worker does beside its tasks; the same, and in order, in each reading
    open: Callable[[], object] = lambda: None  # before the first task; may raise StoreError
    # Now and then; raises StoreError when the database is of another version, and tells of it.
    check: Callable[[], object] = lambda: None
    note_lost: Callable[[StoreUnavailable], bool] = lambda _: False  # the database is away; whether this tells of it
    note_found: Callable[[], None] = lambda: None  # it is back
    measure: Callable[[], bytes] = lambda: b""  # figures for Prometheus; raises StoreError
    stop: Callable[[], None] = lambda: None  # ask tasks under way to end with what they are at
    close: Callable[[], None] = lambda: None  # when the last of its tasks has ended


@dataclass(slots=True, eq=False)
class _Used:
    """Means, and how many tasks and chores use them."""

    means: Means
    users: int = 0
    is_over: bool = False


class Readings:
    """The means in use, and those before them whose tasks go on. From any thread."""

    def __init__(self, first: Means) -> None:
        """They are closed by `retire`, or when others have replaced them and nobody uses them any more."""
        self._newest = _Used(first)
        self._kept = [self._newest]
        self._turn = threading.Lock()

    @property
    def newest(self) -> Means:
        """With which whatever begins now is done."""
        return self._newest.means

    @contextmanager
    def using(self) -> Iterator[Means]:
        """The newest, which stay open until this ends."""
        with self._turn:
            used = self._newest
            used.users += 1
        try:
            yield used.means
        finally:
            with self._turn:
                used.users -= 1
            self._let_go(used)

    def replace(self, means: Means) -> None:
        """Begin nothing with those before any more."""
        before, self._newest = self._newest, _Used(means)
        self._kept.append(self._newest)
        self._retire(before)

    def retire(self) -> None:
        """Begin nothing any more."""
        self._retire(self._newest)

    def stop(self) -> None:
        """Ask all tasks under way to end with what they are at."""
        for used in list(self._kept):
            used.means.stop()

    def _retire(self, used: _Used) -> None:
        used.is_over = True
        self._let_go(used)

    def _let_go(self, used: _Used) -> None:
        with self._turn:
            is_left = used.is_over and not used.users and used in self._kept
            if is_left:
                self._kept.remove(used)
        if is_left:
            used.means.close()
