"""How long a million subscribers take to come in, and how much memory."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figures import Figure

_ROWS = 1_000_000
_CHUNK = 5000


def measure_import() -> Iterator[Figure]:
    """The whole command, beside what reads the same file into one table and checks nothing."""
    yield from _measure("import", 1)
    # Addresses in no order: each has its place elsewhere in the index.
    yield from _measure("import, shuffled", 7919)


def _measure(name: str, stride: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as place:
        folder, table = Path(place) / "desk", Path(place) / "readers.csv"
        _write_table(table, stride)
        subprocess.run([sys.executable, "-m", "digest", "init", str(folder)], check=True, capture_output=True)
        config = ["--config", str(folder / "config.toml")]
        command = [sys.executable, "-m", "digest", "subscribers", "import", str(table), *config, "--json"]
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
            said = running.stdout.read() if running.stdout else b""
            # Of that child alone: getrusage of all children would tell of those before, too. It starts no others.
            _, _, usage = os.wait4(running.pid, 0)
            running.returncode = 0
        seconds = time.perf_counter() - start
        bare = _import_bare(table, Path(place) / "bare.db")
    added = json.loads(said)["added"]
    note = f"{usage.ru_utime + usage.ru_stime:.1f} s of CPU; {added:,} of {_ROWS:,} rows added; aim 10 s"
    yield Figure.beside(name, seconds, "s", "csv into one table of SQLite", bare, note)
    yield Figure(name=f"{name}, memory", value=usage.ru_maxrss / 1024, unit="MB", note="at most; aim 150 MB")


def _write_table(path: Path, stride: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("email,name,topics,language,timezone,consent_at\n")
        for number in range(_ROWS):
            name = f"Reader {number}"
            address = f"reader{number * stride % _ROWS}@mail{number % 997}.news"
            file.write(f"{address},{name},world,en,Europe/Berlin,2026-01-02T08:00:00Z\n")


def _import_bare(table: Path, database: Path) -> float:
    start = time.perf_counter()
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE readers (email TEXT PRIMARY KEY, name, topics, language, timezone, consent_at)")
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for chunk in iter(lambda: [row for _, row in zip(range(_CHUNK), rows, strict=False)], []):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO readers VALUES (?, ?, ?, ?, ?, ?)", chunk)
            connection.execute("COMMIT")
    connection.close()
    return time.perf_counter() - start


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"import": measure_import}
