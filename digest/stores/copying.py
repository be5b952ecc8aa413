"""All that one database holds into another: from a file to a server, or back.

one moment's view ──rows──> the same tables, in one transaction      all of it, or nothing
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from sqlalchemy import Boolean, Connection, Date, Table, delete, func, select

from digest.errors import StoreError
from digest.models import month_of
from digest.stores.database import Database
from digest.stores.keys import KEY
from digest.stores.partitions import add_months, list_months, name_table
from digest.stores.schema import batches, deliveries, editions, events, keys, metadata, tallies
from digest.stores.statements import fill, number_on

_AT_ONCE: Final = 5000  # rows that are held
_OF_DELIVERIES: Final = " LEFT JOIN deliveries ON deliveries.id = events.delivery"


def copy_all(source: Database, target: Database) -> dict[str, int]:
    """Every row, by table; both are of this version. Returns how many each table got.

    Raises StoreError when there is anything in the target, or while a sender holds a batch: its marks would be lost.
    """
    copied = {}
    with source.read_all() as ours, target.write() as theirs:
        if ours.execute(select(batches.c.id).where(batches.c.state == "claimed").limit(1)).first():
            remedy = "wait until it ends, or stop it with `digest editions stop`; `digest run` recovers what died"
            raise StoreError(source.name, "an edition is being sent from it", remedy=remedy)
        filled = find_filled(theirs)
        if filled:
            raise StoreError(target.name, f"it is not empty: there are {filled}", remedy="name a new database")
        theirs.execute(delete(keys))  # the one of an empty database names nobody
        days = ours.execute(select(editions.c.date).distinct()).scalars()
        add_months(theirs, {month_of(day) for day in days})
        for table in metadata.sorted_tables:
            if table is not tallies:  # which the rows themselves bring, as they come
                copied[table.name] = _copy(ours, theirs, table)
        _verify(ours, theirs, copied, target.name)
    return copied


def _verify(ours: Connection, theirs: Connection, copied: Mapping[str, int], name: str) -> None:
    """Raises StoreError, and then nothing was copied, unless all is there that was read, and is counted alike."""
    for table in metadata.sorted_tables:
        before, after = (one.execute(select(func.count()).select_from(table)).scalar_one() for one in (ours, theirs))
        if table is not tallies and not before == after == copied[table.name]:
            fault = f"of {before} {table.name} it has {after}"
            raise StoreError(name, fault, remedy="nothing was copied; report this fault")
    count = select(tallies.c.edition, tallies.c.state, func.sum(tallies.c.number))
    count = count.group_by(tallies.c.edition, tallies.c.state).having(func.sum(tallies.c.number) != 0)
    recount = select(deliveries.c.edition, deliveries.c.state, func.count())
    recount = recount.group_by(deliveries.c.edition, deliveries.c.state)
    found = {frozenset(map(tuple, one.execute(query))) for one in (ours, theirs) for query in (count, recount)}
    if len(found) > 1:
        raise StoreError(name, "deliveries are counted otherwise there", remedy="nothing was copied; report this fault")


def find_filled(connection: Connection) -> str | None:
    """The name of a table that has rows; None when none has.

    The key of lists on which nobody is, which every database has from the start, is nothing.
    """
    for table in metadata.sorted_tables:
        query = select(*table.primary_key.columns).limit(1)
        if connection.execute(query.where(keys.c.name != KEY) if table is keys else query).first():
            return table.name
    return None


def _copy(ours: Connection, theirs: Connection, table: Table) -> int:
    return sum(_copy_part(ours, theirs, table, *part) for part in _list_parts(theirs, table))


def _list_parts(theirs: Connection, table: Table) -> list[tuple[str, str]]:
    """In which parts a table is copied: what they hold, and where it goes."""
    if table is not deliveries or theirs.dialect.name != "postgresql":
        return [("", table.name)]
    # Month by month: PostgreSQL writes many rows at once where it need not find the place of each.
    return [(f" WHERE month = '{month}'", name_table(month)) for month in list_months(theirs)]


def _copy_part(ours: Connection, theirs: Connection, table: Table, which: str, into: str) -> int:
    columns = list(table.columns)
    # As the driver gives them: a million instants read and written again take longer than the rest.
    names = ", ".join(f'{table.name}."{column.name}"' for column in columns)
    query = f"SELECT {names} FROM {table.name}{which}"  # noqa: S608 - our own names
    if table is events:  # what was heard of a delivery that went with its month is of none
        query = query.replace('events."delivery"', "deliveries.id") + _OF_DELIVERIES
    plain = [_writer(column.type) for column in columns]
    is_plain = not any(plain)
    count = 0

    def read() -> Iterator[tuple[object, ...]]:
        nonlocal count
        with ours.exec_driver_sql(query, execution_options={"yield_per": _AT_ONCE}) as rows:
            for row in rows:
                count += 1
                yield (
                    tuple(row)
                    if is_plain
                    else tuple(
                        write(value) if write and value is not None else value
                        for write, value in zip(plain, row, strict=True)
                    )
                )

    fill(theirs, columns, read(), into=into)
    for column in columns:
        if column.identity:
            number_on(theirs, column)
    return count


def _writer(kind: Any) -> Callable[[Any], object] | None:
    """What both databases take, of what one of them gives as a value of its own."""
    if isinstance(kind, Boolean):
        return int
    if isinstance(kind, Date):
        return lambda value: value.isoformat() if isinstance(value, date) else value
    return None
