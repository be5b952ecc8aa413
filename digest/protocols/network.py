"""The way out to the network, and a pool: what stages are handed of the world."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")

Clock = Callable[[], datetime]  # aware UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GET of an address that strangers may have supplied."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    limit: int = 10_000_000  # bytes of the decompressed body
    obeys_robots: bool = False  # whether the host's robots.txt is asked first: for pages, not for feeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer, decompressed. `url` is where it came from after redirects; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    moved_to: str | None = None  # where it has moved for good: `url`, when every redirect on the way was permanent


class Fetch(Protocol):
    """The one guarded way out to the network."""

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Raise SourceError for anything but a complete answer with a status below 400."""
        ...


class Network(Protocol):
    """Runs one piece of asynchronous work with the guarded way out opened for it."""

    def __call__(self, work: Callable[[Fetch], Coroutine[Any, Any, A]]) -> A:
        """Open, do the work on a loop of its own, close."""
        ...


class Parallel(Protocol):
    """A pool: what stages use to spread CPU work or waiting over processes or threads."""

    def __call__(self, function: Callable[[A], B], arguments: Sequence[A], *, seconds: float) -> list[B | Exception]:
        """Results in the order of `arguments`; what raised, died or took over `seconds` is an exception instead."""
        ...
