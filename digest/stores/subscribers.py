"""Who asked for what. A person is known once; a subscription is the person's to one newsletter."""

import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, insert, select, update

from digest.models import Subscriber, SubscriberState
from digest.stores.database import Database, upsert
from digest.stores.schema import people, subscriptions
from digest.stores.suppressing import Suppressing

_CHUNK = 5000
_GONE = {SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED, SubscriberState.COMPLAINED}


def fold(email: str) -> str:
    """What makes two spellings one address: letter case. The local part's case is kept for sending."""
    return email.strip().casefold()


class SqlSubscribers:
    """protocols.SubscriberStore."""

    def __init__(self, database: Database, suppressing: Suppressing) -> None:
        """Over an open database."""
        self._database = database
        self._suppressing = suppressing

    def add(self, newsletter: str, subscriber: Subscriber, *, now: datetime) -> bool:
        """Add one; False when the address is known to the newsletter or suppressed, and nothing is changed."""
        return self.add_many(newsletter, [subscriber], now=now) == 1

    def add_many(self, newsletter: str, subscribers: Iterable[Subscriber], *, now: datetime) -> int:
        """Add many, in commits of some thousands; returns how many were new. Who left is never revived."""
        added = 0
        rest = iter(subscribers)
        while chunk := list(islice(rest, _CHUNK)):
            with self._database.write() as connection:
                added += self._add_chunk(connection, newsletter, chunk, now)
        return added

    def _add_chunk(self, connection: Connection, newsletter: str, chunk: list[Subscriber], now: datetime) -> int:
        by_key = {fold(reader.email): reader for reader in reversed(chunk)}  # the first of two spellings counts
        suppressed = self._suppressing.among(connection, newsletter, list(by_key))
        rows = [
            {"email": r.email, "email_key": key, "name": r.name, "created_at": now}
            for key, r in reversed(by_key.items())
        ]
        connection.execute(upsert(people).on_conflict_do_nothing(), rows)
        known = self._known(connection, newsletter, list(by_key))
        new = []
        gone: dict[SubscriberState, list[str]] = {}
        for key, reader in reversed(by_key.items()):
            person, is_subscribed = known[key]
            if is_subscribed:
                continue
            if reader.state in _GONE:
                gone.setdefault(reader.state, []).append(key)
            elif key in suppressed:
                continue
            new.append(_row(newsletter, person, reader, now))
        for state, members in gone.items():
            scope = newsletter if state is SubscriberState.UNSUBSCRIBED else ""
            self._suppressing.add(connection, scope, members, state.value, now=now)
        if new:
            connection.execute(insert(subscriptions), new)
        return len(new)

    @staticmethod
    def _known(connection: Connection, newsletter: str, keys: Sequence[str]) -> dict[str, tuple[int, bool]]:
        """By folded address: the person, and whether it has a subscription to the newsletter."""
        found: dict[str, tuple[int, bool]] = {}
        for start in range(0, len(keys), 500):
            query = (
                select(people.c.email_key, people.c.id, subscriptions.c.id)
                .outerjoin(
                    subscriptions,
                    (subscriptions.c.person == people.c.id) & (subscriptions.c.newsletter == newsletter),
                )
                .where(people.c.email_key.in_(keys[start : start + 500]))
            )
            for key, person, subscription in connection.execute(query):
                found[key] = (person, subscription is not None)
        return found

    def everyone(self, newsletter: str, state: SubscriberState | None = None) -> list[Subscriber]:
        """By address."""
        query = _subscribers().where(subscriptions.c.newsletter == newsletter).order_by(people.c.email_key)
        if state is not None:
            query = query.where(subscriptions.c.state == state.value)
        with self._database.read() as connection:
            return [_subscriber(row) for row in connection.execute(query)]

    def find(self, newsletter: str, email: str) -> Subscriber | None:
        """By address, whatever its letter case."""
        return self._one(subscriptions.c.newsletter == newsletter, people.c.email_key == fold(email))

    def by_key(self, newsletter: str, key: str) -> Subscriber | None:
        """By the random key that signed links carry."""
        return self._one(subscriptions.c.newsletter == newsletter, subscriptions.c.key == key)

    def _one(self, *conditions: ColumnElement[bool]) -> Subscriber | None:
        with self._database.read() as connection:
            row = connection.execute(_subscribers().where(*conditions)).one_or_none()
        return _subscriber(row) if row else None

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
        staying = (SubscriberState.PENDING.value, SubscriberState.ACTIVE.value)
        with self._database.write() as connection:
            connection.execute(
                update(subscriptions)
                .where(subscriptions.c.id == reader.id, subscriptions.c.state.in_(staying))
                .values(state=SubscriberState.UNSUBSCRIBED.value, changed_at=now)
            )
            self._suppressing.add(connection, newsletter, [fold(reader.email)], "unsubscribed", now=now)

    def is_suppressed(self, newsletter: str, email: str) -> bool:
        """Whether the address must not be mailed, whoever adds it."""
        with self._database.read() as connection:
            return bool(self._suppressing.among(connection, newsletter, [fold(email)]))

    def reached(self, newsletter: str) -> list[Subscriber]:
        """The active ones that may be mailed now."""
        active = self.everyone(newsletter, SubscriberState.ACTIVE)
        with self._database.read() as connection:
            suppressed = self._suppressing.among(connection, newsletter, [fold(reader.email) for reader in active])
        return [reader for reader in active if fold(reader.email) not in suppressed]


def _row(newsletter: str, person: int, reader: Subscriber, now: datetime) -> dict[str, object]:
    return {
        "newsletter": newsletter,
        "person": person,
        "key": secrets.token_hex(16),
        "topics": json.dumps(reader.topics),
        "language": reader.language,
        "timezone": reader.timezone,
        "frequency": reader.frequency,
        "state": reader.state.value,
        "consent_at": reader.consent_at,
        "consent_text": reader.consent_text,
        "created_at": now,
        "changed_at": now,
    }


def _subscribers() -> Select[Any]:
    return select(subscriptions, people.c.email, people.c.name.label("person_name")).join(
        people, people.c.id == subscriptions.c.person
    )


def _subscriber(row: Row[*tuple[Any, ...]]) -> Subscriber:
    return Subscriber(
        email=row.email,
        name=row.person_name,
        topics=tuple(json.loads(row.topics)),
        language=row.language,
        timezone=row.timezone,
        frequency=row.frequency,
        state=SubscriberState(row.state),
        consent_at=row.consent_at,
        consent_text=row.consent_text,
        key=row.key,
        id=row.id,
    )
