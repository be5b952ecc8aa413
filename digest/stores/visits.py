"""When sources are visited, and by whom: at most one visit of a source at a time, whoever looks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from digest.models import SourceState
from digest.stores.database import Database
from digest.stores.entries import read_state
from digest.stores.schema import sources
from digest.stores.statements import upsert

_AT_ONCE = 500  # sources in one statement


class SqlVisits:
    """protocols.VisitStore. A claim is a mark with an end: a visitor that died holds nothing up for long."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def enrol(self, newsletter: str, source_ids: Sequence[str], *, now: datetime) -> int:
        """Plan the first visit of those that have none."""
        query = select(sources.c.id).where(sources.c.newsletter == newsletter, sources.c.visit_due_at.is_not(None))
        with self._database.read() as connection:
            planned = set(connection.execute(query).scalars())
        missing = [source for source in dict.fromkeys(source_ids) if source not in planned]
        for start in range(0, len(missing), _AT_ONCE):
            rows = [
                {"newsletter": newsletter, "id": source, "failures": 0, "visit_due_at": now}
                for source in missing[start : start + _AT_ONCE]
            ]
            statement = upsert(sources).values(rows)
            with self._database.write_marks() as connection:
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["newsletter", "id"],
                        set_={"visit_due_at": statement.excluded.visit_due_at},
                        where=sources.c.visit_due_at.is_(None),
                    )
                )
        return len(missing)

    def due(self, newsletter: str, *, now: datetime, limit: int) -> list[str]:
        """Those that are due and that nobody visits."""
        query = (
            select(sources.c.id)
            .where(sources.c.newsletter == newsletter, sources.c.visit_due_at <= now, _is_free(now))
            .order_by(sources.c.visit_due_at)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def postpone(self, newsletter: str, source_ids: Sequence[str], *, until: datetime) -> None:
        """Plan them for later."""
        for start in range(0, len(source_ids), _AT_ONCE):
            some = source_ids[start : start + _AT_ONCE]
            self._change(newsletter, some, {"visit_due_at": until})

    def claim(
        self,
        newsletter: str,
        source: str,
        *,
        now: datetime,
        until: datetime,
        only_due: bool = False,
        take_over: bool = False,
    ) -> SourceState | None:
        """Take a visit."""
        if only_due:
            statement: Any = (
                update(sources)
                .where(sources.c.newsletter == newsletter, sources.c.id == source, sources.c.visit_due_at <= now)
                .where(_is_free(now))
                .values(claimed_until=until)
            )
        else:
            inserted = upsert(sources).values(newsletter=newsletter, id=source, failures=0, claimed_until=until)
            statement = inserted.on_conflict_do_update(
                index_elements=["newsletter", "id"],
                set_={"claimed_until": until},
                where=None if take_over else _is_free(now),
            )
        with self._database.write_marks() as connection:
            row = connection.execute(statement.returning(*sources.c)).one_or_none()
        return None if row is None else read_state(row)

    def release(self, newsletter: str, source: str) -> None:
        """Give a visit back."""
        self._change(newsletter, [source], {"claimed_until": None})

    def plan(self, newsletter: str, source: str, *, pace: timedelta, due_at: datetime) -> None:
        """Keep when it is visited next, and give the visit back."""
        seconds = int(pace.total_seconds())
        self._change(newsletter, [source], {"pace": seconds, "visit_due_at": due_at, "claimed_until": None})

    def note_told(self, newsletter: str, source: str, *, now: datetime) -> None:
        """Its long failing was reported."""
        self._change(newsletter, [source], {"told_at": now})

    def states(self, newsletter: str) -> dict[str, SourceState]:
        """All of them, in one query."""
        with self._database.read() as connection:
            rows = connection.execute(select(sources).where(sources.c.newsletter == newsletter))
            return {row.id: read_state(row) for row in rows}

    def _change(self, newsletter: str, source_ids: Sequence[str], values: dict[str, Any]) -> None:
        statement = update(sources).where(sources.c.newsletter == newsletter, sources.c.id.in_(source_ids))
        with self._database.write_marks() as connection:
            connection.execute(statement.values(values))


def _is_free(now: datetime) -> Any:
    """Whether nobody visits it. A claim from far ahead is of a clock that was set back since."""
    until = sources.c.claimed_until
    return or_(until.is_(None), until <= now, until > now + timedelta(hours=1))
