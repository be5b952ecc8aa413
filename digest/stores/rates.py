"""How fast all senders of a database go together: turns at a rate, and ceilings for an hour or a day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select, update

from digest.models import Granted, Turns
from digest.stores.database import Database
from digest.stores.schema import ceilings, paces
from digest.stores.statements import chunks, upsert

# More than all senders together can have reserved ahead. What lies further ahead was written under another time: the
# clock was stepped back since, and nobody is to wait for it to come round again.
_FARTHEST = timedelta(seconds=60)
_MOST_AHEAD = 60  # the same for slow rates, in reservations of that size
_KEPT_FOR = timedelta(days=2)
_MINUTE = timedelta(minutes=1)
# What was taken in a minute may leave in the next, and counts until an hour after that.
_COUNTS_FOR = 62 * _MINUTE


class SqlRates:
    """protocols.Rates."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database
        self._swept: date | None = None

    def reserve(self, turns: Sequence[Turns], *, now: datetime) -> list[Granted]:
        """Take turns at several rates at once; what was given of each, in the same order."""
        if not turns:
            return []
        # In one order, so that two senders who want the same rows wait for each other, and not both for ever.
        keys = sorted(turn.key for turn in turns)
        # Marks, not `write_fast`: senders must not wait for an import, and a power cut may forget a pause.
        with self._database.write_marks() as connection:
            free_at = self._lock(connection, keys, now)
            granted = [grant(turn, free_at[turn.key], now) for turn in turns]
            after = [
                {"which": turn.key, "after": given.at + timedelta(seconds=given.count / turn.per_second)}
                for turn, given in zip(turns, granted, strict=True)
                if given.count
            ]
            if after:
                change = update(paces).where(paces.c.key == bindparam("which")).values(free_at=bindparam("after"))
                connection.execute(change, after)
        return granted

    @staticmethod
    def _lock(connection: Connection, keys: Sequence[str], now: datetime) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        for chunk in chunks(keys):
            query = select(paces.c.key, paces.c.free_at).where(paces.c.key.in_(chunk)).order_by(paces.c.key)
            rows = connection.execute(query.with_for_update()).all()
            if len(rows) < len(chunk):
                known = {row.key for row in rows}
                new = [{"key": key, "free_at": now} for key in chunk if key not in known]
                connection.execute(upsert(paces).on_conflict_do_nothing(index_elements=["key"]), new)
                rows = connection.execute(query.with_for_update()).all()
            found.update((row.key, row.free_at) for row in rows)
        return found

    def take(self, key: str, day: date, wanted: int, *, ceiling: int) -> int:
        """Take so many of a day's ceiling, or what is left of it; returns how many."""
        with self._database.write_fast() as connection:
            self._sweep(connection, day)
            used = connection.execute(
                select(ceilings.c.used).where(ceilings.c.key == key, ceilings.c.day == day)
            ).scalar()
            taken = max(0, min(wanted, ceiling - (used or 0)))
            if taken:
                _add(connection, key, day, taken)
        return taken

    def give_back(self, key: str, day: date, count: int) -> None:
        """Return what was taken of a day's ceiling and not used."""
        with self._database.write_fast() as connection:
            _add(connection, key, day, -count)

    def take_of_hour(self, key: str, wanted: int, *, ceiling: int, now: datetime) -> Granted:
        """Take so many, or what is left when in no hour more than `ceiling` may be taken.

        Counted by the minute, and on the safe side by as much.
        """
        with self._database.write_fast() as connection:
            self._sweep(connection, now.date())
            taken = self._of_hour(connection, key, now)
            free = ceiling - sum(taken.values())
            count = max(0, min(wanted, free))
            if count:
                _add(connection, f"{key} {_minute(now):%H:%M}", now.date(), count)
            # When enough of the oldest minutes have left the hour for one more.
            at, need = now, 1 - (free - count)
            for minute, used in sorted(taken.items()):
                if need <= 0:
                    break
                at, need = minute + _COUNTS_FOR, need - used
            if need > 0:
                at = _minute(now) + _COUNTS_FOR
        return Granted(count=count, at=now if count == wanted else at)

    def give_back_of_hour(self, key: str, count: int, *, now: datetime) -> None:
        """Return what was taken within this hour and not used."""
        with self._database.write_fast() as connection:
            for minute, used in sorted(self._of_hour(connection, key, now).items(), reverse=True):
                returned = min(used, count)
                _add(connection, f"{key} {minute:%H:%M}", minute.date(), -returned)
                count -= returned
                if not count:
                    break

    @staticmethod
    def _of_hour(connection: Connection, key: str, now: datetime) -> dict[datetime, int]:
        """What was taken by the minutes of the hour that ends now."""
        minutes = [_minute(now) - number * _MINUTE for number in range(_COUNTS_FOR // _MINUTE)]
        by_place = {(f"{key} {minute:%H:%M}", minute.date()): minute for minute in minutes}
        query = select(ceilings.c.key, ceilings.c.day, ceilings.c.used).where(
            ceilings.c.key.in_([name for name, _ in by_place]), ceilings.c.day.in_({day for _, day in by_place})
        )
        rows = connection.execute(query).all()
        return {by_place[row.key, row.day]: row.used for row in rows if (row.key, row.day) in by_place and row.used > 0}

    def _sweep(self, connection: Connection, day: date) -> None:
        """Forget what no rate depends on any more, once a day."""
        if self._swept == day:
            return
        oldest = datetime(day.year, day.month, day.day, tzinfo=UTC) - _KEPT_FOR
        connection.execute(delete(paces).where(paces.c.free_at < oldest))
        connection.execute(delete(ceilings).where(ceilings.c.day < oldest.date()))
        self._swept = day


def grant(turn: Turns, free_at: datetime, now: datetime) -> Granted:
    """What is given of some turns, when the rate is free from `free_at` on. Pure."""
    if free_at - now > _FARTHEST + timedelta(seconds=_MOST_AHEAD * turn.count / turn.per_second):
        free_at = now
    start = max(now, free_at)
    if turn.within is None:
        return Granted(count=turn.count, at=start)
    room = turn.within - (start - now).total_seconds()
    return Granted(count=min(turn.count, int(room * turn.per_second) + 1) if room >= 0 else 0, at=start)


def _minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _add(connection: Connection, key: str, day: date, count: int) -> None:
    keep = upsert(ceilings).values(key=key, day=day, used=max(0, count))
    used = ceilings.c.used + count
    connection.execute(keep.on_conflict_do_update(index_elements=["key", "day"], set_={"used": used}))
