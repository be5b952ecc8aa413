"""A worker whose tasks do what their subjects say: `python -m tests.contract.working URL FOLDER [--attempts N]`.

What it did is in FOLDER/done, a line for each time a task began; what it told is on stderr.
"""

import argparse
import os
import signal
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from digest.engine.queue import KINDS, STALLED_AFTER, ProcrastinateQueue
from digest.errors import ConfigError, SourceError, StoreUnavailable
from digest.health import Health
from digest.means import Means
from digest.models import Task
from digest.operate.chores import Chore
from digest.stores.owners import this_owner
from digest.worker import Worker


class Deeds:
    """`verb:name` tasks over a folder."""

    def __init__(self, folder: Path, generation: int) -> None:
        self._folder = folder
        self._generation = generation
        self._stopping = threading.Event()

    def perform(self, task: Task) -> timedelta | None:
        verb, _, name = task.subject.partition(":")
        times = self._note(f"{task.subject} {self._generation}")
        if verb == "wait":  # until FOLDER/NAME is there, or it is to end
            while not (self._folder / name).exists() and not self._stopping.wait(0.02):
                pass
            self._note(f"waited:{name} {self._generation}")
        elif verb == "block":  # whatever it is told
            (self._folder / name).read_text()
        elif verb == "fail":
            raise SourceError("source one", "it did not answer") from ValueError("secret of reader@rehearsal.test")
        elif verb == "bug":
            raise ZeroDivisionError("secret of reader@rehearsal.test")
        elif verb == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif verb == "away" and times <= 3:
            raise StoreUnavailable("database", "it is locked")
        elif verb == "later" and times <= 3:
            return timedelta(milliseconds=20)
        return None

    def look(self) -> None:
        """What is done beside tasks: where FOLDER/looks is there, by whom."""
        if (self._folder / "looks").exists():
            self._note(f"looked {self._generation}")

    def stop(self) -> None:
        self._stopping.set()

    def close(self) -> None:
        self._note(f"closed {self._generation}")

    def _note(self, line: str) -> int:
        with (self._folder / "done").open("a") as file:
            file.write(f"{line}\n")
        return (self._folder / "done").read_text().count(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.02)
    parser.add_argument("--check", type=float, default=15.0)
    parser.add_argument("--stalled", type=float, default=STALLED_AFTER.total_seconds())
    parser.add_argument("--stranger", action="store_true", help="be of a machine that others cannot see")
    given = parser.parse_args()
    generations = iter(range(1, 100))

    def load() -> Means:
        if (given.folder / "faulty").exists():
            raise ConfigError("config.toml", faults=["[newsletter] name: it is missing"])
        deeds = Deeds(given.folder, next(generations))
        chore = Chore(name="looks", every=timedelta(milliseconds=50), work=deeds.look)
        return Means(performs=dict.fromkeys(KINDS, deeds.perform), chores=[chore], stop=deeds.stop, close=deeds.close)

    owner = this_owner("test")
    if given.stranger:
        from dataclasses import replace

        owner = replace(owner, host="elsewhere")

    def tell(line: str) -> None:
        with suppress(BrokenPipeError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    Worker(
        queue=ProcrastinateQueue(given.url, "morning", attempts=given.attempts),
        load=load,
        owner=owner,
        tell=tell,
        kinds=KINDS,
        concurrency=2,
        health=Health("127.0.0.1", 0, tell=tell),
        pause=lambda _: timedelta(seconds=given.pause),
        stalled_after=timedelta(seconds=given.stalled),
        check_every=timedelta(seconds=given.check),
        announce=lambda: tell("at work"),
    ).run()


if __name__ == "__main__":
    main()
