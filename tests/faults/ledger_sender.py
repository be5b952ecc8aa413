"""A sender to be killed: `python -m tests.faults.ledger_sender URL EDITION SINK STYLE NAME [STEP COUNT]`.

It plans, claims, marks, "sends" (a line in the sink file, which is the provider here), settles and releases, by message
(SMTP) or by batch (SendGrid). At the COUNTth STEP it says so on stdout and goes on when a line comes in on stdin.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, overload

from digest.models import Claim, DeliveryState, Outcome, Planned
from digest.stores.owners import this_owner
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW

BATCH = 10
LEASE = timedelta(minutes=10)


class Watched(Sequence[Planned]):
    """What is to be planned; says when the planning transaction has come half-way through it."""

    def __init__(self, planned: Sequence[Planned], half_way: Callable[[], None]) -> None:
        self._planned = planned
        self._half_way = half_way

    @overload
    def __getitem__(self, index: int) -> Planned: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Planned]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._planned[index]

    def __len__(self) -> int:
        return len(self._planned)

    def __iter__(self) -> Iterator[Planned]:
        for number, plan in enumerate(self._planned):
            if number == len(self._planned) // 2:
                self._half_way()
            yield plan


class Sender:
    """One process's work on one edition; its clock stands at `now`."""

    def __init__(
        self,
        store: SqlStore,
        edition: int,
        sink: Path,
        style: str,
        name: str,
        stop_at: Sequence[str] = (),
        *,
        now: datetime = NOW,
    ) -> None:
        self._store = store
        self._edition = edition
        self._sink = sink
        self._size = 1 if style == "message" else BATCH
        self._owner = this_owner(name)
        self._stop_at = (stop_at[0], int(stop_at[1])) if stop_at else None
        self._now = now
        self._steps = Counter[str]()

    def run(self) -> None:
        """Plan, and send until nothing is left."""
        readers = list(self._store.subscribers.reached("morning"))
        planned = [Planned(subscriber=reader, send_key=f"key-{reader.key}", variant="all") for reader in readers]
        watched = Watched(planned, lambda: self._step("planning"))
        self._store.ledger.plan(self._edition, watched, batch_size=BATCH, now=self._now)
        self._step("planned")
        while claim := self._store.ledger.claim(
            self._edition, self._owner, lease_until=self._now + LEASE, now=self._now
        ):
            self._step("claimed")
            for start in range(0, len(claim.recipients), self._size):
                if not self._send(claim, start):
                    return
            self._store.ledger.release(claim, now=self._now)
            self._step("released")

    def _send(self, claim: Claim, start: int) -> bool:
        recipients = claim.recipients[start : start + self._size]
        deliveries = [recipient.delivery for recipient in recipients]
        if not self._store.ledger.mark(claim, deliveries, "sink", now=self._now):
            say("lost before sending")
            return False
        self._step("marked")
        with self._sink.open("a") as sink:
            sink.writelines(f"{recipient.email}\n" for recipient in recipients)
        self._step("sent")
        outcomes = [Outcome(delivery=delivery, state=DeliveryState.ACCEPTED, raw="250 ok") for delivery in deliveries]
        if not self._store.ledger.settle(claim, outcomes, now=self._now):
            say("lost before settling")
            return False
        self._step("settled")
        return True

    def _step(self, step: str) -> None:
        self._steps[step] += 1
        if (step, self._steps[step]) == self._stop_at:
            say(step)
            sys.stdin.readline()


def say(words: str) -> None:
    """A line to the parent process."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    url, edition, sink, style, name, *stop_at = sys.argv[1:]
    opened = SqlStore.open(url)
    say("open")
    if not stop_at:
        sys.stdin.readline()
    Sender(opened, int(edition), Path(sink), style, name, stop_at).run()
    say("done")
