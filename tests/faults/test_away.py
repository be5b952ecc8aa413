"""PostgreSQL is away for five minutes, in the midst of sending and of composing: real processes, as they are shipped.

At once: workers that deliver by SMTP and by SendGrid, a `digest run` that waits for such workers and one that delivers
itself, a `digest serve` and a worker that compose. Nothing is done to them but that their server goes, and comes back.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import DeliveryState, EditionState, Subscriber, SubscriberState
from tests.acceptance.conftest import NEWSLETTER
from tests.acceptance.serving import wait_for
from tests.acceptance.test_thirty_days import publish
from tests.doubles.postgresql import PostgresServer
from tests.doubles.sendgrid_api import SendGridDouble
from tests.faults.conftest import FULL
from tests.faults.field import Field, Launcher, Sinks, Trial
from tests.faults.programs import Program, check, count_reports, is_sent, note, plan, programs, took

pytestmark = pytest.mark.skipif(not FULL, reason="it takes seven minutes: FAULTS_FULL=1")

AWAY = 300.0  # seconds
READERS = 3_000
RATE = "50/s"  # as shipped
REQUEST = 100  # readers of one request to SendGrid: several are to be under way
RECIPIENTS = 40  # of what is composed
RECOVERY = 120.0  # a server looks each half minute
ROOM = """\
[schedule]
at = "{at}"
timezone = "UTC"

[edition]
min_stories = 1

[summarizer]
kind = "tests.faults.holding:Holding"
folder = "{folder}"

[store]
url = "{url}"

[engine]
kind = "{engine}"

[[sources]]
id = "wire"
kind = "file"
path = "wire.xml"
rights = "own"

[transport]
kind = "outbox"
path = "outbox"
"""


class Room:
    """A newsletter that is due, and whoever composes it is held up."""

    def __init__(self, folder: Path, url: str, engine: str) -> None:
        folder.mkdir()
        now = datetime.now(UTC)
        self.folder = folder
        due = now - timedelta(minutes=2)
        settings = ROOM.format(at=f"{due:%H:%M}", folder=folder, url=url, engine=engine)
        (folder / "config.toml").write_text(NEWSLETTER + settings, encoding="utf-8")
        publish(folder, due.date(), now)
        self.app = App(load_config(folder / "config.toml"))
        for number in range(RECIPIENTS):
            reader = Subscriber(email=f"reader{number}@readers.test", state=SubscriberState.ACTIVE)
            self.app.store.subscribers.add("morning", reader, now=now)

    def close(self) -> None:
        self.app.close()

    @property
    def is_held_up(self) -> bool:
        return (self.folder / "came").exists()

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def is_sent(self) -> bool:
        return [stored.state for stored in self.app.store.editions.newest("morning")] == [EditionState.SENT]

    def check(self) -> None:
        """Each reader has it once, and the ledger says so."""
        (stored,) = self.app.store.editions.newest("morning")
        states = Counter(delivery.state for delivery in self.app.store.ledger.deliveries(stored.id))
        assert states == {DeliveryState.ACCEPTED: RECIPIENTS}
        mails = [message_from_bytes(path.read_bytes()) for path in (self.folder / "outbox" / "new").iterdir()]
        assert len(mails) == len({mail["To"] for mail in mails}) == RECIPIENTS


@pytest.fixture
def fields(
    tmp_path: Path, server: PostgresServer, ground: tuple[Launcher, Sinks], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Field]]:
    """For workers by SMTP, for workers by SendGrid, and for a run by hand; each with servers of its own."""
    monkeypatch.setenv("DIGEST_SENDGRID_API_KEY", SendGridDouble.KEY)
    launcher, _ = ground
    made = []
    with ExitStack() as stack:
        for name, transport, engine in (
            ("smtp", "smtp", "procrastinate"),
            ("sendgrid", "sendgrid", "procrastinate"),
            ("run", "smtp", "local"),
        ):
            folder = tmp_path / name
            folder.mkdir()
            sinks = stack.enter_context(closing(Sinks(folder / "evidence")))
            sinks.slow(1.0)
            settings = {"readers": READERS, "connections": 4, "engine": engine, "rate": RATE}
            made.append(Field(folder, server.create(), transport, launcher, sinks, **settings))  # type: ignore[arg-type]
            stack.enter_context(closing(made[-1]))
        yield made


@pytest.fixture
def rooms(tmp_path: Path, server: PostgresServer) -> Iterator[list[Room]]:
    """One where `digest serve` composes, and one where it has a worker do so."""
    made = [Room(tmp_path / engine, server.create(), engine) for engine in ("local", "procrastinate")]
    with ExitStack() as stack:
        for room in made:
            stack.enter_context(closing(room))
        yield made


def wait_for_each(wanted: Sequence[tuple[str, Callable[[], object]]], seconds: float) -> dict[str, float]:
    """Until each is so; after how many seconds it was."""
    began, found = time.monotonic(), dict[str, float]()

    def look() -> bool:
        for name, condition in wanted:
            if name not in found and condition():
                found[name] = round(time.monotonic() - began, 1)
        return len(found) == len(wanted)

    wait_for(look, seconds, f"{[name for name, _ in wanted]}")
    return found


@pytest.mark.timeout(1200)
def test_a_server_that_is_away_for_five_minutes_is_told_of_and_outwaited_and_nobody_is_mailed_twice(
    fields: list[Field], rooms: list[Room], server: PostgresServer
) -> None:
    by_smtp, by_sendgrid, by_hand = fields
    started = [Program(field.folder, "worker") for field in (by_smtp, by_smtp, by_sendgrid, by_sendgrid)]
    started += [Program(room.folder, "serve", "--port", "0") for room in rooms]
    started += [Program(rooms[1].folder, "worker")]
    with programs(*started), ExitStack() as stack:
        trials = [by_hand.edition()]
        runs = [Program(by_hand.folder, "run", "--on", trials[0].day)]
        for field in (by_smtp, by_sendgrid):
            trials.append(field.edition())
            plan(trials[-1], request=REQUEST if field.transport == "sendgrid" else 0)
        runs.append(Program(by_smtp.folder, "run", "--on", trials[1].day))
        for run in runs:
            stack.callback(lambda one=run: one.is_there and one.kill())
        for run in runs:
            run.wait_until_said("deliver ")
        for room in rooms:
            wait_for(lambda r=room: r.is_held_up, 60, "it is in the midst of composing")  # type: ignore[misc]
        for trial in trials:
            wait_for(lambda t=trial: took(t) >= READERS // 10, 60, "a part is taken")  # type: ignore[misc]
        used = sum(one.processor_seconds() for one in (*started, *runs))
        server.stop()
        gone = time.monotonic()
        for room in rooms:
            room.let_go()
        for one in (*started, *runs):
            wait_for(lambda o=one: o.count("trying again"), 60, f"{one.name} tells of it: {one.said}")  # type: ignore[misc]
        wait_for(lambda: time.monotonic() - gone >= AWAY, AWAY + 60, "it is away")
        assert all(one.is_there for one in (*started, *runs))
        used = sum(one.processor_seconds() for one in (*started, *runs)) - used
        server.start()
        before = {trial.edition: took(trial) for trial in trials}
        names = ("run by hand", "workers, smtp", "workers, sendgrid")
        going = [(name, _goes_on(trial, took(trial))) for name, trial in zip(names, trials, strict=True)]
        made = [(name, room.is_sent) for name, room in zip(("serve", "serve and worker"), rooms, strict=True)]
        recovered = wait_for_each([*going, *made], RECOVERY)
        assert all(count < READERS for count in before.values())
        for trial in trials:
            wait_for(lambda t=trial: is_sent(t), 300, "all is sent")  # type: ignore[misc]
        for run in runs:
            assert run.end() == 0, run.said
        for one in (*started, *runs):
            wait_for(lambda o=one: o.count("again") >= 2, 60, f"{one.name} says that it is back: {one.said}")  # type: ignore[misc]
    note(f"away for {AWAY:.0f} s; all went on after {recovered}; {used:.1f} s of processor time meanwhile")
    for one in (*started, *runs):
        told = (one.count("trying again"), one.count("answers again"))
        assert told == (1, 1), (one.name, one.said)
    for trial in trials:
        check(trial, 0)
        assert count_reports(trial)
    for room in rooms:
        room.check()
    # Trying again and again without a pause, one of them alone would have used more.
    assert used < AWAY / 2


def _goes_on(trial: Trial, before: int) -> Callable[[], bool]:
    return lambda: took(trial) > before
