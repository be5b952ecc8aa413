"""What SQLAlchemy does not say for both databases alike, or says slowly."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Executable,
    Table,
    Text,
    any_,
    bindparam,
    column,
    func,
    insert,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as _insert
from sqlalchemy.schema import CreateTable

A = TypeVar("A")


def upsert(table: Table) -> Insert:
    """An INSERT that can say ON CONFLICT; SQLite and PostgreSQL write it alike."""
    return _insert(table)


def is_one_of(connection: Connection, column: Column[str], values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a text is among many, which are handed over as one value.

    As a value each, a thousand of them take SQLAlchemy ten times as long as the database.
    """
    if connection.dialect.name == "postgresql":
        return column == any_(bindparam(None, list(values), ARRAY(Text)))
    return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))


def chunks(values: Sequence[A], size: int = 900) -> Iterator[Sequence[A]]:
    """Some at a time: a statement takes no more."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def count_rows(connection: Connection, statement: Executable) -> int:
    """Run what changes or adds rows; how many those were, as the driver says: some forget it once they are read."""
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def make_temporary(connection: Connection, table: Table) -> None:
    """A table of this connection alone, unless it has that: on PostgreSQL asking is cheaper, and always allowed."""
    is_asked = connection.dialect.name == "postgresql"
    if is_asked and connection.execute(select(func.to_regclass(f"pg_temp.{table.name}"))).scalar() is not None:
        return
    connection.execute(CreateTable(table, if_not_exists=True))


def number_on(connection: Connection, column: Column[Any]) -> None:
    """After rows came with numbers: the next one gets the next. SQLite does that by itself."""
    if connection.dialect.name == "postgresql":
        table = column.table.name
        sequence = func.pg_get_serial_sequence(table, column.name)
        connection.execute(select(func.setval(sequence, select(func.max(column)).scalar_subquery())))


def count_anew(connection: Connection, *tables: Table) -> None:
    """After very many rows came: PostgreSQL learns how many, and how to look for them, a minute earlier."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in tables)}")


def fill(
    connection: Connection,
    columns: Sequence[Column[Any]],
    rows: Iterable[tuple[object, ...]],
    *,
    into: str | None = None,
) -> None:
    """Many rows into some columns of a table; past SQLAlchemy, which takes longer than the database.

    `into` is the table of a part of it: where PostgreSQL need not find the part for each row, it writes many at once.
    """
    target = table(into or columns[0].table.name, *(column(one.name) for one in columns))
    driver: Any = connection.connection.driver_connection
    with closing(driver.cursor()) as cursor:
        if connection.dialect.name == "postgresql":
            names = ", ".join(f'"{one.name}"' for one in columns)
            with cursor.copy(f"COPY {target.name} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        cursor.executemany(str(insert(target).compile(dialect=connection.dialect)), rows)
