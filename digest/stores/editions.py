"""What `compose` and `render` keep: editions and their renditions."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, Select, delete, insert, select, tuple_, update

from digest.models import Cadence, Canary, Edition, EditionState, Rendition, StoredEdition
from digest.stores.database import Database
from digest.stores.rounds import SqlRounds
from digest.stores.schema import editions, renditions
from digest.stores.statements import upsert

_EDITION = TypeAdapter(Edition)
_LARGEST = 2**63 - 1  # what an INTEGER column holds
_REPLACEABLE = (EditionState.DRAFT, EditionState.HELD, EditionState.MISSED)
_OUT = (EditionState.SENDING, EditionState.STOPPED, EditionState.SENT, EditionState.WITHDRAWN)


class SqlEditions:
    """protocols.EditionStore."""

    def __init__(self, database: Database, rounds: SqlRounds) -> None:
        """Over an open database; `rounds` hear of what becomes due."""
        self._database = database
        self._rounds = rounds

    def find(self, newsletter: str, cadence: Cadence, day: date) -> StoredEdition | None:
        """The edition of that day."""
        return self._one(
            select(editions).where(
                editions.c.newsletter == newsletter, editions.c.cadence == cadence, editions.c.date == day
            )
        )

    def get(self, edition: int) -> StoredEdition | None:
        """The edition with that number."""
        if edition > _LARGEST:
            return None
        return self._one(select(editions).where(editions.c.id == edition))

    def _one(self, query: Select[Any]) -> StoredEdition | None:
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            return stored_of(row) if row else None

    def state(self, edition: int) -> EditionState | None:
        """Only its state, which is asked for before each batch."""
        with self._database.read() as connection:
            found = connection.execute(select(editions.c.state).where(editions.c.id == edition)).scalar()
        return EditionState(found) if found else None

    def standing(self, edition: int) -> tuple[EditionState, datetime | None] | None:
        """Its state, and when a person last let it go on."""
        if edition > _LARGEST:
            return None
        query = select(editions.c.state, editions.c.resumed_at).where(editions.c.id == edition)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return (EditionState(row.state), row.resumed_at) if row else None

    def newest(
        self,
        newsletter: str,
        limit: int = 20,
        *,
        before: int | None = None,
        state: EditionState | None = None,
        day: date | None = None,
        cadence: Cadence | None = None,
    ) -> list[StoredEdition]:
        """The newest first: behind the one numbered `before` in that order, in one state, of one day or cadence."""
        query = select(editions).where(editions.c.newsletter == newsletter)
        if cadence is not None:
            query = query.where(editions.c.cadence == cadence)
        if state is not None:
            query = query.where(editions.c.state == state.value)
        if day is not None:
            query = query.where(editions.c.date == day)
        if before is not None:
            last = select(editions.c.date, editions.c.id).where(editions.c.id == before)
            query = query.where(tuple_(editions.c.date, editions.c.id) < last.scalar_subquery())
        query = query.order_by(editions.c.date.desc(), editions.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [stored_of(row) for row in connection.execute(query)]

    def last_sent_at(self, newsletter: str) -> datetime | None:
        """When one was sent last, of any cadence."""
        is_sent = (editions.c.newsletter == newsletter, editions.c.state == EditionState.SENT.value)
        query = select(editions.c.sent_at).where(*is_sent, editions.c.sent_at.is_not(None))
        with self._database.read() as connection:
            return connection.execute(query.order_by(editions.c.sent_at.desc()).limit(1)).scalar()

    def making(self, newsletter: str, cadence: Cadence) -> AbstractContextManager[bool]:
        """Whether this caller alone makes editions of a cadence until it leaves; False: another one does."""
        return self._database.alone(f"making {newsletter}/{cadence}")

    def save(
        self,
        edition: Edition,
        renditions_: Sequence[Rendition],
        state: EditionState,
        reason: str | None,
        *,
        now: datetime,
    ) -> StoredEdition:
        """Keep a composed edition with its renditions; replaces what was held, missed or a draft, and nothing else."""
        values = {
            "state": state.value,
            "reason": reason,
            "edition": _EDITION.dump_json(edition).decode(),
            "cutoff_at": edition.cutoff_at,
            "dated_at": now if state is EditionState.READY else None,
            "changed_at": now,
            "canary": None,
        }
        which = {"newsletter": edition.newsletter, "cadence": edition.cadence, "date": edition.date}
        statement = upsert(editions).values(**which, **values)
        replaceable = editions.c.state.in_([s.value for s in _REPLACEABLE])
        keep = statement.on_conflict_do_update(index_elements=list(which), set_=values, where=replaceable)
        with self._database.write() as connection:
            number = connection.execute(keep.returning(editions.c.id)).scalar_one_or_none()
            if number is not None:
                connection.execute(delete(renditions).where(renditions.c.edition == number))
                _insert_renditions(connection, number, renditions_)
        stored = self.find(edition.newsletter, edition.cadence, edition.date)
        assert stored is not None  # noqa: S101 - one of the two branches above put it there
        return stored

    def revise(
        self,
        edition: int,
        revised: Edition,
        renditions_: Sequence[Rendition],
        state: EditionState | None,
        reason: str | None,
        *,
        now: datetime,
        only_from: Sequence[EditionState],
        as_of: datetime | None = None,
        canary: Canary | None = None,
    ) -> bool:
        """Put a changed edition and its renditions in the place of what was; returns whether it was still open.

        With `as_of`, only when nothing of it was changed since that instant. What a canary found is `canary` then.
        """
        values: dict[str, object] = {"edition": _EDITION.dump_json(revised).decode(), "changed_at": now}
        values["canary"] = canary
        if state is not None:
            values |= {"state": state.value, "reason": reason}
            if state is EditionState.READY:
                values["dated_at"] = now
        with self._database.write() as connection:
            if not _change(connection, edition, only_from, values, as_of):
                return False
            connection.execute(delete(renditions).where(renditions.c.edition == edition))
            _insert_renditions(connection, edition, renditions_)
        return True

    def amend(self, edition: int, amended: Edition, *, now: datetime) -> None:
        """Keep what is said of an edition after it went out; its renditions stay what was sent."""
        values = {"edition": _EDITION.dump_json(amended).decode(), "changed_at": now}
        with self._database.write() as connection:
            connection.execute(update(editions).where(editions.c.id == edition).values(**values))

    def renditions(self, edition: int) -> dict[str, Rendition]:
        """The renditions by variant."""
        with self._database.read() as connection:
            rows = connection.execute(select(renditions).where(renditions.c.edition == edition)).all()
        return {
            row.variant: Rendition(variant=row.variant, subject=row.subject, html=row.html, text=row.text)
            for row in rows
        }

    def rendition(self, edition: int, variant: str) -> Rendition | None:
        """One of them."""
        query = select(renditions).where(renditions.c.edition == edition, renditions.c.variant == variant)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return Rendition(variant=row.variant, subject=row.subject, html=row.html, text=row.text) if row else None

    def add_renditions(self, edition: int, renditions_: Sequence[Rendition], *, as_of: datetime | None = None) -> None:
        """Keep further variants; those it has already stay as they are. With `as_of`, unless it was changed since."""
        with self._database.write() as connection:
            changed_at = connection.execute(select(editions.c.changed_at).where(editions.c.id == edition)).scalar()
            if as_of is not None and changed_at != as_of:
                return
            present = set(
                connection.execute(select(renditions.c.variant).where(renditions.c.edition == edition)).scalars()
            )
            _insert_renditions(connection, edition, [r for r in renditions_ if r.variant not in present])

    def set_state(
        self,
        edition: int,
        state: EditionState,
        reason: str | None,
        *,
        now: datetime,
        only_from: Sequence[EditionState],
        as_of: datetime | None = None,
        canary: Canary | None = None,
    ) -> bool:
        """Move to a state from one of `only_from`; returns whether it moved. Without a reason the last stays.

        With `as_of`, only when nothing of it was changed since that instant. Without `canary`, what one found stays.
        """
        values: dict[str, object] = {"state": state.value, "changed_at": now}
        if canary is not None:
            values["canary"] = canary
        if reason is not None:
            values["reason"] = reason
        if state is EditionState.READY:
            values["dated_at"] = now
        if state is EditionState.SENT:
            values["sent_at"] = now
        if state is EditionState.SENDING:  # by a person: what is ready begins in the ledger
            values["resumed_at"] = now
        with self._database.write() as connection:
            moved = _change(connection, edition, only_from, values, as_of)
            if moved and state is EditionState.SENDING:
                self._rounds.begin(connection, edition, now)
            return moved

    def keep_canary(self, edition: int, canary: Canary, *, as_of: datetime | None) -> bool:
        """Keep what a canary found; returns whether it was kept: not when the edition was changed since `as_of`."""
        is_same = (editions.c.id == edition) & (editions.c.changed_at == as_of)
        statement = update(editions).where(is_same).values(canary=canary).returning(editions.c.id)
        with self._database.write() as connection:
            return connection.execute(statement).scalar_one_or_none() is not None

    def miss(self, newsletter: str, cadence: Cadence, day: date, reason: str, *, now: datetime) -> bool:
        """Record that no edition was made that day; False when there is one already."""
        statement = (
            upsert(editions)
            .values(
                newsletter=newsletter,
                cadence=cadence,
                date=day,
                state=EditionState.MISSED.value,
                reason=reason,
                changed_at=now,
            )
            .on_conflict_do_nothing()
            .returning(editions.c.id)
        )
        with self._database.write() as connection:
            return connection.execute(statement).scalar_one_or_none() is not None

    def last_cutoff(self, newsletter: str, cadence: Cadence) -> datetime | None:
        """The cutoff of the last edition that went out."""
        query = (
            select(editions.c.cutoff_at)
            .where(
                editions.c.newsletter == newsletter,
                editions.c.cadence == cadence,
                editions.c.state.in_([s.value for s in _OUT]),
            )
            .order_by(editions.c.cutoff_at.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar()


def _change(
    connection: Connection,
    edition: int,
    only_from: Sequence[EditionState],
    values: Mapping[str, object],
    as_of: datetime | None,
) -> bool:
    """Change an edition that is in one of these states, and as it was then; returns whether it was."""
    is_open = editions.c.state.in_([state.value for state in only_from])
    statement = update(editions).where(editions.c.id == edition, is_open).values(**values)
    if as_of is not None:
        statement = statement.where(editions.c.changed_at == as_of)
    return connection.execute(statement.returning(editions.c.id)).scalar_one_or_none() is not None


def _insert_renditions(connection: Connection, edition: int, added: Sequence[Rendition]) -> None:
    rows = [
        {"edition": edition, "variant": r.variant, "subject": r.subject, "html": r.html, "text": r.text} for r in added
    ]
    if rows:
        connection.execute(insert(renditions), rows)


def stored_of(row: Row[*tuple[Any, ...]]) -> StoredEdition:
    """An edition from its row."""
    return StoredEdition(
        id=row.id,
        newsletter=row.newsletter,
        cadence=row.cadence,
        date=row.date,
        state=EditionState(row.state),
        reason=row.reason,
        dated_at=row.dated_at,
        sent_at=row.sent_at,
        resumed_at=row.resumed_at,
        edition=_EDITION.validate_json(row.edition) if row.edition else None,
        changed_at=row.changed_at,
        canary=row.canary,
    )
