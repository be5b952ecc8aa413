"""Whose an event is: by the name of the delivery, else by the address. And of what was sent nothing was heard."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, select

from digest.models import DeliveryState, Event, EventKind, month_in_key, month_of
from digest.stores.schema import deliveries, editions, people, subscriptions
from digest.stores.statements import chunks
from digest.stores.suppressing import Suppressing
from digest.stores.taking import fold

_LATE: Final = timedelta(days=7)  # what comes without a name is of the last message within that time
_ABOUT_THE_LAST: Final = {EventKind.BOUNCED, EventKind.FAILED, EventKind.COMPLAINED, EventKind.UNSUBSCRIBED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Whose an event is."""

    person: int | None = None
    delivery: int | None = None
    month: date | None = None  # among whose deliveries that is
    newsletter: str | None = None  # of the delivery
    email_key: str | None = None  # the person's; None: nobody is known
    is_erased: bool = False  # asked to be forgotten: what was said of them is not kept in words


def match_events(connection: Connection, suppressing: Suppressing, new: Sequence[Event]) -> list[Match]:
    """Whose each event is: by the name of the delivery, else by the address."""
    by_key = _match_by_key(connection, list({event.send_key for event in new if event.send_key}))
    addresses = {fold(event.email) for event in new if event.email and event.send_key not in by_key}
    by_address = _match_by_address(connection, sorted(addresses))
    strangers = [address for address in addresses if address not in by_address]
    erased = {key for key, (reason, _) in suppressing.reasons(connection, strangers).items() if reason == "erased"}
    late = [
        event
        for event in new
        if event.kind in _ABOUT_THE_LAST and event.email and event.send_key not in by_key
        and fold(event.email) in by_address
    ]  # fmt: skip
    last = _find_last(connection, late, by_address) if late else {}
    matches = []
    for event in new:
        address = fold(event.email) if event.email else None
        if event.send_key in by_key:
            matches.append(by_key[event.send_key])
        elif (place := last.get(id(event))) is not None:
            matches.append(place)
        else:
            nobody = Match(is_erased=address in erased)
            matches.append(by_address.get(address, nobody) if address else nobody)
    return matches


def _match_by_key(connection: Connection, keys: Sequence[str]) -> dict[str | None, Match]:
    by_month: dict[date, list[str]] = defaultdict(list)
    for key in keys:
        if month := month_in_key(key):
            by_month[month].append(key)
    found: dict[str | None, Match] = {}
    for month, members in sorted(by_month.items()):
        _find_by_key(connection, members, found, deliveries.c.month == month)
    # Those that tell no month, or only seem to, may be of any.
    _find_by_key(connection, [key for key in keys if key not in found], found)
    return found


def _find_by_key(
    connection: Connection, keys: Sequence[str], found: dict[str | None, Match], *conditions: ColumnElement[bool]
) -> None:
    for chunk in chunks(keys):
        query = (
            select(
                deliveries.c.send_key, deliveries.c.id, deliveries.c.month, subscriptions.c.newsletter,
                people.c.id.label("who"), people.c.email_key,
            )
            .join(subscriptions, subscriptions.c.id == deliveries.c.subscription)
            .join(people, people.c.id == subscriptions.c.person)
            .where(deliveries.c.send_key.in_(chunk), *conditions)
        )  # fmt: skip
        for row in connection.execute(query):
            is_erased = row.email_key.startswith("erased:")
            found[row.send_key] = Match(
                person=row.who,
                delivery=row.id,
                month=row.month,
                newsletter=row.newsletter,
                email_key=None if is_erased else row.email_key,
                is_erased=is_erased,
            )


def _match_by_address(connection: Connection, addresses: Sequence[str]) -> dict[str, Match]:
    found: dict[str, Match] = {}
    for chunk in chunks(addresses):
        query = select(people.c.id, people.c.email_key).where(people.c.email_key.in_(chunk))
        found |= {row.email_key: Match(person=row.id, email_key=row.email_key) for row in connection.execute(query)}
    return found


def _find_last(connection: Connection, late: Sequence[Event], by_address: dict[str, Match]) -> dict[int, Match]:
    """What bounced late, without a name, is the last message that was handed over to that address before."""
    first, until = min(event.occurred_at for event in late) - _LATE, max(event.occurred_at for event in late)
    sent: dict[int, list[tuple[datetime, int, date, str]]] = defaultdict(list)
    persons = sorted({match.person for event in late if (match := by_address[fold(event.email or "")]).person})
    for row in _read_sent(connection, persons, first, until):
        sent[row.person].append((row.attempted_at, row.id, row.month, row.newsletter))
    found = {}
    for event in late:
        match = by_address[fold(event.email or "")]
        before = [
            one for one in sent.get(match.person or 0, ()) if event.occurred_at - _LATE <= one[0] <= event.occurred_at
        ]
        if before:
            _, delivery, month, newsletter = max(before)
            found[id(event)] = Match(
                person=match.person, delivery=delivery, month=month, newsletter=newsletter, email_key=match.email_key
            )
    return found


def find_silent(
    connection: Connection, since: Mapping[int, datetime], *, until: datetime
) -> list[tuple[int, datetime]]:
    """What was handed over by SMTP to these people since, and until that instant, and did not come back."""
    if not since:
        return []
    return [
        (row.person, row.attempted_at)
        for row in _read_sent(connection, sorted(since), min(since.values()), until)
        if row.state == DeliveryState.ACCEPTED.value
        and row.transport != "sendgrid"
        and since[row.person] <= row.attempted_at <= until
    ]


def _read_sent(
    connection: Connection, persons: Sequence[int], first: datetime, until: datetime
) -> Iterator[Row[*tuple[Any, ...]]]:
    """The deliveries to these people of editions of that time that were handed over."""
    dates = editions.c.date.between((first - timedelta(days=2)).date(), until.date())
    recent = connection.execute(select(editions.c.id, editions.c.date).where(dates)).all()
    for chunk in chunks(persons):
        # By edition and subscription, which have an index together: deliveries are many.
        query = (
            select(
                deliveries.c.id,
                deliveries.c.month,
                deliveries.c.attempted_at,
                deliveries.c.state,
                deliveries.c.transport,
                subscriptions.c.person,
                subscriptions.c.newsletter,
            )
            .join(subscriptions, subscriptions.c.id == deliveries.c.subscription)
            .where(
                deliveries.c.month.in_({month_of(edition.date) for edition in recent}),
                deliveries.c.edition.in_([edition.id for edition in recent]),
                deliveries.c.subscription.in_(select(subscriptions.c.id).where(subscriptions.c.person.in_(chunk))),
                deliveries.c.attempted_at.is_not(None),
            )
        )
        yield from connection.execute(query)
