"""A figure, and how it is measured."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value, and its peer's of the same run."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    note: str = ""
    ratio: float | None = None

    @classmethod
    def beside(cls, name: str, value: float, unit: str, peer: str, peer_value: float, note: str = "") -> "Figure":
        """A figure with the ratio value : peer."""
        ratio = value / peer_value
        return cls(name=name, value=value, unit=unit, peer=peer, peer_value=peer_value, ratio=ratio, note=note)


def cpu_seconds(work: Callable[[], object], times: int = 5) -> float:
    """The least CPU time of several runs, after one that is not counted."""
    work()
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)
