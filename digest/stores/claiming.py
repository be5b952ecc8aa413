"""Who holds which batch, and who of it may be mailed at this moment."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, bindparam, or_, select, update

from digest.models import WAITING, Claim, DeliveryState, Owner, Recipient, SubscriberState, describe_pause
from digest.stores.owners import is_dead, is_of_this_boot, is_told_of, name_process
from digest.stores.partitions import read_month
from digest.stores.schema import batches, deliveries, people, subscriptions
from digest.stores.suppressing import Suppressing
from digest.stores.telling import is_besides

_OWNER: Final = TypeAdapter(Owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A batch that somebody claimed."""

    batch: int
    month: date  # among whose deliveries it is
    attempt: int
    owner: Owner
    lease_until: datetime

    @property
    def is_of_this_boot(self) -> bool:
        """Whether what its owner marked is there, also where it was not yet on the disk."""
        return is_of_this_boot(self.owner)

    @property
    def process(self) -> str:
        """The id of its owner's process."""
        return name_process(self.owner)

    @property
    def is_told_of(self) -> bool:
        """Whether this machine's system says whether its owner lives."""
        return is_told_of(self.owner)

    def is_free(self, now: datetime) -> bool:
        """Whether its owner is certainly gone, or its time is over."""
        return is_dead(self.owner) or self.lease_until <= now


@lru_cache(maxsize=64)
def write_owner(owner: Owner) -> str:
    """As the database has it."""
    return _OWNER.dump_json(owner).decode()


def read_held(connection: Connection, edition: int) -> list[Held]:
    """The batches of an edition that are claimed."""
    query = select(batches.c.id, batches.c.owner, batches.c.attempt, batches.c.lease_until).where(
        batches.c.edition == edition, batches.c.state == "claimed"
    )
    month = read_month(connection, edition)
    return [
        Held(
            batch=row.id,
            month=month,
            attempt=row.attempt,
            owner=_OWNER.validate_json(row.owner),
            lease_until=row.lease_until,
        )
        for row in connection.execute(query.order_by(batches.c.id))
    ]


def claim(
    connection: Connection,
    suppressing: Suppressing,
    edition: int,
    owner: Owner,
    lease_until: datetime,
    now: datetime,
    besides: Collection[str] = (),
) -> Claim | None:
    """Take the next batch that is free, `besides` those of some zones; None when there is none now.

    One without recipients is done already: all of them left meanwhile.
    """
    # In the order of the index and no other: PostgreSQL would sort all that wait, for each claim; 0.2 s of 200,000.
    free = (
        select(batches.c.id)
        .where(batches.c.edition == edition, batches.c.state == "planned", batches.c.due_at <= now, is_besides(besides))
        .order_by(batches.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)  # where rows are locked one by one; SQLite has one lock, and ignores it
        .scalar_subquery()
    )
    take = (
        update(batches)
        .where(batches.c.id == free, batches.c.state == "planned")
        .values(state="claimed", attempt=batches.c.attempt + 1, owner=write_owner(owner), lease_until=lease_until)
        .returning(batches.c.id, batches.c.variant, batches.c.attempt, batches.c.timezone)
    )
    month = read_month(connection, edition)
    taken = connection.execute(take).one_or_none()
    if taken is None:
        return None
    recipients = _admit(connection, suppressing, taken.id, month, now)
    if not recipients:
        done = {"state": "done", "owner": None, "lease_until": None}
        connection.execute(update(batches).where(batches.c.id == taken.id).values(**done))
    return Claim(
        batch=taken.id,
        edition=edition,
        variant=taken.variant,
        attempt=taken.attempt,
        owner=owner,
        lease_until=lease_until,
        month=month,
        recipients=tuple(recipients),
        timezone=taken.timezone,
    )


def _admit(connection: Connection, suppressing: Suppressing, batch: int, month: date, now: datetime) -> list[Recipient]:
    """Who of a batch may be mailed at this moment; the others are skipped, with the reason."""
    waits = (deliveries.c.month == month, deliveries.c.batch == batch, deliveries.c.state.in_(WAITING))
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
        .where(*waits)
        .order_by(deliveries.c.id)
    ).all()
    newsletter = rows[0].newsletter if rows else ""
    suppressed = suppressing.among(connection, newsletter, [row.email_key for row in rows])
    skipped, admitted = [], []
    for row in rows:
        reason = _find_reason(row, suppressed, now)
        if reason:
            skipped.append({"which": row.id, "why": reason})
        else:
            admitted.append(row)
    _skip(connection, skipped, month, now)
    connection.execute(update(deliveries).where(*waits).values(state=DeliveryState.CLAIMED.value))
    return [
        Recipient(delivery=r.id, send_key=r.send_key, subscriber_key=r.key, email=r.email, name=r.name)
        for r in admitted
    ]


def _find_reason(row: Any, suppressed: set[str], now: datetime) -> str | None:
    if row.state != SubscriberState.ACTIVE.value:
        return f"the reader is {row.state}"
    if row.email_key in suppressed:
        return "the address is suppressed"
    if row.paused_until and row.paused_until > now:
        return describe_pause(row.paused_until)
    return None


def _skip(connection: Connection, skipped: Sequence[dict[str, object]], month: date, now: datetime) -> None:
    if skipped:
        change = (
            update(deliveries)
            .where(
                deliveries.c.month == month,
                deliveries.c.id == bindparam("which"),
                or_(*(deliveries.c.state == state for state in WAITING)),
            )
            .values(state=DeliveryState.SKIPPED.value, answer=bindparam("why"), settled_at=now)
        )
        connection.execute(change, skipped)
