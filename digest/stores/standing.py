"""What all that was heard of people comes to: who is mailed no more, who is again, and what is set aside.

Always made anew of everything that is kept of a person, so that it does not matter in which order it came. What a
person did (left, complained, asked to be forgotten) is never undone here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from digest.models import Effect, EventKind, Said, Standing, SubscriberState, Weight
from digest.protocols import BounceRules
from digest.stores.matching import find_silent
from digest.stores.schema import events, people, subscriptions
from digest.stores.statements import chunks
from digest.stores.suppressing import Suppressing

_BOUNCED: Final = SubscriberState.BOUNCED.value
_SILENCE: Final = timedelta(days=5)  # for so long a relay may try before it says that it failed
COUNTING: Final = (Weight.HARD.value, Weight.LISTED.value, Weight.SOFT.value, Weight.POLICY.value)
_LIVE: Final = (Effect.COUNTED.value, Effect.APPLIED.value, Effect.CONFIRMED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Whom a judgement moved."""

    ended: frozenset[int] = frozenset()
    restored: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A refusal as it is kept."""

    said: Said
    effect: Effect
    received_at: datetime


def set_effect(connection: Connection, numbers: Sequence[int], effect: Effect) -> None:
    """Note what events did."""
    for chunk in chunks(numbers):
        connection.execute(update(events).where(events.c.id.in_(chunk)).values(effect=effect.value))


def read_refusals(connection: Connection, *conditions: ColumnElement[bool]) -> list[Kept]:
    """The refusals that weigh something, of people who are known."""
    columns = (
        events.c.id,
        events.c.person,
        events.c.occurred_at,
        events.c.received_at,
        events.c.weight,
        events.c.effect,
    )
    query = select(*columns).where(events.c.person.is_not(None), events.c.weight.in_(COUNTING), *conditions)
    return [
        Kept(
            said=Said(
                number=row.id,
                person=row.person,
                occurred_at=row.occurred_at,
                weight=Weight(row.weight),
            ),
            effect=Effect(row.effect),
            received_at=row.received_at,
        )
        for row in connection.execute(query)
    ]


def judge(
    connection: Connection,
    suppressing: Suppressing,
    rules: BounceRules,
    persons: Collection[int],
    *,
    fresh: Collection[int] = (),
    taken_away: Sequence[Kept] = (),
    now: datetime,
) -> Change:
    """Judge people anew by all that counts of them.

    `fresh` are the events that did not count before, `taken_away` those that count no more, as they were.
    """
    gone = _by_person(one for one in taken_away if one.effect in {Effect.APPLIED, Effect.CONFIRMED})
    changes = [
        _judge(connection, suppressing, rules, chunk, frozenset(fresh), gone, now) for chunk in chunks(sorted(persons))
    ]
    return Change(
        ended=frozenset().union(*(change.ended for change in changes)),
        restored=frozenset().union(*(change.restored for change in changes)),
    )


def _judge(
    connection: Connection,
    suppressing: Suppressing,
    rules: BounceRules,
    persons: Sequence[int],
    fresh: frozenset[int],
    gone: Mapping[int, Sequence[Kept]],
    now: datetime,
) -> Change:
    known = _read_people(connection, persons)
    history = _by_person(read_refusals(connection, events.c.person.in_(persons), events.c.effect.in_(_LIVE)))
    arrivals = _read_arrivals(connection, persons)
    _add_silence(connection, rules, history, arrivals, now)
    listed = suppressing.reasons(connection, list(known.values()))
    ending: dict[int, str] = {}
    lifting: dict[int, str] = {}
    effects: dict[Effect, list[int]] = defaultdict(list)
    standings: dict[int, Standing] = {}
    for person, email_key in known.items():
        kept, arrived = history.get(person, []), arrivals.get(person, [])
        reason = listed[email_key][0] if email_key in listed else None
        before = [one for one in kept if one.said.number not in fresh]
        had_ended = any(one.effect is Effect.APPLIED for one in before)
        if reason is None and (had_ended or _were_confirmed_to_end(before, arrived, rules)):
            # They were on the list and are no more: they came back by their own wish, and what was before is past.
            effects[Effect.UNDONE] += [one.said.number for one in before]
            kept = [one for one in kept if one.said.number in fresh]
        standing = standings[person] = rules.stand([one.said for one in kept] + arrived)
        if standing.is_ended and reason is None:
            ending[person] = email_key
        elif not standing.is_ended and reason == _BOUNCED and (had_ended or person in gone):
            # Not what an import says, which was on the list before anything was heard.
            first = min(one.received_at for one in (*before, *gone.get(person, ())))
            if listed[email_key][1] >= first:
                lifting[person] = email_key
        wanted = Effect.APPLIED if standing.is_ended else Effect.COUNTED
        effects[wanted] += [one.said.number for one in kept if one.effect not in {wanted, Effect.CONFIRMED}]
    for effect, numbers in effects.items():
        set_effect(connection, numbers, effect)
    _note_standings(connection, standings)
    suppressing.add(connection, "", list(ending.values()), _BOUNCED, now=now)
    suppressing.lift_bounces(connection, list(lifting.values()), now=now)
    return Change(
        ended=_end(connection, list(ending), now),
        restored=_restore(connection, {person: listed[key][1] for person, key in lifting.items()}, now),
    )


def _were_confirmed_to_end(before: Sequence[Kept], arrived: Sequence[Said], rules: BounceRules) -> bool:
    """Whether the operator's word on these was enough: what is confirmed stays so, and does not say what it did."""
    has_any = any(one.effect is Effect.CONFIRMED for one in before)
    return has_any and rules.stand([*(one.said for one in before), *arrived]).is_ended


def _read_people(connection: Connection, persons: Sequence[int]) -> dict[int, str]:
    """Their addresses, folded; without those who asked to be forgotten."""
    query = select(people.c.id, people.c.email_key).where(
        people.c.id.in_(persons), people.c.email_key.not_like("erased:%")
    )
    return {row.id: row.email_key for row in connection.execute(query)}


def _by_person(refusals: Iterable[Kept]) -> dict[int, list[Kept]]:
    found: dict[int, list[Kept]] = defaultdict(list)
    for one in refusals:
        found[one.said.person].append(one)
    return found


def _read_arrivals(connection: Connection, persons: Sequence[int]) -> dict[int, list[Said]]:
    """The last delivery that each person's servers confirmed."""
    query = (
        select(events.c.person, func.max(events.c.occurred_at).label("at"))
        .where(events.c.person.in_(persons), events.c.kind == EventKind.DELIVERED.value)
        .group_by(events.c.person)
    )
    return {
        row.person: [Said(number=0, person=row.person, occurred_at=row.at, weight=None)]
        for row in connection.execute(query)
    }


def _add_silence(
    connection: Connection,
    rules: BounceRules,
    history: Mapping[int, Sequence[Kept]],
    arrivals: dict[int, list[Said]],
    now: datetime,
) -> None:
    """Of those whom only a run of soft ones would end: what was sent between by SMTP, and never came back.

    No server says that it has delivered. Looked up for these alone, since deliveries are many.
    """
    runs: dict[int, datetime] = {}
    for person, kept in history.items():
        passing = [one.said for one in kept if one.said.weight in {Weight.SOFT, Weight.POLICY}]
        lasting = [one.said for one in kept if one.said.weight in {Weight.HARD, Weight.LISTED}]
        arrived = arrivals.get(person, [])
        if rules.stand(passing + arrived).is_ended and not rules.stand(lasting).is_ended:
            runs[person] = min(one.occurred_at for one in passing)
    for person, at in find_silent(connection, runs, until=now - _SILENCE):
        arrivals.setdefault(person, []).append(Said(number=0, person=person, occurred_at=at, weight=None))


def _note_standings(connection: Connection, standings: Mapping[int, Standing]) -> None:
    """What stands against people, where it can be found without their history."""
    if standings:
        connection.execute(
            update(people).where(people.c.id == bindparam("who")),
            [
                {"who": who, "hard_bounced_on": standing.hard_bounced_on, "soft_bounces": standing.soft_bounces}
                for who, standing in standings.items()
            ],
        )


def _end(connection: Connection, persons: Sequence[int], now: datetime) -> frozenset[int]:
    """Mail people no more; returns whom that changed. Who is pending stays so, and is on the list."""
    change = (
        update(subscriptions)
        .where(subscriptions.c.person.in_(persons), subscriptions.c.state == SubscriberState.ACTIVE.value)
        .values(state=_BOUNCED, changed_at=now)
        .returning(subscriptions.c.person)
    )
    return frozenset(connection.execute(change).scalars()) if persons else frozenset()


def _restore(connection: Connection, persons: Mapping[int, datetime], now: datetime) -> frozenset[int]:
    """Mail people again whom bounces ended at those instants, and only them: an import may have said so too."""
    restored: set[int] = set()
    for person, ended_at in persons.items():
        change = (
            update(subscriptions)
            .where(
                subscriptions.c.person == person,
                subscriptions.c.state == _BOUNCED,
                subscriptions.c.changed_at == ended_at,
            )
            .values(state=SubscriberState.ACTIVE.value, changed_at=now)
            .returning(subscriptions.c.person)
        )
        restored.update(connection.execute(change).scalars())
    return frozenset(restored)
