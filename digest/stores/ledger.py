"""Who gets what, once. See docs/ledger.md for what each step may rely on.

    batch     planned ──claim──> claimed ──release──> done, or planned again under a new attempt
    delivery  planned ──claim──> claimed ──mark──> attempted ──settle──> accepted | refused | deferred | unknown
                         └─ skipped: may not be mailed any more

Claim, lease and attempt stand on the batch; outcomes on the deliveries. Whatever is written of a claimed batch names
its owner and attempt: a sender that slept through its lease writes nothing.

Here stands how each step is written: which are on the disk before they return, and which exclude each other. Where
rows are locked one by one, it is always the edition first, then batches by number, then deliveries by number. What a
sender asks for again, because it did not hear whether the first time was kept, changes nothing the second time.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Final

from digest.errors import StoreError
from digest.models import Claim, Delivery, DeliveryState, Outcome, Owner, Planned
from digest.stores import claiming, opening, planning, settling, telling
from digest.stores.beginnings import Beginnings
from digest.stores.columns import AFTER_OTHERS, AT_ONCE, BEFORE_OTHERS
from digest.stores.database import Database
from digest.stores.lineage import Lineage
from digest.stores.partitions import read_month
from digest.stores.rounds import SqlRounds
from digest.stores.suppressing import Suppressing
from digest.stores.workers import SqlWorkers

# A batch whose senders died more often than that may be what ends them: then the others go first.
_TRUSTED: Final = 2  # claims


class SqlLedger:
    """protocols.Ledger."""

    def __init__(
        self,
        database: Database,
        suppressing: Suppressing,
        rounds: SqlRounds,
        lineage: Lineage,
        beginnings: Beginnings | None = None,
    ) -> None:
        """Over an open database; `rounds` hear of what becomes due, `beginnings` of what leaves from here."""
        self._lineage = lineage
        self._database = database
        self._suppressing = suppressing
        self._rounds = rounds
        self._workers = SqlWorkers(database)
        self._beginnings = beginnings

    def plan(self, edition: int, planned: Iterable[Planned], *, batch_size: int, now: datetime) -> int:
        """In one transaction, a delivery for each subscriber not yet planned; returns how many were added.

        Only while the edition is ready. They are all taken before it begins, so that it is short however long they take
        to come.
        """
        with planning.Spool(planned) as spool:
            with self._database.read() as connection:
                month = read_month(connection, edition)
            if month == date.min:
                return 0
            self._database.make_room(month)
            return self._plan(edition, spool, batch_size, now)

    def _plan(self, edition: int, spool: planning.Spool, batch_size: int, now: datetime) -> int:
        with self._database.write_beside() as connection:
            if not opening.hold_ready(connection, edition):
                return 0
            return planning.insert_planned(connection, edition, spool, batch_size, now)

    def unrendered(self, edition: int) -> set[str]:
        """The variants that something waits for, and that have no rendition."""
        with self._database.read() as connection:
            return opening.read_unrendered(connection, edition)

    def begin(self, edition: int, *, as_of: datetime | None, now: datetime) -> bool:
        """Let a ready edition be sent, when each planned variant has its rendition and nothing was changed since."""
        with self._database.write_beside() as connection:
            begun = opening.begin(connection, edition, as_of, now)
            if begun:
                self._rounds.begin(connection, edition, now)
            return begun

    def finish(self, edition: int, reason: str | None = None, *, now: datetime) -> bool:
        """Close an edition of which nothing waits and nothing is claimed; False when there is something.

        It is missed, and not sent, when it went to nobody and some of them were given up as too late.
        """
        with self._database.write_beside() as connection:
            return opening.finish(connection, edition, reason, now)

    def claim(
        self, edition: int, owner: Owner, *, lease_until: datetime, now: datetime, besides: Collection[str] = ()
    ) -> Claim | None:
        """Take the next batch that is free; None when there is none now, `besides` some zones'. Raises StoreError."""
        while True:
            with self._database.write_beside() as connection:
                self._lineage.require(connection)
                claim = claiming.claim(connection, self._suppressing, edition, owner, lease_until, now, besides)
            if claim is None or claim.recipients:
                if claim and self._beginnings:
                    self._beginnings.note(edition, now=now)
                return claim

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
        """Mark as attempted before the bytes leave; False when the claim is not ours any more: then send nothing."""
        with self._database.straight() as straight:
            lease = settling.find_lease(straight, claim)
            if lease is None:
                return False
            settling.write_outcomes(straight, claim, settled, now, retry_at or now)
            return settling.is_running(lease, now) and settling.mark(straight, claim, deliveries, transport, now)

    def settle(
        self, claim: Claim, outcomes: Sequence[Outcome], *, now: datetime, retry_at: datetime | None = None
    ) -> bool:
        """Write outcomes; False when the claim is no longer ours. A deferred delivery is due again at `retry_at`."""
        with self._database.straight() as straight:
            if settling.find_lease(straight, claim) is None:
                return False
            settling.write_outcomes(straight, claim, outcomes, now, retry_at or now)
        return True

    def postpone(self, claim: Claim, deliveries: Sequence[int], *, due_at: datetime, now: datetime) -> bool:
        """Put off what was claimed and not marked, to be claimed again from `due_at` on; False when no longer ours."""
        with self._database.straight() as straight:
            lease = settling.find_lease(straight, claim)
            if lease is None or not settling.is_running(lease, now):
                return False
            settling.postpone(straight, claim, deliveries, due_at)
        return True

    def release(self, claim: Claim, *, now: datetime, retry_at: datetime | None = None) -> None:
        """End the claim: attempted without an outcome becomes unknown, the rest is planned again, due at `retry_at`.

        A power cut may undo it: then it is a claim of before the cut, and all that it held becomes unknown.
        """
        with self._database.straight() as straight:
            if settling.find_lease(straight, claim) is not None:
                settling.let_go(straight, claim.batch, claim.month, now, retry_at or AT_ONCE, trust_marks=True)

    def recover(self, edition: int, *, now: datetime, idle: Owner | None = None, gone: Collection[Owner] = ()) -> int:
        """Free the claims of dead owners, of those gone elsewhere, of expired leases, and of an `idle` sender.

        Returns how many deliveries became unknown. The rest goes before what nobody has claimed yet.
        """
        with self._database.read() as connection:
            held = claiming.read_held(connection, edition)
        unknown = 0
        running = [one for one in held if not one.is_free(now) and one.owner != idle and one.owner not in gone]
        # Only where somebody elsewhere holds something: of a process that is here the system tells at once.
        silent = (
            self._workers.find_gone(now=self._database.clock()) if any(not one.is_told_of for one in running) else ()
        )
        for one in held:
            if one in running and (one.is_told_of or one.process not in silent):
                continue
            with self._database.straight() as straight:
                # By attempt: its owner may have let go of it meanwhile, and hold it again under a new lease.
                if settling.is_claimed(straight, one.batch, one.attempt):
                    trust = one.is_of_this_boot or self._database.keeps_marks
                    due_at = BEFORE_OTHERS if one.attempt <= _TRUSTED else AFTER_OTHERS
                    unknown += settling.let_go(straight, one.batch, one.month, now, due_at, trust_marks=trust)
        return unknown

    def owners(self, edition: int) -> set[Owner]:
        """Who holds batches."""
        with self._database.read() as connection:
            return {one.owner for one in claiming.read_held(connection, edition)}

    def give_up(
        self, edition: int, reason: str, *, now: datetime, variant: str | None = None, timezone: str | None = None
    ) -> int:
        """Skip what is planned or deferred and not claimed, with the reason; returns how many deliveries that were."""
        with self._database.write_beside() as connection:
            return planning.give_up(connection, edition, reason, now, variant, timezone)

    def retry(self, edition: int, *, batch_size: int, now: datetime) -> int:
        """Plan anew what certainly was not sent, and let the edition go on; returns how many deliveries that are."""
        with self._database.write_beside() as connection:
            if not opening.hold_begun(connection, edition):
                return 0
            found = planning.plan_again(connection, edition, batch_size, now)
            if found and opening.read_unrendered(connection, edition):
                raise StoreError(
                    f"edition {edition}",
                    "it was given up before it was ready, and has no rendition for some readers",
                    remedy="`digest run --on` its date makes it anew",
                )
            if found:
                opening.reopen(connection, edition, f"{found} planned again by hand", now)
                self._rounds.begin(connection, edition, now)
            return found

    def settle_unknown(
        self, edition: int, send_keys: Sequence[str], state: DeliveryState, answer: str, *, now: datetime
    ) -> int:
        """Write what a provider or a person says of unknown ones; returns how many were still unknown."""
        with self._database.write_beside() as connection:
            return settling.settle_unknown(connection, edition, send_keys, state, answer, now)

    def counts(self, edition: int, *, since: datetime | None = None) -> dict[str, int]:
        """Deliveries by state: all, or those that were handed over since an instant."""
        with self._database.read() as connection:
            return telling.count(connection, edition, since)

    def next_due(self, edition: int, *, besides: Collection[str] = ()) -> datetime | None:
        """When the next planned or deferred batch may be claimed; None when none is left, `besides` some zones'."""
        with self._database.read() as connection:
            return telling.next_due(connection, edition, besides)

    def zones(self, edition: int) -> dict[str, datetime]:
        """The zones whose readers wait for their own time, with that time, the first one first; {}: nobody does."""
        with self._database.read() as connection:
            return telling.read_zones(connection, edition)

    def count_by_zone(self, edition: int) -> dict[str, dict[str, int]]:
        """Deliveries by state, by zone; who was left out when it was planned is of none."""
        with self._database.read() as connection:
            return telling.count_by_zone(connection, edition)

    def count_waiting(self, edition: int, *, now: datetime) -> dict[str, int]:
        """How many wait for their own time, by zone, the first one first: those whose time has not come."""
        with self._database.read() as connection:
            return telling.count_waiting(connection, edition, now)

    def leased_until(self, edition: int) -> datetime | None:
        """When the last lease of a claimed batch ends; None when none is claimed."""
        with self._database.read() as connection:
            return telling.leased_until(connection, edition)

    def first_leases(self, editions: Collection[int]) -> dict[int, datetime]:
        """When the first lease of a claimed batch ends, by edition; without those of which none is claimed."""
        with self._database.read() as connection:
            return telling.first_leases(connection, editions)

    def deliveries(self, edition: int, *, missing: bool = False) -> Iterator[Delivery]:
        """All deliveries by address, or only those of whom nothing says that they got it; as they are read."""
        with self._database.read_all() as connection:
            yield from telling.read(connection, edition, telling.MISSING if missing else tuple(DeliveryState))

    def unknown(self, edition: int) -> Iterator[Delivery]:
        """Those of whom nobody knows whether they were sent, with what is known."""
        with self._database.read_all() as connection:
            yield from telling.read(connection, edition, (DeliveryState.UNKNOWN,), with_events=True)
