"""A clock that the test turns, or that waiting turns."""

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Time that passes only when it is told to. `now` may be stepped; what was waited never runs backwards."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.waited = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        """Seconds that were waited."""
        return self.waited

    def wait(self, seconds: float) -> None:
        """That much later."""
        self.now += timedelta(seconds=seconds)
        self.waited += seconds


class RealClock(Clock):
    """Time as it passes, for threads that are really at work while others wait."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)
