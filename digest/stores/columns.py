"""What all tables are made of: one metadata, numbers that do not run out, and text that sorts alike everywhere.

On PostgreSQL text has no length there (SQLite asks for none either) and sorts by code point, whatever the database's
language: lists come in one order on both, and instants are compared as bytes.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import BigInteger, Dialect, Integer, MetaData, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

# Ten million readers a day are more deliveries in a year than 32 bits count. SQLite's have 64 under their own name.
Number = BigInteger().with_variant(Integer(), "sqlite")

# When what waits for nothing is due: a clock that is stepped back later must not hold it up.
AT_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What waits for nothing either, and goes before that; or after it.
BEFORE_OTHERS: Final = datetime(1969, 1, 1, tzinfo=UTC)
AFTER_OTHERS: Final = datetime(1971, 1, 1, tzinfo=UTC)


def words(length: int) -> TypeEngine[str]:
    """Text that is meant to be no longer; nothing cuts it or refuses it."""
    return String(length).with_variant(Text(), "postgresql")


def in_order(length: int | None = None) -> TypeEngine[str]:
    """Any text as migrations make it. Not for queries, which would repeat the order with each value."""
    return (String(length) if length else Text()).with_variant(Text(collation="C"), "postgresql")


def write_instant(value: datetime) -> str:
    """As the database has it. Raises ValueError for what has no zone."""
    if value.tzinfo is None:
        raise ValueError("an instant without a zone")
    return value.astimezone(UTC).isoformat(timespec="microseconds")


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant as ISO text of fixed width: it sorts as time does, and people can read it."""

    impl = words(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To text; refuses what has no zone."""
        if value is None:
            return None
        return write_instant(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From text."""
        return datetime.fromisoformat(value) if value else None


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

passing = MetaData()  # tables of one connection, gone with it
