"""How much strangers may ask of the public pages, and how often. Known to no page.

What one network (of IPv4 a /24, of IPv6 a /48) may ask in a minute depends on what it asks:

    form              a POST of a page: subscribing, confirming, preferences, approval
    page              everything that is looked at
    link              counted links and pictures of mails: a mail service fetches those of all its users
    one-click         RFC 8058: a mail service sends those of all its users from few networks
    webhook, api      services: each request may carry a thousand events

Counts live in memory and are forgotten after a minute.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

Kind = Literal["page", "form", "link", "one-click", "webhook", "api"]

_MINUTELY: Final[Mapping[Kind, int]] = {
    "page": 1200,
    "form": 60,
    "link": 6000,
    "one-click": 6000,
    "webhook": 6000,
    "api": 6000,
}
_BODIES: Final[Mapping[Kind, int]] = {
    "page": 64 * 1024,
    "form": 64 * 1024,
    "link": 64 * 1024,
    "one-click": 64 * 1024,
    "webhook": 5 * 1024 * 1024,
    "api": 1024 * 1024,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is borne. The defaults are what `digest serve` bears."""

    minutely: Mapping[Kind, int] = field(default_factory=lambda: _MINUTELY)  # requests of one network
    bodies: Mapping[Kind, int] = field(default_factory=lambda: _BODIES)  # bytes
    held_bytes: int = 64 * 1024 * 1024  # of all bodies that are being read or worked on
    head_bytes: int = 16 * 1024
    at_work: int = 40  # requests; as many as there are threads for them
    connections: int = 512
    connections_of_peer: int = 128
    head_seconds: float = 15.0  # from the first byte, or the connection, to the end of a request's head
    body_seconds: float = 20.0
    queue_seconds: float = 10.0
    answer_seconds: float = 120.0
    unread_seconds: float = 30.0  # that an answer may wait for its reader
    idle_seconds: int = 5


class RateLimit:
    """The requests of the last minute, by network."""

    def __init__(self, minutely: Mapping[Kind, int], *, most_networks: int = 20_000) -> None:
        """Nothing is counted yet. A flood from more networks than `most_networks` is no longer told apart."""
        self._most_networks = most_networks
        self._rates = {kind: RateLimitItemPerMinute(number, namespace=kind) for kind, number in minutely.items()}
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)

    def take(self, kind: Kind, network: str) -> int:
        """Count one more request; 0, or the seconds to wait when it is one too many."""
        self._tidy()
        rate = self._rates[kind]
        if self._limiter.hit(rate, network):
            return 0
        reset_at = self._limiter.get_window_stats(rate, network).reset_time
        return max(1, math.ceil(reset_at - time.time()))

    def _tidy(self) -> None:
        """The library keeps the name of every network that ever asked: those who are quiet again are let go."""
        counted = self._storage.events
        if len(counted) <= self._most_networks:
            return
        for name in [name for name, entries in list(counted.items()) if not entries]:
            self._storage.clear(name)
        if len(counted) > self._most_networks:
            self._storage.reset()
