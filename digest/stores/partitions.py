"""Where deliveries lie: on PostgreSQL in a table for each month of editions, so that an old one goes at once.

    deliveries ──month──> deliveries_2026_11, deliveries_2026_12, …      SQLite has one table

The month is the edition's, whenever its messages leave. Whoever knows it says so: then one of these tables is looked
into and the others are not. A month is made ahead of its first edition, beside senders: the new table is filled in with
all that the others have while nobody knows of it, and attached under locks that only who makes or drops a month, or
upgrades, waits for; but for the foreign keys, which for some milliseconds keep others from writing editions, batches
and subscriptions. Who cannot have these locks soon lets the others pass, and tries again.
"""

import re
from collections.abc import Collection, Iterable
from datetime import date
from typing import Final

from sqlalchemy import Connection, select

from digest.models import month_of
from digest.stores.schema import deliveries, editions

_NAME: Final = re.compile(r"deliveries_(\d{4})_(\d{2})")
# In a table of a month an updated row finds room in its own page, which takes a third of the time: no index changes.
_ROOM: Final = "fillfactor = 50"
# What keeps the tallies, also for who names the table of one month.
TRIGGERS: Final = (
    ("tally_came", "INSERT", "NEW TABLE AS came"),
    ("tally_moved", "UPDATE", "OLD TABLE AS went NEW TABLE AS came"),
    ("tally_went", "DELETE", "OLD TABLE AS went"),
)


def following(month: date) -> date:
    """The month after it."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def name_table(month: date) -> str:
    """The table of a month, on PostgreSQL."""
    return f"deliveries_{month:%Y_%m}"


def find_table(connection: Connection, month: date) -> str:
    """The table into which deliveries of a month may be written at once."""
    return name_table(month) if connection.dialect.name == "postgresql" else "deliveries"


def read_month(connection: Connection, edition: int) -> date:
    """Where the deliveries of an edition lie; of one that is not there, nowhere."""
    day = connection.execute(select(editions.c.date).where(editions.c.id == edition)).scalar()
    return month_of(day) if day else date.min


def list_months(connection: Connection) -> list[date]:
    """The months that have a table, the oldest first; on PostgreSQL."""
    query = (
        "SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid"
        " WHERE inhparent = to_regclass('deliveries')"
    )
    names = connection.exec_driver_sql(query).scalars()
    return sorted(date(int(found[1]), int(found[2]), 1) for name in names if (found := _NAME.fullmatch(name)))


def add_months(connection: Connection, months: Iterable[date]) -> None:
    """Make those that are missing. Waits for who writes editions, batches or subscriptions."""
    if connection.dialect.name != "postgresql":
        return
    for month in sorted(set(months) - set(list_months(connection))):
        for step in list_steps(month):
            connection.exec_driver_sql(step)


def list_steps(month: date) -> list[str]:
    """How the table of a month is made."""
    name = name_table(month)
    # Not PARTITION OF, which nobody could read or write beside.
    return [
        f"CREATE TABLE {name} (LIKE deliveries INCLUDING ALL) WITH ({_ROOM})",
        *list_triggers(name),
        f"ALTER TABLE deliveries ATTACH PARTITION {name} FOR VALUES FROM ('{month}') TO ('{following(month)}')",
    ]


def list_triggers(table: str) -> list[str]:
    """How a table keeps the tallies."""
    return [
        f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows}"
        " FOR EACH STATEMENT EXECUTE FUNCTION tally_deliveries()"
        for name, event, rows in TRIGGERS
    ]


def holds_only(connection: Connection, month: date, numbers: Collection[int]) -> bool:
    """Whether a month has a table of its own in which is nothing but the deliveries of editions with these numbers."""
    if connection.dialect.name != "postgresql" or month not in list_months(connection):
        return False
    of_month = (editions.c.date >= month, editions.c.date < following(month))
    others = connection.execute(select(editions.c.id).where(*of_month, editions.c.id.not_in(numbers))).scalars().all()
    # One by one, by the index of editions: asked of all at once, the whole month may be read.
    of_it = [select(deliveries.c.id).where(deliveries.c.month == month, deliveries.c.edition == one) for one in others]
    return all(connection.execute(query.limit(1)).first() is None for query in of_it)
