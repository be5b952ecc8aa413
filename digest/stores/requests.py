"""What somebody asked for on a page, until it is answered, used or forgotten.

    add ──> open ──mark──> mailed ──confirm──> used          marked before the mail leaves: it goes at most once
                 └──drop──> used, never mailed

Addresses and networks are counted by keyed hashes; the address itself is kept for the mail, and goes with the rest of
what is kept of a person (`forget`).
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from digest.models import Asked, AskedFor, Choices, Counted, Effect, PageRequest, SubscriberState
from digest.stores.database import Database
from digest.stores.schema import events, page_requests, people, subscriptions
from digest.stores.statements import upsert
from digest.stores.suppressing import Suppressing
from digest.stores.taking import fold, make_keys

_OPEN: Final = and_(page_requests.c.mailed_at.is_(None), page_requests.c.used_at.is_(None))


class SqlPageRequests:
    """protocols.RequestStore."""

    def __init__(self, database: Database, suppressing: Suppressing) -> None:
        """Over an open database."""
        self._database = database
        self._suppressing = suppressing

    def add(
        self,
        newsletter: str,
        request: PageRequest,
        network: str,
        *,
        may_be_kept: Callable[[Counted], bool],
        counted_since: datetime,
        kept_since: datetime,
    ) -> bool:
        """Keep a request, unless its address or network asked too often since; what is too old is forgotten."""
        email_key = fold(request.email)
        with self._database.write() as connection:
            address = self._suppressing.name(connection, f"asks {_mailbox(email_key)}")
            asking = self._suppressing.name(connection, f"network {network}")
            _forget_old(connection, newsletter, kept_since)
            by_address = and_(page_requests.c.newsletter == newsletter, page_requests.c.address == address)
            by_network = page_requests.c.network == asking
            counted = [
                connection.execute(
                    select(func.count()).where(which, page_requests.c.requested_at > counted_since)
                ).scalar_one()
                for which in (by_address, by_network)
            ]
            if not may_be_kept(Counted(address=counted[0], network=counted[1])):
                # Written all the same, so that it takes as long: how fast an answer comes tells nobody anything.
                newest = select(page_requests.c.key).order_by(page_requests.c.requested_at.desc()).limit(1)
                same = update(page_requests).where(page_requests.c.key == newest.scalar_subquery())
                connection.execute(same.values(choices=page_requests.c.choices))
                return False
            connection.execute(insert(page_requests).values(**_values(newsletter, request, address, asking)))
        return True

    def forget_old(self, newsletter: str, kept_since: datetime) -> None:
        """Forget what is too old, though nobody asks for anything new."""
        with self._database.write() as connection:
            _forget_old(connection, newsletter, kept_since)

    def open(self, newsletter: str, since: datetime) -> list[PageRequest]:
        """Those that were neither mailed nor dropped, and are younger; the oldest first."""
        query = (
            select(page_requests)
            .where(_OPEN, page_requests.c.newsletter == newsletter, page_requests.c.requested_at > since)
            .order_by(page_requests.c.requested_at)
        )
        with self._database.read() as connection:
            return [_request(row) for row in connection.execute(query)]

    def mark(self, key: str, kind: AskedFor, *, now: datetime) -> bool:
        """Mark as mailed before the mail leaves; False when somebody else did, or it is gone."""
        return self._change(key, {"kind": kind.value, "mailed_at": now})

    def drop(self, key: str, *, now: datetime) -> bool:
        """Answer it by no mail."""
        return self._change(key, {"used_at": now})

    def _change(self, key: str, values: dict[str, Any]) -> bool:
        with self._database.write() as connection:
            found = connection.execute(update(page_requests).where(page_requests.c.key == key, _OPEN).values(**values))
            return bool(found.rowcount)

    def unmark(self, key: str) -> None:
        """The mail certainly did not go: it is open again."""
        with self._database.write() as connection:
            unused = (page_requests.c.key == key, page_requests.c.used_at.is_(None))
            connection.execute(update(page_requests).where(*unused).values(mailed_at=None))

    def mailed_since(self, email: str, since: datetime) -> int:
        """How many mails went to an address, for any newsletter."""
        with self._database.read() as connection:
            (address,) = self._suppressing.hashes(connection, [f"asks {_mailbox(fold(email))}"])
            return connection.execute(
                select(func.count()).where(page_requests.c.address == address, page_requests.c.mailed_at > since)
            ).scalar_one()

    def find(self, newsletter: str, key: str) -> Asked | None:
        """The request that a link carries, beside who is known by its address."""
        with self._database.read() as connection:
            return self._find(connection, newsletter, key)

    def confirm(
        self,
        newsletter: str,
        key: str,
        *,
        may_act: Callable[[Asked], bool],
        is_done: Callable[[Asked], bool],
        consent_from: str | None,
        now: datetime,
    ) -> Asked | None:
        """Use a link: where it may act, its reader is active from now on, whatever kept them from being mailed.

        Returns how things stood before; None when there is no such request. One that has nothing to do is used up.
        """
        with self._database.write() as connection:
            standing = self._find(connection, newsletter, key)
            if standing is None or not (may_act(standing) or is_done(standing)):
                return standing
            unused = (page_requests.c.key == key, page_requests.c.used_at.is_(None))
            connection.execute(update(page_requests).where(*unused).values(used_at=now))
            if may_act(standing):
                self._activate(connection, newsletter, standing.request, consent_from, now)
            return standing

    def _activate(
        self, connection: Connection, newsletter: str, request: PageRequest, consent_from: str | None, now: datetime
    ) -> None:
        email_key = fold(request.email)
        newly = upsert(people).values(email=request.email, email_key=email_key, created_at=now)
        person = connection.execute(
            newly.on_conflict_do_update(
                index_elements=["email_key"], set_={"hard_bounced_on": None, "soft_bounces": 0}
            ).returning(people.c.id)
        ).scalar_one()
        agreed = {
            **_choices(request.choices),
            "state": SubscriberState.ACTIVE.value,
            "consent_at": now,
            "consent_text": request.consent_text,
            "consent_from": consent_from,
            "paused_until": None,
            "changed_at": now,
        }
        taken = upsert(subscriptions).values(
            newsletter=newsletter, person=person, key=make_keys(1)[0], created_at=now, **agreed
        )
        # Who comes back keeps their key: the links of mails that they have must lead out as before.
        connection.execute(taken.on_conflict_do_update(index_elements=["newsletter", "person"], set_=agreed))
        self._suppressing.lift(connection, newsletter, email_key, now=now)
        # That the mail came here outweighs what was refused before, as a delivery would.
        before = (events.c.person == person, events.c.weight.is_not(None), events.c.effect != Effect.NONE.value)
        connection.execute(update(events).where(*before).values(effect=Effect.UNDONE.value))

    def _find(self, connection: Connection, newsletter: str, key: str) -> Asked | None:
        row = connection.execute(
            select(page_requests).where(page_requests.c.key == key, page_requests.c.newsletter == newsletter)
        ).one_or_none()
        if row is None:
            return None
        email_key = fold(row.email)
        known = connection.execute(
            select(subscriptions.c.state, subscriptions.c.changed_at)
            .join(people, people.c.id == subscriptions.c.person)
            .where(subscriptions.c.newsletter == newsletter, people.c.email_key == email_key)
        ).one_or_none()
        return Asked(
            request=_request(row),
            state=SubscriberState(known.state) if known else None,
            changed_at=known.changed_at if known else None,
            is_suppressed=bool(self._suppressing.among(connection, newsletter, [email_key])),
        )

    def of(self, email: str) -> list[tuple[str, PageRequest]]:
        """What is kept that was asked for in the name of an address: newsletter and request, the oldest first."""
        with self._database.read() as connection:
            rows = _rows_of(connection, self._suppressing, fold(email))
        return [(row.newsletter, _request(row)) for row in rows]


def _forget_old(connection: Connection, newsletter: str, kept_since: datetime) -> None:
    """Of one newsletter: how long the links of another work is its own to say."""
    old = (page_requests.c.newsletter == newsletter, page_requests.c.requested_at < kept_since)
    connection.execute(delete(page_requests).where(*old))


def forget(connection: Connection, suppressing: Suppressing, email_key: str, *, newsletter: str | None = None) -> bool:
    """Whatever was asked for in the name of an address, of one newsletter or of all; False when it was nothing."""
    found = _rows_of(connection, suppressing, email_key)
    keys = [row.key for row in found if newsletter in (None, row.newsletter)]
    connection.execute(delete(page_requests).where(page_requests.c.key.in_(keys)))
    return bool(keys)


def _rows_of(connection: Connection, suppressing: Suppressing, email_key: str) -> list[Row[*tuple[Any, ...]]]:
    (address,) = suppressing.hashes(connection, [f"asks {_mailbox(email_key)}"])
    query = select(page_requests).where(page_requests.c.address == address).order_by(page_requests.c.requested_at)
    return [row for row in connection.execute(query) if fold(row.email) == email_key]


def _mailbox(email_key: str) -> str:
    """By what an address is counted: what stands behind a plus reaches the same mailbox nearly everywhere."""
    local, at, domain = email_key.rpartition("@")
    return local.partition("+")[0] + at + domain


def _choices(choices: Choices) -> dict[str, Any]:
    return {
        "topics": json.dumps(choices.topics),
        "language": choices.language,
        "timezone": choices.timezone,
        "frequency": choices.frequency,
    }


def _values(newsletter: str, request: PageRequest, address: str, network: str) -> dict[str, Any]:
    return {
        "key": request.key,
        "newsletter": newsletter,
        "kind": request.kind.value,
        "email": request.email,
        "address": address,
        "network": network,
        "choices": json.dumps(_choices(request.choices) | {"topics": request.topics}),
        "consent_text": request.consent_text,
        "consent_from": request.consent_from,
        "requested_at": request.requested_at,
        "mailed_at": request.mailed_at,
        "used_at": request.used_at,
    }


def _request(row: Row[*tuple[Any, ...]]) -> PageRequest:
    choices = json.loads(row.choices)
    return PageRequest(
        key=row.key,
        kind=AskedFor(row.kind),
        email=row.email,
        topics=tuple(choices["topics"]),
        language=choices["language"],
        timezone=choices["timezone"],
        frequency=choices["frequency"],
        consent_text=row.consent_text,
        consent_from=row.consent_from,
        requested_at=row.requested_at,
        mailed_at=row.mailed_at,
        used_at=row.used_at,
    )
