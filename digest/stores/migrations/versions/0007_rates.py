"""How fast senders may go, kept for all of them together; and when a person let an edition go on."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables and a column."""
    op.create_table(
        "paces",
        sa.Column("key", columns.in_order(300), nullable=False),
        sa.Column("free_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_paces"),
    )
    op.create_table(
        "ceilings",
        sa.Column("key", columns.in_order(300), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "day", name="pk_ceilings"),
    )
    op.add_column("editions", sa.Column("resumed_at", columns.in_order(32)))
