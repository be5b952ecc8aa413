"""How often a network may ask, and how much may be in work at once. Known to no page.

    what is asked     in a minute, of one network
    form              60     a POST of a page: subscribing, confirming, preferences, approval
    page              1,200  everything else that is looked at
    one-click         6,000  RFC 8058: a mail service sends those of all its users from few networks
    webhook, api      6,000  services: each request may carry a thousand events

Counts live in memory, by network and not by address, and are forgotten after a minute.
"""

import math
import time
from typing import Final, Literal

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

Kind = Literal["page", "form", "one-click", "webhook", "api"]

_RATES: Final[dict[Kind, RateLimitItemPerMinute]] = {
    "form": RateLimitItemPerMinute(60, namespace="form"),
    "page": RateLimitItemPerMinute(1200, namespace="page"),
    "one-click": RateLimitItemPerMinute(6000, namespace="one-click"),
    "webhook": RateLimitItemPerMinute(6000, namespace="webhook"),
    "api": RateLimitItemPerMinute(6000, namespace="api"),
}
_MOST_NETWORKS: Final = 20_000  # counted at once; a flood from more of them is no longer told apart


class RateLimit:
    """The requests of the last minute, by network."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)

    def take(self, kind: Kind, network: str) -> int:
        """Count one more request; 0, or the seconds to wait when it is one too many."""
        self._tidy()
        rate = _RATES[kind]
        if self._limiter.hit(rate, network):
            return 0
        reset_at = self._limiter.get_window_stats(rate, network).reset_time
        return max(1, math.ceil(reset_at - time.time()))

    def _tidy(self) -> None:
        """The library keeps the name of every network that ever asked: those who are quiet again are let go."""
        counted = self._storage.events
        if len(counted) <= _MOST_NETWORKS:
            return
        for name in [name for name, entries in list(counted.items()) if not entries]:
            self._storage.clear(name)
        if len(counted) > _MOST_NETWORKS:
            self._storage.reset()
