"""Many subscribers at once: laid down in a table of their own, then taken over by the database itself.

    rows ──> incoming (temporary) ──> people, subscriptions, suppressions      one transaction

A row a statement took six times as long. Places in the index are what costs: the keys of links begin with the time at
which they were made, so that those of an import stand side by side.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.schema import CreateTable

from digest.models import Subscriber, SubscriberState, Taken
from digest.stores.database import fill, upsert
from digest.stores.schema import people, subscriptions, suppressions, write_instant
from digest.stores.suppressing import Suppressing

_GONE: Final = (SubscriberState.UNSUBSCRIBED.value, SubscriberState.BOUNCED.value, SubscriberState.COMPLAINED.value)
_STAYING: Final = (SubscriberState.PENDING.value, SubscriberState.ACTIVE.value)
# As `subscriptions` has them.
_KEPT: Final = "topics language timezone frequency state consent_at consent_text consent_from tags".split()

_incoming = Table(
    "incoming",
    MetaData(),
    Column("place", Integer, primary_key=True),
    Column("id", Integer),  # the person's, should it be a new one
    Column("person", Integer),  # who is known by that address
    Column("email_key", Text),
    Column("address", String(64)),  # the hash by which suppressions know it; None: there are none
    Column("email", Text),  # as it was written, where that is otherwise
    Column("name", Text),
    Column("key", String(32)),
    *(Column(name, Text) for name in _KEPT),
    prefixes=["TEMPORARY"],
)


def fold(email: str) -> str:
    """What makes two spellings one address: letter case. The local part's case is kept for sending."""
    return email.strip().casefold()


def make_keys(count: int) -> list[str]:
    """Names for links, 128 bits in hexadecimal, of which 80 are drawn and the others tell when."""
    stamp, drawn = f"{time.time_ns() // 1_000_000 & 0xFFFFFFFFFFFF:012x}", os.urandom(10 * count).hex()
    return [stamp + drawn[20 * number : 20 * number + 20] for number in range(count)]


def take(
    connection: Connection, suppressing: Suppressing, newsletter: str, readers: Sequence[Subscriber], now: datetime
) -> Taken:
    """Take subscribers in: new ones, those who agreed at last, and those said to be gone. Nobody gone is revived."""
    connection.execute(CreateTable(_incoming, if_not_exists=True))
    connection.execute(_incoming.delete())
    highest = connection.execute(select(func.coalesce(func.max(people.c.id), 0))).scalar_one()
    keys = [fold(reader.email) for reader in readers]
    fill(connection, _incoming, _lay_down(readers, keys, suppressing.hashes(connection, keys), highest))
    _recognize(connection)
    gone = _end(connection, suppressing, newsletter, now)
    left_out = _find_left_out(connection, newsletter)
    activated = _activate(connection, newsletter, now)
    added = _add(connection, newsletter, now, [place for place, _ in left_out])
    return Taken(added=added, activated=activated, ended=gone, left_out=tuple(left_out))


def _lay_down(
    readers: Sequence[Subscriber], keys: Sequence[str], hashes: Sequence[str | None], highest: int
) -> Iterator[tuple[object, ...]]:
    states = {state: state.value for state in SubscriberState}
    rows = zip(readers, keys, hashes, make_keys(len(readers)), strict=True)
    for place, (reader, email_key, address, key) in enumerate(rows):
        yield (
            place,
            highest + 1 + place,
            None,
            email_key,
            address,
            reader.email if reader.email != email_key else None,
            reader.name,
            key,
            _as_json(reader.topics),
            reader.language,
            reader.timezone,
            reader.frequency,
            states[reader.state],
            _as_text(reader.consent_at),
            reader.consent_text,
            reader.consent_from,
            _as_json(reader.tags),
        )


def _end(connection: Connection, suppressing: Suppressing, newsletter: str, now: datetime) -> int:
    """Who is said to have left, bounced or complained is suppressed, and no longer mailed if they were."""
    ended = 0
    for state in _GONE:
        keys = connection.execute(select(_incoming.c.email_key).where(_incoming.c.state == state)).scalars().all()
        if not keys:
            continue
        scope = newsletter if state == SubscriberState.UNSUBSCRIBED.value else ""
        suppressing.add(connection, scope, keys, state, now=now)
        those = select(_incoming.c.person).where(_incoming.c.state == state)
        change = (
            update(subscriptions)
            .where(
                subscriptions.c.person.in_(those),
                subscriptions.c.state.in_(_STAYING),
                or_(subscriptions.c.newsletter == newsletter, literal(scope) == ""),
            )
            .values(state=state, changed_at=now)
        )
        ended += connection.execute(change).rowcount
    return ended


def _find_left_out(connection: Connection, newsletter: str) -> list[tuple[int, str]]:
    """Who asks to be mailed, and must not be: the places, and why."""
    stays = _incoming.c.state.in_(_STAYING)
    suppressed = (
        select(_incoming.c.place, suppressions.c.reason)
        .join(suppressions, suppressions.c.address == _incoming.c.address)
        .where(stays, suppressions.c.newsletter.in_(("", newsletter)))
    )
    known = _with_subscription(newsletter, _incoming.c.place, subscriptions.c.state).where(
        stays, subscriptions.c.state.not_in(_STAYING)
    )
    found: dict[int, str] = {}
    for query in (known, suppressed):
        found.update((place, reason) for place, reason in connection.execute(query))
    return sorted(found.items())


def _activate(connection: Connection, newsletter: str, now: datetime) -> int:
    """Who was pending and has agreed now is active."""
    agreed = _with_subscription(
        newsletter, subscriptions.c.id, _incoming.c.consent_at, _incoming.c.consent_text, _incoming.c.consent_from
    ).where(subscriptions.c.state == SubscriberState.PENDING.value, _incoming.c.state == SubscriberState.ACTIVE.value)
    rows = connection.execute(agreed).all()
    for number, consent_at, text, place in rows:
        connection.execute(
            update(subscriptions)
            .where(subscriptions.c.id == number)
            .values(
                state=SubscriberState.ACTIVE.value,
                consent_at=datetime.fromisoformat(consent_at) if consent_at else None,
                consent_text=text,
                consent_from=place,
                changed_at=now,
            )
        )
    return len(rows)


def _add(connection: Connection, newsletter: str, now: datetime, left_out: Sequence[int]) -> int:
    """New people and new subscriptions; of two spellings in one chunk the first counts, or the one that is gone."""
    for start in range(0, len(left_out), 500):
        connection.execute(_incoming.delete().where(_incoming.c.place.in_(left_out[start : start + 500])))
    moment = literal(now, people.c.created_at.type)
    email = func.coalesce(_incoming.c.email, _incoming.c.email_key)
    fields = (_incoming.c.id, email, _incoming.c.email_key, _incoming.c.name, moment)
    strangers = select(*fields).where(_incoming.c.person.is_(None)).order_by(_incoming.c.place)
    expected = connection.execute(select(func.count()).select_from(strangers.subquery())).scalar_one()
    newly = upsert(people).from_select(["id", "email", "email_key", "name", "created_at"], strangers)
    if connection.execute(newly.on_conflict_do_nothing()).rowcount < expected:  # two spellings of one address
        _recognize(connection)
    columns = ["newsletter", "person", "key", *_KEPT, "created_at", "changed_at"]
    kept = (_incoming.c[name] for name in _KEPT)
    person = func.coalesce(_incoming.c.person, _incoming.c.id)
    rows = (
        select(literal(newsletter), person, _incoming.c.key, *kept, moment, moment)
        .where(_incoming.c.place >= 0)
        .order_by(_incoming.c.state.in_(_STAYING), _incoming.c.place)
    )
    taken = upsert(subscriptions).from_select(columns, rows).on_conflict_do_nothing()
    return connection.execute(taken).rowcount


def _recognize(connection: Connection) -> None:
    """Note who is known by each address already: once, since the index of all addresses is what costs."""
    known = connection.execute(
        select(_incoming.c.place, people.c.id)
        .join(people, people.c.email_key == _incoming.c.email_key)
        .where(_incoming.c.person.is_(None))
    ).all()
    if known:
        change = update(_incoming).where(_incoming.c.place == bindparam("at")).values(person=bindparam("who"))
        connection.execute(change, [{"at": place, "who": person} for place, person in known])


def _with_subscription(newsletter: str, *columns: Column[Any]) -> Select[Any]:
    """Incoming rows beside the subscription that their address has already."""
    return (
        select(*columns)
        .select_from(_incoming)
        .join(
            subscriptions,
            and_(subscriptions.c.person == _incoming.c.person, subscriptions.c.newsletter == newsletter),
        )
    )


@lru_cache(maxsize=4096)
def _as_json(values: tuple[str, ...]) -> str:
    return json.dumps(values)


@lru_cache(maxsize=4096)
def _as_text(instant: datetime | None) -> str | None:
    return write_instant(instant) if instant else None
