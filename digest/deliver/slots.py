"""Connections that outlive the batches, and the editions, that leave by them: those of a process that serves many."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from digest.deliver.lanes import Lane
from digest.protocols import Transport


@dataclass(eq=False, slots=True)
class Slot:
    """One connection to each lane, opened when it is first used. For one thread at a time."""

    number: int
    transports: dict[int, Transport] = field(default_factory=dict)  # by the place of the lane


class Slots:
    """As many as the widest lane has connections, shared by whoever hands over a batch."""

    def __init__(self, lanes: Sequence[Lane], *, monotonic: Callable[[], float]) -> None:
        """Opens nothing yet."""
        self._lanes = lanes
        self._monotonic = monotonic
        most = max((lane.connections if lane.connect else 1 for lane in lanes), default=1)
        self._free = [Slot(number) for number in reversed(range(most))]
        self._all = tuple(self._free)
        self._changed = threading.Condition()
        self._is_closed = False

    @contextmanager
    def take(self, seconds: float) -> Iterator[Slot | None]:
        """One that nobody uses, the lowest number first; None when none is free within so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._find() is not None, seconds)
            slot = self._find()
            if slot is not None:
                self._free.remove(slot)
        try:
            yield slot
        finally:
            if slot is not None:
                self._give_back(slot)

    def _find(self) -> Slot | None:
        """Where a lane has no room for one more connection, only one that is open."""
        now = self._monotonic()
        may_open = all(lane.health.takes_more(now) for lane in self._lanes)
        known = [slot for slot in self._free if may_open or slot.transports]
        if not known and len(self._free) == len(self._all):
            known = self._free  # nobody holds one: then it is no crowd
        return min(known, key=lambda slot: slot.number, default=None)

    def _give_back(self, slot: Slot) -> None:
        with self._changed:
            self._free.append(slot)
            self._changed.notify()
            is_closed = self._is_closed
        if is_closed:
            self._let_go(slot)

    def close(self) -> None:
        """Let go of all connections; of those in use when their batch has ended."""
        with self._changed:
            self._is_closed = True
            free = list(self._free)
        for slot in free:
            self._let_go(slot)

    def _let_go(self, slot: Slot) -> None:
        for lane in self._lanes:
            lane.health.leave(slot)
        while slot.transports:
            _, transport = slot.transports.popitem()
            transport.close()
