"""How fast senders may go, kept for all of them together; when a person let an edition go on; cheaper deliveries."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables and a column, and take what changes with each step out of the indexes of deliveries."""
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
    op.drop_index("ix_deliveries_batch", table_name="deliveries")
    op.create_index("ix_deliveries_batch", "deliveries", ["batch"])
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_deliveries_state", table_name="deliveries")
        op.execute("ALTER TABLE deliveries SET (fillfactor = 50)")
