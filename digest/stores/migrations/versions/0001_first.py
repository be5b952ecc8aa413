"""The first tables."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "editions",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("cadence", columns.in_order(16), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("state", columns.in_order(16), nullable=False),
        sa.Column("reason", columns.in_order(), nullable=True),
        sa.Column("edition", columns.in_order(), nullable=True),
        sa.Column("cutoff_at", columns.in_order(32), nullable=True),
        sa.Column("dated_at", columns.in_order(32), nullable=True),
        sa.Column("sent_at", columns.in_order(32), nullable=True),
        sa.Column("changed_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_editions")),
        sa.UniqueConstraint("newsletter", "cadence", "date", name=op.f("uq_editions_newsletter")),
    )
    op.create_table(
        "entries",
        sa.Column("number", columns.Number, sa.Identity(), nullable=False),
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("source", columns.in_order(64), nullable=False),
        sa.Column("seen_at", columns.in_order(32), nullable=False),
        sa.Column("dated_at", columns.in_order(32), nullable=False),
        sa.Column("backlog", sa.Boolean(), nullable=False),
        sa.Column("entry", columns.in_order(), nullable=False),
        sa.Column("page", columns.in_order(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_entries")),
    )
    op.create_index("ix_entries_seen", "entries", ["newsletter", "seen_at"], unique=False)
    op.create_table(
        "keys",
        sa.Column("name", columns.in_order(64), nullable=False),
        sa.Column("value", columns.in_order(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_keys")),
    )
    op.create_table(
        "people",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("email", columns.in_order(), nullable=False),
        sa.Column("email_key", columns.in_order(), nullable=False),
        sa.Column("name", columns.in_order(), nullable=True),
        sa.Column("created_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email_key", name=op.f("uq_people_email_key")),
    )
    op.create_table(
        "runs",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("started_at", columns.in_order(32), nullable=False),
        sa.Column("finished_at", columns.in_order(32), nullable=False),
        sa.Column("status", columns.in_order(16), nullable=False),
        sa.Column("report", columns.in_order(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_table(
        "sources",
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("id", columns.in_order(64), nullable=False),
        sa.Column("title", columns.in_order(), nullable=True),
        sa.Column("cursor", columns.in_order(), nullable=True),
        sa.Column("last_success_at", columns.in_order(32), nullable=True),
        sa.Column("last_failure_at", columns.in_order(32), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", columns.in_order(), nullable=True),
        sa.PrimaryKeyConstraint("newsletter", "id", name=op.f("pk_sources")),
    )
    op.create_table(
        "suppressions",
        sa.Column("address", columns.in_order(64), nullable=False),
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("reason", columns.in_order(32), nullable=False),
        sa.Column("created_at", columns.in_order(32), nullable=False),
        sa.PrimaryKeyConstraint("address", "newsletter", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "batches",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("edition", columns.Number, nullable=False),
        sa.Column("variant", columns.in_order(255), nullable=False),
        sa.Column("state", columns.in_order(16), nullable=False),
        sa.Column("due_at", columns.in_order(32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", columns.in_order(), nullable=True),
        sa.Column("lease_until", columns.in_order(32), nullable=True),
        sa.ForeignKeyConstraint(["edition"], ["editions.id"], name=op.f("fk_batches_edition")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index("ix_batches_state", "batches", ["edition", "state", "due_at"], unique=False)
    op.create_table(
        "entry_names",
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("source", columns.in_order(64), nullable=False),
        sa.Column("name", columns.in_order(80), nullable=False),
        sa.Column("entry", columns.Number, nullable=False),
        sa.ForeignKeyConstraint(["entry"], ["entries.number"], name=op.f("fk_entry_names_entry"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("newsletter", "source", "name", name=op.f("pk_entry_names")),
    )
    op.create_table(
        "renditions",
        sa.Column("edition", columns.Number, nullable=False),
        sa.Column("variant", columns.in_order(255), nullable=False),
        sa.Column("subject", columns.in_order(), nullable=False),
        sa.Column("html", columns.in_order(), nullable=False),
        sa.Column("text", columns.in_order(), nullable=False),
        sa.ForeignKeyConstraint(["edition"], ["editions.id"], name=op.f("fk_renditions_edition"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("edition", "variant", name=op.f("pk_renditions")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("person", columns.Number, nullable=False),
        sa.Column("key", columns.in_order(32), nullable=False),
        sa.Column("topics", columns.in_order(), nullable=False),
        sa.Column("language", columns.in_order(35), nullable=True),
        sa.Column("timezone", columns.in_order(64), nullable=True),
        sa.Column("frequency", columns.in_order(16), nullable=False),
        sa.Column("state", columns.in_order(16), nullable=False),
        sa.Column("consent_at", columns.in_order(32), nullable=True),
        sa.Column("consent_text", columns.in_order(), nullable=True),
        sa.Column("created_at", columns.in_order(32), nullable=False),
        sa.Column("changed_at", columns.in_order(32), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name=op.f("fk_subscriptions_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("key", name=op.f("uq_subscriptions_key")),
        sa.UniqueConstraint("newsletter", "person", name=op.f("uq_subscriptions_newsletter")),
    )
    op.create_index("ix_subscriptions_state", "subscriptions", ["newsletter", "state"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("edition", columns.Number, nullable=False),
        sa.Column("subscription", columns.Number, nullable=False),
        sa.Column("batch", columns.Number, nullable=True),
        sa.Column("send_key", columns.in_order(64), nullable=False),
        sa.Column("state", columns.in_order(16), nullable=False),
        sa.Column("transport", columns.in_order(32), nullable=True),
        sa.Column("attempted_at", columns.in_order(32), nullable=True),
        sa.Column("settled_at", columns.in_order(32), nullable=True),
        sa.Column("answer", columns.in_order(), nullable=True),
        sa.Column("provider_id", columns.in_order(), nullable=True),
        sa.ForeignKeyConstraint(["batch"], ["batches.id"], name=op.f("fk_deliveries_batch")),
        sa.ForeignKeyConstraint(["edition"], ["editions.id"], name=op.f("fk_deliveries_edition")),
        sa.ForeignKeyConstraint(["subscription"], ["subscriptions.id"], name=op.f("fk_deliveries_subscription")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("edition", "subscription", name=op.f("uq_deliveries_edition")),
        sa.UniqueConstraint("send_key", name=op.f("uq_deliveries_send_key")),
    )
    op.create_index("ix_deliveries_batch", "deliveries", ["batch", "state"], unique=False)
    op.create_index("ix_deliveries_state", "deliveries", ["edition", "state"], unique=False)
