"""Where senders are killed: readers, their store, the servers that outlive it all, and what is compared at the end."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from digest.app import App
from digest.audience.receiving import read_events
from digest.config import load_config
from digest.models import (
    UNSUBSCRIBE_TOKEN,
    DeliveryState,
    EditionState,
    Item,
    Rendition,
    Section,
    Subscriber,
    SubscriberState,
)
from digest.operate.events import take_events
from digest.stores.sql import SqlStore
from tests.contract.editions import make_edition
from tests.doubles.sendgrid_api import SendGridDouble
from tests.faults.sending import Start, Trap

ROOT = Path(__file__).resolve().parents[2]
REQUEST = 10  # readers in one batch, and with SendGrid in one request: an edition is to have several
SECONDS = 40.0  # after which something that is waited for is not coming
_CONSENT = datetime(2026, 3, 1, tzinfo=UTC)
_TEXT = "".join(f"Story {number}: what happened, and who said so.\r\n" for number in range(400))  # about 18 kB

NEWSLETTER = """\
[newsletter]
name = "Morning Brief"
slug = "morning"
sender = "Morning Brief <brief@news.test>"
postal_address = "1 Example Street, Example City"
base_url = "https://news.test"

[[sources]]
id = "paper"
kind = "feed"
url = "http://127.0.0.1:9/feed"

[store]
url = "{store}"

[engine]
kind = "{engine}"
"""
_CONFIG = f"""{NEWSLETTER}
[transport]
rate = "{{rate}}"
per_domain = "off"
{{transport}}
"""

SECTION = Section(
    id="world",
    title="World",
    items=(
        Item(
            id="1",
            headline="A harbour opens",
            link=None,
            outlet="The Harbour Ledger",
            published_at=_CONSENT,
            topic="world",
            summary=None,
            language="en",
            direction="ltr",
        ),
    ),
)


class Launcher:
    """The prepared process that senders are forked from."""

    def __init__(self, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sending"],
            cwd=ROOT,
            env={**os.environ, "DIGEST_SENDGRID_API_KEY": SendGridDouble.KEY, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()

    def start(self, start: Start) -> int:
        """A sender's process."""
        return int(self._ask({"start": asdict(start)})["pid"])

    def wait(self, pid: int) -> dict[str, int]:
        """How it ended, or that it has stopped."""
        return self._ask({"wait": pid, "seconds": SECONDS})

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(30)
        self._process.stdout.close()  # type: ignore[union-attr]

    def _ask(self, question: dict[str, Any]) -> dict[str, int]:
        with self._lock:
            self._process.stdin.write(json.dumps(question) + "\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
            answer: dict[str, int] = json.loads(self._process.stdout.readline())  # type: ignore[union-attr]
            return answer


class Sinks:
    """The process of the servers, and what it says."""

    def __init__(self, evidence: Path) -> None:
        self._path = evidence
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sink", str(evidence)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said = json.loads(self._process.stdout.readline())  # type: ignore[union-attr]
        self.smtp_port: int = said["smtp"]
        self.sendgrid_url: str = said["sendgrid"]
        self._counts = Counter[str]()
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        for line in self._process.stdout:  # type: ignore[union-attr]
            with self._changed:
                self._counts[line.strip()] += 1
                self._changed.notify_all()

    def count(self, what: str) -> int:
        """How often it said that."""
        with self._changed:
            return self._counts[what]

    def wait(self, condition: Callable[[Counter[str]], object], what: str, seconds: float = SECONDS) -> None:
        """Until what it has said so far fits."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self._counts), seconds), f"not in {seconds} s: {what}"

    def trap(self, at: str, number: int, answer: str) -> None:
        """Hold the conversation that comes to that step as the `number`th from now on."""
        before = self.count("trapped")
        self._tell({"at": at, "number": number, "answer": answer})
        self.wait(lambda said: said["trapped"] > before, "the trap is set")

    def slow(self, seconds: float) -> None:
        """Have SendGrid think over each request for as long: else it is too quick to be met with one in hand."""
        self._tell({"slow": seconds})

    def _tell(self, order: dict[str, Any]) -> None:
        self._process.stdin.write(json.dumps(order) + "\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]

    def settle(self) -> None:
        """Until all has been read that dead senders left in their connections, and every connection has ended.

        Connections are taken in the order in which they come: once ours was answered, all before it are known.
        """
        for port in (self.smtp_port, urllib.parse.urlsplit(self.sendgrid_url).port):
            with socket.create_connection(("127.0.0.1", port or 0), SECONDS) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n" if port != self.smtp_port else b"QUIT\r\n")
                while connection.recv(65536):
                    pass
        self.trap("nowhere", 0, "")  # its answer comes behind all that was said before
        for name in ("smtp", "sendgrid"):
            self.wait(lambda said, n=name: said[f"opened {n}"] == said[f"closed {n}"], "all have hung up")  # type: ignore[misc]

    def evidence(self, offset: int = 0) -> list[tuple[str, str]]:
        """What was taken, in order: whose name in the ledger, and the address."""
        return [(key, email) for _, _, key, email, _ in self._read(offset)]

    def instants(self, offset: int = 0) -> list[float]:
        """When that was (monotonic seconds)."""
        return [float(at) for *_, at in self._read(offset)]

    def _read(self, offset: int) -> list[list[str]]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [line.split() for line in lines[offset:]]

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(30)
        self._reader.join(10)
        self._process.stdout.close()  # type: ignore[union-attr]


@dataclass
class Kept:
    """What a number of kills came to; all of it is to be 0, or under the bound."""

    kills: int = 0
    editions: int = 0
    recipients: int = 0
    mailed: int = 0
    twice: int = 0
    lost: int = 0  # neither mailed nor named
    untrue: int = 0  # said to be accepted, and never taken
    denied: int = 0  # taken, and said to be certainly not sent: it might be sent again
    unknown: int = 0
    bound: int = 0  # messages that could be under way when the senders were killed
    over: int = 0  # kills after which more was under way than could be
    taken: int = 0  # of the unknown, what the server did take
    left: int = 0  # of those, what its events did not settle
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Kept") -> None:
        """Both together."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def is_kept(self) -> bool:
        """Whether the promise held."""
        broken = self.twice + self.lost + self.untrue + self.denied + self.over + self.left
        return not broken and not self.faults and self.unknown <= self.bound


class Field:
    """One store, one transport, some readers; an edition after the other."""

    def __init__(
        self,
        folder: Path,
        url: str,
        transport: str,
        launcher: Launcher,
        sinks: Sinks,
        *,
        readers: int = 40,
        connections: int = 1,
        reports: Path | None = None,
        engine: str = "local",
        rate: str = "100000/s",
    ) -> None:
        """`transport` is "smtp" or "sendgrid"; `reports`: where senders say how they ended, if not in the folder."""
        self._reports = reports or folder
        self.folder, self.url, self.transport = folder, url, transport
        self.launcher, self.sinks = launcher, sinks
        self.connections = connections
        table = {
            "smtp": f'kind = "smtp"\nhost = "127.0.0.1"\nport = {sinks.smtp_port}\ntls = "none"',
            "sendgrid": f'kind = "sendgrid"\nhost = "{sinks.sendgrid_url}"',
        }[transport]
        (folder / "config.toml").write_text(
            _CONFIG.format(store=url, engine=engine, rate=rate, transport=f"{table}\nconnections = {connections}")
        )
        with App(load_config(folder / "config.toml")) as app:
            app.store.stamp()  # it is made, with what the engine needs
        self.store = SqlStore.open(url)
        made = [
            Subscriber(email=f"reader{number:05}@rehearsal.test", state=SubscriberState.ACTIVE, consent_at=_CONSENT)
            for number in range(readers)
        ]
        self.store.subscribers.add_many("morning", made, now=_CONSENT)
        self.readers = {reader.email for reader in self.store.subscribers.reached("morning")}
        assert len(self.readers) == readers
        self._day = datetime.now(UTC).date()
        self._starts = 0

    @cached_property
    def app(self) -> App:
        """The program over the same store, for what is heard afterwards."""
        return App(load_config(self.folder / "config.toml"))

    @property
    def under_way(self) -> int:
        """How many messages may be between attempted and settled at one moment."""
        return self.connections * (1 if self.transport == "smtp" else REQUEST)

    def edition(self) -> "Trial":
        """One that is ready to be sent."""
        self._day -= timedelta(days=1)
        now = datetime.now(UTC)
        made = make_edition(self._day, composed_at=now, cutoff_at=now, sections=(SECTION,))
        html = f'<pre>{_TEXT}</pre><a href="{UNSUBSCRIBE_TOKEN}">Unsubscribe</a>'
        text = f"{_TEXT}\n{UNSUBSCRIBE_TOKEN}\n"
        renditions = [Rendition(variant="all", subject="A subject", html=html, text=text)]
        stored = self.store.editions.save(made, renditions, EditionState.READY, None, now=now)
        return Trial(self, stored.id, self._day.isoformat(), len(self.sinks.evidence()))

    def start(self, day: str, *traps: Trap, ahead: float = 0.0) -> "Running":
        """A sender of that edition."""
        self._starts += 1
        report = self._reports / f"report{self._starts}.json"
        start = Start(
            folder=str(self.folder), day=day, report=str(report), traps=traps, ahead=ahead, batch_size=REQUEST
        )
        return Running(self.launcher, self.launcher.start(start), report)

    def close(self) -> None:
        """Let go of the store."""
        if "app" in self.__dict__:
            self.app.close()
        self.store.close()


@dataclass
class Running:
    """A sender's process."""

    launcher: Launcher
    pid: int
    path: Path

    def wait(self) -> dict[str, int]:
        """How it ended, or that it has stopped."""
        return self.launcher.wait(self.pid)

    def kill(self) -> bool:
        """Kill it without warning; whether it was still there."""
        os.kill(self.pid, signal.SIGKILL)  # as long as nobody has waited for it, the number is its own
        return self.wait() == {"killed": signal.SIGKILL}

    def kill_after(self, seconds: float) -> bool:
        """The same after a while, or when it has ended by itself."""
        handle = os.pidfd_open(self.pid)
        try:
            select.select([handle], [], [], seconds)
        finally:
            os.close(handle)
        return self.kill()

    def report(self) -> dict[str, Any]:
        """What it says of itself, once it has ended."""
        said: dict[str, Any] = json.loads(self.path.read_text())
        assert "bug" not in said, said["bug"]
        return said


@dataclass
class Trial:
    """One edition, the senders that were killed over it, and what came of it."""

    field: Field
    edition: int
    day: str
    offset: int
    kills: int = 0
    over: int = 0
    bound: int = 0

    def start(self, *traps: Trap, ahead: float = 0.0) -> Running:
        """A sender."""
        return self.field.start(self.day, *traps, ahead=ahead)

    def got(self) -> list[tuple[str, str]]:
        """What the server has taken of it."""
        return self.field.sinks.evidence(self.offset)

    def left(self) -> int:
        """How many are still to be mailed."""
        counts = self.field.store.ledger.counts(self.edition)
        return sum(counts.get(state, 0) for state in ("planned", "claimed")) if counts else len(self.field.readers)

    def note_kill(self) -> None:
        """A sender is dead: what it had under way is what it had marked, and that is little."""
        self.kills += 1
        self.bound += self.field.under_way
        self.field.sinks.settle()
        attempted = self.field.store.ledger.counts(self.edition).get("attempted", 0)
        self.over += attempted > self.field.under_way

    def finish(self) -> dict[str, Any]:
        """What the next run makes of it."""
        running = self.start()
        ended = running.wait()
        report = running.report()
        assert ended == {"exited": 0}, report
        self.field.sinks.settle()
        return report

    def states(self) -> dict[DeliveryState, set[str]]:
        """Who is in which state."""
        found: dict[DeliveryState, set[str]] = {state: set() for state in DeliveryState}
        for delivery in self.field.store.ledger.deliveries(self.edition):
            found[delivery.state].add(delivery.email)
        return found

    def check(self) -> Kept:
        """Compare what the server took with what the ledger says."""
        readers, got = self.field.readers, self.got()
        names = Counter(key for key, _ in got)
        mailed = {email for _, email in got}
        states = self.states()
        accepted, unknown = states[DeliveryState.ACCEPTED], states[DeliveryState.UNKNOWN]
        missing = {one.email for one in self.field.store.ledger.deliveries(self.edition, missing=True)}
        kept = Kept(
            kills=self.kills,
            editions=1,
            recipients=len(readers),
            mailed=len(mailed),
            twice=sum(count > 1 for count in names.values()) + len(names) - len(mailed),
            lost=len(readers - mailed - missing) + len(readers - accepted - missing),
            untrue=len(accepted - mailed),
            denied=len(mailed - accepted - unknown),
            unknown=len(unknown),
            bound=self.bound,
            over=self.over,
            taken=len(unknown & mailed),
        )
        if mailed - readers:
            kept.faults.append("somebody else was mailed")
        if accepted | unknown != readers:
            others = {state.value: len(emails) for state, emails in states.items() if emails}
            kept.faults.append(f"an edition ended as {others}")
        return kept

    def hear(self) -> int:
        """Post the provider's events of what it took, twice and out of order; how many of those are still unknown."""
        now = int(datetime.now(UTC).timestamp())
        events = [
            {
                "event": kind,
                "email": email,
                "timestamp": now,
                "sg_event_id": f"{kind}-{key}",
                "send_key": key,
            }
            for kind in ("delivered", "processed", "delivered")
            for key, email in self.got()
        ]
        take_events(self.field.app, read_events(json.dumps(events).encode(), now=datetime.now(UTC)))
        still = self.states()[DeliveryState.UNKNOWN]
        return len(still & {email for _, email in self.got()})


@contextmanager
def grounds(folder: Path) -> Iterator[tuple[Launcher, Sinks]]:
    """The processes that all fields share."""
    launcher = Launcher()
    try:
        sinks = Sinks(folder / "evidence")
        try:
            yield launcher, sinks
        finally:
            sinks.close()
    finally:
        launcher.close()


def traps(*named: Sequence[Any]) -> tuple[Trap, ...]:
    """Traps from (step, number, action)."""
    return tuple(Trap(*one) for one in named)
