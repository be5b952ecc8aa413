"""Senders that are killed, at random and at each named step; `make faults` does the same some hundred times."""

import os
import random

import pytest

from tests.faults.conftest import Sow
from tests.faults.kills import SERVER_STEPS, kill_at_random, kill_at_step
from tests.faults.sending import STEPS

SEED = os.environ.get("FAULTS_SEED", "7")


@pytest.mark.parametrize(
    ("store", "transport", "connections"),
    [("sqlite", "smtp", 1), ("sqlite", "sendgrid", 2), ("postgresql", "smtp", 4), ("postgresql", "sendgrid", 1)],
)
def test_a_sender_killed_at_random_mails_nobody_twice_and_loses_nobody_unnamed(
    sow: Sow, store: str, transport: str, connections: int
) -> None:
    kept = kill_at_random(sow(store, transport, connections), 3, random.Random(f"{SEED} {store} {transport}"))
    assert kept.is_kept, f"FAULTS_SEED={SEED}: {kept}"


@pytest.mark.parametrize(
    ("store", "transport", "step"),
    [("sqlite", "smtp", step) for step in STEPS] + [("postgresql", "sendgrid", step) for step in STEPS[4:13]],
)
def test_a_sender_killed_at_its_own_step_leaves_no_more_unknown_than_was_under_way(
    sow: Sow, store: str, transport: str, step: str
) -> None:
    kept = kill_at_step(sow(store, transport), step, 1, "")
    assert kept.is_kept, kept


@pytest.mark.parametrize(
    ("store", "transport", "step", "answer"),
    [("postgresql", "smtp", step, answer) for step, answer in SERVER_STEPS["smtp"]]
    + [("sqlite", "sendgrid", step, answer) for step, answer in SERVER_STEPS["sendgrid"]],
)
def test_a_sender_killed_while_the_server_has_the_word_is_as_good_as_any(
    sow: Sow, store: str, transport: str, step: str, answer: str
) -> None:
    kept = kill_at_step(sow(store, transport), step, 1, answer)
    assert kept.is_kept, kept
    # What the server took before it could say so is unknown, and with events it is settled.
    assert kept.taken == (kept.unknown if answer.startswith("take") else 0)
