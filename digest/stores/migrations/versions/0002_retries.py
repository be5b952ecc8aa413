"""What one claim puts off waits in one batch."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Name the batch of which these were put off."""
    op.add_column("batches", sa.Column("retry_of", sa.Integer(), nullable=True))
