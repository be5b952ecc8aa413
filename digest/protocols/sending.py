"""The store's slice for who gets what, once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from digest.models import (
    Claim,
    Delivery,
    Outcome,
    Owner,
    Planned,
)


class Ledger(Protocol):
    """Who gets what, once: claim durably, mark attempted before the bytes leave, settle after. Raises StoreError."""

    def plan(self, edition: int, planned: Sequence[Planned], *, batch_size: int, now: datetime) -> int:
        """In one transaction, a delivery for each subscriber not yet in the edition; returns how many were added.

        Those with a variant are planned in batches of one variant; the others are skipped with their reason.
        """
        ...

    def claim(self, edition: int, owner: Owner, *, lease_until: datetime, now: datetime) -> Claim | None:
        """Take the next batch that is free; None when there is none now.

        Who may be mailed is read again in the same transaction: those who left are skipped, with the reason.
        """
        ...

    def mark(self, claim: Claim, deliveries: Sequence[int], transport: str, *, now: datetime) -> bool:
        """Mark as attempted before the bytes leave; False when the claim is not ours any more: then send nothing."""
        ...

    def settle(
        self, claim: Claim, outcomes: Sequence[Outcome], *, now: datetime, retry_at: datetime | None = None
    ) -> bool:
        """Write outcomes; False when the claim is no longer ours. A deferred delivery is due again at `retry_at`."""
        ...

    def release(self, claim: Claim, *, now: datetime, retry_at: datetime | None = None) -> None:
        """End the claim: attempted without an outcome becomes unknown, the rest is planned again, due at `retry_at`."""
        ...

    def recover(self, edition: int, *, now: datetime) -> int:
        """Free the claims of dead owners and expired leases; returns how many deliveries became unknown.

        Of an owner of this boot the marks are trusted: attempted becomes unknown, the rest is planned again. Of any
        other they may never have reached the disk: all that was claimed becomes unknown.
        """
        ...

    def give_up(self, edition: int, reason: str, *, now: datetime) -> int:
        """Skip what is planned or deferred and not claimed, with the reason; returns how many deliveries that were."""
        ...

    def counts(self, edition: int) -> dict[str, int]:
        """Deliveries by state."""
        ...

    def next_due(self, edition: int) -> datetime | None:
        """When the next planned or deferred batch may be claimed; None when none is left."""
        ...

    def leased_until(self, edition: int) -> datetime | None:
        """When the last lease of a claimed batch ends; None when none is claimed."""
        ...

    def deliveries(self, edition: int, *, missing: bool = False) -> list[Delivery]:
        """All deliveries, or only those of whom nothing says that they got it."""
        ...
