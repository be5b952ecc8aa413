"""Several senders at once, one that sleeps past its lease, and clocks that are set in mid-send: real processes."""

import os
import signal

import pytest

from digest.models import DeliveryState
from tests.faults.conftest import Sow, mix
from tests.faults.field import traps

LEASE = 11 * 60  # seconds: a minute more than one has
PLACES = [("sqlite", "smtp"), ("sqlite", "sendgrid"), ("postgresql", "smtp"), ("postgresql", "sendgrid")]


@pytest.mark.parametrize(("store", "transport"), PLACES)
def test_senders_started_at_once_share_the_work(sow: Sow, store: str, transport: str) -> None:
    trial = sow(store, transport, 2).edition()
    running = [trial.start() for _ in range(3)]
    assert [one.wait() for one in running] == [{"exited": 0}] * 3, [one.report() for one in running]
    # Each waited for the others, so each can say how it ended.
    assert [one.report()["state"] for one in running] == ["sent"] * 3
    kept = trial.check()
    assert kept.is_kept and kept.unknown == 0, kept


@pytest.mark.parametrize(
    ("place", "step"),
    mix(PLACES, ["claimed", "before mark", "marked", "reply read", "settled", "before release"], every=5),
)
def test_a_sender_that_slept_past_its_lease_sends_nothing_more_and_writes_over_nobody(
    sow: Sow, place: tuple[str, str], step: str
) -> None:
    trial = sow(*place).edition()
    sleeper = trial.start(*traps((step, 2, "stop")))
    assert sleeper.wait() == {"stopped": signal.SIGSTOP}
    marked = trial.states()[DeliveryState.ATTEMPTED]
    successor = trial.start(ahead=LEASE)
    assert successor.wait() == {"exited": 0}, successor.report()
    got, states = trial.got(), trial.states()
    assert states[DeliveryState.UNKNOWN] == marked

    os.kill(sleeper.pid, signal.SIGCONT)
    assert sleeper.wait() == {"exited": 0}, sleeper.report()

    assert trial.states() == states
    woken = [email for _, email in trial.got()[len(got) :]]
    # It had said that it would send those, and stands where nobody can ask it again whether it still may. With SMTP the
    # next message is marked where the last one is settled.
    assert set(woken) <= (marked if step in {"marked", "settled"} else set())
    trial.bound += trial.field.under_way
    kept = trial.check()
    assert kept.is_kept, kept


@pytest.mark.parametrize(
    ("place", "step", "hours"), mix(PLACES, ["opened", "claimed", "marked", "settled"], [-1, 1], every=5)
)
def test_a_clock_that_is_set_in_mid_send_changes_nothing(
    sow: Sow, place: tuple[str, str], step: str, hours: int
) -> None:
    trial = sow(*place).edition()
    running = trial.start(*traps((step, 1, f"clock {hours * 3600}")))
    assert running.wait() == {"exited": 0}, running.report()
    assert running.report()["state"] == "sent"
    kept = trial.check()
    assert kept.is_kept and kept.unknown == 0, kept


@pytest.mark.parametrize(("place", "step"), mix(PLACES, ["claimed", "marked", "settled"], every=5))
def test_after_a_kill_a_clock_that_went_back_keeps_nobody_waiting(sow: Sow, place: tuple[str, str], step: str) -> None:
    trial = sow(*place).edition()
    running = trial.start(*traps((step, 2, "kill")), ahead=3600)
    assert running.wait() == {"killed": signal.SIGKILL}
    trial.note_kill()
    trial.finish()
    kept = trial.check()
    assert kept.is_kept, kept
