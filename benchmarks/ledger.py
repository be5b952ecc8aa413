"""A million recipients planned and settled, on both databases: how long, and with how much memory.

`python -m benchmarks.ledger URL COUNT fill|fill-left|send|plan` does one part in a process of its own, and prints its
seconds.
"""

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

import psycopg

from benchmarks.alone import run_alone
from benchmarks.figures import Figure
from benchmarks.making import NOW, make_edition
from digest import compose
from digest.audience.links import make_send_key
from digest.models import (
    Arrival,
    DeliveryState,
    Edition,
    EditionState,
    Outcome,
    Planned,
    Rendition,
    Subscriber,
    SubscriberState,
)
from digest.stores.owners import this_owner
from digest.stores.sql import SqlStore
from tests.doubles.postgresql import PostgresServer, find_binaries

_BATCH = 1000


def measure_ledger() -> Iterator[Figure]:
    """1,000,000 recipients: read, each given a variant and a name, planned, claimed, marked, settled and released."""
    yield from _measure(1_000_000, "send", "aim 60 s", peer=True)


def measure_with_lists() -> Iterator[Figure]:
    """The same, where 10,000 others have left: then each address is looked for on the lists, twice. By hand."""
    yield from _measure(1_000_000, "send", "10,000 on the lists", peer=False, fill="fill-left")


def measure_ten_million() -> Iterator[Figure]:
    """10,000,000 recipients planned, to be run by hand: it takes some gigabytes of disk and many minutes."""
    yield from _measure(10_000_000, "plan", "planned only", peer=False)


def _measure(count: int, part: str, note: str, *, peer: bool, fill: str = "fill") -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        yield from _measure_on("sqlite", f"sqlite:///{folder}/bench.db", count, part, note, peer=peer, fill=fill)
    if find_binaries() is None:
        note = "PostgreSQL is not installed here: nothing was measured"
        yield Figure(name=f"ledger {count:,}, postgresql", value=0, unit="s", note=note)
        return
    with PostgresServer(durable=True) as server:
        yield from _measure_on("postgresql", server.create(), count, part, note, peer=peer, fill=fill)


def _measure_on(kind: str, url: str, count: int, part: str, note: str, *, peer: bool, fill: str) -> Iterator[Figure]:
    name = f"ledger {count:,}, {kind}" + (", lists" if fill != "fill" else "")
    run(url, count, fill)
    said, megabytes = run(url, count, part)
    note = f"{said['planned']:.1f} s of it planning, {said['cpu']:.1f} s of CPU here; {note}"
    if peer:
        bare = _run_bare(url, count)
        yield Figure.beside(name, said["seconds"], "s", "the rows alone, in the driver", bare, note)
    else:
        yield Figure(name=name, value=said["seconds"], unit="s", note=note)
    yield Figure(name=f"{name}, memory", value=megabytes, unit="MB", note="at most; aim 200 MB")


def run(url: str, count: int, part: str) -> tuple[dict[str, float], float]:
    """What one part said in a process of its own, and the most memory that took."""
    taken = run_alone([sys.executable, "-m", "benchmarks.ledger", url, str(count), part])
    return json.loads(taken.out), taken.megabytes


def _fill(store: SqlStore, count: int) -> None:
    """The readers, of some different choices."""
    topics: tuple[tuple[str, ...], ...] = ((), ("world",), ("world", "science"), ("world", "nothing"))
    choices = [
        Subscriber(email="", topics=chosen, language="en", state=SubscriberState.ACTIVE, consent_at=NOW)
        for chosen in topics
    ]
    readers = (
        Arrival(f"reader{number}@mail{number % 997}.news", f"Reader {number}", choices[number % len(choices)])
        for number in range(count)
    )
    while chunk := list(islice(readers, 5000)):
        store.subscribers.take("bench", chunk, now=NOW, mark=("bench", 1))
    variants = [Rendition(variant=name, subject="s", html="h", text="t") for name in ("all", "world", "science")]
    store.editions.save(replace(make_edition(), newsletter="bench"), variants, EditionState.READY, None, now=NOW)


def _fill_lists(store: SqlStore) -> None:
    left = Subscriber(email="", state=SubscriberState.UNSUBSCRIBED)
    arrivals = [Arrival(f"left{number}@mail{number % 997}.news", None, left) for number in range(10_000)]
    store.subscribers.take("bench", arrivals, now=NOW, mark=("bench", 2))
    assert store.subscribers.is_suppressed("bench", arrivals[0][0])


def plan(store: SqlStore, edition: Edition) -> Iterator[Planned]:
    """As digest/sending.py does."""

    @lru_cache(maxsize=10_000)
    def choose(topics: tuple[str, ...], language: str | None) -> str | None:
        variant = compose.choose_variant(edition, topics, language)
        return variant.key if variant else None

    day = edition.date.isoformat()
    for reader in store.subscribers.reached("bench"):
        variant = choose(reader.topics, reader.language)
        send_key = make_send_key("bench", newsletter="bench", cadence="daily", day=day, subscriber=reader.key)
        yield Planned(subscriber=reader, send_key=send_key, variant=variant, reason=None if variant else "no story")


def _send(store: SqlStore, number: int) -> None:
    owner, lease = this_owner("bench"), NOW + timedelta(hours=9)
    while claim := store.ledger.claim(number, owner, lease_until=lease, now=NOW):
        deliveries = [recipient.delivery for recipient in claim.recipients]
        assert store.ledger.mark(claim, deliveries, "sendgrid", now=NOW)
        said = [Outcome(delivery=one, state=DeliveryState.ACCEPTED, raw="202", provider_id="p") for one in deliveries]
        assert store.ledger.settle(claim, said, now=NOW)
        store.ledger.release(claim, now=NOW)


def main(url: str, count: int, part: str) -> None:
    """One part; prints its seconds."""
    with closing(SqlStore.open(url)) as store:
        start, planned = time.perf_counter(), 0.0
        if part.startswith("fill"):
            _fill(store, count)
            if part == "fill-left":
                _fill_lists(store)
        else:
            (stored,) = store.editions.newest("bench", 1)
            assert stored.edition
            store.ledger.plan(stored.id, plan(store, stored.edition), batch_size=_BATCH, now=NOW)
            planned = time.perf_counter() - start
        if part == "send":
            _send(store, stored.id)
        seconds = time.perf_counter() - start
        if not part.startswith("fill"):
            assert sum(store.ledger.counts(stored.id).values()) == count
    sys.stdout.write(json.dumps({"seconds": seconds, "planned": planned, "cpu": time.process_time()}))


def _run_bare(url: str, count: int) -> float:
    """One table of such rows, filled in one transaction and changed three times by thousands, each on the disk."""
    if url.startswith("sqlite"):
        database: Any = sqlite3.connect(url.removeprefix("sqlite:///").replace("bench.db", "bare.db"))
        database.isolation_level = None
        database.execute("PRAGMA journal_mode = WAL")
    else:
        database = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
    number = "INTEGER" if url.startswith("sqlite") else "SERIAL"
    mark = "?" if url.startswith("sqlite") else "%s"
    change = f"UPDATE bare SET state = {mark}, answer = '202' WHERE batch = {mark}"  # noqa: S608 - our own
    rows = ((who, f"{who * 2654435761 % 2**32:032x}", who // _BATCH, "planned") for who in range(count))
    start = time.perf_counter()
    with closing(database), closing(database.cursor()) as cursor:
        cursor.execute(
            f"CREATE TABLE bare (id {number} PRIMARY KEY, who INTEGER UNIQUE, send_key TEXT UNIQUE, batch INTEGER,"
            " state TEXT, answer TEXT)"
        )
        cursor.execute("CREATE INDEX bare_batch ON bare (batch)")
        cursor.execute("BEGIN")
        if url.startswith("sqlite"):
            cursor.executemany("INSERT INTO bare (who, send_key, batch, state) VALUES (?, ?, ?, ?)", rows)
        else:
            with cursor.copy("COPY bare (who, send_key, batch, state) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        cursor.execute("COMMIT")
        for batch in range(count // _BATCH):
            for state in ("claimed", "attempted", "accepted"):
                cursor.execute("BEGIN")
                cursor.execute(change, (state, batch))
                cursor.execute("COMMIT")
    return time.perf_counter() - start


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"ledger": measure_ledger}
BY_HAND: dict[str, Callable[[], Iterator[Figure]]] = {
    "ledger-lists": measure_with_lists,
    "ledger-ten-million": measure_ten_million,
}

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
