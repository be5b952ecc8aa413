"""The keys that are made once and kept with the data, and the reports of runs."""

from collections.abc import Callable
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from digest.models import Report
from digest.stores.database import Database
from digest.stores.schema import keys, runs

_REPORT = TypeAdapter(Report)


class SqlKeys:
    """protocols.KeyStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def key(self, name: str, make: Callable[[], str]) -> str:
        """The key of that name, made and kept when absent."""
        with self._database.read() as connection:
            kept = connection.execute(select(keys.c.value).where(keys.c.name == name)).scalar()
        if kept is not None:
            return str(kept)
        with self._database.write() as connection:
            return self.key_in(connection, name, make)

    @staticmethod
    def key_in(connection: Connection, name: str, make: Callable[[], str]) -> str:
        """The same within a writing transaction."""
        query = select(keys.c.value).where(keys.c.name == name)
        kept = connection.execute(query).scalar()
        if kept is None:
            connection.execute(upsert(keys).values(name=name, value=make()).on_conflict_do_nothing())
            kept = connection.execute(query).scalar_one()
        return str(kept)


class SqlRuns:
    """protocols.RunStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def record(self, report: Report, *, started_at: datetime, finished_at: datetime) -> None:
        """Keep a report."""
        values = {
            "newsletter": report.newsletter,
            "started_at": started_at,
            "finished_at": finished_at,
            "status": report.status,
            "report": _REPORT.dump_json(report).decode(),
        }
        with self._database.write() as connection:
            connection.execute(insert(runs).values(**values))
