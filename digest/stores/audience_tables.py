"""The tables of who asked for what, of what became of their mail later, and of who may use the API."""

from sqlalchemy import Column, Date, ForeignKey, Identity, Index, Integer, Table, Text, UniqueConstraint, text

from digest.stores.columns import Instant, Number, metadata, words

# Those who are to get a weekly edition, of whom most newsletters have few.
IS_WEEKLY = "frequency = 'weekly' AND state = 'active'"
# Those who chose a time zone.
HAS_ZONE = "timezone IS NOT NULL AND state = 'active'"

people = Table(
    "people",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False, unique=True),
    Column("name", Text),
    Column("created_at", Instant, nullable=False),
    Column("hard_bounced_on", Date),  # the first day on which a server said that there is no such mailbox
    Column("soft_bounces", Integer, nullable=False, server_default="0"),  # in a row, since the last delivery
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("newsletter", words(64), nullable=False),
    Column("person", Number, ForeignKey("people.id"), nullable=False),
    Column("key", words(32), nullable=False, unique=True),
    Column("topics", Text, nullable=False),
    Column("language", words(35)),
    Column("timezone", words(64)),
    Column("frequency", words(16), nullable=False),
    Column("state", words(16), nullable=False),
    Column("consent_at", Instant),
    Column("consent_text", Text),
    Column("consent_from", Text),  # where they agreed: an address of the network, or a file
    Column("tags", Text, nullable=False, server_default="[]"),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("paused_until", Instant),
    UniqueConstraint("newsletter", "person"),
    Index("ix_subscriptions_state", "newsletter", "state"),
    # With the columns of their conditions, or SQLite takes the index of states and reads every reader.
    Index(
        "ix_subscriptions_weekly",
        *("newsletter", "state", "frequency"),
        sqlite_where=text(IS_WEEKLY),
        postgresql_where=text(IS_WEEKLY),
    ),
    Index(
        "ix_subscriptions_zone",
        *("newsletter", "state", "timezone"),
        sqlite_where=text(HAS_ZONE),
        postgresql_where=text(HAS_ZONE),
    ),
)

# What somebody asked for on a page, and is answered by mail. Addresses and networks are counted by their keyed hashes.
page_requests = Table(
    "page_requests",
    metadata,
    Column("key", words(32), primary_key=True),  # random: the link in the mail carries it
    Column("newsletter", words(64), nullable=False),
    Column("kind", words(16), nullable=False),  # confirm, known, preferences
    Column("email", Text, nullable=False),
    Column("address", words(64), nullable=False),
    Column("network", words(64), nullable=False),
    Column("choices", Text, nullable=False),  # topics, language, timezone, frequency
    Column("consent_text", Text),
    Column("consent_from", Text),
    Column("requested_at", Instant, nullable=False),
    Column("mailed_at", Instant),
    Column("used_at", Instant),
    Index("ix_page_requests_address", "address", "requested_at"),
    Index("ix_page_requests_network", "network", "requested_at"),
    Index("ix_page_requests_requested", "requested_at"),
)

# What providers and mailboxes said later, in django-anymail's words; `raw` keeps their own.
events = Table(
    "events",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("provider", words(16), nullable=False),
    Column("event_id", words(128), nullable=False),  # the provider's own, or a hash of what it said
    Column("kind", words(16), nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("delivery", Number, ForeignKey("deliveries.id")),
    Column("person", Number, ForeignKey("people.id")),
    Column("domain", words(255)),  # the receiver's
    Column("reject_reason", words(16)),
    Column("weight", words(8)),  # of a refusal: hard, listed, soft, policy, ours
    Column("status", words(16)),  # RFC 3463
    Column("answer", Text),
    Column("raw", Text),
    Column("effect", words(16), nullable=False),  # none, counted, applied, quarantined, confirmed, undone
    UniqueConstraint("provider", "event_id"),
    Index("ix_events_person", "person", "occurred_at"),
    Index("ix_events_domain", "domain", "occurred_at"),
    Index("ix_events_delivery", "delivery"),
    Index("ix_events_effect", "effect", "received_at"),
)

# Whom the provider is yet to forget: kept until it has been told.
erasures = Table(
    "erasures",
    metadata,
    Column("newsletter", words(64), primary_key=True),
    Column("email", words(320), primary_key=True),
    Column("asked_at", Instant, nullable=False),
)

# Who may use the API. The secret itself is shown once and kept as a hash.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", words(16), primary_key=True),
    Column("newsletter", words(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("hash", words(64), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
)

# How far an import came that has not ended: its name is made of what the file is and holds.
imports = Table(
    "imports",
    metadata,
    Column("newsletter", words(64), primary_key=True),
    Column("name", words(64), primary_key=True),
    Column("line", Integer, nullable=False),
    Column("changed_at", Instant, nullable=False),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("address", words(64), primary_key=True),  # a keyed hash: it outlives the person's erasure
    Column("newsletter", words(64), primary_key=True),  # "" is every newsletter
    Column("reason", words(32), nullable=False),
    Column("created_at", Instant, nullable=False),
)
