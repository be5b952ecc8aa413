"""Bytes on disk: of a reader, a delivery, an entry with its page; on both databases, indexes included.

`docs/scale.md` counts with these. A million readers are made, planned for and mailed, as the measurement `ledger` does.
"""

import gzip
import marshal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import psycopg

from benchmarks import ledger
from benchmarks.collecting import read_bodies, read_feeds, read_pages
from benchmarks.figures import Figure
from benchmarks.making import NOW
from benchmarks.measures import LETTERHEAD, make_messages, make_rendition
from digest.extract import read_page
from digest.models import Collected, Entry, Page
from digest.stores.planning import Spool
from digest.stores.sql import SqlStore
from digest.transports import mime
from tests.doubles.postgresql import PostgresServer, find_binaries

_READERS = 1_000_000
_ENTRIES = 20_000
_SOURCES = 200
_SPOOLED = 100_000
# The tables that hold a noun; on PostgreSQL what begins so is counted: tables may have parts.
_READER = ("people", "subscriptions")
_ENTRY = ("entries", "entry_names")


def measure_sizes() -> Iterator[Figure]:
    """Both databases filled, and asked how large their tables are."""
    entries, pages = _read_entries(), _read_texts()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/bench.db"
        yield from _measure("sqlite", f"sqlite:///{path}", lambda: _sqlite_tables(path), entries, pages)
    if find_binaries() is None:
        note = "PostgreSQL is not installed here: nothing was measured"
        yield Figure(name="size, postgresql", value=0, unit="bytes", note=note)
    else:
        with PostgresServer(durable=True) as server:
            url = server.create()
            yield from _measure("postgresql", url, lambda: _postgresql_tables(url), entries, pages)
    yield _measure_spool()
    yield from _measure_traffic()


def _measure(
    kind: str, url: str, tables: Callable[[], Mapping[str, int]], entries: list[Entry], pages: list[Page]
) -> Iterator[Figure]:
    ledger.run(url, _READERS, "fill")
    ledger.run(url, _READERS, "send")
    _fill_entries(url, entries, pages)
    sizes = tables()
    note = f"{_READERS:,} of them, indexes included"
    yield Figure(name=f"size: reader, {kind}", value=_sum(sizes, *_READER) / _READERS, unit="bytes", note=note)
    accepted = _sum(sizes, "deliveries", "batches") / _READERS
    yield Figure(name=f"size: delivery, {kind}", value=accepted, unit="bytes", note=f"{note}; planned, sent, settled")
    of_entry = _sum(sizes, *_ENTRY) / _ENTRIES
    words = f"{_ENTRIES:,} of them with a page each, as {len(entries):,} entries and {len(pages):,} pages are"
    yield Figure(name=f"size: entry, {kind}", value=of_entry, unit="bytes", note=words)


def _sum(sizes: Mapping[str, int], *tables: str) -> int:
    return sum(size for name, size in sizes.items() if any(name.startswith(table) for table in tables))


def _sqlite_tables(path: str) -> dict[str, int]:
    """Bytes by table, its indexes included."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_schema m ON m.name = s.name GROUP BY m.tbl_name"
        )
        return dict(rows)


def _postgresql_tables(url: str) -> dict[str, int]:
    """Bytes by table, its indexes included, as they lie there after the server's own vacuum."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database:
        database.execute("VACUUM")
        rows = database.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        return dict(rows.fetchall())


def _read_entries() -> list[Entry]:
    return [entry for feed in read_feeds() for entry in feed.entries if entry.title]


def _read_texts() -> list[Page]:
    found = (read_page(page, "https://news.example.com/2026/03/story") for page in read_pages()[:200])
    return [page for page in found if isinstance(page, Page)]


def _fill_entries(url: str, entries: list[Entry], pages: list[Page]) -> None:
    """Entries of some sources, each with a name and a page of its own."""
    with closing(SqlStore.open(url)) as store:
        each = _ENTRIES // _SOURCES
        for source in range(_SOURCES):
            made = []
            for number in range(source * each, (source + 1) * each):
                like = entries[number % len(entries)]
                name = f"https://news{source}.example.com/2026/03/02/story-{number}"
                made.append(replace(like, id=name, link=name, title=f"{like.title} {number}", published_at=NOW))
            store.entries.add("bench", f"source{source}", Collected(entries=tuple(made)), now=NOW, since=NOW)
        kept = store.entries.offered("bench", after=None, since=NOW - timedelta(days=1), until=NOW)
        assert len(kept) == _ENTRIES, len(kept)
        for number, stored in enumerate(kept):
            store.entries.keep_page(stored.number, replace(pages[number % len(pages)], link=stored.entry.link))


def _measure_spool() -> Figure:
    """The list of who gets an edition, which lies in the temporary folder while it is made."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        ledger.run(url, _SPOOLED, "fill")
        with closing(SqlStore.open(url)) as store:
            (stored,) = store.editions.newest("bench", 1)
            assert stored.edition
            with Spool(ledger.plan(store, stored.edition)) as spool:
                size = sum(len(marshal.dumps(chunk)) for chunk in spool)
    return Figure(name="size: planned, in TMPDIR", value=size / _SPOOLED, unit="bytes", note=f"{_SPOOLED:,} of them")


def _measure_traffic() -> Iterator[Figure]:
    """What goes over the network: an edition of twelve stories as one message, a feed and a page as they are sent."""
    message = mime.build(make_rendition(), LETTERHEAD).address(*make_messages(1))
    yield Figure(name="size: message", value=len(message), unit="bytes", note="twelve stories of the samples, as MIME")
    for name, bodies in (("feed", read_bodies()), ("page", read_pages())):
        value = sum(len(gzip.compress(body)) for body in bodies) / len(bodies)
        yield Figure(name=f"size: {name}, compressed", value=value, unit="bytes", note=f"{len(bodies)} of them")


BY_HAND: dict[str, Callable[[], Iterator[Figure]]] = {"sizes": measure_sizes}
