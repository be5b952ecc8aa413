"""What is kept for no longer than it is needed for: texts of pages, providers' own words, networks, deliveries.

Done a few hundred rows at a time, each in a short transaction, so that nobody who sends waits for it. What is counted
stays: how many an edition was sent to outlives who they were.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Delete, Update, delete, exists, or_, select, update

from digest.models import EditionState, month_of
from digest.stores import telling
from digest.stores.database import Database
from digest.stores.partitions import holds_only
from digest.stores.schema import (
    batches,
    deliveries,
    editions,
    entries,
    events,
    people,
    runs,
    subscriptions,
    tallies,
)
from digest.stores.statements import chunks, count_rows

_CHUNK: Final = 500
_READ: Final = 5000  # deliveries whose events are looked for at once
_TEXTS: Final = ("summary", "content", "text")  # of an entry, as it was published
_OPEN: Final = (EditionState.SENDING.value, EditionState.STOPPED.value, EditionState.READY.value)


class SqlPruning:
    """What housekeeping forgets, each by its own age."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def forget_pages(self, newsletter: str, *, before: datetime) -> int:
        """The texts of entries seen before that; what names them stays, so that none is taken for new again."""
        old = (entries.c.newsletter == newsletter, entries.c.seen_at < before, entries.c.texts.is_not(None))
        query = select(entries.c.number, entries.c.entry).where(*old).order_by(entries.c.seen_at).limit(_CHUNK)
        pruned = 0
        while True:
            with self._database.write_fast() as connection:
                rows = connection.execute(query).all()
                for row in rows:
                    bare = update(entries).where(entries.c.number == row.number)
                    connection.execute(bare.values(page="null", texts=None, read_due_at=None, entry=_strip(row.entry)))
            pruned += len(rows)
            if len(rows) < _CHUNK:
                return pruned

    def forget_events(self, *, before: datetime) -> int:
        """Providers' own words of before that; and what says no more than that a mail arrived, unless it counts yet."""
        is_old = events.c.occurred_at < before
        has_words = or_(events.c.raw.is_not(None), events.c.answer.is_not(None))  # which may repeat the address
        spoken = self._repeat(events.c.id, (is_old, has_words), update(events).values(raw=None, answer=None))
        # Against whom something stands: what arrived between two refusals is why they do not add up.
        is_watched = exists().where(
            people.c.id == events.c.person, or_(people.c.soft_bounces > 0, people.c.hard_bounced_on.is_not(None))
        )
        arrived = (is_old, events.c.weight.is_(None), events.c.effect == "none", ~is_watched)
        return spoken + self._repeat(events.c.id, arrived, delete(events))

    def forget_networks(self, newsletter: str, *, before: datetime) -> int:
        """From where readers agreed before that; when, and to what, stays."""
        old = (
            subscriptions.c.newsletter == newsletter,
            subscriptions.c.consent_at < before,
            subscriptions.c.consent_from.is_not(None),
        )
        return self._repeat(subscriptions.c.id, old, update(subscriptions).values(consent_from=None))

    def forget_deliveries(self, newsletter: str, *, before: date, untouched_since: datetime | None = None) -> int:
        """Who was sent the editions of whole months before that day; their numbers stay. Returns how many editions.

        Without those that changed after `untouched_since`: an edition of an old date may have been sent today.
        What was killed is gone on with: of an edition there is a tally, or a batch, until nothing is left of it.
        """
        closed = (
            editions.c.newsletter == newsletter,
            editions.c.date < month_of(before),
            editions.c.state.not_in(_OPEN),
            *(
                [or_(editions.c.changed_at.is_(None), editions.c.changed_at < untouched_since)]
                if untouched_since
                else []
            ),
            or_(exists().where(tallies.c.edition == editions.c.id), exists().where(batches.c.edition == editions.c.id)),
        )
        with self._database.read() as connection:
            rows = connection.execute(select(editions.c.id, editions.c.date).where(*closed)).all()
        for month in sorted({month_of(row.date) for row in rows}):
            self._forget_month(month, [row.id for row in rows if month_of(row.date) == month])
        return len(rows)

    def forget_runs(self, newsletter: str, *, before: datetime) -> int:
        """The reports of runs that ended before that."""
        return self._repeat(runs.c.id, (runs.c.newsletter == newsletter, runs.c.finished_at < before), delete(runs))

    def _forget_month(self, month: date, numbers: Sequence[int]) -> None:
        for number in numbers:
            with self._database.write() as connection:
                counted = json.dumps(telling.count(connection, number))
                uncounted = (editions.c.id == number, editions.c.counted.is_(None))
                connection.execute(update(editions).where(*uncounted).values(counted=counted))
        with self._database.read() as connection:
            has_table = holds_only(connection, month, numbers)
        if has_table:
            self._unlink(month)
            self._database.drop_month(month, numbers)
        for number in numbers:
            self._forget_edition(month, number)

    def _unlink(self, month: date) -> None:
        """No event is of a delivery of that month any more. Few are: what says that a mail arrived went before."""
        last = 0
        while True:
            query = select(deliveries.c.id).where(deliveries.c.month == month, deliveries.c.id > last)
            with self._database.read() as connection:
                numbers = connection.execute(query.order_by(deliveries.c.id).limit(_READ)).scalars().all()
                heard = [
                    number
                    for chunk in chunks(numbers)
                    for number in connection.execute(select(events.c.id).where(events.c.delivery.in_(chunk))).scalars()
                ]
            for chunk in chunks(heard):
                with self._database.write() as connection:
                    connection.execute(update(events).where(events.c.id.in_(chunk)).values(delivery=None))
            if len(numbers) < _READ:
                return
            last = numbers[-1]

    def _forget_edition(self, month: date, number: int) -> None:
        theirs = (deliveries.c.month == month, deliveries.c.edition == number)
        while True:
            with self._database.write() as connection:
                chosen = connection.execute(select(deliveries.c.id).where(*theirs).limit(_CHUNK)).scalars().all()
                connection.execute(update(events).where(events.c.delivery.in_(chosen)).values(delivery=None))
                connection.execute(delete(deliveries).where(deliveries.c.month == month, deliveries.c.id.in_(chosen)))
            if len(chosen) < _CHUNK:
                break
        self._repeat(batches.c.id, (batches.c.edition == number,), delete(batches))
        with self._database.write() as connection:  # last of all: see forget_deliveries
            connection.execute(delete(tallies).where(tallies.c.edition == number))

    def _repeat(self, key: Column[Any], conditions: Sequence[ColumnElement[bool]], change: Update | Delete) -> int:
        """A change of all rows that meet conditions, a few at a time; how many those were.

        They are looked for, once through the table, while others write; and written by their keys, if they still do.
        """
        changed, last = 0, 0
        while True:
            query = select(key).where(key > last, *conditions).order_by(key).limit(_CHUNK)
            with self._database.read_all() as connection:
                chosen = connection.execute(query).scalars().all()
            if chosen:
                with self._database.write() as connection:
                    changed += count_rows(connection, change.where(key.in_(chosen), *conditions))
            if len(chosen) < _CHUNK:
                return changed
            last = chosen[-1]


def _strip(entry: str) -> str:
    """An entry without what it says."""
    kept = json.loads(entry)
    for name in _TEXTS:
        kept.pop(name, None)
    return json.dumps(kept, ensure_ascii=False)
