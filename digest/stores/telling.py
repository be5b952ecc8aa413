"""What the ledger says of an edition: how many, what is due, and who got it."""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, func, select, true

from digest.models import WAITING, Delivery, DeliveryState
from digest.stores.partitions import read_month
from digest.stores.schema import batches, deliveries, editions, events, people, subscriptions, tallies, zones
from digest.stores.statements import chunks

_CHUNK: Final = 5000
_GOT_IT: Final = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.COMPLAINED)
MISSING: Final = tuple(state for state in DeliveryState if state not in _GOT_IT)


def count(connection: Connection, edition: int, since: datetime | None = None) -> dict[str, int]:
    """Deliveries by state: all, or those that were handed over since an instant."""
    found = _count_all(connection, edition) if since is None else _count_since(connection, edition, since)
    return {state.value: found[state.value] for state in DeliveryState if state.value in found}


def _count_all(connection: Connection, edition: int) -> dict[str, int]:
    """Which is asked all the time, of ten million too."""
    # As they were when the deliveries began to be forgotten: from then on the tallies say how many are left.
    counted = select(editions.c.counted).where(editions.c.id == edition)
    query = select(tallies.c.state, func.sum(tallies.c.number), counted.scalar_subquery())
    query = query.where(tallies.c.edition == edition)
    query = query.group_by(tallies.c.state).having(func.sum(tallies.c.number) != 0)
    rows = connection.execute(query).all()
    kept = rows[0][2] if rows else connection.execute(counted).scalar()
    return dict(json.loads(kept)) if kept else {row[0]: int(row[1]) for row in rows}


def _count_since(connection: Connection, edition: int, since: datetime) -> dict[str, int]:
    query = select(deliveries.c.state, func.count()).where(
        deliveries.c.month == read_month(connection, edition),
        deliveries.c.edition == edition,
        deliveries.c.attempted_at >= since,
    )
    return {row[0]: int(row[1]) for row in connection.execute(query.group_by(deliveries.c.state))}


def next_due(connection: Connection, edition: int, besides: Collection[str] = ()) -> datetime | None:
    """When the next batch that waits may be claimed; `besides` those of some zones."""
    query = select(func.min(batches.c.due_at)).where(batches.c.edition == edition, batches.c.state == "planned")
    return connection.execute(query.where(is_besides(besides))).scalar()


def is_besides(zones: Collection[str]) -> ColumnElement[bool]:
    """Of a batch: that it is of none of these; "" stands for those of no zone."""
    return func.coalesce(batches.c.timezone, "").not_in(zones) if zones else true()


def read_zones(connection: Connection, edition: int) -> dict[str, datetime]:
    """The zones whose readers wait for their own time, the first one first."""
    query = select(zones.c.timezone, zones.c.due_at).where(zones.c.edition == edition)
    return {row.timezone: row.due_at for row in connection.execute(query.order_by(zones.c.due_at, zones.c.timezone))}


def count_by_zone(connection: Connection, edition: int) -> dict[str, dict[str, int]]:
    """Deliveries by state, by zone."""
    counts: dict[str, dict[str, int]] = {zone: {} for zone in read_zones(connection, edition)}
    if not counts:
        return counts
    query = (
        select(batches.c.timezone, deliveries.c.state, func.count().label("number"))
        .join(deliveries, deliveries.c.batch == batches.c.id)
        .where(
            deliveries.c.month == read_month(connection, edition),
            batches.c.edition == edition,
            batches.c.timezone.is_not(None),
        )
        .group_by(batches.c.timezone, deliveries.c.state)
    )
    found = {(row.timezone, row.state): row.number for row in connection.execute(query)}
    for zone, counted in counts.items():
        counted.update({state.value: found[zone, state.value] for state in DeliveryState if (zone, state) in found})
    return counts


def count_waiting(connection: Connection, edition: int, now: datetime) -> dict[str, int]:
    """How many wait for a zone's time, by zone, the first one first."""
    later = [zone for zone, due_at in read_zones(connection, edition).items() if due_at > now]
    if not later:
        return {}
    query = (
        select(batches.c.timezone, func.count().label("number"))
        .join(deliveries, deliveries.c.batch == batches.c.id)
        .where(
            batches.c.edition == edition,
            batches.c.state == "planned",
            batches.c.timezone.in_(later),
            deliveries.c.month == read_month(connection, edition),
            deliveries.c.state.in_(WAITING),
        )
        .group_by(batches.c.timezone)
    )
    found = {row.timezone: row.number for row in connection.execute(query)}
    return {zone: found[zone] for zone in later if zone in found}


def leased_until(connection: Connection, edition: int) -> datetime | None:
    """When the last lease ends."""
    query = select(func.max(batches.c.lease_until)).where(batches.c.edition == edition, batches.c.state == "claimed")
    return connection.execute(query).scalar()


def first_leases(connection: Connection, editions: Collection[int]) -> dict[int, datetime]:
    """When the first lease ends, by edition; by the index of states, which leads to those that are claimed alone."""
    query = select(batches.c.edition, func.min(batches.c.lease_until)).where(
        batches.c.edition.in_(editions), batches.c.state == "claimed"
    )
    return {row[0]: row[1] for row in connection.execute(query.group_by(batches.c.edition))}


def read(
    connection: Connection, edition: int, states: Sequence[DeliveryState], *, with_events: bool = False
) -> Iterator[Delivery]:
    """Deliveries in some states, by address, as they are read."""
    query = (
        select(
            deliveries.c.id,
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
        .where(deliveries.c.month == read_month(connection, edition), deliveries.c.edition == edition)
        .order_by(people.c.email)
    )
    if len(states) < len(DeliveryState):
        query = query.where(deliveries.c.state.in_([state.value for state in states]))
    # Closed also where it is not read to the end.
    with connection.execution_options(yield_per=_CHUNK).execute(query) as found:
        for rows in found.partitions():
            heard = _read_events(connection, [row.id for row in rows]) if with_events else {}
            for row in rows:
                yield _read_delivery(row, heard.get(row.id, ()))


def _read_delivery(row: Row[*tuple[Any, ...]], heard: Sequence[str]) -> Delivery:
    return Delivery(
        email=row.email,
        state=DeliveryState(row.state),
        transport=row.transport,
        attempted_at=row.attempted_at,
        answer=row.answer,
        send_key=row.send_key,
        provider_id=row.provider_id,
        events=tuple(heard),
    )


def _read_events(connection: Connection, numbers: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for chunk in chunks(numbers):
        query = select(events.c.delivery, events.c.kind, events.c.occurred_at).where(events.c.delivery.in_(chunk))
        for row in connection.execute(query.order_by(events.c.occurred_at, events.c.id)):
            found.setdefault(row.delivery, []).append(f"{row.kind} {row.occurred_at.isoformat()}")
    return found
