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
# In a row, with nothing accepted between, before a sender stops by itself.
_MOST_UNKNOWN, _MOST_LOST_ANSWERS, _MOST_REFUSALS = 50, 3, 10
_POLL = 0.2  # seconds between looks at what is due or held by others
_FIRST_RETRY = timedelta(seconds=2)
_LONGEST_RETRY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """What all batches of an edition share."""

    edition: int
    rendition: Callable[[str], Rendition]  # by variant
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


class _Halt(Exception):
    """The breaker has tripped, or somebody said stop: nothing more of the batch is sent."""


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
        """`wait(seconds)` pauses; `may_go_on()` is asked before each message; `patience` bounds the waiting."""
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
        self._breaker = _Breaker()
        self._told_at = clock() - timedelta(days=1)
        # By transport: when it may be used again, and how long the last pause was to be.
        self._free_at: dict[str, tuple[datetime, timedelta]] = {}

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
            if self._breaker.fault:
                return Sent(attempted=self._attempted, fault=self._breaker.fault)
            self._tell_progress()
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
            self._put_back(handing, str(fault), handing.unsettled)
        except Refused as error:
            self._put_back(handing, str(error), handing.unsettled)  # it takes none of it: what was marked did not leave
            raise
        except _Halt:
            pass  # nothing of what was announced has left
        except (Ambiguous, _LostClaim):
            return None  # what was marked stays unknown: release says so
        finally:
            self._ledger.release(claim, now=self._clock())
        return fault

    def _hand_over(self, handing: "_Handing", lane: Lane) -> None:
        def on_attempt(deliveries: Sequence[int]) -> None:
            if self._breaker.fault:
                again = [delivery for delivery in deliveries if delivery in handing.attempted]
                self._put_back(handing, self._breaker.fault, again)
                raise _Halt
            self._pace(lane, len(deliveries))
            if not self._may_go_on():  # asked for during the pause, or since the last message
                self._put_back(handing, "stopped", [one for one in deliveries if one in handing.attempted])
                raise _Halt
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
            self._breaker.note(outcomes)

        rest = [recipient for recipient in handing.claim.recipients if recipient.delivery not in handing.settled]
        if rest:
            lane.transport.send(self._address(handing.claim, rest), on_attempt, on_outcome)

    def _put_back(self, handing: "_Handing", why: str, deliveries: Sequence[int]) -> None:
        """What was marked and certainly did not leave is due again; the rest of the batch was never marked."""
        if deliveries:
            now = self._clock()
            outcomes = [Outcome(delivery=delivery, state=DeliveryState.DEFERRED, raw=why) for delivery in deliveries]
            self._ledger.settle(handing.claim, outcomes, now=now, retry_at=now)

    def _address(self, claim: Claim, recipients: Sequence[Recipient]) -> Batch:
        return Batch(
            rendition=self._mailing.rendition(claim.variant),
            letterhead=self._mailing.letterhead,
            messages=tuple(address(recipient, self._mailing.unsubscribe_url) for recipient in recipients),
        )

    def _tell_progress(self) -> None:
        """At most once a second: counting a large edition costs more than sending a batch."""
        now = self._clock()
        if abs(now - self._told_at) >= timedelta(seconds=1):
            self._told_at = now
            self._on_progress(self._ledger.counts(self._mailing.edition))

    def _pace(self, lane: Lane, messages: int) -> None:
        name = lane.transport.name
        free_at, longest = self._free_at.get(name, (self._clock(), timedelta()))
        # A clock that was stepped back must not stretch the pause beyond what the rate asks for.
        pause = min(free_at - self._clock(), longest)
        if pause > timedelta():
            self._wait(pause.total_seconds())
        interval = timedelta(seconds=messages / lane.rate)
        self._free_at[name] = (self._clock() + interval, interval)


@dataclass(slots=True)
class _Breaker:
    """Stops a sender when answers are lost, or one refusal comes back for everybody, with nothing accepted between.

    Then it is not about single readers, and going on would only lose more of them. It is asked before anything leaves,
    never in the middle of a request.
    """

    fault: str = ""
    unknown: int = 0
    lost_answers: int = 0
    refusals: int = 0
    refusal: str = ""

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Take in what one answer, or its want, said of some messages."""
        by_state = {outcome.state: outcome.raw for outcome in outcomes}
        if DeliveryState.ACCEPTED in by_state:
            self.unknown = self.lost_answers = self.refusals = 0
            return
        if (words := by_state.get(DeliveryState.UNKNOWN)) is not None:
            self.unknown += sum(outcome.state is DeliveryState.UNKNOWN for outcome in outcomes)
            self.lost_answers += 1
            if self.unknown >= _MOST_UNKNOWN or self.lost_answers >= _MOST_LOST_ANSWERS:
                self.fault = f"the answers are lost, {self.unknown} messages in a row: {words}"
        if (words := by_state.get(DeliveryState.REFUSED)) is not None:
            self.refusals = self.refusals + 1 if words == self.refusal else 1
            self.refusal = words
            if self.refusals >= _MOST_REFUSALS:
                self.fault = f"everybody is refused, {self.refusals} times in a row: {words}"


@dataclass(slots=True)
class _Handing:
    """A claimed batch on its way through the transports."""

    claim: Claim
    attempted: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)

    @property
    def unsettled(self) -> list[int]:
        """What was marked and has no outcome yet."""
        return sorted(self.attempted - self.settled)


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
