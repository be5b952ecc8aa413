"""What one claim puts off waits in one batch."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Name the batch of which these were put off."""
    op.add_column("batches", sa.Column("retry_of", columns.Number, nullable=True))
