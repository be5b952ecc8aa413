"""A run by hand waits: while workers deliver what it has planned, or while its database is away."""

from typing import Final, Literal

from digest.errors import StoreUnavailable
from digest.models import EditionState, StageReport
from digest.ports import Ports, Workers

IDLE_AFTER: Final = 10.0  # seconds in which no worker did anything
_LOOK_EVERY: Final = 0.5  # seconds
_SWEEP_EVERY: Final = 2.0
_LONGEST_PAUSE: Final = 5.0
_LONGEST_AWAY: Final = 600.0
_TELL_AFTER: Final = 3  # failures, some two seconds

# All is settled; nobody delivers it; what is left is due later, or a person must decide.
Ending = Literal["over", "idle", "waits"]


def watch(edition: int, ports: Ports, workers: Workers) -> Ending:
    """Wait until all that is due of an edition is settled, it is stopped, or nobody does anything.

    Somebody does something as long as a batch is held by a process that is not certainly dead, or counts change. A
    database that is away is waited for, as senders wait for it. Raises StoreError.
    """
    looks, failures, lost_at = _Looks(edition, ports, workers), 0, 0.0
    while ports.may_go_on():
        try:
            ending = looks.look()
        except StoreUnavailable as error:
            failures += 1
            lost_at = ports.monotonic() if failures == 1 else lost_at
            if ports.monotonic() - lost_at > _LONGEST_AWAY:
                raise
            if failures == _TELL_AFTER:
                tell_of_store(ports, error)
            ports.wait(min(_LONGEST_PAUSE, _LOOK_EVERY * 2.0 ** min(failures - 1, 10)))
            looks.moved_at = ports.monotonic()  # workers, too, are only coming back
            continue
        if failures >= _TELL_AFTER:
            tell_of_store(ports, None)
        failures = 0
        if ending:
            return ending
        ports.wait(_LOOK_EVERY)
    return "waits"


class _Looks:
    """One after the other, and since when nothing has changed."""

    def __init__(self, edition: int, ports: Ports, workers: Workers) -> None:
        self._edition, self._ports, self._workers = edition, ports, workers
        self.moved_at = self._swept_at = ports.monotonic()
        self._seen: dict[str, int] = {}

    def look(self) -> Ending | None:
        """How it ended, if it has. Raises StoreError."""
        ports, ledger = self._ports, self._ports.ledger
        if ports.editions.state(self._edition) is not EditionState.SENDING:
            return "waits"
        counts, now = ledger.counts(self._edition), ports.monotonic()
        if counts != self._seen:
            self._seen, self.moved_at = counts, now
            ports.on_progress(counts)
        if now - self._swept_at >= _SWEEP_EVERY:
            self._workers.sweep()
            self._swept_at = now
        if ledger.leased_until(self._edition) is not None:
            self.moved_at = now
        else:
            due_at = ledger.next_due(self._edition)
            if ledger.leased_until(self._edition) is not None:  # claimed between the two: the next look says more
                self.moved_at = now
            elif due_at is None:
                return "over"
            elif (due_at - ports.clock()).total_seconds() > IDLE_AFTER:
                return "waits"
        return "idle" if now - self.moved_at >= IDLE_AFTER else None


def tell_of_store(ports: Ports, error: StoreUnavailable | None) -> None:
    """The database is away, or (None) it is back: told where nobody else in this process looks after it."""
    if ports.is_alone:
        note = f"{error}; trying again, for minutes" if error else "the database answers again"
        ports.on_stage(StageReport(stage="deliver", counts={}, notes=(note,)))
