"""Real processes of the program over a field (`digest worker` and others), and editions that are theirs to deliver."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from digest.app import App
from digest.config import load_config
from digest.models import EditionState
from tests.acceptance.serving import wait_for
from tests.doubles.sendgrid_api import SendGridDouble
from tests.faults.field import ROOT, Kept, Trial


class Program:
    """A command that goes on until it is stopped; `root` holds the package, where it is not this checkout's."""

    def __init__(self, folder: Path, *command: str, root: Path = ROOT) -> None:
        """Starts it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "digest", *command, "--config", str(folder / "config.toml")],
            cwd=root,
            env={**os.environ, "DIGEST_SENDGRID_API_KEY": SendGridDouble.KEY},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.name = command[0]
        self.said: list[str] = []
        self._reader = threading.Thread(target=self.said.extend, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def is_there(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def count(self, words: str) -> int:
        """In how many of its lines these stand."""
        return sum(words in line for line in self.said)

    def wait_until_said(self, words: str, seconds: float = 60.0) -> None:
        """Until a line has these words."""
        wait_for(lambda: self.count(words), seconds, f"{self.name} says {words!r}: {self.said}")

    def wait_until_at_work(self) -> None:
        """Until it serves, or works."""
        wait_for(lambda: self.count("Working for") or self.count("Serving http"), 60, f"{self.name}: {self.said}")

    def holds(self, trial: Trial) -> bool:
        """Whether batches stand in its name."""
        return any(owner.pid == self.pid for owner in trial.field.store.ledger.owners(trial.edition))

    def processor_seconds(self) -> float:
        """What it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """Without warning."""
        self._process.kill()
        self.end()

    def stop(self) -> int:
        """As an operator does; how it ended."""
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> int:
        """Wait for its end; how that was."""
        code = self._process.wait(60)
        self._reader.join(10)
        assert self._process.stdout
        self._process.stdout.close()
        return code


@contextmanager
def programs(*started: Program) -> Iterator[list[Program]]:
    """Those of the list at the end are stopped, and have said nothing untoward."""
    left = list(started)
    try:
        for program in left:
            program.wait_until_at_work()
        yield left
    except BaseException:
        for program in left:
            program.kill()
        sys.stderr.write("".join(line for program in left for line in program.said))
        raise
    assert [program.stop() for program in left] == [0] * len(left), [one.said for one in left]
    assert not any(program.count("Traceback") for program in left), [one.said for one in left]


@contextmanager
def working(folder: Path, number: int, *arguments: str) -> Iterator[list[Program]]:
    """So many workers."""
    with programs(*(Program(folder, "worker", *arguments) for _ in range(number))) as workers:
        yield workers


def plan(trial: Trial, *, request: int = 0) -> None:
    """Have workers deliver it; `request`: messages in one batch, and one request, where not as the transport has it."""
    with App(load_config(trial.field.folder / "config.toml")) as app:
        if request:
            app.lanes[0].transport.batch_size = request
        stored = trial.field.store.editions.get(trial.edition)
        assert stored
        report = app.run(stored.date, by_workers=True)
    assert report.state is EditionState.SENDING
    assert "workers deliver it" in report.message


def is_sent(trial: Trial) -> bool:
    """Whether it is over."""
    return trial.field.store.editions.state(trial.edition) is EditionState.SENT


def took(trial: Trial) -> int:
    """How many are accepted, as the ledger knows."""
    return trial.field.store.ledger.counts(trial.edition).get("accepted", 0)


def check(trial: Trial, under_way: int) -> Kept:
    """Nobody twice, nobody unnamed, and no more unknown than were under way at the kills."""
    trial.bound = under_way
    trial.field.sinks.settle()
    kept = trial.check()
    assert kept.is_kept, kept
    return kept


def count_reports(trial: Trial) -> Sequence[object]:
    """The reports that say that it is over."""
    found = trial.field.store.runs.last("morning", edition=trial.edition)
    return [found[1]] if found and found[1].state is EditionState.SENT else []


def note(line: str) -> None:
    """A figure, for who runs the tests with `-rP`."""
    sys.stderr.write(f"{line}\n")
