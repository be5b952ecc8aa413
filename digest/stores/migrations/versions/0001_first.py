"""The first tables."""

import sqlalchemy as sa
from alembic import op

from digest.stores import schema

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "editions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("newsletter", sa.String(length=64), nullable=False),
        sa.Column("cadence", sa.String(length=16), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("edition", sa.Text(), nullable=True),
        sa.Column("cutoff_at", schema.Instant(length=32), nullable=True),
        sa.Column("dated_at", schema.Instant(length=32), nullable=True),
        sa.Column("sent_at", schema.Instant(length=32), nullable=True),
        sa.Column("changed_at", schema.Instant(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_editions")),
        sa.UniqueConstraint("newsletter", "cadence", "date", name=op.f("uq_editions_newsletter")),
    )
    op.create_table(
        "entries",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("newsletter", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("seen_at", schema.Instant(length=32), nullable=False),
        sa.Column("dated_at", schema.Instant(length=32), nullable=False),
        sa.Column("backlog", sa.Boolean(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("page", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_entries")),
    )
    op.create_index("ix_entries_seen", "entries", ["newsletter", "seen_at"], unique=False)
    op.create_table(
        "keys",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_keys")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("created_at", schema.Instant(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email_key", name=op.f("uq_people_email_key")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("newsletter", sa.String(length=64), nullable=False),
        sa.Column("started_at", schema.Instant(length=32), nullable=False),
        sa.Column("finished_at", schema.Instant(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_table(
        "sources",
        sa.Column("newsletter", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("last_success_at", schema.Instant(length=32), nullable=True),
        sa.Column("last_failure_at", schema.Instant(length=32), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("newsletter", "id", name=op.f("pk_sources")),
    )
    op.create_table(
        "suppressions",
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("newsletter", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("created_at", schema.Instant(length=32), nullable=False),
        sa.PrimaryKeyConstraint("address", "newsletter", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("variant", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", schema.Instant(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", schema.Instant(length=32), nullable=True),
        sa.ForeignKeyConstraint(["edition"], ["editions.id"], name=op.f("fk_batches_edition")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index("ix_batches_state", "batches", ["edition", "state", "due_at"], unique=False)
    op.create_table(
        "entry_names",
        sa.Column("newsletter", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["entry"], ["entries.number"], name=op.f("fk_entry_names_entry"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("newsletter", "source", "name", name=op.f("pk_entry_names")),
    )
    op.create_table(
        "renditions",
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("variant", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["edition"], ["editions.id"], name=op.f("fk_renditions_edition"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("edition", "variant", name=op.f("pk_renditions")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("newsletter", sa.String(length=64), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("topics", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("frequency", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("consent_at", schema.Instant(length=32), nullable=True),
        sa.Column("consent_text", sa.Text(), nullable=True),
        sa.Column("created_at", schema.Instant(length=32), nullable=False),
        sa.Column("changed_at", schema.Instant(length=32), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name=op.f("fk_subscriptions_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("key", name=op.f("uq_subscriptions_key")),
        sa.UniqueConstraint("newsletter", "person", name=op.f("uq_subscriptions_newsletter")),
    )
    op.create_index("ix_subscriptions_state", "subscriptions", ["newsletter", "state"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("subscription", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("send_key", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("transport", sa.String(length=32), nullable=True),
        sa.Column("attempted_at", schema.Instant(length=32), nullable=True),
        sa.Column("settled_at", schema.Instant(length=32), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["batch"], ["batches.id"], name=op.f("fk_deliveries_batch")),
        sa.ForeignKeyConstraint(["edition"], ["editions.id"], name=op.f("fk_deliveries_edition")),
        sa.ForeignKeyConstraint(["subscription"], ["subscriptions.id"], name=op.f("fk_deliveries_subscription")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("edition", "subscription", name=op.f("uq_deliveries_edition")),
        sa.UniqueConstraint("send_key", name=op.f("uq_deliveries_send_key")),
    )
    op.create_index("ix_deliveries_batch", "deliveries", ["batch", "state"], unique=False)
    op.create_index("ix_deliveries_state", "deliveries", ["edition", "state"], unique=False)
