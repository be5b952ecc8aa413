"""Who asked for what. A person is known once; a subscription is the person's to one newsletter."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, select, update

from digest.models import Arrival, Choices, DeliveryState, Receipt, Subscriber, SubscriberState, Subscription, Taken
from digest.stores import choices, erasing
from digest.stores.database import Database
from digest.stores.schema import deliveries, editions, imports, people, subscriptions
from digest.stores.statements import count_anew, upsert
from digest.stores.suppressing import Suppressing
from digest.stores.taking import fold, take

_STATES: Final = {state.value: state for state in SubscriberState}


class SqlSubscribers:
    """protocols.SubscriberStore."""

    CHUNK = 5000  # rows that are committed together

    def __init__(self, database: Database, suppressing: Suppressing) -> None:
        """Over an open database."""
        self._database = database
        self._suppressing = suppressing

    def add(self, newsletter: str, subscriber: Subscriber, *, now: datetime) -> bool:
        """Add one; False when the address is known to the newsletter or suppressed, and nothing is changed."""
        return self.add_many(newsletter, [subscriber], now=now) == 1

    def add_many(self, newsletter: str, subscribers: Iterable[Subscriber], *, now: datetime) -> int:
        """Add many, in commits of some thousands; returns how many were new. Who left is never revived."""
        rest = iter(subscribers)
        return sum(
            self.take(newsletter, chunk, now=now).added for chunk in iter(lambda: list(islice(rest, self.CHUNK)), [])
        )

    def take(
        self,
        newsletter: str,
        readers: Sequence[Subscriber | Arrival],
        *,
        now: datetime,
        mark: tuple[str, int] | None = None,
    ) -> Taken:
        """Take some thousand in as one transaction; `mark` is the import that they are of, and how far it came.

        Of an import a power cut may undo the last of them, with their mark; once `unmark` returned, nothing.
        """
        with self._database.write_bulk() if mark else self._database.write() as connection:
            taken = take(connection, self._suppressing, newsletter, readers, now)
            if mark:
                values = {"newsletter": newsletter, "name": mark[0], "line": mark[1], "changed_at": now}
                keep = upsert(imports).values(values)
                connection.execute(
                    keep.on_conflict_do_update(
                        index_elements=["newsletter", "name"], set_={"line": mark[1], "changed_at": now}
                    )
                )
            return taken

    def marked(self, newsletter: str, name: str) -> int:
        """The line that an import of that name came to before it was broken off; 0: it was not."""
        query = select(imports.c.line).where(imports.c.newsletter == newsletter, imports.c.name == name)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or 0

    def unmark(self, newsletter: str, name: str) -> None:
        """The import has ended."""
        with self._database.write() as connection:
            connection.execute(delete(imports).where(imports.c.newsletter == newsletter, imports.c.name == name))
            count_anew(connection, people, subscriptions)

    def everyone(self, newsletter: str, state: SubscriberState | None = None) -> list[Subscriber]:
        """By address."""
        query = select_subscribers().where(subscriptions.c.newsletter == newsletter).order_by(people.c.email_key)
        if state is not None:
            query = query.where(subscriptions.c.state == state.value)
        with self._database.read() as connection:
            return [read_subscriber(row) for row in connection.execute(query)]

    def each(self, newsletter: str, state: SubscriberState | None = None) -> Iterator[Subscriber]:
        """The same in the order in which they came, some thousands at a time; who was erased is left out."""
        last: int = 0
        end: int | None = 0
        while end is not None:
            # Between two ids: PostgreSQL may not yet know how many rows there are, and sort all that follow each time.
            ids = select(subscriptions.c.id).where(subscriptions.c.id > last).order_by(subscriptions.c.id)
            with self._database.read() as connection:
                end = connection.execute(select(func.max(ids.limit(self.CHUNK).subquery().c.id))).scalar()
                found = self._read_between(connection, newsletter, state, last, end or last)
            yield from found
            last = end or last

    @staticmethod
    def _read_between(
        connection: Connection, newsletter: str, state: SubscriberState | None, last: int, end: int
    ) -> list[Subscriber]:
        query = (
            select_subscribers()
            # Joined to "", so that it is read in the order of ids: by the index of newsletters, each chunk of a
            # million would sort all of them, and the whole takes 40 seconds instead of 7.
            .where(subscriptions.c.newsletter.concat("") == newsletter)
            .where(subscriptions.c.id > last, subscriptions.c.id <= end)
            .where(subscriptions.c.state != SubscriberState.ERASED.value)
            .order_by(subscriptions.c.id)
        )
        if state is not None:
            query = query.where(subscriptions.c.state.concat("") == state.value)
        return [read_subscriber(row) for row in connection.execute(query)]

    def find(self, newsletter: str, email: str) -> Subscriber | None:
        """By address, whatever its letter case."""
        return self._one(subscriptions.c.newsletter == newsletter, people.c.email_key == fold(email))

    def by_key(self, newsletter: str, key: str) -> Subscriber | None:
        """By the random key that signed links carry."""
        return self._one(subscriptions.c.newsletter == newsletter, subscriptions.c.key == key)

    def _one(self, *conditions: ColumnElement[bool]) -> Subscriber | None:
        with self._database.read() as connection:
            row = connection.execute(select_subscribers().where(*conditions)).one_or_none()
        return read_subscriber(row) if row else None

    def choose(
        self, newsletter: str, key: str, choices: Choices, *, paused_until: datetime | None, now: datetime
    ) -> bool:
        """What an active reader chose for themselves; False when there is none of that key."""
        with self._database.write() as connection:
            changed = connection.execute(
                update(subscriptions)
                .where(
                    subscriptions.c.newsletter == newsletter,
                    subscriptions.c.key == key,
                    subscriptions.c.state == SubscriberState.ACTIVE.value,
                )
                .values(
                    topics=json.dumps(choices.topics),
                    language=choices.language,
                    timezone=choices.timezone,
                    frequency=choices.frequency,
                    paused_until=paused_until,
                    changed_at=now,
                )
            )
            return bool(changed.rowcount)

    def leave(self, newsletter: str, key: str, *, now: datetime) -> bool:
        """Unsubscribe; True when there is such a subscription, also when it had left before."""
        reader = self.by_key(newsletter, key)
        if reader is None:
            return False
        self._unsubscribe(newsletter, reader, now)
        return True

    def remove(self, newsletter: str, email: str, *, now: datetime) -> bool:
        """Unsubscribe by the operator's hand; False when unknown."""
        reader = self.find(newsletter, email)
        if reader is None:
            return False
        self._unsubscribe(newsletter, reader, now)
        return True

    def _unsubscribe(self, newsletter: str, reader: Subscriber, now: datetime) -> None:
        # Also who bounced: no word of the operator's on bounces is to bring back who left meanwhile.
        may_leave = (SubscriberState.PENDING.value, SubscriberState.ACTIVE.value, SubscriberState.BOUNCED.value)
        with self._database.write() as connection:
            connection.execute(
                update(subscriptions)
                .where(subscriptions.c.id == reader.id, subscriptions.c.state.in_(may_leave))
                .values(state=SubscriberState.UNSUBSCRIBED.value, changed_at=now)
            )
            self._suppressing.add(connection, newsletter, [fold(reader.email)], "unsubscribed", now=now)

    def erase(self, email: str, *, now: datetime) -> bool:
        """Forget a person in every newsletter; False when unknown. What was sent stays counted, without a name.

        The address stays suppressed, as a keyed hash: nobody who asked to be forgotten is mailed by the next import.
        """
        key = fold(email)
        with self._database.read_all() as connection:  # while others write
            unclaimed = erasing.find_unclaimed(connection, key)
        with self._database.write() as connection:
            return erasing.forget_person(connection, self._suppressing, key, now, unclaimed=unclaimed)

    def history(self, email: str) -> list[Subscription]:
        """Everything that is kept of one person, newsletter by newsletter, with what they were sent."""
        sent = (
            select(
                deliveries.c.subscription,
                editions.c.date,
                editions.c.cadence,
                deliveries.c.state,
                deliveries.c.transport,
                deliveries.c.attempted_at,
                deliveries.c.answer,
            )
            .join(editions, editions.c.id == deliveries.c.edition)
            .order_by(editions.c.date, deliveries.c.id)
        )
        query = select_subscribers().add_columns(subscriptions.c.newsletter).where(people.c.email_key == fold(email))
        with self._database.read() as connection:
            found = connection.execute(query.order_by(subscriptions.c.newsletter)).all()
            receipts = {
                row.id: tuple(
                    Receipt(
                        edition=receipt.date,
                        cadence=receipt.cadence,
                        state=DeliveryState(receipt.state),
                        transport=receipt.transport,
                        attempted_at=receipt.attempted_at,
                        answer=receipt.answer,
                    )
                    for receipt in connection.execute(sent.where(deliveries.c.subscription == row.id))
                )
                for row in found
            }
            return [
                Subscription(newsletter=row.newsletter, subscriber=read_subscriber(row), receipts=receipts[row.id])
                for row in found
            ]

    def is_suppressed(self, newsletter: str, email: str) -> bool:
        """Whether the address must not be mailed, whoever adds it."""
        with self._database.read() as connection:
            return bool(self._suppressing.among(connection, newsletter, [fold(email)]))

    def reached(self, newsletter: str) -> Iterator[Subscriber]:
        """The active ones that may be mailed; those who paused too: planning leaves them out, with the reason.

        In the order in which they came, some thousands at a time, each as it is when it is read.
        """
        rest = self.each(newsletter, SubscriberState.ACTIVE)
        while chunk := list(islice(rest, self.CHUNK)):
            with self._database.read() as connection:
                suppressed = self._suppressing.among(connection, newsletter, [fold(reader.email) for reader in chunk])
            yield from (reader for reader in chunk if fold(reader.email) not in suppressed)

    def zones(self, newsletter: str) -> dict[str | None, int]:
        """How many active readers chose which time zone; None: none. Reads all of them."""
        with self._database.read() as connection:
            return choices.count_zones(connection, newsletter)

    def has_weekly(self, newsletter: str) -> bool:
        """Whether an active reader asked for the weekly edition."""
        with self._database.read() as connection:
            return choices.has_weekly(connection, newsletter)


_FIELDS: Final = "id key topics language timezone frequency state consent_at consent_text consent_from tags".split()


def select_subscribers() -> Select[Any]:
    """Subscriptions with what is known of the person."""
    kept = (subscriptions.c[name] for name in (*_FIELDS, "paused_until"))
    return select(*kept, people.c.email, people.c.name.label("person_name")).join(
        people, people.c.id == subscriptions.c.person
    )


def read_subscriber(row: Row[*tuple[Any, ...]]) -> Subscriber:
    """A row of those."""
    # By place, since a million of them are read: by name it takes half as long again.
    number, key, topics, language, timezone, frequency, state, consent_at, text, place, tags, paused, email, name = row[
        :14
    ]
    return Subscriber(
        email=email,
        name=name,
        topics=_read_list(topics),
        language=language,
        timezone=timezone,
        frequency=frequency,
        state=_STATES[state],
        consent_at=consent_at,
        consent_text=text,
        consent_from=place,
        tags=_read_list(tags),
        paused_until=paused,
        key=key,
        id=number,
    )


@lru_cache(maxsize=4096)  # which repeat from reader to reader
def _read_list(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
