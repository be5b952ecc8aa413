"""Where a reader agreed, the operator's tags, and how far imports came."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns and a table."""
    op.add_column("subscriptions", sa.Column("consent_from", columns.in_order(), nullable=True))
    op.add_column("subscriptions", sa.Column("tags", columns.in_order(), server_default="[]", nullable=False))
    op.create_table(
        "imports",
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("name", columns.in_order(64), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("changed_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("newsletter", "name", name="pk_imports"),
    )
