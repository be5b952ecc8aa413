"""One command, and what it took: `python -m benchmarks.alone FILE COMMAND …` writes that as JSON into FILE.

A process of its own, and a small one: what is started by a large one is said to have been as large (getrusage(2): the
most memory of a process that was just split off is that of its parent, also once it became another program).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a command said and took."""

    out: bytes
    cpu: float  # seconds
    megabytes: float  # at most


def run_alone(command: Sequence[str]) -> Taken:
    """Run it to its end. Raises CalledProcessError when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "taken.json"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.alone", str(told), *command], stdout=subprocess.PIPE, check=True
        )
        taken = json.loads(told.read_text())
    return Taken(out=done.stdout, cpu=taken["cpu"], megabytes=taken["megabytes"])


def _main(told: str, command: Sequence[str]) -> int:
    pid = os.posix_spawn(command[0], list(command), os.environ)
    _, status, usage = os.wait4(pid, 0)
    taken = {"cpu": usage.ru_utime + usage.ru_stime, "megabytes": usage.ru_maxrss / 1024}
    Path(told).write_text(json.dumps(taken))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2:]))
