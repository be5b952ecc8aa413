"""The keys that are made once and kept with the data, the reports of runs, and when a scheduler last looked."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, insert, select

from digest.models import Cadence, Report
from digest.stores.database import Database
from digest.stores.schema import keys, looks, runs
from digest.stores.statements import upsert

KEY: Final = "suppression_key"  # by which lists know addresses; see suppressing
_REPORT = TypeAdapter(Report)


class SqlKeys:
    """protocols.KeyStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def key(self, name: str, make: Callable[[], str]) -> str:
        """The key of that name, made and kept when absent."""
        with self._database.read() as connection:
            kept = self.kept_in(connection, name)
        if kept is not None:
            return kept
        with self._database.write() as connection:
            return self.key_in(connection, name, make)

    def find(self, name: str) -> str | None:
        """What is kept under that name."""
        with self._database.read() as connection:
            return self.kept_in(connection, name)

    def note(self, name: str, value: str) -> None:
        """Keep something else under that name."""
        noted = upsert(keys).values(name=name, value=value)
        with self._database.write() as connection:
            connection.execute(noted.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

    def key_in(self, connection: Connection, name: str, make: Callable[[], str]) -> str:
        """The same within a writing transaction."""
        kept = self.kept_in(connection, name)
        if kept is None:
            connection.execute(upsert(keys).values(name=name, value=make()).on_conflict_do_nothing())
            kept = self.kept_in(connection, name)
        return str(kept)

    @staticmethod
    def kept_in(connection: Connection, name: str) -> str | None:
        """The key of that name when there is one."""
        return connection.execute(select(keys.c.value).where(keys.c.name == name)).scalar()

    @staticmethod
    def secret(connection: Connection) -> str:
        """The key of the lists, which every database has from the start."""
        return str(connection.execute(select(keys.c.value).where(keys.c.name == KEY)).scalar_one())


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

    def last(
        self, newsletter: str, *, edition: int | None = None, has_stages: bool = False
    ) -> tuple[datetime, Report] | None:
        """When the newest run ended, and its report: of all, of one edition's, or of those that did something."""
        query = (
            select(runs.c.finished_at, runs.c.report)
            .where(runs.c.newsletter == newsletter)
            .order_by(runs.c.id.desc())
            .limit(1)
        )
        if has_stages:
            query = query.where(runs.c.report.contains('"stages":[{'))
        if edition is not None:
            # As it stands in the report, and nowhere else in it: within a string a quotation mark is escaped.
            query = query.where(runs.c.report.contains(f'"edition":{edition},'))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            return (row.finished_at, _REPORT.validate_json(row.report)) if row else None

    def note_look(self, newsletter: str, cadence: Cadence, *, now: datetime) -> None:
        """Remember that a scheduler looked; a clock that is behind another takes nothing back."""
        which = {"newsletter": newsletter, "cadence": cadence}
        statement = upsert(looks).values(**which, looked_at=now)
        with self._database.write_fast() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(which), set_={"looked_at": now}, where=looks.c.looked_at < now
                )
            )

    def last_look(self, newsletter: str, cadence: Cadence) -> datetime | None:
        """When a scheduler looked last; None: never."""
        query = select(looks.c.looked_at).where(looks.c.newsletter == newsletter, looks.c.cadence == cadence)
        with self._database.read() as connection:
            return connection.execute(query).scalar()
