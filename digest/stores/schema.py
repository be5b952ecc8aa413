"""The tables. What is searched or compared is a column of its own; the rest of a noun is kept beside it as JSON."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from digest.stores.audience_tables import (
    api_tokens,
    erasures,
    events,
    imports,
    page_requests,
    people,
    subscriptions,
    suppressions,
)
from digest.stores.columns import Instant, Number, metadata, words, write_instant

__all__ = [
    "Instant",
    "answers",
    "api_tokens",
    "batches",
    "ceilings",
    "censuses",
    "counts",
    "deliveries",
    "editions",
    "entries",
    "entry_names",
    "erasures",
    "events",
    "imports",
    "incidents",
    "journal_lines",
    "keys",
    "metadata",
    "paces",
    "page_requests",
    "people",
    "renditions",
    "rounds",
    "runs",
    "sources",
    "subscriptions",
    "suppressions",
    "tallies",
    "workers",
    "write_instant",
    "zones",
]

keys = Table("keys", metadata, Column("name", words(64), primary_key=True), Column("value", Text, nullable=False))

# The lines of journals that this database knows of, each by a number that is made from its bytes.
journal_lines = Table("journal_lines", metadata, Column("line", BigInteger, primary_key=True, autoincrement=False))

sources = Table(
    "sources",
    metadata,
    Column("newsletter", words(64), primary_key=True),
    Column("id", words(64), primary_key=True),
    Column("title", Text),
    Column("cursor", Text),
    Column("last_success_at", Instant),
    Column("last_failure_at", Instant),
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("error", Text),
    Column("failing_since", Instant),
    Column("told_at", Instant),  # when it was reported that it has failed for long
    Column("next_visit_at", Instant),  # not before
    Column("visit_due_at", Instant),  # at its own pace; null: no visit is planned
    Column("pace", Integer),  # seconds between visits, as it was found to publish
    Column("claimed_until", Instant),  # somebody visits it, until then at most
    Index("ix_sources_due", "newsletter", "visit_due_at"),
)

entries = Table(
    "entries",
    metadata,
    Column("number", Number, Identity(), primary_key=True),
    Column("newsletter", words(64), nullable=False),
    Column("source", words(64), nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("dated_at", Instant, nullable=False),  # the entry's own date, or when it was first seen
    Column("backlog", Boolean, nullable=False),  # known, or from before the first contact: never offered
    Column("entry", Text, nullable=False),
    Column("page", Text),  # what was read on it; "null" when that was nothing of use
    Column("first_contact", Boolean, nullable=False, server_default=false()),
    Column("read_due_at", Instant),  # when its page is to be read, ahead of an edition; null: not, or not any more
    Column("reads", Integer, nullable=False, server_default="0"),  # how often that was begun
    Column("texts", Integer, server_default="1"),  # null: what it says was kept for long enough
    Index(
        "ix_entries_texts",
        "newsletter",
        "seen_at",
        sqlite_where=text("texts IS NOT NULL"),
        postgresql_where=text("texts IS NOT NULL"),
    ),
    Index(
        "ix_entries_unread",
        "newsletter",
        "read_due_at",
        sqlite_where=text("read_due_at IS NOT NULL"),
        postgresql_where=text("read_due_at IS NOT NULL"),
    ),
    # With what is counted of each source: else SQLite reads the texts, too.
    Index("ix_entries_seen", "newsletter", "seen_at", "source", "first_contact"),
    Index("ix_entries_source", "newsletter", "source", "seen_at"),
)

# Every name by which an entry is known: its id, its link, its title and day. A link stands under no source.
entry_names = Table(
    "entry_names",
    metadata,
    Column("newsletter", words(64), primary_key=True),
    Column("source", words(64), primary_key=True),
    Column("name", words(80), primary_key=True),
    Column("entry", Number, ForeignKey("entries.number", ondelete="CASCADE"), nullable=False),
)

# Opens and clicks, where the operator has them counted: by nobody's name.
counts = Table(
    "counts",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("edition", Number, ForeignKey("editions.id", ondelete="CASCADE"), nullable=False),
    Column("kind", words(16), nullable=False),  # open, click
    Column("link", Integer),  # a number made of its address
    Column("made_by", words(16), nullable=False),  # person, scanner, prefetcher, proxy
    Column("network", words(64), nullable=False),  # a keyed hash
    Column("counted_at", Instant, nullable=False),
    Index("ix_counts_edition", "edition", "kind", "made_by"),
    Index("ix_counts_network", "network", "counted_at"),
)

editions = Table(
    "editions",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("newsletter", words(64), nullable=False),
    Column("cadence", words(16), nullable=False),
    Column("date", Date, nullable=False),
    Column("state", words(16), nullable=False),
    Column("reason", Text),
    Column("edition", Text),
    Column("cutoff_at", Instant),
    Column("dated_at", Instant),
    Column("sent_at", Instant),
    Column("resumed_at", Instant),  # when a person let it go on
    Column("changed_at", Instant, nullable=False),
    Column("canary", words(16)),  # passed, waived
    Column("counted", Text),  # deliveries by state, when these themselves were forgotten
    UniqueConstraint("newsletter", "cadence", "date"),
    Index("ix_editions_date", "newsletter", "date", "id"),
    Index("ix_editions_sent", "newsletter", "state", "sent_at"),
)

renditions = Table(
    "renditions",
    metadata,
    Column("edition", Number, ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True),
    Column("variant", words(255), primary_key=True),
    Column("subject", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
)

# When an edition is due for the readers of a time zone, where each is mailed at their own time.
zones = Table(
    "zones",
    metadata,
    Column("edition", Number, ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True),
    Column("timezone", words(64), primary_key=True),
    Column("due_at", Instant, nullable=False),
)

# When a scheduler last saw that all that was due of a cadence was made, or was to be none.
looks = Table(
    "looks",
    metadata,
    Column("newsletter", words(64), primary_key=True),
    Column("cadence", words(16), primary_key=True),
    Column("looked_at", Instant, nullable=False),
)

# How far the sending of an edition was when tasks were last added for it: without progress, others are, under the next
# number.
rounds = Table(
    "rounds",
    metadata,
    Column("edition", Number, ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),  # batches that were due and not done
    Column("enqueued_at", Instant, nullable=False),
)

# Who is there to do tasks.
workers = Table(
    "workers",
    metadata,
    Column("id", words(32), primary_key=True),
    Column("newsletter", words(64), nullable=False),
    Column("host", words(255), nullable=False),
    Column("version", words(32), nullable=False),
    Column("queues", Text, nullable=False),
    Column("concurrency", Integer, nullable=False),
    # By the database's clock.
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("steady_since", Instant, nullable=False),  # never silent for long since
    Column("skew", Integer),  # milliseconds that its machine's clock is ahead
)

# What the operator was told of, until it has passed: so that nobody tells it again.
incidents = Table(
    "incidents",
    metadata,
    Column("newsletter", words(64), primary_key=True),
    Column("name", words(255), primary_key=True),
    # Who can judge of it: "" everybody, else those of that machine, or of that configuration.
    Column("scope", words(255), nullable=False, server_default=""),
    Column("since", Instant, nullable=False),
    Column("seen_at", Instant),  # to the hour
    Column("taken_at", Instant),  # by one who tells it now
    Column("ways", Text, nullable=False, server_default=""),  # by which it was told, parted by blanks
    Column("told_at", Instant),  # by all of them
)

batches = Table(
    "batches",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("edition", Number, ForeignKey("editions.id"), nullable=False),
    Column("variant", words(255), nullable=False),
    Column("state", words(16), nullable=False),  # planned, claimed, done; late: given up
    Column("due_at", Instant, nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("retry_of", Number),  # the batch of which these were put off
    Column("timezone", words(64)),  # whose readers these are, where each is mailed at their own time
    Index("ix_batches_state", "edition", "state", "due_at"),
)

# On PostgreSQL in tables by month, so that the month is part of all that is unique; events of a dropped month are kept,
# and hold no delivery there. See partitions.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("edition", Number, ForeignKey("editions.id"), nullable=False),
    Column("month", Date, nullable=False),  # the first day of that of the edition; see partitions
    Column("subscription", Number, ForeignKey("subscriptions.id"), nullable=False),
    Column("batch", Number, ForeignKey("batches.id")),
    Column("send_key", words(64), nullable=False, unique=True),
    Column("state", words(16), nullable=False),
    Column("transport", words(32)),
    Column("attempted_at", Instant),
    Column("settled_at", Instant),
    Column("answer", Text),  # the receiver's own words, or why it was skipped
    Column("provider_id", Text),
    UniqueConstraint("edition", "subscription"),
    # No index holds the state: on PostgreSQL a row that is marked or settled is then written anew in its own page
    # (HOT), which takes a third of the time. What is asked most is how many there are of each: see `tallies`.
    Index("ix_deliveries_batch", "batch"),
)

# How many deliveries there are in each state. The database itself adds to these as deliveries change, in the same
# transaction (see migration 0009): the sum is exact whoever writes, and whatever is undone.
tallies = Table(
    "tallies",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("edition", Number, nullable=False),
    Column("state", words(16), nullable=False),
    Column("number", Integer, nullable=False),
    Index("ix_tallies_edition", "edition", "state"),  # on SQLite unique: there is a row for each
)

# When what has a rate may be used again, by all senders together: a transport, a recipient domain.
paces = Table(
    "paces",
    metadata,
    Column("key", words(300), primary_key=True),
    Column("free_at", Instant, nullable=False),
)

# How much of a ceiling was taken: of a transport's warm-up plan on one day.
ceilings = Table(
    "ceilings",
    metadata,
    Column("key", words(300), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("used", Integer, nullable=False),
)

# How many readers there were in each state on a day, when somebody last looked.
censuses = Table(
    "censuses",
    metadata,
    Column("newsletter", words(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("state", words(16), primary_key=True),
    Column("number", Integer, nullable=False),
)

# What a language model answered, by a hash of all that it was asked: so no question is paid for twice.
answers = Table(
    "answers",
    metadata,
    Column("question", words(64), primary_key=True),
    Column("answer", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Index("ix_answers_made", "made_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("newsletter", words(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("status", words(16), nullable=False),
    Column("report", Text, nullable=False),
)
