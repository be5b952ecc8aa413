"""Subscriptions as another program manages them: a page at a time, and one by one, each in its own newsletter."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, update

from digest.models import STAYING, Subscriber, SubscriberState
from digest.stores import erasing
from digest.stores.database import Database
from digest.stores.schema import people, subscriptions
from digest.stores.subscribers import SqlSubscribers, read_subscriber, select_subscribers
from digest.stores.suppressing import Suppressing
from digest.stores.taking import fold

_OWN: Final = ("language", "timezone", "frequency", "paused_until")  # columns that a change sets as they are


class SqlManaging:
    """protocols.ManagingStore."""

    def __init__(self, database: Database, suppressing: Suppressing, subscribers: SqlSubscribers) -> None:
        """Over an open database."""
        self._database = database
        self._suppressing = suppressing
        self._subscribers = subscribers

    def page(
        self, newsletter: str, *, state: SubscriberState | None, after: str | None, limit: int
    ) -> list[Subscriber] | None:
        """Those that came behind the one with the key `after`, in that order; None when nobody has that key."""
        if state is not None:
            query = select_subscribers().where(
                subscriptions.c.newsletter == newsletter, subscriptions.c.state == state.value
            )
        else:
            # Joined with nothing, the column names no index: by that of newsletter and state the database would sort
            # all subscribers for each page (300,000: 0.3 s instead of 2 ms).
            query = select_subscribers().where(subscriptions.c.newsletter + "" == newsletter)
        query = query.where(subscriptions.c.state != SubscriberState.ERASED.value)
        with self._database.read() as connection:
            if after is not None:
                # Who was erased meanwhile still has a place.
                place = connection.execute(
                    select(subscriptions.c.id).where(
                        subscriptions.c.newsletter == newsletter, subscriptions.c.key == after
                    )
                ).scalar()
                if place is None:
                    return None
                query = query.where(subscriptions.c.id > place)
            rows = connection.execute(query.order_by(subscriptions.c.id).limit(limit))
            return [read_subscriber(row) for row in rows]

    def suppressed(self, newsletter: str, emails: Sequence[str]) -> set[str]:
        """Those of these addresses, as they are given, that must not be mailed."""
        with self._database.read() as connection:
            found = self._suppressing.among(connection, newsletter, [fold(email) for email in emails])
        return {email for email in emails if fold(email) in found}

    def count(self, newsletter: str) -> dict[str, int]:
        """Subscribers by state."""
        query = select(subscriptions.c.state, func.count().label("number")).where(
            subscriptions.c.newsletter == newsletter
        )
        with self._database.read() as connection:
            return {row.state: row.number for row in connection.execute(query.group_by(subscriptions.c.state))}

    def change(self, newsletter: str, key: str, changes: Mapping[str, Any], *, now: datetime) -> bool:
        """Change choices and the name of somebody pending or active; False when nobody of that key is."""
        values: dict[str, Any] = {name: changes[name] for name in _OWN if name in changes}
        if "topics" in changes:
            values["topics"] = json.dumps(list(changes["topics"]))
        mine = (
            subscriptions.c.newsletter == newsletter,
            subscriptions.c.key == key,
            subscriptions.c.state.in_(STAYING),
        )
        with self._database.write() as connection:
            statement = update(subscriptions).where(*mine).values(**values, changed_at=now)
            person = connection.execute(statement.returning(subscriptions.c.person)).scalar_one_or_none()
            if person is not None and "name" in changes:
                connection.execute(update(people).where(people.c.id == person).values(name=changes["name"]))
        return person is not None

    def erase(self, newsletter: str, key: str, *, now: datetime) -> bool:
        """Forget a person in one newsletter; False when nobody has that key. The address stays suppressed.

        Whoever is subscribed nowhere else is forgotten altogether.
        """
        reader = self._subscribers.by_key(newsletter, key)
        if reader is None or reader.state is SubscriberState.ERASED:
            return False
        with self._database.write() as connection:
            if erasing.is_elsewhere(connection, reader.id):
                erasing.part(connection, self._suppressing, newsletter, reader, now)
                return True
        return self._subscribers.erase(reader.email, now=now)
