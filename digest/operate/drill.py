"""digest drill: an edition for invented subscribers, whose sender is killed again and again, and what came of it.

    scratch folder ─ compose, invent ─> ready edition ─> `digest run` ──> sink
                                            ^               │ SIGKILL at a random step
                                            └── again ──────┘
    what the sink has  +  what the ledger says  ─ compare ─> nobody twice, nobody lost unnamed, so many unknown

The sender is the real command in a process of its own. Nothing of the operator's own is opened but the configuration.
"""

import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from digest.app import App
from digest.config import Config
from digest.errors import ConfigError, DigestError
from digest.models import UNSETTLED, EditionState, StoredEdition
from digest.operate import drill_desk
from digest.operate.drill_desk import Kind, Readers
from digest.operate.drill_hunter import Hunter, held_back
from digest.operate.drill_verdict import Compared, compare, list_arrived
from digest.operate.sink import Arrivals, SendGridSink, Sink, SmtpSink
from digest.stores.sql import SqlStore

_STEPS: Final = {"smtp": 4, "sendgrid": 2}  # of a message or a request, at which a sink tells
_LONGEST_PAUSE: Final = {"smtp": 0.012, "sendgrid": 0.05}  # seconds that a sink dawdles, twice for each answer
_LONGEST_DELAY: Final = 0.01  # seconds from a step to a kill that falls between steps
_POLL: Final = 0.01
_LONGEST_REST: Final = 300.0  # seconds without a step after which a sender is one that hangs
_MORE_STARTS: Final = 5  # beside those for kills


class DrillError(DigestError):
    """The drill could not be carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be tried."""

    subscribers: int
    kills: int
    kind: Kind
    seed: int
    store: str | None = None  # an empty database; None: SQLite in the scratch folder
    sink: tuple[str, int] | None = None  # somebody else's SMTP server that takes everything; None: ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What came of it; numbers are of subscribers. `compared` is None where the sink is not ours."""

    kills: int  # that hit while it was sending
    accepted: int
    unknown: int
    unknown_at_most: int
    left_out: int
    seconds: float
    faults: tuple[str, ...]
    compared: Compared | None
    folder: Path

    @property
    def held(self) -> bool:
        """Whether the promise held, as far as can be told from here."""
        return not self.faults


def drill(config: Config, order: Order, *, tell: Callable[[str], None]) -> Drilled:
    """Carry it out; `tell` hears how it goes. Raises ConfigError, StoreError and DrillError.

    The scratch folder is the caller's to remove; after a ConfigError, a StoreError or Ctrl-C it is gone.
    """
    if order.store is not None and not order.store.startswith("postgresql"):
        remedy = "leave it out: a drill has a SQLite file of its own, in $TMPDIR"
        raise ConfigError("--store", "it names no PostgreSQL database", remedy=remedy)
    if order.store is not None and not SqlStore.is_new(order.store):
        raise ConfigError("--store", "the database is not empty", remedy="make a new one for the drill")
    if order.sink:
        _require_sink(*order.sink)
    folder = Path(tempfile.mkdtemp(prefix="digest-drill-"))
    try:
        with ExitStack() as stack:
            return _carry_out(config, order, folder, stack, tell)
    except DrillError:
        raise  # which names a file in it
    except BaseException:
        drill_desk.remove(folder)
        raise


def _carry_out(config: Config, order: Order, folder: Path, stack: ExitStack, tell: Callable[[str], None]) -> Drilled:
    chance = random.Random(order.seed)  # noqa: S311 - to be repeated, not to be kept secret
    hunter = Hunter()
    host, port = order.sink or ("127.0.0.1", 0)
    if order.sink is None:
        arrivals = Arrivals(folder / "arrived.txt")
        stack.callback(arrivals.close)
        lazily = random.Random(order.seed)  # noqa: S311 - its own: the sink's threads ask in any order
        make: Callable[..., Sink] = SmtpSink if order.kind == "smtp" else SendGridSink
        longest = _LONGEST_PAUSE[order.kind]
        sink = make(arrivals, on_step=hunter.step, pause=lambda: lazily.uniform(0, longest))
        port = stack.enter_context(sink).port
    environment = drill_desk.make_environment(order.store)
    # A sink of ours dawdles; another may be too quick for us to see when to kill.
    rate = "50/s" if order.sink else "10000/s"
    app = stack.enter_context(drill_desk.set_up(folder, config, order.kind, host, port, environment, rate=rate))
    tell(f"an edition for {order.subscribers:,} invented subscribers, in {folder}")
    stored = drill_desk.compose(app)
    readers = drill_desk.invent_readers(app, stored, order.subscribers, chance)
    senders = _Senders(app, stored, order, readers, hunter, chance, environment, tell)
    began = time.monotonic()
    fault = senders.run()
    return _judge(app, stored, order, readers, senders.hits, time.monotonic() - began, fault)


def _judge(
    app: App, stored: StoredEdition, order: Order, readers: Readers, hits: int, seconds: float, fault: str | None
) -> Drilled:
    folder = app.config.path.parent
    ledger = {delivery.email: delivery.state.value for delivery in app.store.ledger.deliveries(stored.id)}
    each = 1 if order.kind == "smtp" else readers.largest_batch
    at_most = hits * drill_desk.count_connections(app.config, order.kind)  # messages, or requests
    most = at_most * each
    arrived = list_arrived((folder / "arrived.txt").read_text()) if order.sink is None else None
    # Without a list of what arrived, the ledger's word is taken for it: then only who is lost unnamed can be told.
    by_ledger = list_arrived("".join(f"{one}\n" for one, state in ledger.items() if state == "accepted"))
    compared = compare(by_ledger if arrived is None else arrived, ledger, readers.topics)
    faults = compared.faults(most)
    requests = readers.count_batches(compared.unknown)
    if order.kind == "sendgrid" and requests > at_most:
        faults.append(f"{requests} requests are unknown, where {at_most} may be")
    for name, people in (("accepted", compared.accepted), ("unknown", compared.unknown), ("readers", readers.topics)):
        (folder / f"{name}.txt").write_text("".join(f"{address}\n" for address in sorted(people)))
    return Drilled(
        kills=hits,
        accepted=len(compared.accepted),
        unknown=len(compared.unknown),
        unknown_at_most=most,
        left_out=len(compared.left_out),
        seconds=round(seconds, 1),
        faults=(*([fault] if fault else ()), *faults),
        compared=None if arrived is None else compared,
        folder=folder,
    )


class _Senders:
    """One sender after the other, until the edition is sent."""

    def __init__(
        self,
        app: App,
        stored: StoredEdition,
        order: Order,
        readers: Readers,
        hunter: Hunter,
        chance: random.Random,
        environment: dict[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._app = app
        self._stored = stored
        self._order = order
        self._readers = readers
        self._hunter = hunter
        self._chance = chance
        self._environment = environment
        self._tell = tell
        self.hits = 0

    def run(self) -> str | None:
        """Kill and start again; returns why the edition was not finished, if it was not. Raises DrillError."""
        log = self._app.config.path.parent / "senders.log"
        for _ in range(self._order.kills + _MORE_STARTS):
            code = self._run_one(log)
            if code == -signal.SIGKILL:
                self.hits += 1
                counts = self._app.store.ledger.counts(self._stored.id)
                done = sum(counts.values()) - _count_open(counts)
                self._tell(f"kill {self.hits} of {self._order.kills}: {done:,} of {self._order.subscribers:,} settled")
                continue
            if code not in (0, 3):
                raise DrillError("the sender", f"it ended with {code}: {_last_line(log)}", remedy=f"see {log}")
            if self._app.store.editions.state(self._stored.id) is EditionState.SENT:
                return None
        return "the edition was not finished, however often it was taken up"

    def _run_one(self, log: Path) -> int:
        """One sender to its end, which may come early; its exit code."""
        process: subprocess.Popen[bytes] | None = None
        try:
            with held_back():
                process = self._start(log)
            if self.hits < self._order.kills:
                self._hunter.aim(process, self._choose_step(), self._choose_delay())
            return self._watch(process, log)
        finally:
            self._hunter.rest()
            if process is not None:
                if process.poll() is None:
                    process.kill()
                process.wait()

    def _start(self, log: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "digest", "run", "--on", str(self._stored.date)]
        with log.open("ab") as file:
            return subprocess.Popen(  # noqa: S603 - our own program
                command,
                cwd=log.parent,
                env=self._environment | {"DIGEST_CONFIG": str(self._app.config.path)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C is for the drill, which then ends it
            )

    def _watch(self, process: "subprocess.Popen[bytes]", log: Path) -> int:
        """Until it ends; a sink that is not ours has no steps, so the ledger's are taken."""
        done = self._count_done() if self._order.sink else 0
        steps, until, pause = 0, time.monotonic() + _LONGEST_REST, _POLL
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(pause)
            if steps != self._hunter.steps:
                steps, until = self._hunter.steps, time.monotonic() + _LONGEST_REST
            if time.monotonic() > until:
                raise DrillError("the sender", f"it hangs: {_last_line(log)}", remedy=f"see {log}")
            if self._order.sink:
                asked_at, before = time.monotonic(), done
                done = self._count_done()
                for _ in range(done - before):
                    self._hunter.step()
                pause = max(_POLL, 5 * (time.monotonic() - asked_at))

    def _choose_step(self) -> int:
        """How many steps from the start to the kill: such that all of them fall into what is left."""
        counts = self._app.store.ledger.counts(self._stored.id)
        left = _count_open(counts) if counts else self._order.subscribers
        if self._order.kind == "sendgrid":
            batches = self._readers.count_batches(self._readers.topics)
            left = max(1, left * batches // self._order.subscribers)
        steps = left * (1 if self._order.sink else _STEPS[self._order.kind])
        return self._chance.randint(1, max(1, int(1.2 * steps / (self._order.kills - self.hits + 1))))

    def _choose_delay(self) -> float:
        """Right at a step, or some time after it."""
        return self._chance.choice((0.0, self._chance.uniform(0, _LONGEST_DELAY)))

    def _count_done(self) -> int:
        counts = self._app.store.ledger.counts(self._stored.id)
        return sum(counts.values()) - _count_open(counts)


def _count_open(counts: dict[str, int]) -> int:
    return sum(counts.get(state, 0) for state in UNSETTLED)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    telling = [line for line in lines if line.startswith(("result", "digest: "))]
    return (telling or lines or ["it said nothing"])[-1]


def _require_sink(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        raise ConfigError(f"--sink {host}:{port}", "nobody answers there", remedy="start the sink first") from error
