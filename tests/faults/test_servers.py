"""Servers that misbehave in every way: nobody twice, nobody lost unnamed, nothing said that is not so.

The real program against real sockets in this process; its clock is turned by its own waiting.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from digest.app import App
from digest.config import load_config
from digest.deliver import Lane
from digest.errors import DigestError
from digest.models import EditionState
from digest.transports.sendgrid import SendGridTransport
from digest.transports.smtp import SmtpTransport
from tests.doubles.clock import Clock
from tests.doubles.sendgrid_api import SendGridDouble
from tests.faults.conftest import FULL
from tests.faults.field import REQUEST, Field, Kept
from tests.faults.sending import Watch, WatchedTransport
from tests.faults.smtp_sink import SmtpSink, Step

SEEDS = 40 if FULL else 2
READERS = 24
PATIENCE = 20.0  # seconds that a transport waits for a server here
SHORT = 1.5  # the same where a server says nothing for ever
_NEW = ("PIPELINING", "SIZE 10000000", "ENHANCEDSTATUSCODES")  # what a server of today offers
ROUNDS = 12  # runs, each a quarter of an hour after the last, after which an edition is at its end


class Notebook(SendGridDouble):
    """The double, which here only writes down whom it would mail."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[str, str]] = []

    def take(self, request: dict[str, Any]) -> None:
        """Answer for a request."""
        self.taken += [(one["custom_args"]["send_key"], one["to"][0]["email"]) for one in request["personalizations"]]

    def hold(self, stream: BinaryIO) -> None:
        """Until the other side has gone."""
        with suppress(OSError):
            stream.read(1)


class Servers:
    """What a field asks of them, in this process."""

    def __init__(self, *, smtp: SmtpSink | None = None, sendgrid: Notebook | None = None) -> None:
        self._smtp, self._sendgrid = smtp, sendgrid
        self.smtp_port = smtp.port if smtp else 9
        self.sendgrid_url = sendgrid.url if sendgrid else "http://127.0.0.1:9"

    def evidence(self, offset: int = 0) -> list[tuple[str, str]]:
        """What was taken: whose name in the ledger, and the address."""
        if self._smtp:
            return [(one.key, one.email) for one in self._smtp.taken][offset:]
        assert self._sendgrid
        return self._sendgrid.taken[offset:]

    def settle(self) -> None:
        """Nothing is under way when a run in this process has ended."""


class Impatient(App):
    """The program, with transports that do not wait longer than that, and small batches."""

    patience = PATIENCE

    @property
    def lanes(self) -> list[Lane]:  # type: ignore[override]
        """One transport, as the configuration has it."""
        if "made" not in self.__dict__:
            table: Any = self.config.transports[0]
            transport: Any
            if table.kind == "smtp":
                transport = SmtpTransport(host=table.host, port=table.port, tls="none", seconds=self.patience)
            else:
                transport = SendGridTransport(api_key=SendGridDouble.KEY, host=table.host, read_seconds=self.patience)
            lane = Lane(transport=WatchedTransport(transport, Watch(()), REQUEST), rate=table.rate)
            self.__dict__["made"] = [lane]
        return self.__dict__["made"]  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let go of everything."""
        for lane in self.__dict__.pop("made", ()):
            lane.transport.close()
        super().close()


class Place:
    """Readers, and servers for each transport."""

    def __init__(self, folder: Path) -> None:
        self.smtp = SmtpSink()
        self.sendgrid = Notebook()
        self._folder = folder
        self._fields: dict[str, Field] = {}

    def try_out(self, transport: str, patience: float = PATIENCE) -> "Outcome":
        """An edition that is run against the servers until it is at its end."""
        if transport not in self._fields:
            folder = self._folder / transport
            folder.mkdir()
            servers = Servers(smtp=self.smtp) if transport == "smtp" else Servers(sendgrid=self.sendgrid)
            url = f"sqlite:///{folder / 'digest.db'}"
            self._fields[transport] = Field(folder, url, transport, None, servers, readers=READERS)  # type: ignore[arg-type]
        field = self._fields[transport]
        trial, clock, told = field.edition(), Clock(datetime.now(UTC)), []
        config = load_config(field.folder / "config.toml", {"DIGEST_SENDGRID_API_KEY": SendGridDouble.KEY})
        for _ in range(ROUNDS):
            with Impatient(config, clock=clock, wait=clock.wait) as app:
                app.patience = patience
                try:
                    report = app.run(date.fromisoformat(trial.day))
                    told.append(report.message)
                    if report.state is EditionState.SENT:
                        break
                except DigestError as error:
                    told.append(str(error))
            clock.wait(15 * 60)
            # What stopped it was told to the operator, who has it go on.
            field.store.editions.set_state(
                trial.edition, EditionState.SENDING, "resumed by hand", now=clock(), only_from=[EditionState.STOPPED]
            )
        states = {state.value: len(emails) for state, emails in trial.states().items() if emails}
        return Outcome(trial.check(), states, told)

    def close(self) -> None:
        """Let go of the stores."""
        for field in self._fields.values():
            field.close()


@dataclass(frozen=True)
class Outcome:
    """What the comparison says, how many ended in which state, and what the runs told."""

    kept: Kept
    states: dict[str, int]
    told: list[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all tests: each has an edition of its own."""
    made = Place(tmp_path_factory.mktemp("place"))
    with made.smtp, made.sendgrid:
        yield made
        made.close()


def assert_kept(outcome: Outcome) -> None:
    """Nobody twice; everybody mailed or named; what is said to be accepted was taken, and only that."""
    kept = outcome.kept
    assert (kept.twice, kept.lost, kept.untrue, kept.denied) == (0, 0, 0, 0), outcome


def once(kind: str, number: int, what: str) -> Callable[[Step], str]:
    """A server that misbehaves one time."""
    return lambda step: what if (step.kind, step.number) == (kind, number) else ""


@pytest.mark.parametrize(
    ("kind", "what", "state"),
    [
        ("open", "drop", "accepted"),
        ("open", "421 4.3.2 not now", "accepted"),
        ("open", "554 5.7.1 you again", "accepted"),
        ("open", "hold", "accepted"),
        ("mail", "drop", "accepted"),
        ("mail", "421 4.3.2 closing", "accepted"),
        ("mail", "451 4.3.0 later", "accepted"),
        ("mail", "hold", "accepted"),
        ("rcpt", "drop", "accepted"),
        ("rcpt", "421 4.3.2 closing", "accepted"),
        ("rcpt", "450 4.2.0 later", "accepted"),
        ("rcpt", "550 5.1.1 nobody", "refused"),
        ("rcpt", "hold", "accepted"),
        ("data", "drop", "accepted"),
        ("data", "421 4.3.2 closing", "accepted"),
        ("data", "451 4.3.0 later", "accepted"),
        ("data", "554 5.5.1 no", "refused"),
        ("data", "hold", "accepted"),
        ("content", "drop", "unknown"),
        ("content", "hold", "unknown"),
        ("reply", "drop", "unknown"),
        ("reply", "take and drop", "unknown"),
        ("reply", "hold", "unknown"),
        ("reply", "take and hold", "unknown"),
        ("reply", "421 4.3.2 closing", "accepted"),
        ("reply", "451 4.3.0 later", "accepted"),
        ("reply", "552 5.2.2 full", "refused"),
        ("reply", "crawl 250 2.0.0 ok", "accepted"),
    ],
)
def test_what_an_smtp_server_does_to_one_message_is_what_is_said_of_it(
    place: Place, kind: str, what: str, state: str
) -> None:
    place.smtp.extensions = _NEW
    place.smtp.misbehave(once(kind, 1 if kind == "open" else 4, what))
    outcome = place.try_out("smtp", SHORT if "hold" in what else PATIENCE)
    assert_kept(outcome)
    expected = {"accepted": READERS} if state == "accepted" else {"accepted": READERS - 1, state: 1}
    assert outcome.states == expected, outcome.told


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("extensions", [_NEW, ()], ids=["new", "old"])
def test_an_smtp_server_that_does_anything_at_any_time_makes_nothing_untrue(
    place: Place, seed: int, extensions: tuple[str, ...]
) -> None:
    chance = random.Random(seed)
    replies = ["drop", "421 4.3.2 x", "450 4.2.0 x", "451 4.7.1 x", "452 4.2.2 x", "550 5.1.1 x", "554 5.5.0 x"]
    replies += ["crawl 250 2.0.0 x", "200 x", "999 x", "what?", "250", "503 5.5.1 x"]

    def answer(step: Step) -> str:
        if chance.random() > 0.12:
            return ""
        if step.kind == "content":
            return "drop"
        return chance.choice([*replies, *(["take and drop"] * 2 if step.kind == "reply" else [])])

    place.smtp.extensions = extensions
    place.smtp.misbehave(answer)
    assert_kept(place.try_out("smtp"))


# What becomes of the readers of one request that is answered so; those of the others are accepted.
ANSWERS: dict[str | int, str] = {
    "accept": "accepted",
    400: "later",
    401: "later",
    403: "later",
    413: "accepted",
    429: "accepted",
    500: "unknown",
    502: "unknown",
    503: "accepted",
    504: "unknown",
    302: "unknown",
    "drop": "unknown",
    "stall": "unknown",
    "garbage": "unknown",
    "accept-and-drop": "unknown",
    "accept-and-stall": "unknown",
    "accept-and-garbage": "unknown",
    "accept-and-500": "unknown",
    "accept-and-502": "unknown",
    "accept-and-504": "unknown",
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_sendgrid_answers_to_one_request_is_what_is_said_of_its_readers(place: Place, what: str | int) -> None:
    before = len(place.sendgrid.requests)
    place.sendgrid.answer = lambda asked: what if asked - before == 1 else "accept"
    outcome = place.try_out("sendgrid", SHORT if "stall" in str(what) else PATIENCE)
    assert_kept(outcome)
    unknown = {"unknown": REQUEST} if ANSWERS[what] == "unknown" else {}
    assert outcome.states == {"accepted": READERS - sum(unknown.values())} | unknown, outcome.told


@pytest.mark.parametrize("seed", range(SEEDS))
def test_sendgrid_answering_anything_at_any_time_makes_nothing_untrue(place: Place, seed: int) -> None:
    chance = random.Random(seed)
    answers = [what for what in ANSWERS if not str(what).endswith("stall")]

    def answer(_: int) -> Any:
        return chance.choice(answers) if chance.random() < 0.6 else "accept"

    place.sendgrid.answer = answer
    outcome = place.try_out("sendgrid")
    assert_kept(outcome)
    assert "refused" not in outcome.states, outcome.told
