"""What `collect` and `extract` keep: sources, entries, the texts of their pages."""

import json
from collections.abc import Mapping
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, func, insert, select, update

from digest.models import Collected, Entry, Page, StoredEntry
from digest.stores.database import Database, upsert
from digest.stores.identity import names_of
from digest.stores.schema import entries, entry_names, sources

_ENTRY = TypeAdapter(Entry)
_PAGE: TypeAdapter[Page | None] = TypeAdapter(Page | None)


class SqlEntries:
    """protocols.EntryStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def cursor(self, newsletter: str, source: str) -> Mapping[str, str] | None:
        """What the last successful visit left; None at first contact."""
        query = select(sources.c.cursor).where(sources.c.newsletter == newsletter, sources.c.id == source)
        with self._database.read() as connection:
            kept = connection.execute(query).scalar()
        return json.loads(kept) if kept else None

    def add(self, newsletter: str, source: str, collected: Collected, *, now: datetime, since: datetime) -> int:
        """Keep what is new, and the cursor; returns how many were new."""
        named = names_of(collected.entries, now)
        with self._database.write() as connection:
            known = connection.execute(
                select(sources.c.cursor, sources.c.title).where(
                    sources.c.newsletter == newsletter, sources.c.id == source
                )
            ).one_or_none()
            first_contact = known is None or known.cursor is None
            taken = self._known_names(connection, newsletter, source, set().union(*named) if named else set())
            new = 0
            for entry, names in zip(collected.entries, named, strict=True):
                missing = names - taken
                if names & taken:
                    # Known by one name: its other names are learned, so that it stays known when that one changes.
                    number = connection.execute(
                        select(entry_names.c.entry).where(
                            entry_names.c.newsletter == newsletter,
                            entry_names.c.source == source,
                            entry_names.c.name.in_(names & taken),
                        )
                    ).scalar()
                else:
                    dated_at = entry.published_at or entry.updated_at or now
                    number = connection.execute(
                        insert(entries)
                        .values(
                            newsletter=newsletter,
                            source=source,
                            seen_at=now,
                            dated_at=min(dated_at, now),
                            backlog=first_contact and dated_at < since,
                            entry=_ENTRY.dump_json(entry).decode(),
                        )
                        .returning(entries.c.number)
                    ).scalar_one()
                    new += 1
                if missing:
                    rows = [{"newsletter": newsletter, "source": source, "name": n, "entry": number} for n in missing]
                    connection.execute(insert(entry_names), rows)
                    taken |= missing
            values = {
                "title": collected.title or (known.title if known else None),
                "cursor": json.dumps(dict(collected.cursor)),
                "last_success_at": now,
                "failures": 0,
                "error": None,
            }
            statement = upsert(sources).values(newsletter=newsletter, id=source, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["newsletter", "id"], set_=values))
        return new

    @staticmethod
    def _known_names(connection: Connection, newsletter: str, source: str, names: set[str]) -> set[str]:
        found: set[str] = set()
        wanted = sorted(names)
        for start in range(0, len(wanted), 500):
            query = select(entry_names.c.name).where(
                entry_names.c.newsletter == newsletter,
                entry_names.c.source == source,
                entry_names.c.name.in_(wanted[start : start + 500]),
            )
            found.update(connection.execute(query).scalars())
        return found

    def fail(self, newsletter: str, source: str, error: str, *, now: datetime) -> None:
        """Note a failed visit."""
        statement = upsert(sources).values(
            newsletter=newsletter, id=source, last_failure_at=now, failures=1, error=error
        )
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["newsletter", "id"],
                    set_={"last_failure_at": now, "failures": sources.c.failures + 1, "error": error},
                )
            )

    def offered(
        self, newsletter: str, *, after: datetime | None, since: datetime, until: datetime
    ) -> list[StoredEntry]:
        """What an edition may take, oldest first."""
        fresh = entries.c.dated_at >= since if after is None else entries.c.seen_at > after
        query = (
            select(entries, sources.c.title)
            .join(sources, and_(sources.c.newsletter == entries.c.newsletter, sources.c.id == entries.c.source))
            .where(entries.c.newsletter == newsletter, entries.c.backlog.is_(False), entries.c.seen_at <= until, fresh)
            .order_by(entries.c.dated_at, entries.c.number)
        )
        with self._database.read() as connection:
            return [
                StoredEntry(
                    number=row.number,
                    source_id=row.source,
                    outlet=row.title or row.source,
                    seen_at=row.seen_at,
                    entry=_ENTRY.validate_json(row.entry),
                    page=_PAGE.validate_json(row.page) if row.page else None,
                    is_read=row.page is not None,
                )
                for row in connection.execute(query)
            ]

    def keep_page(self, number: int, page: Page | None) -> None:
        """Keep what was read on the entry's page; None says that the feed's own text must do."""
        with self._database.write_fast() as connection:
            connection.execute(
                update(entries).where(entries.c.number == number).values(page=_PAGE.dump_json(page).decode())
            )

    def health(self, newsletter: str) -> list[Mapping[str, object]]:
        """One row a source."""
        # Counted in one pass: a count for each source would read all entries again for each (200 sources: 6.9 s).
        counted = (
            select(entries.c.source, func.count().label("entries"))
            .where(entries.c.newsletter == newsletter)
            .group_by(entries.c.source)
            .subquery()
        )
        query = (
            select(sources, func.coalesce(counted.c.entries, 0).label("entries"))
            .outerjoin(counted, counted.c.source == sources.c.id)
            .where(sources.c.newsletter == newsletter)
            .order_by(sources.c.id)
        )
        with self._database.read() as connection:
            return [
                {
                    "id": row.id,
                    "title": row.title,
                    "entries": row.entries,
                    "last_success_at": row.last_success_at,
                    "failures": row.failures,
                    "error": row.error,
                }
                for row in connection.execute(query)
            ]
