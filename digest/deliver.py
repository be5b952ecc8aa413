"""Planned deliveries → settled ones: claim a batch, mark what is about to leave, hand it over, settle what came of it.

    claim ──> mark ──> transport ──> settle ──> … ──> release
               │           │
               │           └ Unavailable: the next transport, else due again later
               └ no longer ours: nothing is sent

The ledger decides who gets what; the transport knows how; this stage only keeps the order that makes "once" true, and
never decides to send anything again whose fate is not known. Rendering and planning are `pipeline`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from digest.errors import Ambiguous, Refused, Unavailable
from digest.models import (
    Batch,
    Claim,
    DeliveryState,
    Letterhead,
    Message,
    Outcome,
    Owner,
    Recipient,
    Rendition,
)
from digest.protocols import Clock, Ledger, Transport

_LEASE = timedelta(minutes=10)
_POLL = 0.2  # seconds between looks at what is due or held by others
_FIRST_RETRY = timedelta(seconds=2)
_LONGEST_RETRY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """What all batches of an edition share."""

    edition: int
    renditions: Mapping[str, Rendition]
    letterhead: Letterhead
    unsubscribe_url: Callable[[str], str]  # a subscriber's key → the reader's own link


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A transport and how fast it may be used, in messages a second."""

    transport: Transport
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a sender did. `fault` says why it stopped before the end."""

    attempted: int = 0
    fault: str | None = None


class _LostClaim(Exception):
    """The batch belongs to somebody else by now: nothing of it may be sent."""


class Sender:
    """One sender of one edition. Not for use by several threads."""

    def __init__(
        self,
        mailing: Mailing,
        ledger: Ledger,
        lanes: Sequence[Lane],
        owner: Owner,
        *,
        clock: Clock,
        wait: Callable[[float], None],
        may_go_on: Callable[[], bool],
        on_progress: Callable[[Mapping[str, int]], None] = lambda _: None,
        patience: timedelta = timedelta(seconds=15),
    ) -> None:
        """`wait(seconds)` pauses; `may_go_on()` is asked before each batch; `patience` bounds the waiting."""
        self._mailing = mailing
        self._ledger = ledger
        self._lanes = lanes
        self._owner = owner
        self._clock = clock
        self._wait = wait
        self._may_go_on = may_go_on
        self._on_progress = on_progress
        self._patience = patience
        self._failures = 0  # batches in a row that no transport took
        self._attempted = 0
        self._free_at: dict[str, datetime] = {}  # by transport: when it may be used again

    def run(self) -> Sent:
        """Send until nothing is left that can be sent now, or something says stop. Raises StoreError."""
        edition = self._mailing.edition
        until = self._clock() + self._patience
        while self._may_go_on():
            now = self._clock()
            self._ledger.recover(edition, now=now)
            claim = self._ledger.claim(edition, self._owner, lease_until=now + _LEASE, now=now)
            if claim is None:
                due = self._ledger.next_due(edition)
                if self._ledger.leased_until(edition) is None and (due is None or due > until):
                    break
                # Something is due soon, or another sender is at work: what it leaves behind is ours to finish.
                self._wait(_POLL)
                continue
            try:
                fault = self._send(claim)
            except Refused as error:
                return Sent(attempted=self._attempted, fault=str(error))
            self._on_progress(self._ledger.counts(edition))
            if fault is None:
                self._failures, until = 0, self._clock() + self._patience
                continue
            self._failures += 1
            pause = _back_off(self._failures)
            if self._clock() + pause > until:
                return Sent(attempted=self._attempted, fault=str(fault))
            self._wait(pause.total_seconds())
        return Sent(attempted=self._attempted)

    def _send(self, claim: Claim) -> Unavailable | None:
        """Hand one batch over, to each transport in turn until one takes it; the last one's fault when none does."""
        handing = _Handing(claim)
        fault: Unavailable | None = None
        try:
            for lane in self._lanes:
                try:
                    self._hand_over(handing, lane)
                    return None
                except Unavailable as error:
                    fault = error
            self._put_back(handing, str(fault))
        except (Ambiguous, _LostClaim):
            return None  # what was marked stays unknown: release says so
        finally:
            self._ledger.release(claim, now=self._clock())
        return fault

    def _hand_over(self, handing: "_Handing", lane: Lane) -> None:
        def on_attempt(deliveries: Sequence[int]) -> None:
            self._pace(lane, len(deliveries))
            if not self._ledger.mark(handing.claim, deliveries, lane.transport.name, now=self._clock()):
                raise _LostClaim
            handing.attempted.update(deliveries)
            self._attempted += len(deliveries)

        def on_outcome(outcomes: Sequence[Outcome]) -> None:
            now = self._clock()
            if not self._ledger.settle(
                handing.claim, outcomes, now=now, retry_at=now + _back_off(handing.claim.attempt)
            ):
                raise _LostClaim
            handing.settled.update(outcome.delivery for outcome in outcomes)

        rest = [recipient for recipient in handing.claim.recipients if recipient.delivery not in handing.settled]
        if rest:
            lane.transport.send(self._address(handing.claim, rest), on_attempt, on_outcome)

    def _put_back(self, handing: "_Handing", why: str) -> None:
        """What was marked and certainly did not leave is due again; the rest of the batch was never marked."""
        left = sorted(handing.attempted - handing.settled)
        if left:
            now = self._clock()
            outcomes = [Outcome(delivery=delivery, state=DeliveryState.DEFERRED, raw=why) for delivery in left]
            self._ledger.settle(handing.claim, outcomes, now=now, retry_at=now)

    def _address(self, claim: Claim, recipients: Sequence[Recipient]) -> Batch:
        return Batch(
            rendition=self._mailing.renditions[claim.variant],
            letterhead=self._mailing.letterhead,
            messages=tuple(address(recipient, self._mailing.unsubscribe_url) for recipient in recipients),
        )

    def _pace(self, lane: Lane, messages: int) -> None:
        name = lane.transport.name
        free_at = self._free_at.get(name, self._clock())
        pause = (free_at - self._clock()).total_seconds()
        if pause > 0:
            self._wait(pause)
        self._free_at[name] = max(free_at, self._clock()) + timedelta(seconds=messages / lane.rate)


@dataclass(slots=True)
class _Handing:
    """A claimed batch on its way through the transports."""

    claim: Claim
    attempted: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)


def address(recipient: Recipient, unsubscribe_url: Callable[[str], str]) -> Message:
    """The message for one recipient."""
    return Message(
        delivery=recipient.delivery,
        send_key=recipient.send_key,
        email=recipient.email,
        name=recipient.name,
        unsubscribe_url=unsubscribe_url(recipient.subscriber_key),
    )


def batch_size(lanes: Sequence[Lane]) -> int:
    """How many messages a batch may have: what every transport takes, and what half a lease is enough for."""
    slowest = min(lane.rate for lane in lanes) * _LEASE.total_seconds() / 2
    return max(1, min(int(slowest), *(lane.transport.batch_size for lane in lanes)))


def _back_off(failures: int) -> timedelta:
    return min(_LONGEST_RETRY, _FIRST_RETRY * float(2 ** min(failures - 1, 20)))
