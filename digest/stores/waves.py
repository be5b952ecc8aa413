"""Refusals that came at once from one domain: set aside, and held against nobody."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, distinct, func, select

from digest.models import Effect, Wave, Weight
from digest.protocols import BounceRules
from digest.stores.schema import events, people
from digest.stores.standing import COUNTING, Kept, read_refusals, set_effect
from digest.stores.statements import chunks

# What is one wave together: that there is nobody, or that our mail is not wanted.
_WAVES: Final[Mapping[Weight, tuple[str, ...]]] = {
    Weight.HARD: (Weight.HARD.value, Weight.LISTED.value),
    Weight.POLICY: (Weight.POLICY.value,),
}
_MAY_BE_SET_ASIDE: Final = (Effect.COUNTED.value, Effect.APPLIED.value, Effect.QUARANTINED.value)


def set_aside(
    connection: Connection, rules: BounceRules, fresh: Iterable[tuple[str, Weight, datetime]]
) -> tuple[list[Kept], list[Wave]]:
    """Quarantine what came at once with these: domain, weight and instant of each.

    Returns what is newly set aside, and the waves of which nothing was before.
    """
    spans: dict[tuple[str, Weight], list[datetime]] = defaultdict(list)
    for domain, weight, at in fresh:
        for name, members in _WAVES.items():
            if weight.value in members:
                spans[domain, name].append(at)
    aside: list[Kept] = []
    begun = []
    busy = _find_busy(connection, rules, [(domain, at) for (domain, _), all_ in spans.items() for at in all_])
    for (domain, name), instants in spans.items():
        if domain not in busy:
            continue
        # Nothing further away can be in one wave with what is new.
        known = read_refusals(
            connection,
            events.c.domain == domain,
            events.c.occurred_at.between(min(instants) - rules.wave_within, max(instants) + rules.wave_within),
            events.c.weight.in_(_WAVES[name]),
            events.c.effect.in_(_MAY_BE_SET_ASIDE),
        )
        found = rules.find_wave([one.said for one in known], readers=_count_readers(connection, domain))
        inside = [one for one in known if one.said.number in found]
        newly = [one for one in inside if one.effect is not Effect.QUARANTINED]
        aside += newly
        if newly and len(newly) == len(inside):
            instants = [one.said.occurred_at for one in inside]
            begun.append(
                Wave(
                    domain=domain,
                    weight=name,
                    events=len(inside),
                    readers=len({one.said.person for one in inside}),
                    first_at=min(instants),
                    last_at=max(instants),
                )
            )
    set_effect(connection, [one.said.number for one in aside], Effect.QUARANTINED)
    return aside, begun


def _find_busy(connection: Connection, rules: BounceRules, fresh: Sequence[tuple[str, datetime]]) -> set[str]:
    """The domains that may have a wave at all: of most there is a refusal or two, and they are a thousand."""
    found: set[str] = set()
    if not fresh:
        return found
    first, last = min(at for _, at in fresh) - rules.wave_within, max(at for _, at in fresh) + rules.wave_within
    for chunk in chunks(sorted({domain for domain, _ in fresh})):
        query = (
            select(events.c.domain)
            .where(
                events.c.domain.in_(chunk),
                events.c.occurred_at.between(first, last),
                events.c.weight.in_(COUNTING),
                events.c.effect.in_(_MAY_BE_SET_ASIDE),
            )
            .group_by(events.c.domain)
            .having(func.count(distinct(events.c.person)) >= rules.wave)
        )
        found |= set(connection.execute(query).scalars())
    return found


def _count_readers(connection: Connection, domain: str) -> int:
    """All who are known at a domain, those who are mailed no more as well: what is heard must not change the measure.

    It reads every address, some 0.2 s at a million, and is asked of few domains: those that refuse many at once.
    """
    there = people.c.email_key.endswith(f"@{domain}", autoescape=True)
    return connection.execute(select(func.count()).select_from(people).where(there)).scalar_one()
