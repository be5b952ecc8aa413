"""The store's slices for who gets what, once, and how fast."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from digest.models import (
    Claim,
    Delivery,
    DeliveryState,
    Granted,
    Outcome,
    Owner,
    Planned,
    Turns,
)


class Ledger(Protocol):
    """Who gets what, once: claim durably, mark attempted before the bytes leave, settle after. Raises StoreError.

    After StoreUnavailable it is not known whether the last call was kept. `mark`, `settle`, `postpone` and `release`
    may be called again as they were: what was written stays as it is, and the answer is what the first would have been.
    A claim whose answer was lost is freed by `recover` with `idle`.
    """

    def plan(self, edition: int, planned: Iterable[Planned], *, batch_size: int, now: datetime) -> int:
        """In one transaction, a delivery for each subscriber not yet planned; returns how many were added.

        Only while the edition is ready: nobody is added to one that is being sent. Those with a variant are planned in
        batches of one variant and zone; the others are skipped with their reason. Who was skipped before, and has a
        variant now, is planned: of a ready edition nothing has left. They are taken as they come: a million need no
        more memory than a thousand. A zone's batches are due at its instant, those that were planned before, too.
        """
        ...

    def unrendered(self, edition: int) -> set[str]:
        """The variants that something waits for, and that have no rendition."""
        ...

    def begin(self, edition: int, *, as_of: datetime | None, now: datetime) -> bool:
        """Ready → sending; False when it is not ready, was changed since `as_of`, or a variant has no rendition yet.

        Nothing is claimed before: whoever claims finds the rendition of what they claim.
        """
        ...

    def finish(self, edition: int, reason: str | None = None, *, now: datetime) -> bool:
        """Sending → sent; False when something waits or is claimed, or it is not being sent.

        → missed, with the reason or that of who was given up first, when it went to nobody and some were given up as
        too late. Who refused it, or may have it, was not too late.
        """
        ...

    def claim(
        self, edition: int, owner: Owner, *, lease_until: datetime, now: datetime, besides: Collection[str] = ()
    ) -> Claim | None:
        """Take the next batch that is free; None when there is none now, `besides` some zones' ("": of no zone).

        Who may be mailed is read again in the same transaction: those who left are skipped, with the reason.
        """
        ...

    def mark(
        self,
        claim: Claim,
        deliveries: Sequence[int],
        transport: str,
        *,
        now: datetime,
        settled: Sequence[Outcome] = (),
        retry_at: datetime | None = None,
    ) -> bool:
        """Mark as attempted before the bytes leave; False when the claim is not ours any more: then send nothing.

        In the same transaction, the outcomes of those before are written (`settled`, as by `settle`): what a sender
        learned of one message and what it says of the next cost one wait, not two. They are also written when the
        lease is over and only the marking fails, as long as nobody else has the batch.
        """
        ...

    def postpone(self, claim: Claim, deliveries: Sequence[int], *, due_at: datetime, now: datetime) -> bool:
        """Put off what was claimed and not marked, to be claimed again from `due_at` on; False when no longer ours.

        It was not tried: its attempt does not count.
        """
        ...

    def settle(
        self, claim: Claim, outcomes: Sequence[Outcome], *, now: datetime, retry_at: datetime | None = None
    ) -> bool:
        """Write outcomes; False when the claim is no longer ours. A deferred delivery is due again at `retry_at`."""
        ...

    def release(self, claim: Claim, *, now: datetime, retry_at: datetime | None = None) -> None:
        """End the claim: attempted without an outcome becomes unknown, the rest is planned again, due at `retry_at`.

        Without it at once, whatever the clock says by then.
        """
        ...

    def recover(self, edition: int, *, now: datetime, idle: Owner | None = None, gone: Collection[Owner] = ()) -> int:
        """Free the claims of dead owners and expired leases; returns how many deliveries became unknown.

        Of an owner of this boot the marks are trusted: attempted becomes unknown, the rest is planned again. Of any
        other they may never have reached the disk: all that was claimed becomes unknown. `idle` is a sender that holds
        nothing, and says so: what stands in its name is freed, too. So is what `gone` ones hold: who shows no sign of
        life any more, and can write nothing of it once it is freed.
        """
        ...

    def owners(self, edition: int) -> set[Owner]:
        """Who holds batches."""
        ...

    def give_up(
        self, edition: int, reason: str, *, now: datetime, variant: str | None = None, timezone: str | None = None
    ) -> int:
        """Skip what is planned or deferred and not claimed, with the reason; returns how many deliveries that were.

        Of one variant, or of all; of the readers of one zone, or of all. A variant is given up for want of stories, all
        else for being too late.
        """
        ...

    def zones(self, edition: int) -> Mapping[str, datetime]:
        """The zones whose readers wait for their own time, with that time, the first one first; {}: nobody does."""
        ...

    def count_by_zone(self, edition: int) -> Mapping[str, Mapping[str, int]]:
        """Deliveries by state, by zone; who was left out when it was planned is of none."""
        ...

    def count_waiting(self, edition: int, *, now: datetime) -> Mapping[str, int]:
        """How many wait for their own time, by zone, the first one first: those whose time has not come."""
        ...

    def counts(self, edition: int, *, since: datetime | None = None) -> dict[str, int]:
        """Deliveries by state: all, or those that were handed over since an instant."""
        ...

    def next_due(self, edition: int, *, besides: Collection[str] = ()) -> datetime | None:
        """When the next planned or deferred batch may be claimed; None when none is left, `besides` some zones'.

        "" stands for the batches that are of no zone.
        """
        ...

    def leased_until(self, edition: int) -> datetime | None:
        """When the last lease of a claimed batch ends; None when none is claimed."""
        ...

    def deliveries(self, edition: int, *, missing: bool = False) -> Iterator[Delivery]:
        """All deliveries by address, or only those of whom nothing says that they got it; as they are read."""
        ...

    def unknown(self, edition: int) -> Iterator[Delivery]:
        """Those of whom nobody knows whether they were sent, with what is known."""
        ...

    def settle_unknown(
        self, edition: int, send_keys: Sequence[str], state: DeliveryState, answer: str, *, now: datetime
    ) -> int:
        """Write what a provider or a person says of unknown ones; returns how many were still unknown."""
        ...

    def retry(self, edition: int, *, batch_size: int, now: datetime) -> int:
        """Plan anew what certainly was not sent: refused, dropped by the provider, given up; returns how many.

        What is unknown, and what was accepted, is never among them, nor who left. When there is any, an edition that
        was sent, stopped or missed is being sent again, in the same transaction, and its age counts from now. Who
        waited for the time of a zone still does, when that has not come. Raises StoreError, and changes nothing, when
        there is no rendition for some of them: it was given up before it was ready.
        """
        ...


class Rates(Protocol):
    """How fast all senders of a database go together. Raises StoreError."""

    def reserve(self, turns: Sequence[Turns], *, now: datetime) -> list[Granted]:
        """Take turns at several rates at once; what was given of each, in the same order (GCRA, ITU-T I.371).

        Turns of one rate follow each other at its interval, whoever takes them; no two of `turns` have the same key.
        """
        ...

    def take(self, key: str, day: date, wanted: int, *, ceiling: int) -> int:
        """Take so many of a day's ceiling, or what is left of it; returns how many."""
        ...

    def give_back(self, key: str, day: date, count: int) -> None:
        """Return what was taken of a day's ceiling and not used."""
        ...

    def take_of_hour(self, key: str, wanted: int, *, ceiling: int, now: datetime) -> Granted:
        """Take so many, or what is left when in no hour more than `ceiling` may be taken; `at`: when there is more."""
        ...

    def give_back_of_hour(self, key: str, count: int, *, now: datetime) -> None:
        """Return what was taken within this hour and not used."""
        ...
