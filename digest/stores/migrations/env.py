"""Alembic's way in: the connection is handed over by `digest.stores.sql`."""

from alembic import context

from digest.stores.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=True, transaction_per_migration=False
)
context.run_migrations()
