"""An edition on its way through the ledger: ready → sending → sent, and sending again.

What decides and what it decides on stand in one transaction, so that no edition is closed while something is planned
for it, and none is let go before all that was planned can be rendered.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, select, true, update

from digest.models import EditionState
from digest.stores.schema import batches, editions, renditions

_OUT = (EditionState.SENDING.value, EditionState.STOPPED.value, EditionState.SENT.value)


def hold_ready(connection: Connection, edition: int) -> bool:
    """Whether an edition is ready, and stays so until the transaction ends."""
    return _hold(connection, edition) == EditionState.READY.value


def hold_sending(connection: Connection, edition: int) -> bool:
    """Whether an edition is being sent, and stays so until the transaction ends."""
    return _hold(connection, edition) == EditionState.SENDING.value


def hold_out(connection: Connection, edition: int) -> bool:
    """Whether an edition went out, in part or all of it, and stays so until the transaction ends."""
    return _hold(connection, edition) in _OUT


def read_unrendered(connection: Connection, edition: int) -> set[str]:
    """The variants that something waits for, and that have no rendition."""
    is_rendered = exists().where(renditions.c.edition == edition, renditions.c.variant == batches.c.variant)
    query = select(batches.c.variant).where(batches.c.edition == edition, batches.c.state != "done", ~is_rendered)
    return set(connection.execute(query.distinct()).scalars())


def begin(connection: Connection, edition: int, as_of: datetime | None, now: datetime) -> bool:
    """Ready → sending, unless something of it was changed since, or a planned variant has no rendition."""
    if not hold_ready(connection, edition) or read_unrendered(connection, edition):
        return False
    unchanged = editions.c.changed_at == as_of if as_of is not None else true()
    return _move(connection, edition, unchanged, state=EditionState.SENDING, changed_at=now)


def finish(connection: Connection, edition: int, reason: str | None, now: datetime) -> bool:
    """Sending → sent, unless something waits or is claimed."""
    if _hold(connection, edition) != EditionState.SENDING.value:
        return False
    is_open = exists().where(batches.c.edition == edition, batches.c.state.in_(("planned", "claimed")))
    values = {"reason": reason} if reason is not None else {}
    return _move(connection, edition, ~is_open, state=EditionState.SENT, changed_at=now, sent_at=now, **values)


def reopen(connection: Connection, edition: int, reason: str, now: datetime) -> None:
    """Back to sending; its age counts anew from here."""
    _move(
        connection,
        edition,
        editions.c.state.in_(_OUT),
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
