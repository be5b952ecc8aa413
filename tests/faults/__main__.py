"""The whole proof: `make faults`, or `python -m tests.faults`. FAULTS_KILLS and FAULTS_SEED say how much, and which."""

import os
import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.doubles.postgresql import PostgresServer, find_binaries
from tests.faults.field import Field, Kept, grounds
from tests.faults.kills import kill_at_random, kill_at_step, name_steps, print_table


@contextmanager
def _server() -> Iterator[PostgresServer]:
    if find_binaries() is None:
        sys.exit("it needs PostgreSQL (Debian: apt install postgresql)")
    with PostgresServer(durable=True) as server:
        yield server


def main() -> int:
    """0 when the promise held everywhere."""
    kills = int(os.environ.get("FAULTS_KILLS", "300"))
    seed = int(os.environ.get("FAULTS_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"FAULTS_SEED={seed} FAULTS_KILLS={kills}", flush=True)  # noqa: T201
    rows: list[tuple[str, Kept]] = []
    with tempfile.TemporaryDirectory() as name, _server() as server, grounds(Path(name)) as (launcher, sinks):
        for store in ("sqlite", "postgresql"):
            for transport in ("smtp", "sendgrid"):
                for connections in (1, 4 if transport == "smtp" else 2):
                    folder = Path(name) / f"{store}-{transport}-{connections}"
                    folder.mkdir()
                    url = server.create() if store == "postgresql" else f"sqlite:///{folder / 'digest.db'}"
                    field = Field(folder, url, transport, launcher, sinks, connections=connections, readers=60)
                    chance = random.Random(f"{seed} {store} {transport} {connections}")
                    try:
                        rows += _rows(field, f"{store}, {transport} × {connections}", -(-kills // 8), chance)
                    finally:
                        field.close()
    total = Kept()
    for _, kept in rows:
        total.add(kept)
    rows.append(("together", total))
    print(print_table(rows))  # noqa: T201
    return 0 if total.is_kept and all(kept.is_kept for _, kept in rows) else 1


def _rows(field: Field, name: str, kills: int, chance: random.Random) -> list[tuple[str, Kept]]:
    at_random = kill_at_random(field, kills, chance)
    print(print_table([(f"{name}, at random", at_random)]), flush=True)  # noqa: T201
    if field.connections > 1:
        return [(f"{name}, at random", at_random)]
    named = Kept()
    for step, number, answer in name_steps(field.transport):
        kept = kill_at_step(field, step, number, answer)
        if not kept.is_kept:
            kept.faults.append(f"killed at {step} {number} {answer}")
        named.add(kept)
    print(print_table([(f"{name}, at each step", named)]), flush=True)  # noqa: T201
    return [(f"{name}, at random", at_random), (f"{name}, at each step", named)]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and the servers end with it
    sys.exit(main())
