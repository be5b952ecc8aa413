"""What `collect` and `extract` keep: sources, entries, the texts of their pages."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, and_, case, func, insert, literal, select, update

from digest.models import Collected, Entry, Kept, Page, SourceState, StoredEntry
from digest.stores.database import Database
from digest.stores.identity import find_renamed, is_of_all_sources, name_of_link, names_of, words_of
from digest.stores.schema import Instant, entries, entry_names, sources
from digest.stores.statements import chunks, upsert

_ENTRY = TypeAdapter(Entry)
_PAGE: TypeAdapter[Page | None] = TypeAdapter(Page | None)
_EVERY_SOURCE = "*"
_RECENT = timedelta(days=30)


class SqlEntries:
    """protocols.EntryStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def state(self, newsletter: str, source: str) -> SourceState | None:
        """What earlier visits left; None before the first."""
        with self._database.read() as connection:
            row = self._source(connection, newsletter, source)
        return None if row is None else read_state(row)

    @staticmethod
    def _source(connection: Connection, newsletter: str, source: str) -> Row[Any] | None:
        query = select(sources).where(sources.c.newsletter == newsletter, sources.c.id == source)
        return connection.execute(query).one_or_none()

    def add(
        self,
        newsletter: str,
        source: str,
        collected: Collected,
        *,
        now: datetime,
        since: datetime,
        next_visit_at: datetime | None = None,
        to_read: Callable[[Entry], bool] = lambda _: False,
    ) -> Kept:
        """Keep what is new, and the cursor."""
        with self._database.write() as connection:
            visited = self._source(connection, newsletter, source)
            last_success_at = visited.last_success_at if visited else None
            kept = self._keep(connection, newsletter, source, collected, now, since, last_success_at, to_read)
            values = {
                "title": collected.title or (visited.title if visited else None),
                "cursor": json.dumps(dict(collected.cursor)),
                "last_success_at": now,
                "failures": 0,
                "error": "; ".join(collected.faults) or None,
                "failing_since": None,
                "told_at": None,
                "next_visit_at": next_visit_at,
            }
            statement = upsert(sources).values(newsletter=newsletter, id=source, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["newsletter", "id"], set_=values))
        return kept

    def _keep(
        self,
        connection: Connection,
        newsletter: str,
        source: str,
        collected: Collected,
        now: datetime,
        since: datetime,
        last_visit: datetime | None,
        to_read: Callable[[Entry], bool],
    ) -> Kept:
        found = collected.entries
        named = names_of(found, now)
        words = [words_of(entry) for entry in found]
        taken = self._known_names(connection, newsletter, source, {*words, *set().union(*named)} - {None})
        renamed = find_renamed(
            found, [bool(names & taken.keys()) for names in named], [w in taken for w in words], last_visit=last_visit
        )
        new = 0
        for entry, names, title, is_renamed in zip(found, named, words, renamed, strict=True):
            number = next((taken[name] for name in sorted(names) if name in taken), None)
            if number is None and is_renamed and title in taken:
                number = taken[title]
            if number is None:
                first_contact = last_visit is None
                backlog = is_renamed or (first_contact and _is_past(entry, since, collected.lists_everything))
                number = connection.execute(
                    insert(entries)
                    .values(
                        newsletter=newsletter,
                        source=source,
                        seen_at=now,
                        dated_at=min(entry.published_at or entry.updated_at or now, now),
                        backlog=backlog,
                        first_contact=first_contact,
                        read_due_at=now if not backlog and to_read(entry) else None,
                        entry=_ENTRY.dump_json(entry).decode(),
                    )
                    .returning(entries.c.number)
                ).scalar_one()
                new += not is_renamed
            # Known by one name: its other names are learned, so that it stays known when that one changes.
            missing = sorted(({*names, title} if title else names) - taken.keys())
            if missing:
                rows = [
                    {
                        "newsletter": newsletter,
                        "source": _EVERY_SOURCE if is_of_all_sources(name) else source,
                        "name": name,
                        "entry": number,
                    }
                    for name in missing
                ]
                connection.execute(insert(entry_names), rows)
                taken |= dict.fromkeys(missing, number)
        return Kept(new=new, renamed=sum(renamed))

    @staticmethod
    def _known_names(connection: Connection, newsletter: str, source: str, names: set[Any]) -> dict[str, int]:
        """Which of these names are known, and whose they are."""
        found: dict[str, int] = {}
        for chunk in chunks(sorted(names)):
            query = select(entry_names.c.name, entry_names.c.entry).where(
                entry_names.c.newsletter == newsletter,
                entry_names.c.source.in_((source, _EVERY_SOURCE)),
                entry_names.c.name.in_(chunk),
            )
            found.update((row.name, row.entry) for row in connection.execute(query))
        return found

    def fail(
        self,
        newsletter: str,
        source: str,
        error: str,
        *,
        now: datetime,
        next_visit_at: datetime | None = None,
        told: bool = False,
    ) -> None:
        """Note a failed visit."""
        values: dict[str, Any] = {"last_failure_at": now, "error": error, "next_visit_at": next_visit_at}
        if told:
            values["told_at"] = now
        statement = upsert(sources).values(newsletter=newsletter, id=source, failures=1, failing_since=now, **values)
        at = literal(now, Instant())
        since = case((sources.c.failures == 0, at), else_=func.coalesce(sources.c.failing_since, at))
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["newsletter", "id"],
                    set_={**values, "failures": sources.c.failures + 1, "failing_since": since},
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
            return [read_entry(row) for row in connection.execute(query)]

    def get(self, numbers: Sequence[int]) -> list[StoredEntry]:
        """Those of these numbers that are still kept."""
        query = select(entries, sources.c.title).join(
            sources, and_(sources.c.newsletter == entries.c.newsletter, sources.c.id == entries.c.source)
        )
        with self._database.read() as connection:
            return [read_entry(row) for row in connection.execute(query.where(entries.c.number.in_(numbers)))]

    def keep_page(self, number: int, page: Page | None) -> bool:
        """Keep what was read on the entry's page, and learn the page's own address: feeds may link by a proxy."""
        with self._database.write_fast() as connection:
            kept = {"page": _PAGE.dump_json(page).decode(), "read_due_at": None}
            statement = update(entries).where(entries.c.number == number).values(kept)
            row = connection.execute(statement.returning(entries.c.newsletter, entries.c.entry)).one()
            name = name_of_link(page.link) if page and page.link else None
            if name is None:
                return False
            query = (
                select(entries.c.number, entries.c.entry)
                .join(entry_names, entry_names.c.entry == entries.c.number)
                .where(entry_names.c.newsletter == row.newsletter)
                .where(entry_names.c.source == _EVERY_SOURCE, entry_names.c.name == name)
            )
            other = connection.execute(query).one_or_none()
            if other is None:
                names = {"newsletter": row.newsletter, "source": _EVERY_SOURCE, "name": name, "entry": number}
                connection.execute(insert(entry_names).values(names))
                return False
            # A site may give all its pages one address by mistake: only a title makes sure.
            words = words_of(_ENTRY.validate_json(row.entry))
            is_same = other.number != number and words == words_of(_ENTRY.validate_json(other.entry))
            if is_same:
                connection.execute(update(entries).where(entries.c.number == number).values(backlog=True))
            return is_same

    def failures(self, newsletter: str) -> dict[str, int]:
        """Visits that failed in a row, by source; asked each minute."""
        query = select(sources.c.id, sources.c.failures).where(sources.c.newsletter == newsletter)
        with self._database.read() as connection:
            return {row.id: row.failures for row in connection.execute(query.order_by(sources.c.id))}

    def health(self, newsletter: str, *, now: datetime) -> list[Mapping[str, object]]:
        """One row a source."""
        # All from indexes, and of the last month alone: entries are kept for ever.
        counted = (
            select(
                entries.c.source,
                func.count().label("entries"),
                func.count(case((entries.c.first_contact.is_(False), 1))).label("recent"),
            )
            .where(entries.c.newsletter == newsletter, entries.c.seen_at > now - _RECENT)
            .group_by(entries.c.source)
            .subquery()
        )
        first_seen_at = select(func.min(entries.c.seen_at)).where(
            entries.c.newsletter == newsletter, entries.c.source == sources.c.id
        )
        query = (
            select(
                sources,
                counted.c.entries,
                counted.c.recent,
                first_seen_at.correlate(sources).scalar_subquery().label("first_seen_at"),
            )
            .outerjoin(counted, counted.c.source == sources.c.id)
            .where(sources.c.newsletter == newsletter)
            .order_by(sources.c.id)
        )
        with self._database.read() as connection:
            return [
                {
                    "id": row.id,
                    "title": row.title,
                    "entries": row.entries or 0,
                    "entries_per_day": _per_day(row.recent or 0, row.first_seen_at, now),
                    "last_success_at": row.last_success_at,
                    "failures": row.failures,
                    "failing_since": row.failing_since,
                    "next_visit_at": row.next_visit_at,
                    "error": row.error,
                    "visit_due_at": row.visit_due_at,
                    "pace": row.pace,
                }
                for row in connection.execute(query)
            ]


def read_state(row: Row[Any]) -> SourceState:
    """A row of `sources`."""
    return SourceState(
        cursor=json.loads(row.cursor) if row.cursor else {},
        last_success_at=row.last_success_at,
        failures=row.failures,
        failing_since=row.failing_since,
        told_at=row.told_at,
        next_visit_at=row.next_visit_at,
        error=row.error,
        last_visit_at=max((at for at in (row.last_success_at, row.last_failure_at) if at), default=None),
        visit_due_at=row.visit_due_at,
        pace=timedelta(seconds=row.pace) if row.pace else None,
    )


def read_entry(row: Row[Any]) -> StoredEntry:
    """A row of `entries`, with its source's title."""
    return StoredEntry(
        number=row.number,
        source_id=row.source,
        outlet=row.title or row.source,
        seen_at=row.seen_at,
        entry=_ENTRY.validate_json(row.entry),
        page=_PAGE.validate_json(row.page) if row.page else None,
        is_read=row.page is not None,
        is_first_contact=row.first_contact,
    )


def _is_past(entry: Entry, since: datetime, lists_everything: bool) -> bool:
    """Whether an entry of the first visit is from before the window."""
    dated_at = entry.published_at or entry.updated_at
    return lists_everything if dated_at is None else dated_at < since


def _per_day(recent: int, first_seen_at: datetime | None, now: datetime) -> float | None:
    """New entries a day over the last month, not counting what the first visit found; None before the second day."""
    days = min(_RECENT, now - first_seen_at) / timedelta(days=1) if first_seen_at else 0.0
    return round(recent / days, 1) if days >= 1 else None
