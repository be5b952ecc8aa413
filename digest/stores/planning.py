"""What is planned: a delivery for each reader, in batches of one variant and zone; again for whom it certainly failed.

Nothing here holds more than some thousands of them, however many there are.
"""

import marshal
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Connection, bindparam, exists, insert, or_, select, update

from digest.errors import StoreError
from digest.models import WAITING, DeliveryState, Planned, SubscriberState
from digest.stores.columns import AT_ONCE, write_instant
from digest.stores.partitions import find_table, read_month
from digest.stores.schema import batches, deliveries, subscriptions, zones
from digest.stores.statements import chunks, count_rows, fill, upsert
from digest.stores.telling import read_zones

_CHUNK: Final = 10_000
_IN_MEMORY: Final = 1_000_000  # bytes of a spool that need no file
_PLANNED, _SKIPPED = DeliveryState.PLANNED.value, DeliveryState.SKIPPED.value
_ZONE: Final = ("edition", "timezone")
_FAILED: Final = (DeliveryState.REFUSED.value, DeliveryState.DROPPED.value)
# In the order of `Spool`'s rows.
_Row = tuple[int, str, str | None, str | None, str | None]


class Spool:
    """Planned deliveries on their way into a transaction: a context manager. A million of them lie in a file."""

    def __init__(self, planned: Iterable[Planned]) -> None:
        """Takes them all when it is entered."""
        self._planned = planned
        self.zones: dict[str, datetime] = {}  # those of planned deliveries, and when they are due
        self._sizes: list[int] = []  # in bytes, of some thousands each

    def __enter__(self) -> Self:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)
        rest = iter(self._planned)
        try:
            while chunk := list(islice(rest, _CHUNK)):
                rows = [(plan.subscriber.id, plan.send_key, plan.variant, plan.reason, plan.timezone) for plan in chunk]
                self._sizes.append(self._file.write(marshal.dumps(rows)))
                for plan in chunk:
                    if plan.timezone is not None and plan.due_at is not None and plan.variant is not None:
                        self.zones[plan.timezone] = plan.due_at
        except OSError as error:
            self._file.close()
            raise StoreError(
                "the temporary folder", "it cannot be written", remedy="make room, or set TMPDIR"
            ) from error
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[list[_Row]]:
        """Some thousands at a time, in the order in which they came."""
        self._file.seek(0)
        for size in self._sizes:
            yield marshal.loads(self._file.read(size))  # noqa: S302 - our own, of a moment ago


@dataclass(slots=True)
class _Batch:
    """A batch that is being filled. It has no number before `_Filling.insert`."""

    variant: str
    timezone: str | None
    room: int
    number: int = 0


class _Filling:
    """Batches of one variant and zone each, filled in the order in which deliveries come."""

    def __init__(self, connection: Connection, edition: int, batch_size: int, zones: Mapping[str, datetime]) -> None:
        """`zones`: when each is due; what waits for none of them is due at once."""
        self._connection = connection
        self._edition = edition
        self._batch_size = batch_size
        self._zones = zones
        self._open: dict[tuple[str, str | None], _Batch] = {}
        self._new: list[_Batch] = []

    def place(self, variant: str, timezone: str | None) -> _Batch:
        """The batch for one more delivery."""
        batch = self._open.get((variant, timezone))
        if batch is None or not batch.room:
            batch = self._open[variant, timezone] = _Batch(variant, timezone, self._batch_size)
            self._new.append(batch)
        batch.room -= 1
        return batch

    def insert(self) -> None:
        """Give numbers to those that have none yet."""
        if self._new:
            rows = [
                {
                    "edition": self._edition,
                    "variant": batch.variant,
                    "state": "planned",
                    "timezone": batch.timezone,
                    "due_at": self._zones.get(batch.timezone, AT_ONCE) if batch.timezone else AT_ONCE,
                }
                for batch in self._new
            ]
            statement = insert(batches).returning(batches.c.id, sort_by_parameter_order=True)
            numbers = self._connection.execute(statement, rows).scalars()
            for batch, number in zip(self._new, numbers, strict=True):
                batch.number = number
            self._new = []


def insert_planned(connection: Connection, edition: int, spool: Spool, batch_size: int, now: datetime) -> int:
    """A delivery for each of those who have none; returns how many that were.

    Who was left out before is looked at anew: the edition may have been given up since, and been composed again.
    """
    month = read_month(connection, edition)
    theirs = (deliveries.c.month == month, deliveries.c.edition == edition)
    is_begun = connection.execute(select(exists().where(*theirs))).scalar()
    filling, at = _Filling(connection, edition, batch_size, spool.zones), write_instant(now)
    _keep_zones(connection, edition, spool.zones, is_begun=bool(is_begun))
    names = "edition month subscription batch send_key state answer settled_at"
    columns, table, of_month = [deliveries.c[name] for name in names.split()], find_table(connection, month), str(month)
    added = 0
    for chunk in spool:
        new, again = _leave_out_present(connection, theirs, chunk) if is_begun else (chunk, [])
        placed = [(row, filling.place(row[2], row[4]) if row[2] is not None else None) for row in new]
        renewed = [(row[0], filling.place(row[2], row[4])) for row in again if row[2] is not None]
        filling.insert()
        fill(
            connection,
            columns,
            (
                (edition, of_month, who, batch.number, send_key, _PLANNED, reason, None)
                if batch
                else (edition, of_month, who, None, send_key, _SKIPPED, reason, at)
                for (who, send_key, _, reason, _), batch in placed
            ),
            into=table,
        )
        _take_in(connection, theirs, renewed)
        added += len(new) + len(renewed)
    return added


def _keep_zones(connection: Connection, edition: int, due: Mapping[str, datetime], *, is_begun: bool) -> None:
    """When each zone is due. What a plan before this one put under another instant is moved: nothing of it has left."""
    if not due:
        return
    rows = [{"edition": edition, "timezone": name, "due_at": at} for name, at in sorted(due.items())]
    keep = upsert(zones)
    connection.execute(
        keep.on_conflict_do_update(index_elements=list(_ZONE), set_={"due_at": keep.excluded.due_at}), rows
    )
    if is_begun:
        move = (
            update(batches)
            .where(batches.c.edition == edition, batches.c.state == "planned", batches.c.timezone == bindparam("zone"))
            .values(due_at=bindparam("at"))
        )
        connection.execute(move, [{"zone": name, "at": at} for name, at in sorted(due.items())])


def _leave_out_present(
    connection: Connection, theirs: Sequence[ColumnElement[bool]], rows: Sequence[_Row]
) -> tuple[list[_Row], list[_Row]]:
    """Those who have no delivery, and those who have one that was skipped."""
    present: dict[int, str] = {}
    for chunk in chunks([row[0] for row in rows]):
        query = select(deliveries.c.subscription, deliveries.c.state).where(
            *theirs, deliveries.c.subscription.in_(chunk)
        )
        present.update((row.subscription, row.state) for row in connection.execute(query))
    new = [row for row in rows if row[0] not in present]
    return new, [row for row in rows if present.get(row[0]) == _SKIPPED]


def _take_in(
    connection: Connection, theirs: Sequence[ColumnElement[bool]], placed: Sequence[tuple[int, _Batch]]
) -> None:
    """Plan whom a plan before this one left out."""
    if not placed:
        return
    change = (
        update(deliveries)
        .where(
            *theirs,
            deliveries.c.subscription == bindparam("who"),
            deliveries.c.state == _SKIPPED,
        )
        .values(state=_PLANNED, batch=bindparam("into"), answer=None, settled_at=None)
    )
    connection.execute(change, [{"who": who, "into": batch.number} for who, batch in placed])


def plan_again(connection: Connection, edition: int, batch_size: int, now: datetime) -> int:
    """Plan anew what was refused, dropped by the provider or given up, of readers who are still there.

    Also of a zone whose time has not come: its readers wait for it.
    """
    later = {name: at for name, at in read_zones(connection, edition).items() if at > now}
    filling, again, last = _Filling(connection, edition, batch_size, later), 0, 0
    month = read_month(connection, edition)
    change = (
        update(deliveries)
        .where(deliveries.c.month == month, deliveries.c.id == bindparam("which"))
        .values(
            batch=bindparam("into"),
            state=_PLANNED,
            transport=None,
            attempted_at=None,
            settled_at=None,
            answer=None,
            provider_id=None,
        )
    )
    while rows := _read_failed(connection, edition, month, after=last):
        placed = [(row.id, filling.place(row.variant, row.timezone)) for row in rows]
        filling.insert()
        connection.execute(change, [{"which": which, "into": batch.number} for which, batch in placed])
        again += len(rows)
        last = rows[-1].id
    return again


def _read_failed(connection: Connection, edition: int, month: date, *, after: int) -> Sequence[Any]:
    # Who was skipped in the planning has no batch: for them there was nothing to send.
    query = (
        select(deliveries.c.id, batches.c.variant, batches.c.timezone)
        .join(batches, batches.c.id == deliveries.c.batch)
        .join(subscriptions, subscriptions.c.id == deliveries.c.subscription)
        .where(
            deliveries.c.month == month,
            deliveries.c.edition == edition,
            or_(*(deliveries.c.state == state for state in (*_FAILED, _SKIPPED))),
            subscriptions.c.state == SubscriberState.ACTIVE.value,
            deliveries.c.id > after,
        )
        .order_by(deliveries.c.id)
        .limit(_CHUNK)
        .with_for_update(of=deliveries)
    )
    return connection.execute(query).all()


def give_up(
    connection: Connection, edition: int, reason: str, now: datetime, variant: str | None, timezone: str | None
) -> int:
    """Skip what waits, of one variant or of all, of one zone or of all; returns how many deliveries that were.

    A variant is given up for want of stories; else it is too late, which its batches keep: `opening.finish` asks.
    """
    waits = [batches.c.edition == edition, batches.c.state == "planned"]
    if variant is not None:
        waits.append(batches.c.variant == variant)
    if timezone is not None:
        waits.append(batches.c.timezone == timezone)
    # In the order of their numbers, as everybody locks them; and before their deliveries, also those that came since.
    connection.execute(select(batches.c.id).where(*waits).order_by(batches.c.id).with_for_update()).close()
    state = "late" if variant is None else "done"
    close = update(batches).where(*waits).values(state=state).returning(batches.c.id)
    closed, given_up, month = sorted(connection.execute(close).scalars()), 0, read_month(connection, edition)
    for chunk in chunks(closed):
        # By number: PostgreSQL, which does not know yet how many are done, would look through all for each delivery.
        change = update(deliveries).where(
            deliveries.c.month == month, deliveries.c.batch.in_(chunk), deliveries.c.state.in_(WAITING)
        )
        given_up += count_rows(connection, change.values(state=_SKIPPED, answer=reason, settled_at=now))
    return given_up
