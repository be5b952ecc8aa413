"""Pauses, bounces, what was asked for on a page, events, access to the API, and counts."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add three columns and four tables."""
    op.add_column("people", sa.Column("hard_bounced_on", sa.Date(), nullable=True))
    op.add_column("people", sa.Column("soft_bounces", sa.Integer(), server_default="0", nullable=False))
    op.add_column("subscriptions", sa.Column("paused_until", columns.in_order(32), nullable=True))
    op.create_table(
        "page_requests",
        sa.Column("key", columns.in_order(32), nullable=False),
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("kind", columns.in_order(16), nullable=False),
        sa.Column("email", columns.in_order(), nullable=False),
        sa.Column("address", columns.in_order(64), nullable=False),
        sa.Column("network", columns.in_order(64), nullable=False),
        sa.Column("choices", columns.in_order(), nullable=False),
        sa.Column("consent_text", columns.in_order(), nullable=True),
        sa.Column("consent_from", columns.in_order(), nullable=True),
        sa.Column("requested_at", columns.in_order(32), nullable=False),
        sa.Column("mailed_at", columns.in_order(32), nullable=True),
        sa.Column("used_at", columns.in_order(32), nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_page_requests"),
    )
    op.create_index("ix_page_requests_address", "page_requests", ["address", "requested_at"])
    op.create_index("ix_page_requests_network", "page_requests", ["network", "requested_at"])
    op.create_index("ix_page_requests_requested", "page_requests", ["requested_at"])
    op.create_table(
        "events",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("provider", columns.in_order(16), nullable=False),
        sa.Column("event_id", columns.in_order(128), nullable=False),
        sa.Column("kind", columns.in_order(16), nullable=False),
        sa.Column("occurred_at", columns.in_order(32), nullable=False),
        sa.Column("received_at", columns.in_order(32), nullable=False),
        sa.Column("delivery", columns.Number, nullable=True),
        sa.Column("person", columns.Number, nullable=True),
        sa.Column("domain", columns.in_order(255), nullable=True),
        sa.Column("reject_reason", columns.in_order(16), nullable=True),
        sa.Column("weight", columns.in_order(8), nullable=True),
        sa.Column("status", columns.in_order(16), nullable=True),
        sa.Column("answer", columns.in_order(), nullable=True),
        sa.Column("raw", columns.in_order(), nullable=True),
        sa.Column("effect", columns.in_order(16), nullable=False),
        sa.ForeignKeyConstraint(["delivery"], ["deliveries.id"], name="fk_events_delivery"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name="fk_events_person"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("provider", "event_id", name="uq_events_provider"),
    )
    op.create_index("ix_events_person", "events", ["person", "occurred_at"])
    op.create_index("ix_events_domain", "events", ["domain", "occurred_at"])
    op.create_index("ix_events_delivery", "events", ["delivery"])
    op.create_index("ix_events_effect", "events", ["effect", "received_at"])
    op.create_table(
        "api_tokens",
        sa.Column("id", columns.in_order(16), nullable=False),
        sa.Column("newsletter", columns.in_order(64), nullable=False),
        sa.Column("name", columns.in_order(), nullable=False),
        sa.Column("scopes", columns.in_order(), nullable=False),
        sa.Column("hash", columns.in_order(64), nullable=False),
        sa.Column("created_at", columns.in_order(32), nullable=False),
        sa.Column("last_used_at", columns.in_order(32), nullable=True),
        sa.Column("revoked_at", columns.in_order(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("hash", name="uq_api_tokens_hash"),
    )
    op.create_table(
        "counts",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("edition", columns.Number, nullable=False),
        sa.Column("kind", columns.in_order(16), nullable=False),
        sa.Column("link", sa.Integer(), nullable=True),
        sa.Column("made_by", columns.in_order(16), nullable=False),
        sa.Column("network", columns.in_order(64), nullable=False),
        sa.Column("counted_at", columns.in_order(32), nullable=False),
        sa.ForeignKeyConstraint(["edition"], ["editions.id"], name="fk_counts_edition", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_counts"),
    )
    op.create_index("ix_counts_edition", "counts", ["edition", "kind", "made_by"])
    op.create_index("ix_counts_network", "counts", ["network", "counted_at"])
