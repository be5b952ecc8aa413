"""What a year of operation needs: the key of who left from the start, readers day by day, what may be forgotten."""

import secrets

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every backup from now on has the key that its journal is read with; add tables and columns."""
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
    op.create_table(
        "erasures",
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("email", columns.in_order(320), nullable=False),
        sa.Column("asked_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("newsletter", "email", name="pk_erasures"),
    )
    op.create_table(
        "journal_lines",
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("line", name="pk_journal_lines"),
    )
    op.add_column("incidents", sa.Column("scope", columns.in_order(255), nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("seen_at", columns.in_order(32)))
    op.add_column("incidents", sa.Column("taken_at", columns.in_order(32)))
    op.add_column("incidents", sa.Column("ways", columns.in_order(), nullable=False, server_default=""))
    op.add_column("editions", sa.Column("counted", columns.in_order()))
    op.add_column("entries", sa.Column("texts", sa.Integer(), server_default="1"))
    has_texts = sa.text("texts IS NOT NULL")
    op.create_index(
        "ix_entries_texts", "entries", ["newsletter", "seen_at"], sqlite_where=has_texts, postgresql_where=has_texts
    )
    op.drop_index("ix_entries_seen", "entries")
    op.create_index("ix_entries_seen", "entries", ["newsletter", "seen_at", "source", "first_contact"])
    op.create_index("ix_editions_date", "editions", ["newsletter", "date", "id"])
    op.create_index("ix_editions_sent", "editions", ["newsletter", "state", "sent_at"])
