"""An edition on its way through the ledger: ready → sending → sent, or missed, and sending again.

What decides and what it decides on stand in one transaction, so that no edition is closed while something is planned
for it, and none is let go before all that was planned can be rendered.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, distinct, exists, func, select, true, update

from digest.models import DeliveryState, EditionState
from digest.stores import telling
from digest.stores.partitions import read_month
from digest.stores.schema import batches, deliveries, editions, renditions

_BEGUN = (
    EditionState.SENDING.value,
    EditionState.STOPPED.value,
    EditionState.SENT.value,
    EditionState.MISSED.value,
)
_WAITING = ("planned", "claimed")


def hold_ready(connection: Connection, edition: int) -> bool:
    """Whether an edition is ready, and stays so until the transaction ends."""
    return _hold(connection, edition) == EditionState.READY.value


def hold_sending(connection: Connection, edition: int) -> bool:
    """Whether an edition is being sent, and stays so until the transaction ends."""
    return _hold(connection, edition) == EditionState.SENDING.value


def hold_begun(connection: Connection, edition: int) -> bool:
    """Whether an edition went out, in part or all of it, or was too late, and stays so until the transaction ends."""
    return _hold(connection, edition) in _BEGUN


def read_unrendered(connection: Connection, edition: int) -> set[str]:
    """The variants that something waits for, and that have no rendition."""
    is_rendered = exists().where(renditions.c.edition == edition, renditions.c.variant == batches.c.variant)
    query = select(batches.c.variant).where(batches.c.edition == edition, batches.c.state.in_(_WAITING), ~is_rendered)
    return set(connection.execute(query.distinct()).scalars())


def begin(connection: Connection, edition: int, as_of: datetime | None, now: datetime) -> bool:
    """Ready → sending, unless something of it was changed since, or a planned variant has no rendition."""
    if not hold_ready(connection, edition) or read_unrendered(connection, edition):
        return False
    unchanged = editions.c.changed_at == as_of if as_of is not None else true()
    return _move(connection, edition, unchanged, state=EditionState.SENDING, changed_at=now)


def finish(connection: Connection, edition: int, reason: str | None, now: datetime) -> bool:
    """Sending → sent, unless something waits or is claimed; → missed, when it was too late for all who could get it."""
    if _hold(connection, edition) != EditionState.SENDING.value:
        return False
    is_open = exists().where(batches.c.edition == edition, batches.c.state.in_(_WAITING))
    # Before anything is counted: what is held at this moment may yet be sent, or given up.
    if connection.execute(select(is_open)).scalar():
        return False
    lateness = _find_lateness(connection, edition)
    if lateness is not None:
        return _move(
            connection, edition, ~is_open, state=EditionState.MISSED, changed_at=now, reason=reason or lateness
        )
    values = {"reason": reason} if reason is not None else {}
    return _move(connection, edition, ~is_open, state=EditionState.SENT, changed_at=now, sent_at=now, **values)


def _find_lateness(connection: Connection, edition: int) -> str | None:
    """Why it was too late, where nobody was sent anything and that is why somebody was not; None: it is otherwise."""
    if telling.count(connection, edition).keys() != {DeliveryState.SKIPPED.value}:
        return None
    late = (batches.c.edition == edition, batches.c.state == "late")
    # Who was planned again since is of another batch.
    query = (
        select(deliveries.c.answer)
        .join(batches, batches.c.id == deliveries.c.batch)
        .where(*late, deliveries.c.month == read_month(connection, edition))
        .order_by(batches.c.id)
        .limit(1)
    )
    reason = connection.execute(query).scalar()
    more = (connection.execute(select(func.count(distinct(batches.c.timezone))).where(*late)).scalar() or 0) - 1
    if reason is None or more < 1:
        return reason
    return f"{reason}; {more} more zone{' was' if more == 1 else 's were'} too late as well"


def reopen(connection: Connection, edition: int, reason: str, now: datetime) -> None:
    """Back to sending; its age counts anew from here."""
    _move(
        connection,
        edition,
        editions.c.state.in_(_BEGUN),
        state=EditionState.SENDING,
        reason=reason,
        changed_at=now,
        resumed_at=now,
    )


def _hold(connection: Connection, edition: int) -> str | None:
    # Not FOR UPDATE: senders who put a batch off refer to the edition, and need not wait.
    query = select(editions.c.state).where(editions.c.id == edition).with_for_update(key_share=True)
    return connection.execute(query).scalar()


def _move(connection: Connection, edition: int, condition: ColumnElement[bool], **values: object) -> bool:
    change = update(editions).where(editions.c.id == edition, condition).values(**values)
    return connection.execute(change.returning(editions.c.id)).scalar_one_or_none() is not None
