"""How long a million subscribers take to come in, and how much memory."""

import csv
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.alone import run_alone
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
        taken = run_alone(command)
        seconds = time.perf_counter() - start
        bare = _import_bare(table, Path(place) / "bare.db")
    added = json.loads(taken.out)["added"]
    note = f"{taken.cpu:.1f} s of CPU; {added:,} of {_ROWS:,} rows added; aim 10 s"
    yield Figure.beside(name, seconds, "s", "csv into one table of SQLite", bare, note)
    yield Figure(name=f"{name}, memory", value=taken.megabytes, unit="MB", note="at most; aim 150 MB")


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
