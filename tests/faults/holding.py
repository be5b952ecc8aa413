"""A summarizer that holds up whoever composes, until it is let go: a test does something in the midst of it."""

import threading
import time
from pathlib import Path

from digest.errors import SummarizeError
from digest.models import Budget, Story, Summary

_SECONDS = 120.0


class Holding:
    """It has come when FOLDER/came is there, waits for FOLDER/go, and leaves the summary to the extractive one."""

    def __init__(self, folder: str) -> None:
        """A folder that it shares with the test."""
        self._folder = Path(folder)

    def summarize(self, story: Story, budget: Budget) -> Summary:
        """Raises SummarizeError."""
        (self._folder / "came").touch()
        tick, deadline = threading.Event(), time.monotonic() + _SECONDS
        while not (self._folder / "go").exists() and time.monotonic() < deadline:
            tick.wait(0.05)
        raise SummarizeError("holding", "it says nothing of its own")
