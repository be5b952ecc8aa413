"""A run by hand waits while workers deliver what it has planned."""

from typing import Final, Literal

from digest.models import EditionState
from digest.ports import Ports, Workers

IDLE_AFTER: Final = 10.0  # seconds in which no worker did anything
_LOOK_EVERY: Final = 0.5  # seconds
_SWEEP_EVERY: Final = 2.0

# All is settled; nobody delivers it; what is left is due later, or a person must decide.
Ending = Literal["over", "idle", "waits"]


def watch(edition: int, ports: Ports, workers: Workers) -> Ending:
    """Wait until all that is due of an edition is settled, it is stopped, or nobody does anything. Raises StoreError.

    Somebody does something as long as a batch is held by a process that is not certainly dead, or counts change.
    """
    ledger = ports.ledger
    moved_at = swept_at = ports.monotonic()
    seen: dict[str, int] = {}
    while ports.may_go_on() and ports.editions.state(edition) is EditionState.SENDING:
        counts, now = ledger.counts(edition), ports.monotonic()
        if counts != seen:
            seen, moved_at = counts, now
            ports.on_progress(counts)
        if now - swept_at >= _SWEEP_EVERY:
            workers.sweep()
            swept_at = now
        if ledger.leased_until(edition) is not None:
            moved_at = now
        else:
            due_at = ledger.next_due(edition)
            if ledger.leased_until(edition) is not None:  # claimed between the two: the next look says more
                moved_at = now
            elif due_at is None:
                return "over"
            elif (due_at - ports.clock()).total_seconds() > IDLE_AFTER:
                return "waits"
        if now - moved_at >= IDLE_AFTER:
            return "idle"
        ports.wait(_LOOK_EVERY)
    return "waits"
