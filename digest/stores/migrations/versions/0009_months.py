"""Deliveries by month on PostgreSQL, and tallies of them on both: what is counted often is not counted again."""

import sqlalchemy as sa
from alembic import op

from digest.stores import columns
from digest.stores.partitions import list_triggers, name_table

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# On PostgreSQL senders write beside each other: each adds what it changed, and nobody waits for a row. What has come
# together is summed now and then, by whoever adds next, of what nobody else is summing.
_POSTGRESQL_TALLY = """
CREATE FUNCTION tally_deliveries() RETURNS trigger LANGUAGE plpgsql AS $tally$
DECLARE
  crowded bigint[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    WITH added AS (
      INSERT INTO tallies (edition, state, number)
      SELECT edition, state, count(*) FROM came GROUP BY edition, state
      RETURNING id, edition
    ) SELECT array_agg(edition) FILTER (WHERE mod(id, 64) = 0) INTO crowded FROM added;
  ELSIF TG_OP = 'DELETE' THEN
    WITH added AS (
      INSERT INTO tallies (edition, state, number)
      SELECT edition, state, -count(*) FROM went GROUP BY edition, state
      RETURNING id, edition
    ) SELECT array_agg(edition) FILTER (WHERE mod(id, 64) = 0) INTO crowded FROM added;
  ELSE
    WITH added AS (
      INSERT INTO tallies (edition, state, number)
      SELECT edition, state, sum(number) FROM (
        SELECT edition, state, 1 AS number FROM came UNION ALL SELECT edition, state, -1 FROM went
      ) AS moved GROUP BY edition, state HAVING sum(number) <> 0
      RETURNING id, edition
    ) SELECT array_agg(edition) FILTER (WHERE mod(id, 64) = 0) INTO crowded FROM added;
  END IF;
  IF crowded IS NOT NULL THEN
    WITH taken AS (
      DELETE FROM tallies WHERE id IN (
        SELECT id FROM tallies WHERE edition = ANY (crowded) ORDER BY id FOR UPDATE SKIP LOCKED
      ) RETURNING edition, state, number
    )
    INSERT INTO tallies (edition, state, number)
    SELECT edition, state, sum(number) FROM taken GROUP BY edition, state HAVING sum(number) <> 0;
  END IF;
  RETURN NULL;
END $tally$
"""

# SQLite has one writer: a row for each edition and state.
_SQLITE_COUNT = (
    "INSERT INTO tallies (edition, state, number) VALUES (new.edition, new.state, 1)"
    " ON CONFLICT (edition, state) DO UPDATE SET number = number + 1;"
)
_SQLITE_FORGET = "UPDATE tallies SET number = number - 1 WHERE edition = old.edition AND state = old.state;"
_SQLITE_TALLIES = (
    f"CREATE TRIGGER tally_came AFTER INSERT ON deliveries BEGIN {_SQLITE_COUNT} END",
    "CREATE TRIGGER tally_moved AFTER UPDATE OF edition, state ON deliveries"
    " WHEN old.state <> new.state OR old.edition <> new.edition"
    f" BEGIN {_SQLITE_FORGET} {_SQLITE_COUNT} END",
    f"CREATE TRIGGER tally_went AFTER DELETE ON deliveries BEGIN {_SQLITE_FORGET} END",
)


def upgrade() -> None:
    """Say of each delivery in which month its edition is, and count them once."""
    op.create_table(
        "tallies",
        sa.Column("id", columns.Number, sa.Identity(), nullable=False),
        sa.Column("edition", columns.Number, nullable=False),
        sa.Column("state", columns.in_order(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tallies"),
    )
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_index("ix_tallies_edition", "tallies", ["edition", "state"], unique=not is_postgresql)
    if is_postgresql:
        _divide()
    else:
        _add_month()
    op.execute(
        "INSERT INTO tallies (edition, state, number)"
        " SELECT edition, state, count(*) FROM deliveries GROUP BY edition, state"
    )
    for trigger in _make_triggers(is_postgresql):
        op.get_bind().exec_driver_sql(trigger)


def _make_triggers(is_postgresql: bool) -> list[str]:
    if not is_postgresql:
        return list(_SQLITE_TALLIES)
    months = op.get_bind().exec_driver_sql(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'deliveries'::regclass"
    )
    tables = ["deliveries", *months.scalars()]
    return [_POSTGRESQL_TALLY, *(step for table in tables for step in list_triggers(table))]


def _add_month() -> None:
    # SQLite adds no column that must have a value without one to begin with.
    op.execute("ALTER TABLE deliveries ADD COLUMN month DATE NOT NULL DEFAULT '0001-01-01'")
    op.execute(
        "UPDATE deliveries SET month ="
        " (SELECT strftime('%Y-%m-01', date) FROM editions WHERE editions.id = deliveries.edition)"
    )
    op.drop_index("ix_deliveries_state", table_name="deliveries")


def _divide() -> None:
    """Into a table for each month. What keeps rows unique has the month in it, which follows from the edition."""
    run = op.get_bind().exec_driver_sql
    # Of a month that is dropped one day, events are kept: they name a delivery that is no more.
    op.drop_constraint("fk_events_delivery", "events")
    # Names of indexes and sequences are the whole schema's.
    run(
        "ALTER TABLE deliveries ALTER id DROP IDENTITY, DROP CONSTRAINT pk_deliveries,"
        " DROP CONSTRAINT uq_deliveries_edition, DROP CONSTRAINT uq_deliveries_send_key"
    )
    op.drop_index("ix_deliveries_batch", table_name="deliveries")
    op.rename_table("deliveries", "deliveries_before")
    run("CREATE SEQUENCE deliveries_id_seq AS bigint")
    op.create_table(
        "deliveries",
        sa.Column("id", columns.Number, server_default=sa.text("nextval('deliveries_id_seq')"), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
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
        postgresql_partition_by="RANGE (month)",
    )
    run("ALTER SEQUENCE deliveries_id_seq OWNED BY deliveries.id")
    _fill_months()
    run("SELECT setval('deliveries_id_seq', max(id)) FROM deliveries HAVING max(id) IS NOT NULL")
    # Now, and not before the rows came: an index that is made of them at once takes a fraction of the time.
    op.create_primary_key("pk_deliveries", "deliveries", ["id", "month"])
    op.create_unique_constraint("uq_deliveries_edition", "deliveries", ["edition", "subscription", "month"])
    op.create_unique_constraint("uq_deliveries_send_key", "deliveries", ["send_key", "month"])
    op.create_index("ix_deliveries_batch", "deliveries", ["batch"])
    for column, table in (("batch", "batches"), ("edition", "editions"), ("subscription", "subscriptions")):
        op.create_foreign_key(f"fk_deliveries_{column}", "deliveries", table, [column], ["id"])
    op.drop_table("deliveries_before")
    run("ANALYZE deliveries")


def _fill_months() -> None:
    run = op.get_bind().exec_driver_sql
    months = run(
        "SELECT DISTINCT date_trunc('month', date)::date FROM editions"
        " WHERE EXISTS (SELECT 1 FROM deliveries_before WHERE edition = editions.id)"
    )
    kept = "edition, subscription, batch, send_key, state, transport, attempted_at, settled_at, answer, provider_id"
    for month in sorted(months.scalars()):
        end = f"'{month}'::date + interval '1 month'"
        run(
            f"CREATE TABLE {name_table(month)} PARTITION OF deliveries"
            f" FOR VALUES FROM ('{month}') TO (({end})::date) WITH (fillfactor = 50)"
        )
        run(
            f"INSERT INTO {name_table(month)} (id, month, {kept}) SELECT id, '{month}', {kept} FROM deliveries_before"  # noqa: S608
            f" WHERE edition IN (SELECT id FROM editions WHERE date >= '{month}' AND date < {end}) ORDER BY id"
        )
