"""A database that was put back to an earlier state, brought up to what its journal knows.

Who left since is on the lists again, and of no newsletter; who asked to be forgotten is forgotten again. An edition
that began to be sent since is not sent a second time. What it was about to send, nobody knows any more: deliveries that
may have been made are unknown, and named.
"""

import json
import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from digest.errors import StoreError
from digest.models import STAYING, UNSETTLED, DeliveryState, EditionState, SubscriberState
from digest.stores.database import Database
from digest.stores.journal import Begun, Journal, Line, Reading, name_key
from digest.stores.keys import SqlKeys
from digest.stores.lineage import LINEAGE, OWED
from digest.stores.managing import SqlManaging
from digest.stores.missing import find_unknown, read_missing
from digest.stores.partitions import read_month
from digest.stores.schema import (
    batches,
    deliveries,
    editions,
    journal_lines,
    keys,
    people,
    subscriptions,
    suppressions,
)
from digest.stores.statements import chunks, count_rows, upsert
from digest.stores.subscribers import SqlSubscribers
from digest.stores.suppressing import EVERY_NEWSLETTER, Suppressing, hash_address

_PEOPLE: Final = 5000
_UNBEGUN: Final = tuple(
    state.value for state in (EditionState.DRAFT, EditionState.HELD, EditionState.READY, EditionState.MISSED)
)
_UNDER_WAY: Final = (EditionState.SENDING.value, EditionState.STOPPED.value)
_DOUBT: Final = "the database was put back to an earlier state: it may have been sent since"
_BOUNCED: Final = SubscriberState.BOUNCED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a journal changed."""

    left: int = 0  # addresses that are on a list again
    erased: int = 0  # people who were forgotten again
    editions: int = 0  # that count as sent
    unknown: int = 0  # deliveries that may have been made
    of_others: int = 0  # lines of another database's
    broken: int = 0  # lines that could not be read

    def __str__(self) -> str:
        """What was done, for people."""
        told = [
            f"{number:,} {what}"
            for number, what in (
                (self.left, "addresses that left since are not mailed"),
                (self.erased, "people who asked to be forgotten are forgotten again"),
                (self.editions, "editions that began to be sent since are not sent again"),
                (self.unknown, "deliveries may have been made since, and are unknown"),
                (self.of_others, "lines are of another database, and were left alone"),
                (self.broken, "lines could not be read"),
            )
            if number
        ]
        return "; ".join(told) or "nothing was missing"


def owe_replay(journals: Sequence[Path]) -> dict[str, str]:
    """What to note in a database that is restored, to have these journals and its own replayed before it is used."""
    return {OWED: json.dumps([str(path.absolute()) for path in journals]), LINEAGE: secrets.token_hex(8)}


class Replaying:
    """Compares a database with journals, and brings it up to them."""

    def __init__(
        self,
        database: Database,
        slices: tuple[SqlKeys, SqlSubscribers, SqlManaging],
        suppressing: Suppressing,
    ) -> None:
        """Over an open database of this version."""
        self._database = database
        self._keys, self._subscribers, self._managing = slices
        self._suppressing = suppressing

    def catch_up(self, journal: Journal | None, *, now: datetime) -> Replayed | None:
        """Where the database was put back, bring it up to its journal, if it has one; None: it was not.

        Cheap: unless it was restored by us, which is noted in it, only the end of the journal is read for that. Raises
        StoreError.
        """
        with self._database.read() as connection:
            owed = self._keys.kept_in(connection, OWED)
            if owed is None and (journal is None or not self._is_behind(connection, journal)):
                return None
        if owed is None and journal is not None:
            # What another process had written, and was about to commit, is committed by now.
            with self._database.write() as connection:
                if not self._is_behind(connection, journal):
                    return None
        named = [Journal(Path(path)) for path in json.loads(owed)] if owed else []
        own = [journal] if journal and journal.path.exists() else []
        done = self.replay([*named, *own], now=now, doubts=owed is not None)
        return done if owed is not None or done != Replayed() else None

    def _is_behind(self, connection: Connection, journal: Journal) -> bool:
        try:
            end = journal.read_end(name_key(self._keys.secret(connection)))
        except StoreError:
            return False  # of which `digest check` tells, and an incident; it keeps no edition from its readers
        return bool(find_unknown(connection, end))

    def replay(self, journals: Collection[Journal], *, now: datetime, doubts: bool) -> Replayed:
        """Bring the database up to journals, all of which must be there. Raises StoreError.

        `doubts`: what was under way when the database was copied may have been done since. So it is in any case when an
        edition began since then. May be done again, also after it was cut off.
        """
        with self._database.read() as connection:
            key = self._keys.secret(connection)
        reading = Reading(by=name_key(key))
        missing = read_missing(self._database, journals, reading)
        left, erased = self._end(missing.left, key, now)
        begun, unknown = 0, 0
        with self._database.write() as connection:
            for one in _find_unbegun(connection, missing.begun.values()):
                unknown += _close(connection, one, now)
                begun += 1
            if doubts or begun:
                unknown += _doubt(connection, now)
            for chunk in chunks(missing.numbers):
                rows = [{"line": number} for number in chunk]
                connection.execute(upsert(journal_lines).on_conflict_do_nothing(), rows)
            connection.execute(delete(keys).where(keys.c.name == OWED))
        return Replayed(
            left=left, erased=erased, editions=begun, unknown=unknown, of_others=reading.of_others,
            broken=reading.broken,
        )  # fmt: skip

    def _end(self, left: Mapping[tuple[str, str], Line], key: str, now: datetime) -> tuple[int, int]:
        """Put on the lists who is not on them; how many addresses those were, and how many were forgotten."""
        staying, erased = set(), 0
        for which, line, person, email in self._find_people(left, key):
            newsletter, _ = which
            if self._came_back(person, newsletter, line.at):
                staying.add(which)  # which was noted elsewhere, or could not be noted
            elif line.reason == SubscriberState.ERASED.value:
                erased += self._forget(newsletter, email, now)
            else:
                # What bounces did may be undone, and what people did may not.
                ended = STAYING if line.reason == _BOUNCED else (*STAYING, _BOUNCED)
                change = update(subscriptions).where(subscriptions.c.person == person, subscriptions.c.state.in_(ended))
                if newsletter != EVERY_NEWSLETTER:
                    change = change.where(subscriptions.c.newsletter == newsletter)
                with self._database.write() as connection:
                    connection.execute(change.values(state=line.reason, changed_at=now))
        gone = [which for which in left if which not in staying]
        with self._database.write() as connection:
            self._list(connection, {which: left[which] for which in gone})
        return len({address for _, address in gone}), erased

    def _list(self, connection: Connection, left: Mapping[tuple[str, str], Line]) -> None:
        """Put these on the lists, many at a time."""
        # Who is forgotten is noted in the journal each time: not again who is on a list already.
        erased = [which for which, line in left.items() if line.reason == SubscriberState.ERASED.value]
        unlisted = set(_find_unlisted(connection, erased))
        together: dict[tuple[str, str, datetime], list[str]] = defaultdict(list)
        for (newsletter, address), line in left.items():
            if line.reason != SubscriberState.ERASED.value or (newsletter, address) in unlisted:
                together[newsletter, line.reason, line.at].append(address)
        for (newsletter, reason, at), addresses in together.items():
            if reason == SubscriberState.COMPLAINED.value and newsletter == EVERY_NEWSLETTER:
                self._suppressing.put_complaints(connection, addresses, at=at)
            else:
                self._suppressing.put(connection, newsletter, addresses, reason, at=at)

    def _came_back(self, person: int, newsletter: str, at: datetime) -> bool:
        """Whether they agreed anew after that."""
        query = select(subscriptions.c.id).where(subscriptions.c.person == person, subscriptions.c.consent_at > at)
        if newsletter != EVERY_NEWSLETTER:
            query = query.where(subscriptions.c.newsletter == newsletter)
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def _forget(self, newsletter: str, email: str, now: datetime) -> bool:
        if newsletter == EVERY_NEWSLETTER:
            return self._subscribers.erase(email, now=now)
        reader = self._subscribers.find(newsletter, email)
        return reader is not None and self._managing.erase(newsletter, reader.key, now=now)

    def _find_people(
        self, left: Mapping[tuple[str, str], Line], key: str
    ) -> Iterator[tuple[tuple[str, str], Line, int, str]]:
        """Newsletter and address, line, person and address in clear of those who are known."""
        wanted: dict[str, list[tuple[str, str]]] = {}
        for which in left:
            wanted.setdefault(which[1], []).append(which)
        last = 0
        while wanted:
            query = select(people.c.id, people.c.email, people.c.email_key).where(people.c.id > last)
            with self._database.read() as connection:
                rows = connection.execute(query.order_by(people.c.id).limit(_PEOPLE)).all()
            if not rows:
                return
            last = rows[-1].id
            for row in rows:
                for which in wanted.get(hash_address(key, row.email_key), ()):
                    yield which, left[which], row.id, row.email


def _find_unlisted(connection: Connection, left: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of whom the lists know nothing."""
    listed: set[tuple[str, str]] = set()
    for chunk in chunks(sorted({address for _, address in left})):
        query = select(suppressions.c.newsletter, suppressions.c.address).where(suppressions.c.address.in_(chunk))
        listed.update((row.newsletter, row.address) for row in connection.execute(query))
    return [which for which in left if which not in listed]


def _find_unbegun(connection: Connection, begun: Iterable[Begun]) -> list[Begun]:
    """The editions of which the database does not know that they began to be sent."""
    found = []
    for one in begun:
        query = select(editions.c.state, editions.c.changed_at).where(
            editions.c.newsletter == one.newsletter, editions.c.cadence == one.cadence, editions.c.date == one.date
        )
        row = connection.execute(query).first()
        if row is None or (row.state in _UNBEGUN and row.changed_at <= one.at):
            found.append(one)
    return found


def _close(connection: Connection, begun: Begun, now: datetime) -> int:
    """Have an edition count as sent; how many of its deliveries are unknown now."""
    which = {"newsletter": begun.newsletter, "cadence": begun.cadence, "date": begun.date}
    values = {
        "state": EditionState.SENT.value,
        "reason": f"it began to be sent at {begun.at:%Y-%m-%d %H:%M} UTC, and the database was put back to before that:"
        " who has it is not on record",
        "cutoff_at": begun.cutoff_at,
        "sent_at": begun.at,
        "changed_at": now,
    }
    is_it = [editions.c[name] == value for name, value in which.items()]
    number = connection.execute(select(editions.c.id).where(*is_it)).scalar()
    if number is None:
        connection.execute(insert(editions).values(**which, **values))
        return 0
    connection.execute(update(editions).where(editions.c.id == number).values(**values))
    return _lose(connection, number, now, only_due=False)


def _doubt(connection: Connection, now: datetime) -> int:
    """What was under way may have been done; how many deliveries are unknown now."""
    under_way = select(editions.c.id).where(editions.c.state.in_(_UNDER_WAY))
    return sum(
        _lose(connection, number, now, only_due=True) for number in connection.execute(under_way).scalars().all()
    )


def _lose(connection: Connection, edition: int, now: datetime, *, only_due: bool) -> int:
    """Whatever waits of an edition is unknown; with `only_due` without what had no time to leave."""
    waits = [batches.c.edition == edition, batches.c.state.in_(("planned", "claimed"))]
    if only_due:
        waits.append(batches.c.due_at <= now)
    numbers = connection.execute(select(batches.c.id).where(*waits).order_by(batches.c.id)).scalars().all()
    month, lost = read_month(connection, edition), 0
    for chunk in chunks(numbers):
        change = update(deliveries).where(
            deliveries.c.month == month, deliveries.c.batch.in_(chunk), deliveries.c.state.in_(UNSETTLED)
        )
        lost += count_rows(connection, change.values(state=DeliveryState.UNKNOWN.value, answer=_DOUBT, settled_at=now))
        connection.execute(
            update(batches).where(batches.c.id.in_(chunk)).values(state="done", owner=None, lease_until=None)
        )
    return lost
