"""What a language model answered."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of answers."""
    op.create_table(
        "answers",
        sa.Column("question", columns.in_order(64), nullable=False),
        sa.Column("answer", columns.in_order(), nullable=False),
        sa.Column("made_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("question", name="pk_answers"),
    )
    op.create_index("ix_answers_made", "answers", ["made_at"], unique=False)
