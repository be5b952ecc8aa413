"""Editions delivered by real workers (`digest worker`), killed again and again, and with their database restarted."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.serving import wait_for
from tests.doubles.postgresql import PostgresServer
from tests.doubles.sendgrid_api import SendGridDouble
from tests.faults.conftest import FULL
from tests.faults.field import Field, Launcher, Sinks, Trial
from tests.faults.programs import Program, check, count_reports, is_sent, note, plan, took, working

READERS = 50_000 if FULL else 2_000
KILLS = 20 if FULL else 4
RESTARTS = 6 if FULL else 2
CONCURRENCY = 4
RATE = "100000/s" if FULL else "120/s"  # a short edition would be over before those who are killed were replaced
SECONDS = 900.0 if FULL else 120.0
RECOVERY = 15.0  # seconds after which work goes on, with the shipped settings
REQUEST = 100  # readers of one request to SendGrid, or an edition would have as many as there are kills
THOUGHT = 1.0  # seconds that SendGrid takes over each: so that every kill meets some


@pytest.fixture(params=["smtp", "sendgrid"] if FULL else ["smtp"])
def field(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    server: PostgresServer,
    ground: tuple[Launcher, Sinks],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Field]:
    monkeypatch.setenv("DIGEST_SENDGRID_API_KEY", SendGridDouble.KEY)
    url = server.create()
    made = Field(
        tmp_path,
        url,
        request.param,
        *ground,
        readers=READERS,
        connections=CONCURRENCY,
        engine="procrastinate",
        rate=RATE,
    )
    with (tmp_path / "config.toml").open("a") as config:
        config.write("\n[breakers]\nfailures = 1.0\n")  # each kill makes some unknown, and there are many
    made.sinks.slow(THOUGHT if request.param == "sendgrid" else 0.0)
    yield made
    made.sinks.slow(0.0)
    made.close()
    server.drop(url)


def planned(field: Field) -> Trial:
    """An edition for workers."""
    trial = field.edition()
    plan(trial, request=REQUEST if field.transport == "sendgrid" else 0)
    return trial


@pytest.mark.timeout(1800 if FULL else 300)
def test_workers_killed_through_an_edition_send_nobody_twice_and_lose_nobody(field: Field) -> None:
    chance = random.Random(len(field.transport))
    killed, slowest = 0, 0.0
    with working(field.folder, 2) as workers:
        trial = planned(field)
        steps = sorted(chance.sample(range(READERS // 10, READERS * 9 // 10), KILLS))
        for step in steps:
            wait_for(lambda s=step: took(trial) >= s or is_sent(trial), SECONDS, f"{step} are taken")  # type: ignore[misc]
            if is_sent(trial):
                break
            for worker in workers:
                worker.wait_until_at_work()  # else the one that is left would be one that is still starting
            if is_sent(trial):
                break
            victim = workers.pop(0)
            victim.kill()
            killed, began = killed + 1, time.monotonic()
            before = took(trial)
            workers.append(Program(field.folder, "worker"))
            wait_for(lambda b=before: took(trial) > b or is_sent(trial), RECOVERY, "the others go on")  # type: ignore[misc]
            wait_for(lambda v=victim: not v.holds(trial), RECOVERY, "what it held is free")  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - began)
        wait_for(lambda: is_sent(trial), SECONDS, "all is sent")
        for worker in workers:
            worker.wait_until_at_work()
    kept = check(trial, killed * CONCURRENCY * (1 if field.transport == "smtp" else REQUEST))
    figures = f"{killed} kills, {kept.unknown} unknown of {kept.bound}, {kept.taken} of them taken"
    note(f"{field.transport}, {READERS} readers: {figures}; work went on after {slowest:.1f} s at the latest")
    assert killed > KILLS // 2
    assert count_reports(trial)
    if field.transport == "sendgrid":
        assert kept.unknown >= killed * REQUEST  # each met a request under way


@pytest.mark.timeout(1800 if FULL else 300)
def test_a_database_that_is_restarted_through_an_edition_changes_nothing_but_the_hour(
    field: Field, server: PostgresServer
) -> None:
    slowest = 0.0
    with working(field.folder, 2):
        trial = planned(field)
        for number in range(1, RESTARTS + 1):
            share = READERS * number // (RESTARTS + 2)
            wait_for(lambda s=share: took(trial) >= s, SECONDS, "a part is taken")  # type: ignore[misc]
            server.stop("immediate" if number % 2 else "fast")
            server.start()
            began, before = time.monotonic(), took(trial)
            wait_for(lambda b=before: took(trial) > b or is_sent(trial), RECOVERY, "the workers go on")  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - began)
        wait_for(lambda: is_sent(trial), SECONDS, "all is sent")
    # The workers live, and know what they were told: what they could not write they write when it is back.
    check(trial, 0)
    note(f"{field.transport}, {READERS} readers, {RESTARTS} restarts: work went on after {slowest:.1f} s at the latest")
    assert count_reports(trial)
