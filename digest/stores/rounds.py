"""How often tasks were added for an edition's batches, and in the transaction that makes those due.

What tasks are, and where they wait, is not known here: a callable is handed in, and gets the driver's own connection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select

from digest.models import EditionState
from digest.stores.database import Database
from digest.stores.opening import hold_sending
from digest.stores.schema import batches, editions, rounds
from digest.stores.statements import upsert

# The driver's connection, the edition, the number of the round, for how many batches tasks are wanted.
OnDue = Callable[[object, int, int, int], None]

_PATIENCE: Final = timedelta(seconds=10)
_LONGEST_PATIENCE: Final = timedelta(minutes=10)
_SKEW: Final = timedelta(minutes=1)  # between the clocks of two who look at once
_NOTED_EVERY: Final = timedelta(seconds=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The last time that tasks were added, or that there was progress."""

    number: int
    waiting: int  # batches that were due then
    enqueued_at: datetime

    @property
    def patience(self) -> timedelta:
        """How long it may make no progress: twice as long for each round before it."""
        return min(_LONGEST_PATIENCE, _PATIENCE * float(2 ** min(self.number - 1, 10)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """An edition that is being sent: how many batches are due now, and how many somebody holds."""

    edition: int
    due: int
    claimed: int
    later: int  # that wait for a time that has not come
    last: Round | None


def is_stuck(found: Open, now: datetime) -> bool:
    """Whether batches are due, nobody works on any, and that has been so for too long. Pure."""
    if not found.due or found.claimed:
        return False
    last = found.last
    if last is None or last.enqueued_at - now > _SKEW:  # the clock was set back
        return True
    return found.due >= last.waiting and now - last.enqueued_at >= last.patience


def has_moved(found: Open, now: datetime) -> bool:
    """Whether there was progress since it was last looked at, and that is to be written down. Pure."""
    last = found.last
    if last is None or not found.due or now - last.enqueued_at < _NOTED_EVERY:
        return False
    return found.due < last.waiting or found.claimed > 0


class SqlRounds:
    """The rounds of all editions. `on_due` is called in the transaction that makes batches due."""

    def __init__(self, database: Database) -> None:
        """Over an open database; nobody is told of anything."""
        self._database = database
        self.on_due: OnDue | None = None

    def begin(self, connection: Connection, edition: int, now: datetime) -> None:
        """Batches of an edition may have become due in this transaction: a new round, and tasks for all of them."""
        if self.on_due is None:
            return
        due = _count(connection, edition, "planned", now)
        last = _read_round(connection, edition)
        _write(connection, edition, (last.number if last else 0) + 1, due, now)
        self._tell(connection, edition, (last.number if last else 0) + 1, due)

    def find_open(self, newsletter: str, now: datetime) -> list[Open]:
        """The editions that are being sent."""
        with self._database.read() as connection:
            query = select(editions.c.id).where(
                editions.c.newsletter == newsletter, editions.c.state == EditionState.SENDING.value
            )
            numbers = connection.execute(query.order_by(editions.c.id)).scalars().all()
            return [_look(connection, number, now) for number in numbers]

    def renew(self, edition: int, *, lacking: bool, now: datetime) -> int:
        """Add tasks where they are wanted; for how many batches. One at a time of all who ask does it.

        `lacking`: fewer tasks wait than batches are due. Else a new round is begun, when it is stuck.
        """
        if self.on_due is None:
            return 0
        with self._database.write_beside() as connection:
            if not hold_sending(connection, edition):
                return 0
            found = _look(connection, edition, now)
            last = found.last
            if is_stuck(found, now):
                number = last.number + 1 if last else 1
            elif lacking and last is not None and found.due:
                number = last.number
            elif last is not None and has_moved(found, now):
                _write(connection, edition, last.number, found.due, now)
                return 0
            else:
                return 0
            _write(connection, edition, number, found.due, now)
            self._tell(connection, edition, number, found.due)
            return found.due

    def _tell(self, connection: Connection, edition: int, number: int, due: int) -> None:
        if self.on_due is not None and due:
            driver: Any = connection.connection.driver_connection
            self.on_due(driver, edition, number, due)


def _look(connection: Connection, edition: int, now: datetime) -> Open:
    due = _count(connection, edition, "planned", now)
    claimed = _count(connection, edition, "claimed", None)
    planned = _count(connection, edition, "planned", None)
    last = _read_round(connection, edition)
    return Open(edition=edition, due=due, claimed=claimed, later=planned - due, last=last)


def _count(connection: Connection, edition: int, state: str, now: datetime | None) -> int:
    query = select(func.count()).where(batches.c.edition == edition, batches.c.state == state)
    if now is not None:
        query = query.where(batches.c.due_at <= now)
    return int(connection.execute(query).scalar_one())


def _read_round(connection: Connection, edition: int) -> Round | None:
    row = connection.execute(select(rounds).where(rounds.c.edition == edition)).one_or_none()
    return Round(number=row.number, waiting=row.waiting, enqueued_at=row.enqueued_at) if row else None


def _write(connection: Connection, edition: int, number: int, due: int, now: datetime) -> None:
    values = {"number": number, "waiting": due, "enqueued_at": now}
    statement = upsert(rounds).values(edition=edition, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["edition"], set_=values))
