"""How visits to a source went, and which entries its first visit brought."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what decides when a source is visited again."""
    for name in ("failing_since", "told_at", "next_visit_at"):
        op.add_column("sources", sa.Column(name, columns.in_order(32), nullable=True))
    op.add_column("entries", sa.Column("first_contact", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_entries_source", "entries", ["newsletter", "source", "seen_at"], unique=False)
