"""Events into the tables: known once, matched to a delivery or an address, and what follows at once.

events ──> new ones ──> whose? ──> kept ──> deliveries move ──> who complained or left
                                                   └─> standing: waves set aside, people judged
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, bindparam, func, insert, or_, select, update

from digest.models import (
    ARRIVED,
    STAYING,
    UNSETTLED,
    DeliveryState,
    Effect,
    Event,
    EventKind,
    Heard,
    SubscriberState,
    Weight,
)
from digest.protocols import BounceRules
from digest.stores.matching import Match, match_events
from digest.stores.schema import batches, deliveries, events, people, subscriptions
from digest.stores.standing import judge
from digest.stores.statements import chunks, number_on
from digest.stores.suppressing import Suppressing
from digest.stores.taking import fold
from digest.stores.waves import set_aside

# What a delivery becomes, and from what: never back, whatever the order in which events come. Those before `accepted`
# may be met when a sender died, or its database was restored: what the provider has seen was sent.
_UNTOLD: Final = (*UNSETTLED, "unknown")
_STEPS: Final = (
    DeliveryState.ACCEPTED,
    DeliveryState.DELIVERED,
    DeliveryState.DROPPED,
    DeliveryState.BOUNCED,
    DeliveryState.COMPLAINED,
)
_BECOMES: Final = {
    EventKind.QUEUED: DeliveryState.ACCEPTED,
    EventKind.SENT: DeliveryState.ACCEPTED,
    EventKind.DEFERRED: DeliveryState.ACCEPTED,  # by the provider, who goes on trying: nothing is due again here
    EventKind.DELIVERED: DeliveryState.DELIVERED,
    EventKind.OPENED: DeliveryState.DELIVERED,
    EventKind.CLICKED: DeliveryState.DELIVERED,
    EventKind.UNSUBSCRIBED: DeliveryState.DELIVERED,
    EventKind.REJECTED: DeliveryState.DROPPED,
    EventKind.FAILED: DeliveryState.BOUNCED,
    EventKind.BOUNCED: DeliveryState.BOUNCED,
    EventKind.COMPLAINED: DeliveryState.COMPLAINED,
}
_MAY_LEAVE: Final = (SubscriberState.PENDING.value, SubscriberState.ACTIVE.value, SubscriberState.BOUNCED.value)
_MAY_COMPLAIN: Final = (*_MAY_LEAVE, SubscriberState.UNSUBSCRIBED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fresh:
    """An event that was not heard before."""

    id: int
    event: Event
    match: Match
    weight: Weight | None
    occurred_at: datetime

    @property
    def address(self) -> str | None:
        """The folded address that it is about."""
        return self.match.email_key or (fold(self.event.email) if self.event.email else None)

    @property
    def domain(self) -> str | None:
        if self.match.is_erased:  # a domain may be one person's own
            return None
        return (self.address or "").rpartition("@")[2][:255] or None


def take(
    connection: Connection,
    suppressing: Suppressing,
    newsletter: str,
    heard: Sequence[Event],
    rules: BounceRules,
    now: datetime,
) -> Heard:
    """Take events in; see protocols.EventStore.take."""
    unique = list({(event.provider, event.event_id): event for event in reversed(heard)}.values())[::-1]
    known = _read_known(connection, unique)
    new = [event for event in unique if (event.provider, event.event_id) not in known]
    highest = connection.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one()
    matches = match_events(connection, suppressing, new)
    _lock_deliveries(connection, {match.delivery: match.month for match in matches if match.delivery and match.month})
    fresh = [
        _Fresh(
            id=highest + place,
            event=event,
            match=match,
            weight=rules.weigh(event),
            occurred_at=min(event.occurred_at, now),  # nothing was heard before it happened
        )
        for place, (event, match) in enumerate(zip(new, matches, strict=True), 1)
    ]
    complaints = [one for one in fresh if rules.is_complaint(one.event)]
    leaving = [one for one in fresh if rules.is_leaving(one.event)]
    _keep(connection, fresh, {one.id for one in (*complaints, *leaving)}, now)
    _move_deliveries(connection, fresh, now)
    ended = _hear_complaints(connection, suppressing, complaints, now)
    ended |= _hear_leaving(connection, suppressing, leaving, newsletter, now)
    refusals = [one for one in fresh if one.match.person and one.weight and one.weight is not Weight.OURS]
    aside, waves = set_aside(
        connection,
        rules,
        [(one.domain, one.weight, one.occurred_at) for one in refusals if one.domain and one.weight],
    )
    persons = {one.match.person for one in refusals if one.match.person} | {one.said.person for one in aside}
    change = judge(
        connection,
        suppressing,
        rules,
        persons | _find_relieved(connection, fresh),
        fresh={one.id for one in refusals},
        taken_away=aside,
        now=now,
    )
    return Heard(
        new=len(fresh),
        repeated=len(heard) - len(fresh),
        unmatched=sum(one.match.person is None for one in fresh),
        ended=len(ended | change.ended),
        quarantined=len(aside),
        waves=tuple(waves),
    )


def _lock_deliveries(connection: Connection, places: Mapping[int, date]) -> None:
    """Beside senders, who settle many at once: all of them take the batch first, then what is in it.

    In the order of their numbers; `places` are the months among whose deliveries they are.
    """
    chosen = [
        (deliveries.c.id.in_(chunk), deliveries.c.month.in_({places[number] for number in chunk}))
        for chunk in chunks(sorted(places))
    ]
    held: set[int] = set()
    for which in chosen:
        query = select(deliveries.c.batch).where(*which, deliveries.c.batch.is_not(None))
        held.update(connection.execute(query.distinct()).scalars())
    for part in chunks(sorted(held)):
        _lock(connection, batches, batches.c.id.in_(part))
    for which in chosen:
        _lock(connection, deliveries, *which)


def _lock(connection: Connection, table: Table, *which: ColumnElement[bool]) -> None:
    lock = select(table.c.id).where(*which).order_by(table.c.id)
    connection.execute(lock.with_for_update(key_share=True)).close()


def _read_known(connection: Connection, heard: Sequence[Event]) -> set[tuple[str, str]]:
    """Which of these were heard before."""
    found: set[tuple[str, str]] = set()
    for provider in {event.provider for event in heard}:
        names = [event.event_id for event in heard if event.provider == provider]
        for chunk in chunks(names):
            query = select(events.c.event_id).where(events.c.provider == provider, events.c.event_id.in_(chunk))
            found.update((provider, name) for name in connection.execute(query).scalars())
    return found


def _keep(connection: Connection, fresh: Sequence[_Fresh], decisive: set[int], now: datetime) -> None:
    rows = [
        {
            "id": one.id,
            "provider": one.event.provider,
            "event_id": one.event.event_id,
            "kind": one.event.kind.value,
            "occurred_at": one.occurred_at,
            "received_at": now,
            "delivery": one.match.delivery,
            "person": one.match.person,
            "domain": None if one.match.is_erased else one.domain,
            "reject_reason": one.event.reject_reason.value if one.event.reject_reason else None,
            "weight": one.weight.value if one.weight else None,
            "status": one.event.status,
            "answer": _redact(one, one.event.answer),
            "raw": _redact(one, one.event.raw),
            "effect": _first_effect(one, decisive).value,
        }
        for one in fresh
    ]
    if rows:
        connection.execute(insert(events), rows)
        number_on(connection, events.c.id)


def _first_effect(one: _Fresh, decisive: set[int]) -> Effect:
    if one.id in decisive:
        return Effect.APPLIED
    return Effect.COUNTED if one.match.person and one.weight and one.weight is not Weight.OURS else Effect.NONE


def _redact(one: _Fresh, words: str | None) -> str | None:
    """What was said, but nothing of people who asked to be forgotten, and no address of whom nobody knows."""
    if not words or one.match.is_erased:
        return None
    if one.match.person is None and one.event.email:
        for written in {one.event.email, json.dumps(one.event.email)[1:-1]}:
            words = re.sub(re.escape(written), "…", words, flags=re.IGNORECASE)
    return words


def _move_deliveries(connection: Connection, fresh: Sequence[_Fresh], now: datetime) -> None:
    furthest: dict[int, tuple[int, datetime, _Fresh]] = {}
    for one in fresh:
        state, delivery = _BECOMES.get(one.event.kind), one.match.delivery
        if state is None or delivery is None:
            continue
        step = _STEPS.index(state)
        if delivery not in furthest or (step, one.occurred_at) > furthest[delivery][:2]:
            furthest[delivery] = (step, one.occurred_at, one)
    moves: dict[tuple[int, date], list[dict[str, object]]] = defaultdict(list)
    for delivery, (step, _, one) in furthest.items():
        month = one.match.month or date.min
        moves[step, month].append({"which": delivery, "said": None if one.match.is_erased else one.event.answer})
    for (step, month), rows in moves.items():
        lower = [*_UNTOLD, *(state.value for state in _STEPS[:step])]
        if _STEPS[step] in ARRIVED:  # though a person, who could not know, had settled it as failed
            lower.append(DeliveryState.REFUSED.value)
        change = (
            update(deliveries)
            # Not IN: its list cannot be bound for many rows at once.
            .where(
                deliveries.c.month == month,
                deliveries.c.id == bindparam("which"),
                or_(*(deliveries.c.state == state for state in lower)),
            )
            .values(
                state=_STEPS[step].value,
                answer=func.coalesce(bindparam("said"), deliveries.c.answer),
                settled_at=now,
            )
        )
        connection.execute(change, rows)


def _hear_complaints(
    connection: Connection, suppressing: Suppressing, complaints: Sequence[_Fresh], now: datetime
) -> set[int]:
    """Who called our mail spam is mailed by no newsletter, also where nobody knows the address."""
    if not complaints:
        return set()
    suppressing.add_complaints(connection, sorted({one.address for one in complaints if one.address}), now=now)
    persons = sorted({one.match.person for one in complaints if one.match.person})
    mailed: set[int] = set()
    for chunk in chunks(persons):
        theirs = subscriptions.c.person.in_(chunk)
        query = select(subscriptions.c.person).where(theirs, subscriptions.c.state.in_(STAYING))
        mailed |= set(connection.execute(query).scalars())
        connection.execute(
            update(subscriptions)
            .where(theirs, subscriptions.c.state.in_(_MAY_COMPLAIN))
            .values(state=SubscriberState.COMPLAINED.value, changed_at=now)
        )
    return mailed


def _hear_leaving(
    connection: Connection, suppressing: Suppressing, leaving: Sequence[_Fresh], newsletter: str, now: datetime
) -> set[int]:
    """Who left by the provider's way out has left the newsletter that the message was of."""
    mailed: set[int] = set()
    by_newsletter: dict[str, list[_Fresh]] = defaultdict(list)
    for one in leaving:
        by_newsletter[one.match.newsletter or newsletter].append(one)
    for left, members in by_newsletter.items():
        suppressing.add(
            connection, left, sorted({one.address for one in members if one.address}), "unsubscribed", now=now
        )
        for chunk in chunks(sorted({one.match.person for one in members if one.match.person})):
            theirs = (subscriptions.c.person.in_(chunk), subscriptions.c.newsletter == left)
            query = select(subscriptions.c.person).where(*theirs, subscriptions.c.state.in_(STAYING))
            mailed |= set(connection.execute(query).scalars())
            connection.execute(
                update(subscriptions)
                .where(*theirs, subscriptions.c.state.in_(_MAY_LEAVE))
                .values(state=SubscriberState.UNSUBSCRIBED.value, changed_at=now)
            )
    return mailed


def _find_relieved(connection: Connection, fresh: Sequence[_Fresh]) -> set[int]:
    """Who was delivered to, of those against whom something stands that a delivery ends."""
    delivered = {one.match.person for one in fresh if one.event.kind is EventKind.DELIVERED and one.match.person}
    found: set[int] = set()
    for chunk in chunks(sorted(delivered)):
        query = select(people.c.id).where(people.c.id.in_(chunk), people.c.soft_bounces > 0)
        found |= set(connection.execute(query).scalars())
    return found
