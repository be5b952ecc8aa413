"""What providers and mailboxes said later, and the operator's word on it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, or_, select

from digest.models import (
    DeliveryState,
    Effect,
    Event,
    EventKind,
    Heard,
    Judged,
    RejectReason,
    StoredEvent,
    Weight,
    month_of,
)
from digest.protocols import BounceRules
from digest.stores.database import Database
from digest.stores.hearing import take
from digest.stores.schema import deliveries, editions, events, people, subscriptions
from digest.stores.standing import Kept, judge, read_refusals, set_effect
from digest.stores.suppressing import Suppressing
from digest.stores.taking import fold

_MAY_BE_UNDONE = (
    Effect.COUNTED.value,
    Effect.APPLIED.value,
    Effect.CONFIRMED.value,
    Effect.QUARANTINED.value,
)


class SqlEvents:
    """protocols.EventStore."""

    def __init__(self, database: Database, suppressing: Suppressing) -> None:
        """Over an open database."""
        self._database = database
        self._suppressing = suppressing

    def take(self, newsletter: str, events_: Sequence[Event], rules: BounceRules, *, now: datetime) -> Heard:
        """Take events in as one transaction that is on the disk when it ends."""
        if not events_:
            return Heard(new=0)
        with self._database.write() as connection:
            return take(connection, self._suppressing, newsletter, events_, rules, now)

    def newest(
        self,
        *,
        since: datetime | None = None,
        kind: EventKind | None = None,
        effect: Effect | None = None,
        email: str | None = None,
        limit: int = 1000,
    ) -> list[StoredEvent]:
        """What was heard, the newest first."""
        query = (
            select(
                *(column for column in events.c if column.name not in {"id", "delivery", "person"}),
                people.c.email,
                subscriptions.c.newsletter,
                editions.c.date.label("edition"),
                editions.c.cadence,
            )
            .join(people, people.c.id == events.c.person, isouter=True)
            .join(deliveries, deliveries.c.id == events.c.delivery, isouter=True)
            .join(subscriptions, subscriptions.c.id == deliveries.c.subscription, isouter=True)
            .join(editions, editions.c.id == deliveries.c.edition, isouter=True)
            .order_by(events.c.occurred_at.desc(), events.c.id.desc())
            .limit(limit)
        )
        if since is not None:
            query = query.where(events.c.occurred_at >= since)
        if kind is not None:
            query = query.where(events.c.kind == kind.value)
        if effect is not None:
            query = query.where(events.c.effect == effect.value)
        if email is not None:
            query = query.where(people.c.email_key == fold(email))
        with self._database.read() as connection:
            return [
                StoredEvent(
                    provider=row.provider,
                    event_id=row.event_id,
                    kind=EventKind(row.kind),
                    occurred_at=row.occurred_at,
                    received_at=row.received_at,
                    email=row.email,
                    newsletter=row.newsletter,
                    edition=row.edition,
                    cadence=row.cadence,
                    domain=row.domain,
                    reject_reason=RejectReason(row.reject_reason) if row.reject_reason else None,
                    weight=Weight(row.weight) if row.weight else None,
                    status=row.status,
                    answer=row.answer,
                    effect=Effect(row.effect),
                    raw=row.raw,
                )
                for row in connection.execute(query)
            ]

    def quarantined(self) -> dict[str, int]:
        """How many refusals are set aside, by domain."""
        query = (
            select(events.c.domain, func.count())
            .where(events.c.effect == Effect.QUARANTINED.value)
            .group_by(events.c.domain)
            .order_by(events.c.domain)
        )
        with self._database.read() as connection:
            return {row[0] or "": row[1] for row in connection.execute(query)}

    def confirm(self, rules: BounceRules, *, domain: str | None, now: datetime) -> Judged:
        """Let what was quarantined, of one domain or of all, count after all."""
        conditions = [events.c.effect == Effect.QUARANTINED.value]
        if domain is not None:
            conditions.append(events.c.domain == domain)
        with self._database.write() as connection:
            found = read_refusals(connection, *conditions)
            numbers = [one.said.number for one in found]
            set_effect(connection, numbers, Effect.CONFIRMED)
            change = judge(connection, self._suppressing, rules, _people_of(found), fresh=numbers, now=now)
            return Judged(events=len(found), ended=len(change.ended), restored=len(change.restored))

    def undo(self, rules: BounceRules, *, since: datetime, domain: str | None, now: datetime, dry: bool) -> Judged:
        """Let no refusal since then count any more, and mail again whom only those ended."""
        conditions = [events.c.occurred_at >= since, events.c.effect.in_(_MAY_BE_UNDONE)]
        if domain is not None:
            conditions.append(events.c.domain == domain)
        with self._database.write() as connection:
            found = read_refusals(connection, *conditions)
            set_effect(connection, [one.said.number for one in found], Effect.UNDONE)
            change = judge(connection, self._suppressing, rules, _people_of(found), taken_away=found, now=now)
            if dry:
                connection.rollback()
            return Judged(events=len(found), ended=len(change.ended), restored=len(change.restored))

    def unheard_refusals(self, newsletter: str, *, since: datetime) -> list[tuple[str, str, str, datetime, str]]:
        """What servers refused at once while they were talked to, and was not taken as an event yet.

        The name of each delivery, the address, the answer, when, and by which transport.
        """
        heard = select(events.c.id).where(events.c.provider == "smtp", events.c.delivery == deliveries.c.id)
        query = (
            select(
                deliveries.c.send_key,
                people.c.email,
                deliveries.c.answer,
                deliveries.c.settled_at,
                deliveries.c.transport,
            )
            .join(editions, editions.c.id == deliveries.c.edition)
            .join(subscriptions, subscriptions.c.id == deliveries.c.subscription)
            .join(people, people.c.id == subscriptions.c.person)
            .where(
                editions.c.newsletter == newsletter,
                editions.c.date >= since.date(),
                deliveries.c.month >= month_of(since.date()),
                deliveries.c.state == DeliveryState.REFUSED.value,
                deliveries.c.answer.is_not(None),
                or_(deliveries.c.transport.is_(None), deliveries.c.transport != "sendgrid"),
                ~heard.exists(),
            )
        )
        with self._database.read() as connection:
            return [
                (row.send_key, row.email, row.answer, row.settled_at, row.transport or "")
                for row in connection.execute(query)
            ]


def _people_of(found: Sequence[Kept]) -> set[int]:
    return {one.said.person for one in found}
