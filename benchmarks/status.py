"""`digest status`, the whole command, over a database of very many deliveries, on both databases.

How many, BENCH_DELIVERIES says, else ten million: ten editions to a tenth as many readers. The rows are made in the
database, in a fraction of the time that sending would take.
"""
# ruff: noqa: S608, SLF001 - our own words, and past the store's slices

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from benchmarks.figures import Figure
from benchmarks.making import NOW, make_edition
from digest.models import EditionState, Rendition, month_of
from digest.stores.partitions import add_months, find_table
from digest.stores.sql import SqlStore
from tests.doubles.postgresql import PostgresServer, find_binaries

_EDITIONS: Final = 10
_SOURCES: Final = 300
_ENTRIES: Final = 100_000
_EVENTS: Final = 100_000
_TIMES: Final = 7
_SLUG: Final = "morning"  # as `digest init` has it
_AT: Final = "2026-03-01T00:00:00.000000+00:00"
_SERIES: Final = {
    "postgresql": "SELECT i FROM generate_series(0, {last}) AS i",
    "sqlite": "WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < {last}) SELECT i FROM s",
}


def measure_status() -> Iterator[Figure]:
    """On a file and on a server, beside the same command over an empty database."""
    count = int(os.environ.get("BENCH_DELIVERIES", "10000000"))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        yield _measure("sqlite", url, f"sqlite:///{folder}/empty.db", Path(folder), count)
    if find_binaries() is None:
        yield Figure(name="status, postgresql", value=0, unit="s", note="PostgreSQL is not installed here")
        return
    with PostgresServer() as server, tempfile.TemporaryDirectory() as folder:
        yield _measure("postgresql", server.create(), server.create(), Path(folder), count)


def _measure(kind: str, url: str, empty: str, folder: Path, count: int) -> Figure:
    with closing(SqlStore.open(url)) as store:
        fill(store, count)
    SqlStore.open(empty).close()
    subprocess.run([sys.executable, "-m", "digest", "init", str(folder / "desk")], check=True, capture_output=True)
    full, bare = (_time(folder / "desk", one) for one in (url, empty))
    return Figure.beside(
        f"status {count:,}, {kind}",
        full,
        "s",
        "of an empty database",
        bare,
        "the least of seven; aim 1 s (0.8 s empty)",
    )


def _time(desk: Path, url: str) -> float:
    found = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "digest", "--config", str(desk / "config.toml"), "status", "--json"],
            check=True,
            capture_output=True,
            env={**os.environ, "DIGEST_STORE_URL": url},
        )
        found.append(time.perf_counter() - start)
    return min(found)


def fill(store: SqlStore, count: int) -> None:
    """Readers, editions with a delivery for each of them, sources with entries, and events."""
    readers = max(1, count // _EDITIONS)
    renditions = [Rendition(variant="all", subject="s", html="h", text="t")]
    days = [date(2026, 3, 2) - timedelta(days=number) for number in range(_EDITIONS)]
    for day in reversed(days):
        edition = replace(make_edition(), newsletter=_SLUG, date=day)
        store.editions.save(edition, renditions, EditionState.SENT, None, now=NOW)
    with store._database.write_bulk() as connection:
        add_months(connection, {month_of(day) for day in days})
        _fill_readers(connection, readers)
        _fill_sources(connection)
    for stored in store.editions.newest(_SLUG, _EDITIONS):
        with store._database.write_bulk() as connection:
            _fill_deliveries(connection, stored.id, stored.date, readers)
    with store._database.write_bulk() as connection:
        _fill_events(connection)
        connection.exec_driver_sql("ANALYZE")


def _series(connection: Connection, count: int) -> str:
    return f"({_SERIES[connection.dialect.name].format(last=count - 1)}) AS series"


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement.replace("%", "%%") if connection.dialect.name == "postgresql" else statement)


def _fill_readers(connection: Connection, count: int) -> None:
    series = _series(connection, count)
    _run(
        connection,
        "INSERT INTO people (id, email, email_key, created_at, soft_bounces)"
        f" SELECT i + 1, 'reader' || i || '@mail.test', 'reader' || i || '@mail.test', '{_AT}', 0 FROM {series}",
    )
    _run(
        connection,
        "INSERT INTO subscriptions (id, newsletter, person, key, topics, frequency, state, created_at, changed_at)"
        f" SELECT i + 1, '{_SLUG}', i + 1, 'key' || i, '[]', 'daily',"
        f" CASE WHEN i % 20 = 0 THEN 'unsubscribed' ELSE 'active' END, '{_AT}', '{_AT}' FROM {series}",
    )


def _fill_sources(connection: Connection) -> None:
    _run(
        connection,
        "INSERT INTO sources (newsletter, id, failures, last_success_at)"
        f" SELECT '{_SLUG}', 'source' || i, 0, '{_AT}' FROM {_series(connection, _SOURCES)}",
    )
    words = "x" * 1500
    _run(
        connection,
        "INSERT INTO entries (newsletter, source, seen_at, dated_at, backlog, entry, first_contact)"
        f" SELECT '{_SLUG}', 'source' || (i % {_SOURCES}), '{_AT}', '{_AT}', false, '{words}', false"
        f" FROM {_series(connection, _ENTRIES)}",
    )


def _fill_deliveries(connection: Connection, edition: int, day: date, readers: int) -> None:
    table = find_table(connection, month_of(day))
    if connection.dialect.name == "postgresql":
        _run(connection, "SET LOCAL session_replication_role = replica")  # neither are keys looked up, nor tallies kept
    batches = max(1, readers // 1000)
    _run(
        connection,
        "INSERT INTO batches (id, edition, variant, state, due_at, attempt)"
        f" SELECT {edition * 10_000_000} + i, {edition}, 'all', 'done', '{_AT}', 1 FROM {_series(connection, batches)}",
    )
    _run(
        connection,
        f"INSERT INTO {table} (month, edition, subscription, batch, send_key, state, transport, attempted_at,"
        " settled_at, answer, provider_id)"
        f" SELECT '{month_of(day)}', {edition}, i + 1, {edition * 10_000_000} + i / {readers // batches + 1},"
        f" 'key' || {edition} || '-' || i, CASE WHEN i % 50 = 0 THEN 'bounced' ELSE 'delivered' END, 'sendgrid',"
        f" '{_AT}', '{_AT}', '250 2.0.0 OK', 'provider' || i FROM {_series(connection, readers)}",
    )
    if connection.dialect.name == "postgresql":
        _run(
            connection,
            "INSERT INTO tallies (edition, state, number) SELECT edition, state, count(*)"
            f" FROM {table} WHERE edition = {edition} GROUP BY edition, state",
        )


def _fill_events(connection: Connection) -> None:
    _run(
        connection,
        "INSERT INTO events (provider, event_id, kind, occurred_at, received_at, domain, weight, effect)"
        f" SELECT 'sendgrid', 'event' || i, 'bounced', '{_AT}', '{_AT}', 'mail' || (i % 50) || '.test', 'hard',"
        f" CASE WHEN i % 10 = 0 THEN 'quarantined' ELSE 'counted' END FROM {_series(connection, _EVENTS)}",
    )


BY_HAND: dict[str, Callable[[], Iterator[Figure]]] = {"status": measure_status}
