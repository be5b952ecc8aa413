"""What the public pages read: editions that went out, and nothing of those that did not."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select

from digest.models import EditionState, Rendition, StoredEdition
from digest.stores.database import Database
from digest.stores.editions import stored_of
from digest.stores.schema import editions, renditions

_SHOWN = (EditionState.SENDING, EditionState.STOPPED, EditionState.SENT)


class SqlArchive:
    """protocols.ArchiveStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def shown(self, newsletter: str, *, limit: int, offset: int = 0) -> list[StoredEdition]:
        """Those that went out, also in part; the newest first."""
        query = (
            select(editions)
            .where(_is_shown(newsletter))
            .order_by(editions.c.date.desc(), editions.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        with self._database.read() as connection:
            return [stored_of(row) for row in connection.execute(query)]

    def count(self, newsletter: str) -> int:
        """How many went out."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).where(_is_shown(newsletter))).scalar_one()

    def beside(self, stored: StoredEdition) -> tuple[StoredEdition | None, StoredEdition | None]:
        """The one before and the one after it, in the order of `shown`."""
        dates, ids = editions.c.date, editions.c.id
        before = or_(dates < stored.date, and_(dates == stored.date, ids < stored.id))
        after = or_(dates > stored.date, and_(dates == stored.date, ids > stored.id))
        found: list[StoredEdition | None] = []
        with self._database.read() as connection:
            for side, order in ((before, (dates.desc(), ids.desc())), (after, (dates.asc(), ids.asc()))):
                query = select(editions).where(_is_shown(stored.newsletter), side).order_by(*order).limit(1)
                row = connection.execute(query).one_or_none()
                found.append(stored_of(row) if row else None)
        return found[0], found[1]

    def rendition(self, edition: int, variant: str) -> Rendition | None:
        """One variant of an edition."""
        query = select(renditions).where(renditions.c.edition == edition, renditions.c.variant == variant)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return Rendition(variant=row.variant, subject=row.subject, html=row.html, text=row.text) if row else None

    def having(self, variant: str, among: Sequence[int]) -> frozenset[int]:
        """Which of these editions have that variant."""
        query = select(renditions.c.edition).where(renditions.c.variant == variant, renditions.c.edition.in_(among))
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def changed_at(self, newsletter: str) -> tuple[int, datetime | None]:
        """How many editions there are, and when one was last made, sent, corrected or withdrawn: enough to tell
        whether a page or a feed of them may have changed.
        """
        query = select(func.count(), func.max(editions.c.changed_at)).where(editions.c.newsletter == newsletter)
        with self._database.read() as connection:
            count, changed_at = connection.execute(query).one()
        return count, changed_at


def _is_shown(newsletter: str) -> ColumnElement[bool]:
    return and_(editions.c.newsletter == newsletter, editions.c.state.in_([state.value for state in _SHOWN]))
