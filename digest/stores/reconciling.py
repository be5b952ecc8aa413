"""How addresses stand here, and those that a provider knows more of."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select, update

from digest.models import STAYING, AskedFor, Effect, Footing, SubscriberState, Weight
from digest.stores.audience_tables import events, page_requests
from digest.stores.database import Database
from digest.stores.schema import people, subscriptions
from digest.stores.statements import chunks
from digest.stores.suppressing import EVERY_NEWSLETTER, Suppressing
from digest.stores.taking import fold

_CHUNK: Final = 500
_ENDED: Final = (SubscriberState.BOUNCED.value, SubscriberState.COMPLAINED.value)


class SqlReconciling:
    """What reconciling with a provider asks of the store. Raises StoreError."""

    def __init__(self, database: Database, suppressing: Suppressing) -> None:
        """Over an open database."""
        self._database = database
        self._suppressing = suppressing

    def of(self, newsletter: str, emails: Sequence[str]) -> dict[str, Footing]:
        """How each of these stands, by folded address."""
        keys = list(dict.fromkeys(fold(email) for email in emails))
        confirmed = self._read_confirmed(newsletter)
        found: dict[str, Footing] = {}
        for chunk in chunks(keys):
            found |= self._look(newsletter, chunk, confirmed)
        return found

    def suppress(self, newsletter: str, emails: Sequence[str], state: SubscriberState, *, now: datetime) -> int:
        """Mail these no more, known or not; returns how many were mailed until now.

        Who left does so of this newsletter; bounces and complaints count for all. Of strangers only the hash is kept.
        """
        scope = newsletter if state is SubscriberState.UNSUBSCRIBED else EVERY_NEWSLETTER
        keys, ended = list(dict.fromkeys(fold(email) for email in emails)), 0
        for chunk in chunks(keys):
            with self._database.write() as connection:
                if state is SubscriberState.COMPLAINED:
                    self._suppressing.add_complaints(connection, chunk, now=now)
                else:
                    self._suppressing.add(connection, scope, chunk, state.value, now=now)
                known = select(people.c.id).where(people.c.email_key.in_(chunk))
                change = update(subscriptions).where(
                    subscriptions.c.person.in_(known), subscriptions.c.state.in_(STAYING)
                )
                if scope:
                    change = change.where(subscriptions.c.newsletter == newsletter)
                ended += connection.execute(change.values(state=state.value, changed_at=now)).rowcount
                if state is SubscriberState.BOUNCED:
                    # What the provider ends them for counts with the operator's word, so that `restore` undoes it.
                    connection.execute(
                        update(events)
                        .where(
                            events.c.person.in_(known),
                            events.c.weight.in_((Weight.HARD.value, Weight.LISTED.value)),
                            events.c.effect == Effect.COUNTED.value,
                        )
                        .values(effect=Effect.CONFIRMED.value)
                    )
                if state is SubscriberState.COMPLAINED:  # which is never undone, as bounces may be
                    change = update(subscriptions).where(
                        subscriptions.c.person.in_(known), subscriptions.c.state == SubscriberState.BOUNCED.value
                    )
                    connection.execute(change.values(state=state.value, changed_at=now))
        return ended

    def gone(self) -> Iterator[str]:
        """The addresses that bounced or complained, whose owners have not come back since."""
        last = 0
        while True:
            query = (
                select(people.c.id, people.c.email, people.c.email_key)
                .join(subscriptions, subscriptions.c.person == people.c.id)
                .where(people.c.id > last, subscriptions.c.state.in_(_ENDED))
                .group_by(people.c.id)
                .order_by(people.c.id)
                .limit(_CHUNK)
            )
            with self._database.read() as connection:
                rows = connection.execute(query).all()
                held = self._suppressing.among(connection, EVERY_NEWSLETTER, [row.email_key for row in rows])
            yield from (row.email for row in rows if row.email_key in held)
            if len(rows) < _CHUNK:
                return
            last = rows[-1].id

    def _read_confirmed(self, newsletter: str) -> dict[str, datetime]:
        """When readers last confirmed what they asked for on our page. A file may say of consent what it likes."""
        query = (
            select(page_requests.c.email, page_requests.c.used_at)
            .where(page_requests.c.newsletter == newsletter, page_requests.c.kind == AskedFor.CONFIRM.value)
            .where(page_requests.c.used_at.is_not(None), page_requests.c.mailed_at.is_not(None))  # or it was dropped
            .order_by(page_requests.c.used_at)
        )
        with self._database.read() as connection:
            return {fold(row.email): row.used_at for row in connection.execute(query)}

    def _look(self, newsletter: str, keys: Sequence[str], confirmed: Mapping[str, datetime]) -> dict[str, Footing]:
        readers = (
            select(
                people.c.id,
                people.c.email_key,
                subscriptions.c.state,
                subscriptions.c.changed_at,
            )
            .join(subscriptions, subscriptions.c.person == people.c.id)
            .where(people.c.email_key.in_(keys), subscriptions.c.newsletter == newsletter)
        )
        with self._database.read() as connection:
            suppressed = self._suppressing.among(connection, newsletter, keys)
            complained = self._suppressing.complained(connection, newsletter, keys)
            rows = {row.email_key: row for row in connection.execute(readers)}
            bounces = (
                select(events.c.person, events.c.effect, events.c.occurred_at)
                .where(events.c.person.in_([row.id for row in rows.values()]))
                .where(events.c.effect.in_(("quarantined", "undone")))
                .order_by(events.c.occurred_at)
            )
            last = {row.person: row for row in connection.execute(bounces)}
        found = {}
        for key in keys:
            row = rows.get(key)
            if row is None:
                found[key] = Footing(is_suppressed=key in suppressed, has_complained=key in complained)
                continue
            bounce = last.get(row.id)
            is_active = row.state == SubscriberState.ACTIVE.value
            restored = bounce if is_active and bounce and bounce.effect == "undone" else None
            found[key] = Footing(
                is_suppressed=key in suppressed,
                has_complained=key in complained,
                is_mailed=is_active and key not in suppressed,
                confirmed_at=confirmed.get(key) if is_active else None,
                set_aside_at=bounce.occurred_at if bounce and bounce.effect == "quarantined" else None,
                restored_at=max(row.changed_at, restored.occurred_at) if restored else None,
            )
        return found
