"""What a thread is at, for whoever writes down what is said meanwhile: a run, an edition, a source."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_ABOUT: ContextVar[Mapping[str, str] | None] = ContextVar("about", default=None)


@contextmanager
def about(**names: str) -> Iterator[None]:
    """Until this ends, what is said here is about these, too."""
    token = _ABOUT.set({**read_about(), **names})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def read_about() -> Mapping[str, str]:
    """What this thread is at, by kind."""
    return _ABOUT.get() or {}
