"""How long one question to the database may take before it is ended: of a page less than of a report.

A question that nobody waits for any more would go on, and hold up who waits for its connection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_USUAL: Final = 120.0  # seconds
_HURRIED: Final = 10.0
_seconds: ContextVar[float] = ContextVar("seconds", default=_USUAL)


def seconds() -> float:
    """For whatever is read here and now."""
    return _seconds.get()


@contextmanager
def hurried(most: float = _HURRIED) -> Iterator[None]:
    """Within this somebody waits for the answer: a reader for a page, an operator for the status."""
    token = _seconds.set(min(most, _seconds.get()))
    try:
        yield
    finally:
        _seconds.reset(token)
