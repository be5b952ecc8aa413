"""A clock that the test turns, or that waiting turns."""

from datetime import datetime, timedelta


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
