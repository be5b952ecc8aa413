"""People who asked to be forgotten: what is kept of them goes, what was sent stays counted, without a name."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from digest.models import Subscriber, SubscriberState, month_of
from digest.stores.database import Database
from digest.stores.requests import forget
from digest.stores.schema import deliveries, editions, erasures, events, people, subscriptions
from digest.stores.statements import chunks, count_rows, upsert
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
    """Whom the provider has yet to forget, by newsletter and address."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def owe(self, newsletter: str, email: str, *, now: datetime) -> bool:
        """Keep an address that the provider is yet to forget, until it has been told; False: it was kept already."""
        with self._database.write() as connection:
            owed = upsert(erasures).values(newsletter=newsletter, email=email, asked_at=now)
            return count_rows(connection, owed.on_conflict_do_nothing()) > 0

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


def find_unclaimed(connection: Connection, key: str) -> list[int]:
    """What was heard of nobody who is known, in words that repeat a folded address. All such words are read."""
    words = or_(
        func.lower(events.c.raw).contains(key, autoescape=True),
        func.lower(events.c.answer).contains(key, autoescape=True),
    )
    return list(connection.execute(select(events.c.id).where(events.c.person.is_(None), words)).scalars())


def forget_person(
    connection: Connection, suppressing: Suppressing, key: str, now: datetime, *, unclaimed: Sequence[int] = ()
) -> bool:
    """In every newsletter; False when nothing is kept of that folded address. It stays suppressed, as a keyed hash.

    `unclaimed` are the events that are of nobody and repeat the address.
    """
    person = connection.execute(select(people.c.id).where(people.c.email_key == key)).scalar()
    asked = forget(connection, suppressing, key)
    if person is None and not asked:
        return False
    suppressing.add(connection, "", [key], SubscriberState.ERASED.value, now=now)
    _forget_words(connection, unclaimed)
    if person is None:
        return True
    gone = f"erased:{person}"
    connection.execute(update(people).where(people.c.id == person).values(email=gone, email_key=gone, name=None))
    own = _list_subscriptions(connection, person)
    for subscription in own:
        _forget_answers(connection, subscription)
    theirs = update(events).where(events.c.person == person)
    connection.execute(theirs.values(raw=None, answer=None, domain=None))
    blank = update(subscriptions).where(subscriptions.c.id.in_(own))
    connection.execute(blank.values(**_BLANK, changed_at=now))
    return True


def _forget_words(connection: Connection, numbers: Sequence[int]) -> None:
    """What a provider said may repeat the address."""
    for chunk in chunks(numbers):
        connection.execute(update(events).where(events.c.id.in_(chunk)).values(raw=None, answer=None))


def _forget_answers(connection: Connection, subscription: int) -> list[int]:
    """What servers answered of a subscription's deliveries may, too. Returns the numbers of these.

    They are found edition by edition, as their index is: it takes milliseconds, and one of subscriptions alone would
    make each edition's plan dearer. On PostgreSQL each month is asked by itself.
    """
    newsletter = select(subscriptions.c.newsletter).where(subscriptions.c.id == subscription).scalar_subquery()
    by_month: dict[date, list[int]] = {}
    for row in connection.execute(select(editions.c.id, editions.c.date).where(editions.c.newsletter == newsletter)):
        by_month.setdefault(month_of(row.date), []).append(row.id)
    found: list[int] = []
    for month, numbers in by_month.items():
        for chunk in chunks(numbers):
            theirs = (deliveries.c.edition.in_(chunk), deliveries.c.subscription == subscription)
            query = select(deliveries.c.id).where(deliveries.c.month == month, *theirs)
            of_month = list(connection.execute(query).scalars())
            answered = update(deliveries).where(deliveries.c.month == month, deliveries.c.id.in_(of_month))
            connection.execute(answered.where(deliveries.c.answer.is_not(None)).values(answer=None))
            found += of_month
    return found


def _list_subscriptions(connection: Connection, person: int) -> list[int]:
    """All of a person's: newsletter by newsletter, as their index is."""
    found: list[int] = []
    last = ""
    first = func.min(subscriptions.c.newsletter)
    while newsletter := connection.execute(select(first).where(subscriptions.c.newsletter > last)).scalar():
        own = (subscriptions.c.newsletter == newsletter, subscriptions.c.person == person)
        found += connection.execute(select(subscriptions.c.id).where(*own)).scalars()
        last = newsletter
    return found


def is_elsewhere(connection: Connection, subscription: int) -> bool:
    """Whether the person of a subscription has another one."""
    person = connection.execute(select(subscriptions.c.person).where(subscriptions.c.id == subscription)).scalar()
    return person is not None and _list_subscriptions(connection, person) != [subscription]


def part(connection: Connection, suppressing: Suppressing, newsletter: str, reader: Subscriber, now: datetime) -> None:
    """Give a subscription to nobody; the person keeps the others, and the address is suppressed for this one."""
    key = fold(reader.email)
    suppressing.add(connection, newsletter, [key], SubscriberState.ERASED.value, now=now)
    gone = f"erased:subscription:{reader.id}"
    nobody = connection.execute(
        insert(people).values(email=gone, email_key=gone, created_at=now).returning(people.c.id)
    ).scalar_one()
    for chunk in chunks(_forget_answers(connection, reader.id)):
        theirs = update(events).where(events.c.delivery.in_(chunk))
        connection.execute(theirs.values(person=None, answer=None, raw=None))
    forget(connection, suppressing, key, newsletter=newsletter)
    blank = update(subscriptions).where(subscriptions.c.id == reader.id)
    connection.execute(blank.values(**_BLANK, person=nobody, changed_at=now))
