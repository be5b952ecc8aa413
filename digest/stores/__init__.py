"""What outlives a run: SQLAlchemy Core on SQLite, one slice for each consumer."""
