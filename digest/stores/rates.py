"""How fast all senders of a database go together: turns at a rate, and ceilings for a day."""

from datetime import date, datetime, timedelta

from sqlalchemy import select, update

from digest.stores.database import Database, upsert
from digest.stores.schema import ceilings, paces


class SqlRates:
    """protocols.Rates."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def reserve(self, key: str, count: int, *, per_second: float, burst: int, now: datetime) -> datetime:
        """Take `count` turns at a rate; returns from when on they may be used, which may be `now`."""
        with self._database.write_fast() as connection:
            kept = connection.execute(select(paces.c.free_at).where(paces.c.key == key)).scalar()
            # A clock that was stepped back must not stretch the wait beyond what the rate asks for.
            longest = now + timedelta(seconds=(count + burst) / per_second)
            free_at = min(max(kept or now, now), longest)
            after = free_at + timedelta(seconds=count / per_second)
            keep = upsert(paces).values(key=key, free_at=after)
            connection.execute(keep.on_conflict_do_update(index_elements=["key"], set_={"free_at": after}))
        return max(now, free_at - timedelta(seconds=max(0, burst - 1) / per_second))

    def take(self, key: str, day: date, wanted: int, *, ceiling: int) -> int:
        """Take so many of a day's ceiling, or what is left of it; returns how many."""
        which = (ceilings.c.key == key, ceilings.c.day == day)
        with self._database.write_fast() as connection:
            used = connection.execute(select(ceilings.c.used).where(*which)).scalar() or 0
            taken = max(0, min(wanted, ceiling - used))
            keep = upsert(ceilings).values(key=key, day=day, used=used + taken)
            connection.execute(keep.on_conflict_do_update(index_elements=["key", "day"], set_={"used": used + taken}))
        return taken

    def give_back(self, key: str, day: date, count: int) -> None:
        """Return what was taken of a day's ceiling and not used."""
        which = (ceilings.c.key == key, ceilings.c.day == day)
        with self._database.write_fast() as connection:
            connection.execute(update(ceilings).where(*which).values(used=ceilings.c.used - count))
