"""Who gets what, once. See docs/ledger.md for what each step may rely on.

    batch     planned ──claim──> claimed ──release──> done, or planned again under a new attempt
    delivery  planned ──claim──> claimed ──mark──> attempted ──settle──> accepted | refused | deferred | unknown
                         └─ skipped: may not be mailed any more

Claim, lease and attempt stand on the batch; outcomes on the deliveries. Whatever is written of a claimed batch names
its owner and attempt: a sender that slept through its lease writes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, bindparam, exists, func, insert, select, update

from digest.models import (
    Claim,
    Delivery,
    DeliveryState,
    Outcome,
    Owner,
    Planned,
    Recipient,
    SubscriberState,
    describe_pause,
)
from digest.stores.database import Database
from digest.stores.matching import chunks
from digest.stores.owners import is_dead, is_of_this_boot
from digest.stores.schema import batches, deliveries, people, subscriptions
from digest.stores.suppressing import Suppressing

_OWNER = TypeAdapter(Owner)
_PLANNED, _CLAIMED, _ATTEMPTED = DeliveryState.PLANNED, DeliveryState.CLAIMED, DeliveryState.ATTEMPTED
_GOT_IT = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.COMPLAINED)
_CHUNK = 5000


class SqlLedger:
    """protocols.Ledger."""

    def __init__(self, database: Database, suppressing: Suppressing) -> None:
        """Over an open database."""
        self._database = database
        self._suppressing = suppressing

    def plan(self, edition: int, planned: Iterable[Planned], *, batch_size: int, now: datetime) -> int:
        """In one transaction, a delivery for each subscriber not yet in the edition; returns how many were added."""
        with self._database.write() as connection:
            present = set(
                connection.execute(select(deliveries.c.subscription).where(deliveries.c.edition == edition)).scalars()
            )
            new = [plan for plan in planned if plan.subscriber.id not in present]
            new.sort(key=lambda plan: plan.variant or "")
            for variant, members in groupby(new, key=lambda plan: plan.variant):
                while chunk := list(islice(members, batch_size if variant else _CHUNK)):
                    batch = self._insert_batch(connection, edition, variant, now) if variant else None
                    connection.execute(insert(deliveries), [_row(edition, batch, plan, now) for plan in chunk])
        return len(new)

    @staticmethod
    def _insert_batch(
        connection: Connection,
        edition: int,
        variant: str,
        due_at: datetime,
        *,
        attempt: int = 0,
        retry_of: int | None = None,
    ) -> int:
        values = {
            "edition": edition,
            "variant": variant,
            "state": "planned",
            "due_at": due_at,
            "attempt": attempt,
            "retry_of": retry_of,
        }
        return int(connection.execute(insert(batches).values(**values).returning(batches.c.id)).scalar_one())

    def claim(self, edition: int, owner: Owner, *, lease_until: datetime, now: datetime) -> Claim | None:
        """Take the next batch that is free; None when there is none now."""
        free = (
            select(batches.c.id)
            .where(batches.c.edition == edition, batches.c.state == "planned", batches.c.due_at <= now)
            .order_by(batches.c.due_at, batches.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)  # where rows are locked one by one; SQLite has one lock, and ignores it
            .scalar_subquery()
        )
        take = (
            update(batches)
            .where(batches.c.id == free, batches.c.state == "planned")
            .values(
                state="claimed",
                attempt=batches.c.attempt + 1,
                owner=_OWNER.dump_json(owner).decode(),
                lease_until=lease_until,
            )
            .returning(batches.c.id, batches.c.variant, batches.c.attempt)
        )
        with self._database.write() as connection:
            while taken := connection.execute(take).one_or_none():
                recipients = self._admit(connection, taken.id, now)
                if recipients:
                    return Claim(
                        batch=taken.id,
                        edition=edition,
                        variant=taken.variant,
                        attempt=taken.attempt,
                        owner=owner,
                        lease_until=lease_until,
                        recipients=tuple(recipients),
                    )
                _finish(connection, taken.id)  # everybody in it left meanwhile: take the next
        return None

    def _admit(self, connection: Connection, batch: int, now: datetime) -> list[Recipient]:
        """Who of a batch may be mailed at this moment; the others are skipped, with the reason."""
        waiting = (_PLANNED.value, DeliveryState.DEFERRED.value)
        rows = connection.execute(
            select(
                deliveries.c.id,
                deliveries.c.send_key,
                subscriptions.c.newsletter,
                subscriptions.c.state,
                subscriptions.c.paused_until,
                subscriptions.c.key,
                people.c.email,
                people.c.email_key,
                people.c.name,
            )
            .join(subscriptions, subscriptions.c.id == deliveries.c.subscription)
            .join(people, people.c.id == subscriptions.c.person)
            .where(deliveries.c.batch == batch, deliveries.c.state.in_(waiting))
            .order_by(deliveries.c.id)
        ).all()
        newsletter = rows[0].newsletter if rows else ""
        suppressed = self._suppressing.among(connection, newsletter, [row.email_key for row in rows])
        admitted, skipped = [], []
        for row in rows:
            if row.state != SubscriberState.ACTIVE.value:
                skipped.append((row.id, f"the reader is {row.state}"))
            elif row.email_key in suppressed:
                skipped.append((row.id, "the address is suppressed"))
            elif row.paused_until and row.paused_until > now:
                skipped.append((row.id, describe_pause(row.paused_until)))
            else:
                admitted.append(row)
        if skipped:
            connection.execute(
                update(deliveries).where(deliveries.c.id == bindparam("which")),
                [
                    {"which": d, "state": DeliveryState.SKIPPED.value, "answer": why, "settled_at": now}
                    for d, why in skipped
                ],
            )
        connection.execute(
            update(deliveries)
            .where(deliveries.c.batch == batch, deliveries.c.state.in_(waiting))
            .values(state=_CLAIMED.value)
        )
        return [
            Recipient(delivery=r.id, send_key=r.send_key, subscriber_key=r.key, email=r.email, name=r.name)
            for r in admitted
        ]

    def mark(
        self,
        claim: Claim,
        deliveries_: Sequence[int],
        transport: str,
        *,
        now: datetime,
        settled: Sequence[Outcome] = (),
        retry_at: datetime | None = None,
    ) -> bool:
        """Mark as attempted before the bytes leave; False when the claim is not ours any more: then send nothing."""
        if settled and not self.settle(claim, settled, now=now, retry_at=retry_at):
            return False
        with self._database.write_marks() as connection:
            if not self._is_ours(connection, claim, now):
                return False
            # Attempted ones too: what one transport certainly did not send is marked again for the next.
            open_states = (_CLAIMED.value, _ATTEMPTED.value)
            marked = 0
            for chunk in chunks(deliveries_):
                statement = (
                    update(deliveries)
                    .where(
                        deliveries.c.id.in_(chunk),
                        deliveries.c.batch == claim.batch,
                        deliveries.c.state.in_(open_states),
                    )
                    .values(state=_ATTEMPTED.value, transport=transport, attempted_at=now)
                    .returning(deliveries.c.id)
                )
                marked += len(connection.execute(statement).all())
            if marked < len(deliveries_):
                connection.rollback()
        return marked == len(deliveries_)

    def settle(
        self, claim: Claim, outcomes: Sequence[Outcome], *, now: datetime, retry_at: datetime | None = None
    ) -> bool:
        """Write outcomes; False when the claim is no longer ours. A deferred delivery is due again at `retry_at`."""
        with self._database.write_marks() as connection:
            if not self._is_ours(connection, claim, None):
                return False
            connection.execute(
                update(deliveries).where(
                    deliveries.c.id == bindparam("which"),
                    deliveries.c.batch == claim.batch,
                    deliveries.c.state == _ATTEMPTED.value,
                ),
                [
                    {
                        "which": outcome.delivery,
                        "state": outcome.state.value,
                        "answer": outcome.raw or None,
                        "provider_id": outcome.provider_id,
                        "settled_at": now,
                    }
                    for outcome in outcomes
                ],
            )
            # Who was erased while their message was on its way: the answer may repeat the address.
            is_erased = exists().where(
                subscriptions.c.id == deliveries.c.subscription, subscriptions.c.state == SubscriberState.ERASED.value
            )
            for chunk in chunks([o.delivery for o in outcomes if "@" in (o.raw or "")]):
                connection.execute(update(deliveries).where(deliveries.c.id.in_(chunk), is_erased).values(answer=None))
            deferred = [o.delivery for o in outcomes if o.state is DeliveryState.DEFERRED]
            if deferred:
                batch = self._batch_for_retry(connection, claim, retry_at or now)
                for chunk in chunks(deferred):
                    connection.execute(
                        update(deliveries)
                        .where(deliveries.c.id.in_(chunk), deliveries.c.state == DeliveryState.DEFERRED.value)
                        .values(batch=batch)
                    )
        return True

    def postpone(self, claim: Claim, deliveries_: Sequence[int], *, due_at: datetime, now: datetime) -> bool:
        """Put off what was claimed and not marked, to be claimed again from `due_at` on; False when no longer ours."""
        with self._database.write_marks() as connection:
            if not self._is_ours(connection, claim, now):
                return False
            batch = self._batch_for_retry(connection, claim, due_at)
            for chunk in chunks(deliveries_):
                connection.execute(
                    update(deliveries)
                    .where(deliveries.c.id.in_(chunk), deliveries.c.state == _CLAIMED.value)
                    .values(batch=batch, state=_PLANNED.value)
                )
        return True

    def _batch_for_retry(self, connection: Connection, claim: Claim, due_at: datetime) -> int:
        """The batch that takes what this claim puts off: one for all, unless somebody has claimed that already."""
        mine = (
            update(batches)
            .where(
                batches.c.edition == claim.edition,
                batches.c.state == "planned",
                batches.c.retry_of == claim.batch,
                batches.c.attempt == claim.attempt,
            )
            .values(due_at=due_at)
            .returning(batches.c.id)
        )
        found = connection.execute(mine).scalar()
        if found is not None:
            return int(found)
        # The attempt goes on counting: the more often a message was put off, the longer it waits.
        return self._insert_batch(
            connection, claim.edition, claim.variant, due_at, attempt=claim.attempt, retry_of=claim.batch
        )

    def give_up(self, edition: int, reason: str, *, now: datetime) -> int:
        """Skip what is planned or deferred and not claimed, with the reason; returns how many deliveries that were."""
        free = select(batches.c.id).where(batches.c.edition == edition, batches.c.state == "planned")
        with self._database.write() as connection:
            given_up = connection.execute(
                update(deliveries)
                .where(
                    deliveries.c.batch.in_(free),
                    deliveries.c.state.in_((_PLANNED.value, DeliveryState.DEFERRED.value)),
                )
                .values(state=DeliveryState.SKIPPED.value, answer=reason, settled_at=now)
            ).rowcount
            connection.execute(
                update(batches).where(batches.c.edition == edition, batches.c.state == "planned").values(state="done")
            )
        return int(given_up)

    def release(self, claim: Claim, *, now: datetime, retry_at: datetime | None = None) -> None:
        """End the claim: attempted without an outcome becomes unknown, the rest is planned again, due at `retry_at`."""
        with self._database.write() as connection:
            if self._is_ours(connection, claim, None):
                self._let_go(connection, claim.batch, now, retry_at or now, trust_marks=True)

    def recover(self, edition: int, *, now: datetime) -> int:
        """Free the claims of dead owners and expired leases; returns how many deliveries became unknown."""
        query = select(batches.c.id, batches.c.owner, batches.c.attempt, batches.c.lease_until).where(
            batches.c.edition == edition, batches.c.state == "claimed"
        )
        with self._database.read() as connection:
            held = [(row, _OWNER.validate_json(row.owner)) for row in connection.execute(query)]
        unknown = 0
        for row, holder in held:
            if not is_dead(holder) and row.lease_until > now:
                continue
            with self._database.write() as connection:
                # By attempt: its owner may have let go of it meanwhile, and hold it again under a new lease.
                if _held(connection, row.id, row.attempt):
                    unknown += self._let_go(connection, row.id, now, now, trust_marks=self._trusts(holder))
        return unknown

    def _trusts(self, holder: Owner) -> bool:
        """Whether what it marked is there for certain."""
        return self._database.keeps_marks or is_of_this_boot(holder)

    @staticmethod
    def _let_go(connection: Connection, batch: int, now: datetime, retry_at: datetime, *, trust_marks: bool) -> int:
        """Settle a claimed batch that nobody works on; returns how many deliveries became unknown."""
        lost = [_ATTEMPTED.value] if trust_marks else [_ATTEMPTED.value, _CLAIMED.value]
        unknown = connection.execute(
            update(deliveries)
            .where(deliveries.c.batch == batch, deliveries.c.state.in_(lost))
            .values(
                state=DeliveryState.UNKNOWN.value,
                settled_at=now,
                answer="the sender ended before the answer was known: it may have been sent",
            )
            .returning(deliveries.c.id)
        ).all()
        connection.execute(
            update(deliveries)
            .where(deliveries.c.batch == batch, deliveries.c.state == _CLAIMED.value)
            .values(state=_PLANNED.value)
        )
        left = connection.execute(
            select(exists().where(deliveries.c.batch == batch, deliveries.c.state == _PLANNED.value))
        ).scalar()
        if left:
            values = {"state": "planned", "owner": None, "lease_until": None, "due_at": retry_at}
            connection.execute(update(batches).where(batches.c.id == batch).values(**values))
        else:
            _finish(connection, batch)
        return len(unknown)

    @staticmethod
    def _is_ours(connection: Connection, claim: Claim, now: datetime | None) -> bool:
        """Whether the claim still holds; with `now`, also whether its lease does."""
        held = _held(connection, claim.batch, claim.attempt)
        if held is None or (now is not None and held.lease_until <= now):
            return False
        return _OWNER.validate_json(held.owner) == claim.owner

    def counts(self, edition: int) -> dict[str, int]:
        """Deliveries by state."""
        query = (
            select(deliveries.c.state, func.count()).where(deliveries.c.edition == edition).group_by(deliveries.c.state)
        )
        with self._database.read() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {state.value: found[state.value] for state in DeliveryState if state.value in found}

    def next_due(self, edition: int) -> datetime | None:
        """When the next planned or deferred batch may be claimed; None when none is left."""
        query = select(func.min(batches.c.due_at)).where(batches.c.edition == edition, batches.c.state == "planned")
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def leased_until(self, edition: int) -> datetime | None:
        """When the last lease of a claimed batch ends; None when none is claimed."""
        query = select(func.max(batches.c.lease_until)).where(
            batches.c.edition == edition, batches.c.state == "claimed"
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def deliveries(self, edition: int, *, missing: bool = False) -> Iterator[Delivery]:
        """All deliveries by address, or only those of whom nothing says that they got it; as they are read."""
        states = [state for state in DeliveryState if state not in _GOT_IT] if missing else list(DeliveryState)
        return self._read(edition, states)

    def unknown(self, edition: int) -> Iterator[Delivery]:
        """Those of whom nobody knows whether they were sent, with what is known."""
        return self._read(edition, [DeliveryState.UNKNOWN])

    def _read(self, edition: int, states: Sequence[DeliveryState]) -> Iterator[Delivery]:
        query = (
            select(
                people.c.email,
                deliveries.c.state,
                deliveries.c.transport,
                deliveries.c.attempted_at,
                deliveries.c.answer,
                deliveries.c.send_key,
                deliveries.c.provider_id,
            )
            .join(subscriptions, subscriptions.c.id == deliveries.c.subscription)
            .join(people, people.c.id == subscriptions.c.person)
            .where(deliveries.c.edition == edition, deliveries.c.state.in_([state.value for state in states]))
            .order_by(people.c.email)
        )
        with (
            self._database.read() as connection,
            connection.execution_options(yield_per=_CHUNK).execute(query) as rows,  # closed though not read to the end
        ):
            for row in rows:
                yield Delivery(
                    email=row.email,
                    state=DeliveryState(row.state),
                    transport=row.transport,
                    attempted_at=row.attempted_at,
                    answer=row.answer,
                    send_key=row.send_key,
                    provider_id=row.provider_id,
                )

    def settle_unknown(
        self, edition: int, send_keys: Sequence[str], state: DeliveryState, answer: str, *, now: datetime
    ) -> int:
        """Write what a provider or a person says of unknown ones; returns how many were still unknown."""
        settled = 0
        with self._database.write() as connection:
            for chunk in chunks(send_keys):
                change = (
                    update(deliveries)
                    .where(
                        deliveries.c.edition == edition,
                        deliveries.c.send_key.in_(chunk),
                        deliveries.c.state == DeliveryState.UNKNOWN.value,
                    )
                    .values(state=state.value, answer=answer, settled_at=now)
                )
                settled += len(connection.execute(change.returning(deliveries.c.id)).all())
        return settled

    def retry(self, edition: int, *, batch_size: int, now: datetime) -> int:
        """Plan anew what certainly was not sent: refused, dropped by the provider, given up; returns how many."""
        failed = (DeliveryState.REFUSED.value, DeliveryState.DROPPED.value, DeliveryState.SKIPPED.value)
        query = (
            select(deliveries.c.id, batches.c.variant)
            .join(batches, batches.c.id == deliveries.c.batch)
            .where(deliveries.c.edition == edition, deliveries.c.state.in_(failed))
            .order_by(batches.c.variant, deliveries.c.id)
        )
        with self._database.write() as connection:
            rows = connection.execute(query).all()
            for variant, members in groupby(rows, key=lambda row: str(row.variant)):
                while chunk := list(islice(members, batch_size)):
                    batch = self._insert_batch(connection, edition, variant, now)
                    for part in chunks([row.id for row in chunk]):
                        connection.execute(
                            update(deliveries)
                            .where(deliveries.c.id.in_(part))
                            .values(state=_PLANNED.value, batch=batch, answer=None, settled_at=None)
                        )
        return len(rows)


def _held(connection: Connection, batch: int, attempt: int) -> Row[str, datetime] | None:
    """Owner and lease of a batch claimed under that attempt; nobody can take it over before this transaction ends."""
    return connection.execute(
        select(batches.c.owner, batches.c.lease_until)
        .where(batches.c.id == batch, batches.c.state == "claimed", batches.c.attempt == attempt)
        .with_for_update()
    ).one_or_none()


def _finish(connection: Connection, batch: int) -> None:
    values = {"state": "done", "owner": None, "lease_until": None}
    connection.execute(update(batches).where(batches.c.id == batch).values(**values))


def _row(edition: int, batch: int | None, plan: Planned, now: datetime) -> dict[str, object]:
    return {
        "edition": edition,
        "subscription": plan.subscriber.id,
        "batch": batch,
        "send_key": plan.send_key,
        "state": (_PLANNED if batch else DeliveryState.SKIPPED).value,
        "answer": plan.reason,
        "settled_at": None if batch else now,
    }
