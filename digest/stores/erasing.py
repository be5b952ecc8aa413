"""People who asked to be forgotten: what is kept of them goes, what was sent stays counted, without a name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from digest.models import Subscriber, SubscriberState
from digest.stores.database import Database, upsert
from digest.stores.requests import forget
from digest.stores.schema import deliveries, erasures, events, people, subscriptions
from digest.stores.suppressing import Suppressing
from digest.stores.taking import fold

_BLANK: Final[dict[str, Any]] = {
    "state": SubscriberState.ERASED.value,
    "topics": "[]",
    "tags": "[]",
    "language": None,
    "timezone": None,
    "consent_text": None,
    "consent_from": None,
    "paused_until": None,
}


class SqlErasures:
    """protocols.ErasureStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def owe(self, newsletter: str, email: str, *, now: datetime) -> None:
        """Keep an address that the provider is yet to forget, until it has been told."""
        with self._database.write() as connection:
            owed = upsert(erasures).values(newsletter=newsletter, email=email, asked_at=now)
            connection.execute(owed.on_conflict_do_nothing())

    def owed(self, newsletter: str) -> list[str]:
        """Those that the provider is yet to forget, who asked first first."""
        query = select(erasures.c.email).where(erasures.c.newsletter == newsletter)
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(erasures.c.asked_at, erasures.c.email)).scalars())

    def settle(self, newsletter: str, emails: Sequence[str]) -> None:
        """The provider was told of these: nothing is kept of them here any more."""
        with self._database.write() as connection:
            for email in emails:
                theirs = (erasures.c.newsletter == newsletter, erasures.c.email == email)
                connection.execute(delete(erasures).where(*theirs))


def forget_person(connection: Connection, suppressing: Suppressing, key: str, now: datetime) -> bool:
    """In every newsletter; False when nothing is kept of that folded address. It stays suppressed, as a keyed hash."""
    person = connection.execute(select(people.c.id).where(people.c.email_key == key)).scalar()
    asked = forget(connection, suppressing, key)
    if person is None and not asked:
        return False
    suppressing.add(connection, "", [key], SubscriberState.ERASED.value, now=now)
    if person is None:
        return True
    gone = f"erased:{person}"
    connection.execute(update(people).where(people.c.id == person).values(email=gone, email_key=gone, name=None))
    own = select(subscriptions.c.id).where(subscriptions.c.person == person)
    # What a server answered may repeat the address.
    connection.execute(update(deliveries).where(deliveries.c.subscription.in_(own)).values(answer=None))
    # So may what was heard, also where it was not known of whom it is.
    theirs = events.c.person == person
    of_nobody = events.c.person.is_(None) & or_(
        func.lower(events.c.raw).contains(key, autoescape=True),
        func.lower(events.c.answer).contains(key, autoescape=True),
    )
    connection.execute(update(events).where(theirs | of_nobody).values(raw=None, answer=None))
    connection.execute(update(events).where(theirs).values(domain=None))
    blank = update(subscriptions).where(subscriptions.c.person == person)
    connection.execute(blank.values(**_BLANK, changed_at=now))
    return True


def is_elsewhere(connection: Connection, subscription: int) -> bool:
    """Whether the person of a subscription has another one."""
    person = select(subscriptions.c.person).where(subscriptions.c.id == subscription).scalar_subquery()
    query = select(subscriptions.c.id).where(subscriptions.c.person == person, subscriptions.c.id != subscription)
    return connection.execute(query.limit(1)).scalar() is not None


def part(connection: Connection, suppressing: Suppressing, newsletter: str, reader: Subscriber, now: datetime) -> None:
    """Give a subscription to nobody; the person keeps the others, and the address is suppressed for this one."""
    key = fold(reader.email)
    suppressing.add(connection, newsletter, [key], SubscriberState.ERASED.value, now=now)
    own = select(deliveries.c.id).where(deliveries.c.subscription == reader.id)
    gone = f"erased:subscription:{reader.id}"
    nobody = connection.execute(
        insert(people).values(email=gone, email_key=gone, created_at=now).returning(people.c.id)
    ).scalar_one()
    # What a server answered may repeat the address.
    connection.execute(update(deliveries).where(deliveries.c.subscription == reader.id).values(answer=None))
    connection.execute(update(events).where(events.c.delivery.in_(own)).values(person=None, answer=None, raw=None))
    forget(connection, suppressing, key, newsletter=newsletter)
    blank = update(subscriptions).where(subscriptions.c.id == reader.id)
    connection.execute(blank.values(**_BLANK, person=nobody, changed_at=now))
