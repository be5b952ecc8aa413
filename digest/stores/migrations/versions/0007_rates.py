"""How fast senders may go, kept for all of them together."""

import sqlalchemy as sa
from alembic import op

from digest.stores import schema

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables, and what a canary found to an edition."""
    op.create_table(
        "paces",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("free_at", schema.Instant(length=32), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_paces"),
    )
    op.create_table(
        "ceilings",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "day", name="pk_ceilings"),
    )
    op.add_column("editions", sa.Column("canary", sa.String(length=16)))
