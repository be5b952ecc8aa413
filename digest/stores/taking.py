"""Many subscribers at once: laid down in a table of their own, then taken over by the database itself.

    rows ──> incoming, chosen (temporary) ──> people, subscriptions, suppressions      one transaction

A row a statement took six times as long. Places in the index are what costs: the keys of links begin with the time at
which they were made, so that those of an import stand side by side.
"""

import json
import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    Text,
    and_,
    func,
    literal,
    or_,
    select,
    update,
)

from digest.models import STAYING, Arrival, Subscriber, SubscriberState, Taken, fold_address
from digest.stores.columns import passing
from digest.stores.schema import people, subscriptions, suppressions, write_instant
from digest.stores.statements import chunks, count_rows, fill, make_temporary, number_on, upsert
from digest.stores.suppressing import Suppressing

_GONE: Final = (SubscriberState.UNSUBSCRIBED.value, SubscriberState.BOUNCED.value, SubscriberState.COMPLAINED.value)
_BOUNCED: Final = SubscriberState.BOUNCED.value
# As `subscriptions` has them.
_KEPT: Final = "topics language timezone frequency state consent_at consent_text consent_from tags paused_until".split()

_incoming = Table(
    "incoming",
    passing,
    Column("place", Integer, primary_key=True),
    Column("email_key", Text),
    Column("email", Text),  # as it was written, where that is otherwise
    Column("name", Text),
    Column("key", String(32)),
    Column("choice", Integer),  # a number of `chosen`
    Column("address", String(64)),  # the hash by which suppressions know it; None: there are none
    Column("person", Integer),  # who is known by that address
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",  # what is only deleted stays in its file, and is read again each time
)
# What many rows of a file share is laid down once.
_chosen = Table(
    "chosen",
    passing,
    Column("number", Integer, primary_key=True),
    *(Column(name, Text) for name in _KEPT),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)


fold = fold_address  # the key by which a person is known


def make_keys(count: int) -> list[str]:
    """Names for links, 128 bits in hexadecimal, of which 80 are drawn and the others tell when."""
    stamp, drawn = f"{time.time_ns() // 1_000_000 & 0xFFFFFFFFFFFF:012x}", os.urandom(10 * count).hex()
    return [stamp + drawn[20 * number : 20 * number + 20] for number in range(count)]


def take(
    connection: Connection,
    suppressing: Suppressing,
    newsletter: str,
    readers: Sequence[Subscriber | Arrival],
    now: datetime,
) -> Taken:
    """Take subscribers in: new ones, those who agreed at last, and those said to be gone. Nobody gone is revived."""
    arrivals = [one if isinstance(one, Arrival) else Arrival(one.email, one.name, one) for one in readers]
    for table in (_incoming, _chosen):
        make_temporary(connection, table)
        connection.execute(table.delete())
    said, is_any_suppressed = _lay_down(connection, suppressing, arrivals)
    # What a chunk has none of need not be looked for.
    known = _recognize(connection)
    gone = _end(connection, suppressing, newsletter, now) if said.intersection(_GONE) else 0
    left_out = _find_left_out(connection, newsletter) if known or is_any_suppressed else []
    # Before anybody is made active: who bounced while they were pending is pending still, and on the list.
    for chunk in chunks([place for place, _ in left_out]):
        connection.execute(_incoming.delete().where(_incoming.c.place.in_(chunk)))
    activated = _activate(connection, newsletter, now) if known else 0
    added = _add(connection, newsletter, now, is_mixed=len(said) > 1)
    return Taken(added=added, activated=activated, ended=gone, left_out=tuple(left_out))


def _lay_down(connection: Connection, suppressing: Suppressing, arrivals: Sequence[Arrival]) -> tuple[set[str], bool]:
    """Put them into `incoming` and `chosen`; the states that they are said to be in, and whether anybody is suppressed.

    That is, anybody at all: then each has a hash.
    """
    keys, links = [fold(arrival[0]) for arrival in arrivals], make_keys(len(arrivals))
    chosen = {id(choices): choices for _, _, choices in arrivals}
    numbers = {identity: number for number, identity in enumerate(chosen)}
    fill(connection, list(_chosen.c), [_row_of(number, choices) for number, choices in enumerate(chosen.values())])
    columns = [_incoming.c[name] for name in ("place", "email_key", "email", "name", "key", "choice")]
    rows = (
        (place, key, email if email != key else None, name, link, numbers[id(choices)])
        for place, ((email, name, choices), key, link) in enumerate(zip(arrivals, keys, links, strict=True))
    )
    is_any_suppressed = not suppressing.is_empty(connection)
    if is_any_suppressed:
        hashes = suppressing.hashes(connection, keys)
        fill(
            connection,
            [*columns, _incoming.c.address],
            ((*row, address) for row, address in zip(rows, hashes, strict=True)),
        )
    else:
        fill(connection, columns, rows)
    return {choices.state.value for choices in chosen.values()}, is_any_suppressed


def _row_of(number: int, choices: Subscriber) -> tuple[object, ...]:
    return (
        number,
        json.dumps(choices.topics),
        choices.language,
        choices.timezone,
        choices.frequency,
        choices.state.value,
        write_instant(choices.consent_at) if choices.consent_at else None,
        choices.consent_text,
        choices.consent_from,
        json.dumps(choices.tags),
        write_instant(choices.paused_until) if choices.paused_until else None,
    )


def _end(connection: Connection, suppressing: Suppressing, newsletter: str, now: datetime) -> int:
    """Who is said to have left, bounced or complained is suppressed, and no longer mailed if they were."""
    ended = 0
    for state in _GONE:
        keys = connection.execute(_those(_incoming.c.email_key).where(_chosen.c.state == state)).scalars().all()
        if not keys:
            continue
        scope = newsletter if state == SubscriberState.UNSUBSCRIBED.value else ""
        if state == SubscriberState.COMPLAINED.value:
            suppressing.add_complaints(connection, keys, now=now)
        else:
            suppressing.add(connection, scope, keys, state, now=now)
        those = _those(_incoming.c.person).where(_chosen.c.state == state)
        theirs = (
            subscriptions.c.person.in_(those),
            or_(subscriptions.c.newsletter == newsletter, literal(scope) == ""),
        )
        change = update(subscriptions).values(state=state, changed_at=now)
        ended += count_rows(connection, change.where(*theirs, subscriptions.c.state.in_(STAYING)))
        if state != _BOUNCED:  # what bounces did may be undone, and what people did may not
            connection.execute(change.where(*theirs, subscriptions.c.state == _BOUNCED))
    return ended


def _find_left_out(connection: Connection, newsletter: str) -> list[tuple[int, str]]:
    """Who asks to be mailed, and must not be: the places, and why."""
    stays = _chosen.c.state.in_(STAYING)
    suppressed = (
        _those(_incoming.c.place, suppressions.c.reason)
        .join(suppressions, suppressions.c.address == _incoming.c.address)
        .where(stays, suppressions.c.newsletter.in_(("", newsletter)))
    )
    known = _with_subscription(newsletter, _incoming.c.place, subscriptions.c.state).where(
        stays, subscriptions.c.state.not_in(STAYING)
    )
    found: dict[int, str] = {}
    for query in (known, suppressed):
        found.update((place, reason) for place, reason in connection.execute(query))
    return sorted(found.items())


def _activate(connection: Connection, newsletter: str, now: datetime) -> int:
    """Who was pending and has agreed now is active."""
    agreed = _with_subscription(
        newsletter, subscriptions.c.id, _chosen.c.consent_at, _chosen.c.consent_text, _chosen.c.consent_from
    ).where(subscriptions.c.state == SubscriberState.PENDING.value, _chosen.c.state == SubscriberState.ACTIVE.value)
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


def _add(connection: Connection, newsletter: str, now: datetime, *, is_mixed: bool) -> int:
    """New people and new subscriptions; of two spellings in one chunk the first counts, or the one that is gone."""
    highest = connection.execute(select(func.coalesce(func.max(people.c.id), 0))).scalar_one()
    moment = literal(now, people.c.created_at.type)
    email = func.coalesce(_incoming.c.email, _incoming.c.email_key)
    number = _incoming.c.place + (highest + 1)  # the person's, should it be a new one
    fields = (number, email, _incoming.c.email_key, _incoming.c.name, moment)
    strangers = select(*fields).where(_incoming.c.person.is_(None)).order_by(_incoming.c.place)
    counted = select(func.count()).select_from(_incoming).where(_incoming.c.person.is_(None))
    expected = connection.execute(counted).scalar_one()
    newly = upsert(people).from_select(["id", "email", "email_key", "name", "created_at"], strangers)
    if count_rows(connection, newly.on_conflict_do_nothing()) < expected:  # two spellings of one address
        _recognize(connection)
    number_on(connection, people.c.id)
    columns = ["newsletter", "person", "key", *_KEPT, "created_at", "changed_at"]
    kept = (_chosen.c[name] for name in _KEPT)
    person = func.coalesce(_incoming.c.person, number)
    order = (_chosen.c.state.in_(STAYING), _incoming.c.place) if is_mixed else (_incoming.c.place,)
    # The condition is for SQLite's parser, which takes ON CONFLICT for a join's ON else.
    rows = _those(literal(newsletter), person, _incoming.c.key, *kept, moment, moment).where(_incoming.c.place >= 0)
    taken = upsert(subscriptions).from_select(columns, rows.order_by(*order)).on_conflict_do_nothing()
    return count_rows(connection, taken)


def _recognize(connection: Connection) -> int:
    """Note who is known by each address already: once, since the index of all addresses is what costs."""
    change = update(_incoming).values(person=people.c.id)
    return count_rows(
        connection, change.where(people.c.email_key == _incoming.c.email_key, _incoming.c.person.is_(None))
    )


def _those(*columns: ColumnElement[Any]) -> Select[Any]:
    """Incoming rows, with what they chose."""
    return select(*columns).select_from(_incoming).join(_chosen, _chosen.c.number == _incoming.c.choice)


def _with_subscription(newsletter: str, *columns: ColumnElement[Any]) -> Select[Any]:
    """The same beside the subscription that their address has already."""
    return _those(*columns).join(
        subscriptions,
        and_(subscriptions.c.person == _incoming.c.person, subscriptions.c.newsletter == newsletter),
    )
