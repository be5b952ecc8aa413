"""The tables. What is searched or compared is a column of its own; the rest of a noun is kept beside it as JSON."""

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)


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

keys = Table("keys", metadata, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))

sources = Table(
    "sources",
    metadata,
    Column("newsletter", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("title", Text),
    Column("cursor", Text),
    Column("last_success_at", Instant),
    Column("last_failure_at", Instant),
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("error", Text),
    Column("failing_since", Instant),
    Column("told_at", Instant),  # when it was reported that it has failed for long
    Column("next_visit_at", Instant),  # not before
)

entries = Table(
    "entries",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("newsletter", String(64), nullable=False),
    Column("source", String(64), nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("dated_at", Instant, nullable=False),  # the entry's own date, or when it was first seen
    Column("backlog", Boolean, nullable=False),  # known, or from before the first contact: never offered
    Column("entry", Text, nullable=False),
    Column("page", Text),  # what was read on it; "null" when that was nothing of use
    Column("first_contact", Boolean, nullable=False, server_default=false()),
    Index("ix_entries_seen", "newsletter", "seen_at"),
    Index("ix_entries_source", "newsletter", "source", "seen_at"),
)

# Every name by which an entry is known: its id, its link, its title and day. A link stands under no source.
entry_names = Table(
    "entry_names",
    metadata,
    Column("newsletter", String(64), primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("entry", Integer, ForeignKey("entries.number", ondelete="CASCADE"), nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False, unique=True),
    Column("name", Text),
    Column("created_at", Instant, nullable=False),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("newsletter", String(64), nullable=False),
    Column("person", Integer, ForeignKey("people.id"), nullable=False),
    Column("key", String(32), nullable=False, unique=True),
    Column("topics", Text, nullable=False),
    Column("language", String(35)),
    Column("timezone", String(64)),
    Column("frequency", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("consent_at", Instant),
    Column("consent_text", Text),
    Column("consent_from", Text),  # where they agreed: an address of the network, or a file
    Column("tags", Text, nullable=False, server_default="[]"),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("newsletter", "person"),
    Index("ix_subscriptions_state", "newsletter", "state"),
)

# How far an import came that has not ended: its name is made of what the file is and holds.
imports = Table(
    "imports",
    metadata,
    Column("newsletter", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("line", Integer, nullable=False),
    Column("changed_at", Instant, nullable=False),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("address", String(64), primary_key=True),  # a keyed hash: it outlives the person's erasure
    Column("newsletter", String(64), primary_key=True),  # "" is every newsletter
    Column("reason", String(32), nullable=False),
    Column("created_at", Instant, nullable=False),
)

editions = Table(
    "editions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("newsletter", String(64), nullable=False),
    Column("cadence", String(16), nullable=False),
    Column("date", Date, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("edition", Text),
    Column("cutoff_at", Instant),
    Column("dated_at", Instant),
    Column("sent_at", Instant),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("newsletter", "cadence", "date"),
)

renditions = Table(
    "renditions",
    metadata,
    Column("edition", Integer, ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True),
    Column("variant", String(255), primary_key=True),
    Column("subject", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("edition", Integer, ForeignKey("editions.id"), nullable=False),
    Column("variant", String(255), nullable=False),
    Column("state", String(16), nullable=False),  # planned, claimed, done
    Column("due_at", Instant, nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("retry_of", Integer),  # the batch of which these were put off
    Index("ix_batches_state", "edition", "state", "due_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("edition", Integer, ForeignKey("editions.id"), nullable=False),
    Column("subscription", Integer, ForeignKey("subscriptions.id"), nullable=False),
    Column("batch", Integer, ForeignKey("batches.id")),
    Column("send_key", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("transport", String(32)),
    Column("attempted_at", Instant),
    Column("settled_at", Instant),
    Column("answer", Text),  # the receiver's own words, or why it was skipped
    Column("provider_id", Text),
    UniqueConstraint("edition", "subscription"),
    Index("ix_deliveries_batch", "batch", "state"),
    Index("ix_deliveries_state", "edition", "state"),
)

# What a language model answered, by a hash of all that it was asked: so no question is paid for twice.
answers = Table(
    "answers",
    metadata,
    Column("question", String(64), primary_key=True),
    Column("answer", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Index("ix_answers_made", "made_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("newsletter", String(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("status", String(16), nullable=False),
    Column("report", Text, nullable=False),
)
