"""Processes that work over one database, as they know of each other."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A `digest worker` or `digest serve` that said it is there. Its instants are of the database's clock."""

    id: str  # of the process: the same for all its senders
    newsletter: str
    host: str
    version: str  # of Digest
    queues: tuple[str, ...]  # kinds of tasks, or "schedule"
    concurrency: int
    started_at: datetime
    seen_at: datetime
    steady_since: datetime  # since when it was never silent for long
    skew: float | None = None  # seconds that its machine's clock is ahead of the database's; None: not compared


SCHEDULE = "schedule"  # among the queues of what looks after the schedule
