"""The key of the lists of who left, from the beginning on; how many readers there were on which day."""

import secrets

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every backup from now on has the key that its journal is read with; add a table."""
    connection = op.get_bind()
    name = "suppression_key"
    if connection.execute(sa.text("SELECT value FROM keys WHERE name = :name"), {"name": name}).scalar() is None:
        values = {"name": name, "value": secrets.token_hex(32)}
        connection.execute(sa.text("INSERT INTO keys (name, value) VALUES (:name, :value)"), values)
    op.create_table(
        "censuses",
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", columns.in_order(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("newsletter", "day", "state", name="pk_censuses"),
    )
