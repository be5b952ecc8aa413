"""A run that waits for workers."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from digest.models import EditionState
from digest.ports import Workers
from digest.watching import watch

NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Looks:
    """A ledger that says what it is to say at each look."""

    def __init__(self, leases: list[datetime | None], due: datetime | None) -> None:
        self.leases, self.due, self.waits = leases, due, 0

    def counts(self, _: int) -> dict[str, int]:
        return {"claimed": 12}

    def leased_until(self, _: int) -> datetime | None:
        return self.leases.pop(0)

    def next_due(self, _: int) -> datetime | None:
        return self.due

    def wait(self, _: float) -> None:
        self.waits += 1


@pytest.mark.parametrize(("due", "ending"), [(None, "over"), (LATER, "waits")])
def test_a_batch_that_is_claimed_between_two_looks_is_waited_for(due: datetime | None, ending: str) -> None:
    ledger = Looks([None, NOW, NOW, None, None], due)
    ports: Any = SimpleNamespace(
        ledger=ledger,
        editions=SimpleNamespace(state=lambda _: EditionState.SENDING),
        may_go_on=lambda: True,
        on_progress=lambda _: None,
        clock=lambda: NOW,
        monotonic=lambda: 0.0,
        wait=ledger.wait,
    )
    assert watch(1, ports, Workers(sweep=lambda: None)) == ending
    assert (ledger.waits, ledger.leases) == (2, [])
