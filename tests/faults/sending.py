"""Senders to be killed, stopped and woken: `python -m tests.faults.sending`.

A prepared process that forks one sender for each start that it is told of (a JSON line on stdin), so that a start costs
what a sender does and not what Python does. A sender is the program itself: an App over the store of a folder's
config.toml, `app.run(day)`, the real transports. Only at named steps, where the ledger, the editions and the transports
are called and return, it looks whether the test wants something of it: to kill itself, to stop, to set its clock.

Lines: {"start": {…}} is answered with {"pid": …}; {"wait": pid, "seconds": …} with how it ended, or that it is stopped.
"""

import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from sqlalchemy import event

from digest.app import App, system_clock
from digest.config import load_config
from digest.deliver import Lane
from digest.errors import DigestError, StoreError
from digest.models import Batch, Claim, Outcome
from digest.stores.sql import SqlStore
from tests.faults.ledger_sender import Watched

# In the order in which an edition comes by them.
STEPS = (
    "planning",
    "planned",
    "before opening",
    "opened",
    "claimed",
    "before mark",
    "marked",
    "reply read",
    "before settle",
    "settled",
    "before release",
    "released",
    "before closing",
    "closed",
)


_BUSY_MILLISECONDS = 2000
_QUOTA = 8_000  # bytes of a file that may be written: less than any database has


@dataclass(frozen=True, slots=True)
class Trap:
    """At the `number`th time that a step is come by: "kill", "stop", "clock SECONDS", "quota" or "read-only"."""

    step: str
    number: int
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one sender is told."""

    folder: str
    day: str
    report: str  # the file in which it says how it ended
    traps: Sequence[Trap] = ()
    ahead: float = 0.0  # seconds that its clock is ahead of everybody's
    batch_size: int = 0  # messages in one batch; 0: as the transport has it


class Watch:
    """Counts steps, and does at the one that is named what is to be done there. For any number of threads."""

    def __init__(self, traps: Sequence[Trap], ahead: float = 0.0) -> None:
        self._traps = {(trap.step, trap.number): trap.action for trap in traps}
        self._ahead = timedelta(seconds=ahead)
        self._lock = threading.Lock()
        self._counts = Counter[str]()
        self.is_read_only = False

    def clock(self) -> datetime:
        """The time, as this sender sees it."""
        return system_clock() + self._ahead

    def step(self, name: str) -> None:
        """One more step of that name."""
        with self._lock:
            self._counts[name] += 1
            action = self._traps.get((name, self._counts[name]), "")
        match action.split():
            case ["kill"]:
                os.kill(os.getpid(), signal.SIGKILL)
            case ["stop"]:
                os.kill(os.getpid(), signal.SIGSTOP)
            case ["clock", seconds]:
                self._ahead += timedelta(seconds=float(seconds))
            case ["quota"]:
                resource.setrlimit(resource.RLIMIT_FSIZE, (_QUOTA, resource.RLIM_INFINITY))
            case ["read-only"]:
                self.is_read_only = True


_CHANGES = {"sending": ("before opening", "opened"), "sent": ("before closing", "closed")}


class WatchedSlice:
    """A slice of the real store; a step when it cannot do what it is asked for."""

    def __init__(self, slice_: Any, watch: Watch) -> None:
        self._slice = slice_
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return partial(self._do, name)

    def _do(self, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._slice, name)(*arguments, **options)
        except StoreError:
            self._watch.step("fault")
            raise


class WatchedLedger(WatchedSlice):
    """The real ledger, with steps before and after what it writes."""

    def plan(self, edition: int, planned: Any, **options: Any) -> int:
        added: int = self._do("plan", edition, Watched(list(planned), lambda: self._watch.step("planning")), **options)
        self._watch.step("planned")
        return added

    def claim(self, *arguments: Any, **options: Any) -> Claim | None:
        claim: Claim | None = self._do("claim", *arguments, **options)
        if claim:
            self._watch.step("claimed")
        return claim

    def mark(self, *arguments: Any, **options: Any) -> bool:
        if options.get("settled"):
            self._watch.step("before settle")
        self._watch.step("before mark")
        marked: bool = self._do("mark", *arguments, **options)
        if options.get("settled"):
            self._watch.step("settled")
        if marked:
            self._watch.step("marked")
        return marked

    def settle(self, *arguments: Any, **options: Any) -> bool:
        self._watch.step("before settle")
        settled: bool = self._do("settle", *arguments, **options)
        self._watch.step("settled")
        return settled

    def release(self, *arguments: Any, **options: Any) -> None:
        self._watch.step("before release")
        self._do("release", *arguments, **options)
        self._watch.step("released")

    def begin(self, *arguments: Any, **options: Any) -> bool:
        self._watch.step("before opening")
        begun: bool = self._do("begin", *arguments, **options)
        self._watch.step("opened")
        return begun

    def finish(self, *arguments: Any, **options: Any) -> bool:
        self._watch.step("before closing")
        finished: bool = self._do("finish", *arguments, **options)
        self._watch.step("closed")
        return finished


class WatchedEditions(WatchedSlice):
    """The real editions, with steps around the change to "sending" and the one to "sent"."""

    def set_state(self, number: int, state: Any, *arguments: Any, **options: Any) -> Any:
        before, after = _CHANGES.get(state.value, ("", ""))
        self._watch.step(before)
        changed = self._do("set_state", number, state, *arguments, **options)
        self._watch.step(after)
        return changed


class WatchedTransport:
    """A real transport, with a step when an answer has been read."""

    def __init__(self, transport: Any, watch: Watch, batch_size: int) -> None:
        self._transport = transport
        self._watch = watch
        self.batch_size = batch_size or transport.batch_size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def send(self, batch: Batch, on_attempt: Callable[..., None], on_outcome: Callable[..., None]) -> None:
        def on_answer(outcomes: Sequence[Outcome]) -> None:
            self._watch.step("reply read")
            on_outcome(outcomes)

        self._transport.send(batch, on_attempt, on_answer)


class WatchedApp(App):
    """The program, with the steps."""

    def __init__(self, config: Any, watch: Watch, *, batch_size: int = 0, **options: Any) -> None:
        super().__init__(config, clock=watch.clock, **options)
        self._watch = watch
        self._batch_size = batch_size

    @cached_property
    def store(self) -> SqlStore:
        """The database."""
        store = SqlStore.open(self.config.store.url, create=False)
        if self.config.store.url.startswith("sqlite"):
            store._database.engine.dispose()  # those that it opens from now on have the seams
            event.listen(store._database.engine, "checkout", self._set_up)
        store.ledger = WatchedLedger(store.ledger, self._watch)  # type: ignore[assignment]
        store.editions = WatchedEditions(store.editions, self._watch)  # type: ignore[assignment]
        store.rates = WatchedSlice(store.rates, self._watch)  # type: ignore[assignment]
        return store

    def _set_up(self, connection: Any, *_: object) -> None:
        """A lock is waited for a moment, not ten seconds; and a file system that has become read-only is imitated."""
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        connection.execute(f"PRAGMA query_only = {int(self._watch.is_read_only)}")

    @cached_property
    def lanes(self) -> list[Lane]:
        """The transports."""
        made: list[Lane] = App.lanes.func(self)  # type: ignore[attr-defined]
        return [
            replace(lane, transport=WatchedTransport(lane.transport, self._watch, self._batch_size)) for lane in made
        ]


def send(start: Start) -> int:
    """One sender's life; its report, or its fault, is in a file when it ends by itself."""
    folder = Path(start.folder)
    try:
        watch = Watch(start.traps, start.ahead)
        with WatchedApp(load_config(folder / "config.toml"), watch, batch_size=start.batch_size) as app:
            report = app.run(date.fromisoformat(start.day))
        said = {
            "state": report.state.value if report.state else None,
            "status": report.status,
            "message": report.message,
            "deliveries": dict(report.deliveries),
        }
        code = 0
    except DigestError as error:
        said, code = {"message": str(error), "error": type(error).__name__}, 1
    except Exception:  # noqa: BLE001 - a bug, which the test is to see
        said, code = {"bug": traceback.format_exc()}, 70
    Path(start.report).write_text(json.dumps(said, default=str))
    return code


def warm_up() -> None:
    """Import what a sender does; connect to nothing, start no thread."""
    import digest.pipeline
    import digest.render
    import digest.stores.postgresql
    import digest.transports.sendgrid
    import digest.transports.smtp  # noqa: F401 - they stay imported


def fork(start: Start) -> int:
    """A sender; its process."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(null, number)
        code = send(start)
    finally:
        os._exit(code)


def wait(pid: int, seconds: float) -> dict[str, int]:
    """How a sender ended, or that it has stopped; one that does neither in time is killed."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
        if done and os.WIFSTOPPED(status):
            return {"stopped": os.WSTOPSIG(status)}
        if done and os.WIFSIGNALED(status):
            return {"killed": os.WTERMSIG(status)}
        if done:
            return {"exited": os.WEXITSTATUS(status)}
        left = deadline - time.monotonic()
        if left <= 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return {"late": pid}
        signal.sigtimedwait([signal.SIGCHLD], left)


def main() -> None:
    """Start and wait for senders until stdin ends."""
    warm_up()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # it is waited for
    while line := sys.stdin.readline():
        match json.loads(line):
            case {"start": fields}:
                traps = tuple(Trap(**trap) for trap in fields.pop("traps", ()))
                said = {"pid": fork(Start(traps=traps, **fields))}
            case {"wait": pid, "seconds": seconds}:
                said = wait(pid, seconds)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
