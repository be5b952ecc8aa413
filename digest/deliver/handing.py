"""One connection's work: a claimed batch through the lanes, and what came of it into the ledger."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from digest.deliver.lanes import Lane, Mailing, address, back_off
from digest.deliver.pacing import Pacing
from digest.deliver.slots import Slot
from digest.deliver.together import Together
from digest.deliver.turns import Timed, cut, delay
from digest.errors import Ambiguous, PolicyRefused, Refused, StoreError, Unavailable
from digest.models import Batch, Claim, DeliveryState, Outcome, Recipient
from digest.protocols import Ledger, Transport

# No transport takes longer over what it has announced (SMTP a message, SendGrid a request; their own deadlines are at
# most three minutes): with less than that left of a lease nothing is begun.
LONGEST_SEND = timedelta(minutes=4)
_DEFERRED, _ACCEPTED = DeliveryState.DEFERRED, DeliveryState.ACCEPTED
A = TypeVar("A")
_SHORT = 0.001  # seconds: a pause that is not worth the call


class _LostClaim(Exception):
    """The batch belongs to somebody else by now: nothing of it may be sent."""


class _Halt(Exception):
    """Nothing more of the batch is sent: the sender stops, or the lease ends soon."""


@dataclass(slots=True)
class _Handing:
    """A claimed batch on its way through the lanes."""

    claim: Claim
    begin_until: float  # when the last message may be begun (monotonic seconds)
    held_until: float  # when the lease ends
    outages: int  # of the database's, before its turns were taken
    marks: int = 0  # with those that were marked again, for another lane
    attempted: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    unwritten: list[Outcome] = field(default_factory=list)  # known here, not yet in the ledger: one message's at most

    @property
    def unsettled(self) -> list[int]:
        """What was marked and has no outcome yet."""
        return sorted(self.attempted - self.settled)


class Connection:
    """One connection to each lane, and who claims batches for it. For one thread."""

    def __init__(
        self,
        number: int,
        mailing: Mailing,
        ledger: Ledger,
        lanes: Sequence[Lane],
        together: Together,
        pacing: Pacing,
        slot: Slot | None = None,
    ) -> None:
        """Connects to nothing. `number` counts from 0: a lane with two connections has 0 and 1.

        By the transports of a `slot`, which stay open for others; else by the lanes' own, and what is opened here.
        """
        self._number = number
        self._slot = slot
        self._mailing, self._ledger, self._lanes = mailing, ledger, lanes
        self._together, self._pacing = together, pacing
        self._opened: dict[int, Transport] = {} if slot is None else slot.transports  # by the place of the lane
        self._who = slot or self  # by whom a lane's health knows this way to it
        self.crowded: Lane | None = None  # the lane that had no room for this connection, and has for others

    def close(self) -> None:
        """Let go of what was opened for this connection alone."""
        if self._slot is not None:
            return
        for lane in self._lanes:
            lane.health.leave(self)
        for transport in self._opened.values():
            transport.close()
        self._opened.clear()

    def send(self, claim: Claim, held_until: float) -> None:
        """Hand one batch over, to each lane in turn until one takes it. Raises Refused, StoreError.

        `held_until` is when its lease ends, by this process's own clock (monotonic seconds). What no lane takes now is
        due again, at once or when one may be used again.
        """
        outages = self._together.outages
        handing = _Handing(claim, held_until - LONGEST_SEND.total_seconds(), held_until, outages)
        left: Sequence[Recipient] = claim.recipients
        self.crowded = None
        try:
            for place, lane in enumerate(self._lanes):
                now = self._together.monotonic()
                if not left or self._number >= lane.connections:
                    continue
                if lane.health.resting(now) is not None:
                    continue
                try:
                    left = self._send_by(place, handing, left)
                except Unavailable as error:
                    now = self._together.monotonic()
                    is_crowded = lane.health.note_failure(
                        str(error), now, wait_seconds=error.wait_seconds, connection=self._who
                    )
                    # At once: a request of many that is still marked would be unknown, when it ends with the next lane.
                    is_last = place == len(self._lanes) - 1 and not is_crowded
                    pause = error.wait_seconds if is_last else None
                    self._put_back(handing, str(error), handing.unsettled, after=pause or 0.0)
                    if is_crowded:
                        self.crowded = lane
                        break  # the rest is for the other connections, and not for the next lane
                    left = [one for one in left if one.delivery not in handing.settled]
        except Refused as error:
            self._put_back(handing, str(error), handing.unsettled)  # it takes none of it: what was marked did not leave
            if not isinstance(error, PolicyRefused):
                raise
            self._together.stop(f"policy: {error}")
        except _Halt:
            pass  # nothing of what was announced has left
        except (Ambiguous, _LostClaim):
            pass  # what was marked stays unknown: release says so
        finally:
            self._let_go(handing)

    def _send_by(self, place: int, handing: _Handing, recipients: Sequence[Recipient]) -> Sequence[Recipient]:
        """By one lane: as many as it has room for now; returns those who are left. Raises TransportError."""
        lane, until = self._lanes[place], handing.held_until
        room, give_back = self._pacing.take_of_day(lane, len(recipients), until=until)
        before = handing.marks
        try:
            admission = self._pacing.admit(lane, recipients[:room], until=until)
            left: list[Recipient] = list(recipients[room:])
            self._postpone(handing, admission.late, admission.late_until)
            late = 0.0
            for part in cut(admission.timed, lane.at_once, span_seconds=lane.span_seconds):
                slice_, late = delay(part, self._together.monotonic(), late)
                left += self._send_slice(place, handing, slice_)
            self._flush(handing)
        finally:
            with suppress(StoreError):  # then the day has a few messages less
                give_back(room - (handing.marks - before))
        return left

    def _send_slice(self, place: int, handing: _Handing, slice_: Sequence[Timed]) -> list[Recipient]:
        """What leaves together; returns those for whom the hour has no room."""
        lane, until = self._lanes[place], handing.held_until
        self._together.look()
        self._require(handing)
        if handing.unwritten and lane.per_hour is not None:
            self._flush(handing)
        count = self._pacing.take_of_hour(lane, len(slice_), until=until)
        going, before = slice_[:count], handing.marks
        if going:
            start = self._pacing.take_turns(lane, count, until=until)
            handing.outages = self._together.outages
            if start is None:
                raise _Halt  # its turn comes too late for this lease
            if lane.is_by_request:  # it leaves with the first: the rest are due before the next one leaves
                due = dict.fromkeys((one.recipient.delivery for one in going), max(start, going[0].due))
            else:
                due = {one.recipient.delivery: max(one.due, start + n / lane.rate) for n, one in enumerate(going)}
            try:
                self._hand_over(place, handing, [one.recipient for one in going], due)
            finally:
                with suppress(StoreError):
                    unused = count - (handing.marks - before)
                    self._pacing.give_back_of_hour(lane, unused, until=until)
        return [one.recipient for one in slice_[count:]]

    def _hand_over(
        self, place: int, handing: _Handing, recipients: Sequence[Recipient], due: Mapping[int, float]
    ) -> None:
        lane, together, claim = self._lanes[place], self._together, handing.claim
        transport = self._open(place)

        def on_attempt(deliveries: Sequence[int]) -> None:
            try:
                self._wait(handing, due[deliveries[0]] if len(deliveries) == 1 else max(due[d] for d in deliveries))
                self._require(handing)
            except _Halt:
                again = [delivery for delivery in deliveries if delivery in handing.attempted]
                self._put_back(handing, together.fault or "the sender stopped", again)
                raise
            self._mark(handing, deliveries, lane.label or transport.name)

        def on_outcome(outcomes: Sequence[Outcome]) -> None:
            handing.unwritten += outcomes
            handing.settled.update([outcome.delivery for outcome in outcomes])
            together.breaker.note(outcomes)
            accepted = sum(outcome.state is _ACCEPTED for outcome in outcomes)
            if accepted:
                lane.health.note_success(self._who)
                together.note_taken(lane.name, accepted)

        transport.send(self._address(claim, recipients), on_attempt, on_outcome)

    def _require(self, handing: _Handing) -> None:
        """Raise _Halt when nothing more may be begun."""
        if not self._together.goes_on() or self._is_late(handing):
            raise _Halt

    def _is_late(self, handing: _Handing) -> bool:
        """Whether too little is left of the lease; by both clocks: one stands still while the machine is suspended.

        Or its turns are over, since the database was away meanwhile: all connections that waited for it would catch up
        at once, and be faster together than their lane.
        """
        if handing.outages != self._together.outages:
            return True
        until = handing.claim.lease_until - LONGEST_SEND
        return self._together.monotonic() >= handing.begin_until or self._together.now() >= until

    def _wait(self, handing: _Handing, due: float) -> None:
        """Until a message is due; what is known of the one before is written first."""
        pause = due - self._together.monotonic()
        if pause < _SHORT:
            return
        self._flush(handing)
        self._together.look()
        if not self._together.pause(pause):
            raise _Halt

    def _mark(self, handing: _Handing, deliveries: Sequence[int], transport: str) -> None:
        """Write down what is about to leave, together with what is known of those before. Raises _LostClaim."""
        settled = tuple(handing.unwritten)
        if not self._write(
            handing,
            lambda now: self._ledger.mark(
                handing.claim, deliveries, transport, now=now, settled=settled, retry_at=self._retry_at(handing, now)
            ),
        ):
            # The outcomes may have been written, and may not; if the batch is still ours, they are now.
            raise _LostClaim
        handing.unwritten.clear()
        handing.attempted.update(deliveries)
        handing.marks += len(deliveries)
        self._together.note_attempts(len(deliveries))
        # It may have taken long, or the process or the whole machine was stopped meanwhile.
        if self._is_late(handing):
            self._put_back(handing, "its turn was over before it left", deliveries)
            raise _Halt

    def _flush(self, handing: _Handing) -> None:
        """Write down what is known. Raises _LostClaim."""
        if not self._settle(handing, handing.unwritten, lambda now: self._retry_at(handing, now)):
            raise _LostClaim
        handing.unwritten.clear()

    def _settle(self, handing: _Handing, outcomes: Sequence[Outcome], retry_at: Callable[[datetime], datetime]) -> bool:
        return not outcomes or self._write(
            handing,
            lambda now: self._ledger.settle(handing.claim, tuple(outcomes), now=now, retry_at=retry_at(now)),
        )

    def _put_back(self, handing: _Handing, why: str, deliveries: Sequence[int], *, after: float = 0.0) -> None:
        """What was marked and certainly did not leave is due again; the rest of the batch was never marked.

        When the batch is not ours any more, whoever has it now knows all that there is to know.
        """
        with suppress(_LostClaim):
            self._flush(handing)  # first, for the last one written says when those who are put off are due
        outcomes = [Outcome(delivery=delivery, state=_DEFERRED, raw=why) for delivery in deliveries]
        pause = timedelta(seconds=after)
        self._settle(handing, outcomes, lambda now: now + pause)
        handing.settled.update(deliveries)

    def _postpone(self, handing: _Handing, recipients: Sequence[Recipient], due_at: datetime | None) -> None:
        if recipients and due_at:
            deliveries = [recipient.delivery for recipient in recipients]
            if not self._write(
                handing, lambda now: self._ledger.postpone(handing.claim, deliveries, due_at=due_at, now=now)
            ):
                raise _LostClaim
            handing.settled.update(deliveries)  # they are of another batch now
            self._together.note_put_off(
                "put off for a while, for their domains take no more at a time", len(deliveries)
            )

    def _let_go(self, handing: _Handing) -> None:
        """End the claim: what is known is written, whatever went wrong before."""
        try:
            with suppress(_LostClaim):
                self._flush(handing)
        finally:
            self._write(handing, lambda now: self._ledger.release(handing.claim, now=now))

    def _write(self, handing: _Handing, act: Callable[[datetime], A]) -> A:
        """Into the ledger, again while it cannot be reached and the lease lasts. Raises StoreError."""
        return self._together.persist(lambda: act(self._together.now()), until=handing.held_until)

    @staticmethod
    def _retry_at(handing: _Handing, now: datetime) -> datetime:
        return now + back_off(handing.claim.attempt)

    def _open(self, place: int) -> Transport:
        """This connection's transport of a lane."""
        lane = self._lanes[place]
        if lane.connect is None or (self._number == 0 and self._slot is None):
            return lane.transport
        if place not in self._opened:
            self._opened[place] = lane.connect()
        return self._opened[place]

    def _address(self, claim: Claim, recipients: Sequence[Recipient]) -> Batch:
        return Batch(
            rendition=self._mailing.rendition(claim.variant),
            letterhead=self._mailing.letterhead_of(claim.timezone),
            messages=tuple([address(recipient, self._mailing.unsubscribe_url) for recipient in recipients]),
        )
