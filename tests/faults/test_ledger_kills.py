"""The ledger under senders that are killed or put to sleep at each step: real processes, a real file."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from digest.models import DeliveryState
from digest.stores.owners import this_owner
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, add_readers, save_edition
from tests.faults.ledger_sender import BATCH, LEASE, Sender

ROOT = Path(__file__).resolve().parents[2]
READERS = 30
IN_FLIGHT = {"message": 1, "batch": BATCH}


class Bench:
    """An edition for some readers, and what reached them."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'digest.db'}"
        self.sink = folder / "sink"
        self.store = SqlStore.open(self.url)
        self.readers = {reader.email for reader in add_readers(self.store, READERS)}
        self.edition = save_edition(self.store).id
        self.children: list[subprocess.Popen[str]] = []

    def start(self, style: str, name: str, *stop_at: str) -> subprocess.Popen[str]:
        """A sender of its own process, with the database open."""
        arguments = [self.url, str(self.edition), str(self.sink), style, name, *stop_at]
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.ledger_sender", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        assert said(child) == "open"
        return child

    def finish(self) -> None:
        """What a next run does: free what the dead held, and send what is left."""
        self.store.ledger.recover(self.edition, now=NOW)
        Sender(self.store, self.edition, self.sink, "batch", "successor").run()

    def got(self) -> Counter[str]:
        """How often each reader was mailed."""
        return Counter(self.sink.read_text().split()) if self.sink.exists() else Counter()

    def state(self, state: DeliveryState) -> set[str]:
        """Who is in that state."""
        return {d.email for d in self.store.ledger.deliveries(self.edition) if d.state is state}

    def close(self) -> None:
        """End what was started."""
        for child in self.children:
            child.kill()
            child.communicate()
        self.store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Readers, an edition, an empty sink."""
    made = Bench(tmp_path)
    yield made
    made.close()


def said(child: subprocess.Popen[str]) -> str:
    """The next line of a sender; "" when it ended."""
    assert child.stdout
    return child.stdout.readline().strip()


def go_on(child: subprocess.Popen[str]) -> None:
    """Let a sender that waits at its step go on."""
    assert child.stdin
    child.stdin.write("\n")
    child.stdin.flush()


def assert_kept_its_promise(bench: Bench, *, unknown: set[str]) -> None:
    """Nobody twice; everybody mailed or named; only what was in flight is unknown."""
    got = bench.got()
    accepted = bench.state(DeliveryState.ACCEPTED)
    assert set(got.values()) <= {1}
    assert bench.state(DeliveryState.UNKNOWN) == unknown
    assert accepted | unknown == bench.readers
    assert accepted <= set(got) <= bench.readers
    missing = {delivery.email for delivery in bench.store.ledger.deliveries(bench.edition, missing=True)}
    assert missing == unknown


@pytest.mark.parametrize("style", ["message", "batch"])
@pytest.mark.parametrize(
    ("step", "count"),
    [
        ("planning", 1),
        ("planned", 1),
        ("claimed", 1),
        ("claimed", 3),
        ("marked", 1),
        ("marked", 3),
        ("sent", 2),
        ("settled", 1),
        ("settled", 3),
        ("released", 2),
    ],
)
def test_a_sender_killed_at_any_step_mails_nobody_twice_and_loses_nobody(
    bench: Bench, style: str, step: str, count: int
) -> None:
    child = bench.start(style, "victim", step, str(count))
    assert said(child) == step
    in_flight = bench.state(DeliveryState.ATTEMPTED)
    assert len(in_flight) == (IN_FLIGHT[style] if step in {"marked", "sent"} else 0)
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    bench.finish()
    assert_kept_its_promise(bench, unknown=in_flight)


def test_planning_that_was_killed_half_way_planned_nobody_and_left_no_lock(bench: Bench) -> None:
    child = bench.start("batch", "victim", "planning", "1")
    assert said(child) == "planning"
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    assert bench.store.ledger.counts(bench.edition) == {}
    bench.finish()
    assert bench.store.ledger.counts(bench.edition) == {"accepted": READERS}


def test_one_sender_after_the_other_is_killed_and_the_last_one_finishes(bench: Bench) -> None:
    unknown: set[str] = set()
    for number, step in enumerate(["claimed", "marked", "sent", "settled", "released"]):
        child = bench.start("message", f"victim {number}", step, "2" if step in {"marked", "sent"} else "1")
        assert said(child) == step
        unknown |= bench.state(DeliveryState.ATTEMPTED)
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        bench.store.ledger.recover(bench.edition, now=NOW)
    bench.finish()
    assert len(unknown) == 2
    assert_kept_its_promise(bench, unknown=unknown)


def test_a_killed_sender_is_dead_also_before_its_parent_asks_for_it(bench: Bench) -> None:
    child = bench.start("message", "victim", "sent", "3")
    assert said(child) == "sent"
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    assert bench.store.ledger.recover(bench.edition, now=NOW) == 1
    bench.finish()
    assert len(bench.state(DeliveryState.ACCEPTED)) == READERS - 1


def test_processes_that_claim_at_once_never_share_a_batch(bench: Bench) -> None:
    children = [bench.start(style, f"sender {style}") for style in ("message", "batch", "message", "batch")]
    for child in children:
        go_on(child)
    assert [said(child) for child in children] == ["done"] * len(children)
    assert bench.got() == Counter(bench.readers)
    assert bench.store.ledger.counts(bench.edition) == {"accepted": READERS}


@pytest.mark.parametrize(
    ("step", "words"),
    [("claimed", "lost before sending"), ("sent", "lost before settling"), ("settled", "lost before sending")],
)
def test_a_sender_stopped_past_its_lease_and_woken_neither_sends_nor_writes(
    bench: Bench, step: str, words: str
) -> None:
    sleeper = bench.start("message", "sleeper", step, "1")
    assert said(sleeper) == step
    in_flight = bench.state(DeliveryState.ATTEMPTED)
    sleeper.send_signal(signal.SIGSTOP)
    after = NOW + LEASE + timedelta(seconds=1)
    assert bench.store.ledger.recover(bench.edition, now=NOW) == 0  # it lives, and its lease runs
    assert bench.store.ledger.recover(bench.edition, now=after) == len(in_flight)
    successor = this_owner("successor")
    claims = []
    while claim := bench.store.ledger.claim(bench.edition, successor, lease_until=after + LEASE, now=after):
        claims.append(claim)
    sent_before = bench.got()
    go_on(sleeper)
    sleeper.send_signal(signal.SIGCONT)
    assert said(sleeper) == words
    assert bench.got() == sent_before
    # Also what the sleeper had marked, and now knows the answer of: it is not its to say any more.
    assert bench.state(DeliveryState.UNKNOWN) == in_flight
    assert bench.state(DeliveryState.CLAIMED) == {reader.email for claim in claims for reader in claim.recipients}
    for claim in claims:
        bench.store.ledger.release(claim, now=after)
    Sender(bench.store, bench.edition, bench.sink, "batch", "last", now=after).run()
    assert_kept_its_promise(bench, unknown=in_flight)
