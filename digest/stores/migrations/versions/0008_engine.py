"""Zones of readers, the pace of sources, and what workers need to know of each other."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add five tables, two indexes of active readers, and columns of sources and batches."""
    number = columns.Number
    op.create_table(
        "zones",
        sa.Column("edition", number, sa.ForeignKey("editions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("timezone", columns.in_order(64), nullable=False),
        sa.Column("due_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("edition", "timezone", name="pk_zones"),
    )
    op.create_table(
        "rounds",
        sa.Column("edition", number, sa.ForeignKey("editions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("enqueued_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("edition", name="pk_rounds"),
    )
    op.create_table(
        "workers",
        sa.Column("id", columns.in_order(32), nullable=False),
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("host", columns.in_order(255), nullable=False),
        sa.Column("version", columns.in_order(32), nullable=False),
        sa.Column("queues", columns.in_order(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("started_at", columns.in_order(32), nullable=False),
        sa.Column("seen_at", columns.in_order(32), nullable=False),
        sa.Column("steady_since", columns.in_order(32), nullable=False),
        sa.Column("skew", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "incidents",
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("name", columns.in_order(255), nullable=False),
        sa.Column("since", columns.in_order(32), nullable=False),
        sa.Column("told_at", columns.in_order(32)),
        sa.PrimaryKeyConstraint("newsletter", "name", name="pk_incidents"),
    )
    op.create_table(
        "looks",
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("cadence", columns.in_order(16), nullable=False),
        sa.Column("looked_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("newsletter", "cadence", name="pk_looks"),
    )
    conditions = {
        "frequency": "frequency = 'weekly' AND state = 'active'",
        "timezone": "timezone IS NOT NULL AND state = 'active'",
    }
    for name, column in (("ix_subscriptions_weekly", "frequency"), ("ix_subscriptions_zone", "timezone")):
        only = sa.text(conditions[column])
        columns_of = ["newsletter", "state", column]
        op.create_index(name, "subscriptions", columns_of, sqlite_where=only, postgresql_where=only)
    op.add_column("sources", sa.Column("visit_due_at", columns.in_order(32)))
    op.add_column("sources", sa.Column("pace", sa.Integer()))
    op.add_column("sources", sa.Column("claimed_until", columns.in_order(32)))
    op.create_index("ix_sources_due", "sources", ["newsletter", "visit_due_at"])
    op.add_column("entries", sa.Column("read_due_at", columns.in_order(32)))
    op.add_column("entries", sa.Column("reads", sa.Integer(), nullable=False, server_default="0"))
    only = sa.text("read_due_at IS NOT NULL")
    op.create_index(
        "ix_entries_unread", "entries", ["newsletter", "read_due_at"], sqlite_where=only, postgresql_where=only
    )
    op.add_column("batches", sa.Column("timezone", columns.in_order(64)))
