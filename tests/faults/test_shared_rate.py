"""The provider's rate, shared by several real `digest worker` processes: counted where the messages arrive."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.acceptance.serving import wait_for
from tests.doubles.postgresql import PostgresServer
from tests.doubles.sendgrid_api import SendGridDouble
from tests.faults.conftest import FULL
from tests.faults.field import Field, Launcher, Sinks
from tests.faults.programs import check, is_sent, note, plan, working

pytestmark = pytest.mark.skipif(not FULL, reason="it takes a minute: FAULTS_FULL=1")

WORKERS = 3
RATE = 40  # messages a second
READERS = RATE * 25
LATE = 5.0  # seconds
BURST = {"smtp": RATE, "sendgrid": 100}  # a second's worth, or a request: as docs/delivery.md says


@pytest.fixture(params=["smtp", "sendgrid"])
def field(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgresql: PostgresServer,
    ground: tuple[Launcher, Sinks],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Field]:
    monkeypatch.setenv("DIGEST_SENDGRID_API_KEY", SendGridDouble.KEY)
    url = postgresql.create()
    made = Field(
        tmp_path,
        url,
        request.param,
        *ground,
        readers=READERS,
        connections=4,
        engine="procrastinate",
        rate=f"{RATE}/s",
    )
    yield made
    made.close()
    postgresql.drop(url)


def most_within(instants: Sequence[float], seconds: float) -> int:
    """How many there are at most in a window of that length."""
    return max(sum(start <= one < start + seconds for one in instants[at:]) for at, start in enumerate(instants))


@pytest.mark.timeout(300)
def test_workers_together_keep_to_the_rate_in_every_second(field: Field) -> None:
    with working(field.folder, WORKERS) as workers:
        trial = field.edition()
        plan(trial, request=BURST["sendgrid"] if field.transport == "sendgrid" else 0)
        busy: set[int] = set()

        def look() -> bool:
            busy.update(worker.pid for worker in workers if worker.holds(trial))
            return is_sent(trial)

        wait_for(look, 200, "all is sent")
    check(trial, 0)
    instants = sorted(field.sinks.instants(trial.offset))
    assert len(instants) == READERS
    assert len(busy) == WORKERS  # each had a part in it
    burst = BURST[field.transport]
    most, took = most_within(instants, 1.0), instants[-1] - instants[0]
    note(
        f"{field.transport}, {WORKERS} workers at {RATE}/s: {most} in the fullest second, "
        f"{most_within(instants, 10.0)} in the fullest ten, {READERS / took:.1f}/s on the whole"
    )
    assert most <= RATE + burst
    assert most_within(instants, 10.0) <= 10 * RATE + burst
    # None came before its turn, counted from the first of all, which itself may have come late.
    assert all(at - instants[0] >= (number + 1 - burst) / RATE - LATE for number, at in enumerate(instants))
