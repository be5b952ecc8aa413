"""What all tables are made of: one metadata, and instants as text that sorts as time does."""

from datetime import UTC, datetime

from sqlalchemy import Dialect, MetaData, String, TypeDecorator


def write_instant(value: datetime) -> str:
    """As the database has it. Raises ValueError for what has no zone."""
    if value.tzinfo is None:
        raise ValueError("an instant without a zone")
    return value.astimezone(UTC).isoformat(timespec="microseconds")


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant as ISO text of fixed width: it sorts as time does, and people can read it."""

    impl = String(32)
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
