"""A clock that the test turns, or that waiting turns."""

from datetime import datetime, timedelta


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        """That much later."""
        self.now += timedelta(seconds=seconds)
