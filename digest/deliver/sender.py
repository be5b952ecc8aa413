"""One sender of one edition: claims batch after batch, on as many connections as its lane has and batches wait."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar

from digest.deliver.breaking import Limits
from digest.deliver.handing import Connection
from digest.deliver.lanes import LEASE, Lane, Mailing, Rest
from digest.deliver.pacing import Pacing
from digest.deliver.slots import Slot
from digest.deliver.together import Sent, Together
from digest.errors import Refused, StoreError, StoreUnavailable
from digest.models import Claim, Owner
from digest.protocols import Clock, Ledger, Rates

_POLL = 0.2  # seconds between looks at what is due or held by others
_RECOVER_EVERY = 1.0
_RESET_WITHIN = 300.0  # seconds without progress for which resets are waited for: most limits are by the minute


A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What came of one batch's turn."""

    is_taken: bool = False  # there was a batch
    again_after: float | None = None  # seconds: nothing can be sent before
    why: str = ""  # nothing can
    fault: str | None = None  # this sender has ended


class Sender:
    """One sender of one edition: to be run once, or asked for one batch after the other."""

    def __init__(
        self,
        mailing: Mailing,
        ledger: Ledger,
        rates: Rates,
        lanes: Sequence[Lane],
        owner: Owner,
        *,
        clock: Clock,
        monotonic: Callable[[], float],
        wait: Callable[[float], None],
        may_go_on: Callable[[], bool],
        is_open: Callable[[], bool] = lambda: True,
        stop_edition: Callable[[str], None] = lambda _: None,
        on_progress: Callable[[Mapping[str, int]], None] = lambda _: None,
        on_long_wait: Callable[[str, datetime], None] = lambda _why, _until: None,
        on_away: Callable[[StoreUnavailable | None], None] = lambda _: None,
        limits: Limits | None = None,
        resumed_at: datetime | None = None,
        patience: timedelta = timedelta(seconds=15),
        waits_for_rates: bool = True,
        zone: tzinfo = UTC,
    ) -> None:
        """`wait(seconds)` pauses a thread; `patience` bounds how long a run waits for what is no rate of ours.

        With `waits_for_rates` it waits for as long as an hourly rate asks; else it leaves that to a later run.

        `may_go_on()` is asked before each message; `is_open()`, whether the edition is still to be sent, before each
        batch and each second; `stop_edition(reason)` stops it for every sender. `on_progress` hears of deliveries by
        state, at most once a second, from whichever thread; `on_long_wait`, in the thread of `run`, why and until when
        nothing is sent; `on_away`, in whichever, of a ledger that has not answered for some seconds, and (None) that it
        does again. `resumed_at`: when a person had the edition go on after a stop.
        """
        self._mailing, self._ledger, self._lanes, self._owner = mailing, ledger, lanes, owner
        self._patience = patience.total_seconds()
        self._waits_for_rates, self._on_long_wait = waits_for_rates, on_long_wait
        self._together = Together(
            mailing.edition,
            ledger,
            clock=clock,
            monotonic=monotonic,
            wait=wait,
            may_go_on=may_go_on,
            is_open=is_open,
            stop_edition=stop_edition,
            on_progress=on_progress,
            on_away=on_away,
            limits=limits,
            resumed_at=resumed_at,
            connections=max((lane.connections for lane in lanes), default=1),
        )
        self._pacing = Pacing(rates, self._together, zone)
        self._lock = threading.Lock()  # of what follows
        self._threads: dict[int, threading.Thread] = {}
        self._recovered_at = float("-inf")
        self._unsure: set[int] = set()  # by whom something may be held that nobody works on

    def run(self) -> Sent:
        """Send until nothing is left that can be sent now, or something says stop. Raises StoreError.

        The first connection is this thread's; each further one has a thread of its own, for as long as batches wait.
        """
        try:
            self._try(0)
        finally:
            while True:
                with self._lock:
                    threads = list(self._threads.values())
                if not threads:
                    break
                for thread in threads:
                    thread.join()
        if self._together.error:
            raise self._together.error
        return self._together.sum_up()

    def send_one(self, slot: Slot) -> Turn:
        """Hand over one batch, whichever is due, by the connections of a slot. Raises StoreError.

        From several threads, each with a slot of its own. It does not wait for what rests: it says until when.
        """
        together = self._together
        together.look(now_at_least=True)
        if not together.goes_on():
            return Turn(fault=together.fault)
        rest = self._blocked(slot.number)
        if rest is not None:
            return Turn(again_after=max(_POLL, rest.until - together.monotonic()), why=rest.why)
        self._free_unsure()
        try:
            claim, held_until = self._claim(slot.number)
            if claim is None:
                return Turn(fault=together.fault)
            connection = Connection(slot.number, self._mailing, self._ledger, self._lanes, together, self._pacing, slot)
            connection.send(claim, held_until)
        except Refused as error:
            together.halt(str(error))
        except StoreError:
            with self._lock:
                self._unsure.add(slot.number)
            raise
        together.goes_on()  # what has come apart over this batch is known before the next
        return Turn(is_taken=True, fault=together.fault)

    def _free_unsure(self) -> None:
        """Free what could not be let go of when the database failed: this process lives on, and nobody else may."""
        with self._lock:  # until it is done: the next batch of that slot is not to be freed
            for number in sorted(self._unsure):
                self._ledger.recover(self._mailing.edition, now=self._together.now(), idle=self._name_owner(number))
                self._unsure.discard(number)

    def _name_owner(self, number: int) -> Owner:
        return replace(self._owner, name=f"{self._owner.name}-{number}")

    @property
    def goes_on(self) -> bool:
        """Whether it may be asked for more."""
        return self._together.goes_on()

    def leaves_late(self) -> bool:
        """Whether something waits that is not sent, for it is no news any more: somebody is to give it up."""
        late = set(self._mailing.find_late(self._together.now()))
        news = [zone for zone in self._mailing.news_until if zone not in late]
        return bool(late) and self._ledger.next_due(self._mailing.edition, besides=news) is not None

    def _try(self, number: int) -> None:
        """One connection's life; what goes wrong in it ends all of them."""
        together = self._together
        connection = Connection(number, self._mailing, self._ledger, self._lanes, together, self._pacing)
        try:
            self._work(number, connection)
        except Refused as error:
            together.halt(str(error))
        except BaseException as error:
            together.fail(error)
            if number == 0:
                raise
        finally:
            connection.close()
            with self._lock:
                self._threads.pop(number, None)

    def _work(self, number: int, connection: Connection) -> None:
        together = self._together
        while True:
            together.look(now_at_least=True)
            if not together.goes_on():
                return
            rest = self._blocked(number)
            if rest is not None:
                if number or not self._outwait(rest):
                    return
                continue
            claim, held_until = self._claim(number)
            if claim is not None:
                self._call_others()
                connection.send(claim, held_until)
                if connection.crowded and number:
                    return
                if connection.crowded:
                    self._sit_out(connection.crowded)
                continue
            if number or not self._is_worth_waiting():
                return
            together.pause(_POLL)

    def _claim(self, number: int) -> tuple[Claim | None, float]:
        """The next batch, and until when it is ours at most (monotonic seconds)."""
        together, edition = self._together, self._mailing.edition
        owner = self._name_owner(number)
        until = together.monotonic() + LEASE.total_seconds()
        tries, asked_at = 0, together.monotonic()

        def recover_and_claim() -> Claim | None:
            nonlocal tries, asked_at
            now, asked_at, tries = together.now(), together.monotonic(), tries + 1
            if tries > 1:
                # The answer was lost: what was claimed all the same, nobody works on.
                self._ledger.recover(edition, now=now, idle=owner)
            elif number == 0 and together.monotonic() - self._recovered_at >= _RECOVER_EVERY:
                self._ledger.recover(edition, now=now)
                self._recovered_at = together.monotonic()
            late = self._mailing.find_late(now)  # the scheduler gives it up within a minute, not at once
            return self._ledger.claim(edition, owner, lease_until=now + LEASE, now=now, besides=late)

        claim = together.persist(recover_and_claim, until=until)
        return claim, asked_at + LEASE.total_seconds()

    def _blocked(self, number: int) -> Rest | None:
        """Why this connection has nothing to do now; the rest that ends first."""
        now, rests = self._together.monotonic(), []
        for lane in self._lanes:
            if (rest := lane.health.resting(now)) is None:
                # The first lane that may be used says how many connections there are.
                return None if number < lane.connections else Rest(until=now, why="its lane has fewer connections")
            rests.append(rest)
        return min(rests, key=lambda rest: rest.until)

    def _sit_out(self, lane: Lane) -> None:
        """Leave the lane to the other connections, while it has no room for the first one."""
        while self._threads and not lane.health.takes_more(self._together.monotonic()):
            if not self._together.pause(_POLL):
                return

    def _outwait(self, rest: Rest) -> bool:
        """Wait for a lane to be used again; False when that is too long."""
        together, now = self._together, self._together.monotonic()
        if self._next_due_in() is None and not self._is_at_work():
            return False  # nothing is left for which to wait
        is_waited_for = rest.is_planned and self._waits_for_rates
        patience = max(self._patience, _RESET_WITHIN) if rest.is_named else self._patience
        if not is_waited_for and rest.until - together.progressed_at > patience:
            together.halt(rest.why)
            return False
        if is_waited_for and rest.until - now > self._patience:
            self._on_long_wait(rest.why, together.now() + timedelta(seconds=rest.until - now))
        return together.pause(max(0.0, rest.until - now))

    def _is_worth_waiting(self) -> bool:
        """Whether something is due soon, or others are at work: what they leave behind is ours to finish."""
        together = self._together
        if self._is_at_work():
            return True
        if (due := self._next_due_in()) is None:
            return False
        now = together.monotonic()
        return now + due <= max(together.progressed_at + self._patience, self._pacing.busy_until)

    def _next_due_in(self) -> float | None:
        """Seconds until the next batch may be claimed; None when none is left."""
        due = self._read(self._next_due)
        return None if due is None else (due - self._together.now()).total_seconds()

    def _next_due(self) -> datetime | None:
        late = self._mailing.find_late(self._together.now())
        return self._ledger.next_due(self._mailing.edition, besides=late)

    def _is_at_work(self) -> bool:
        """Whether anybody holds a batch: another process, or another connection."""
        return self._read(lambda: self._ledger.leased_until(self._mailing.edition)) is not None

    def _read(self, ask: Callable[[], A]) -> A:
        return self._together.persist(ask, until=self._together.monotonic() + LEASE.total_seconds())

    def _call_others(self) -> None:
        """Start one more connection, when the lane has one and a batch is waiting for it."""
        now = self._together.monotonic()
        lane = next((lane for lane in self._lanes if lane.health.resting(now) is None), None)
        if lane is None or lane.connections == 1 or not lane.health.takes_more(now):
            return
        with self._lock:
            number = next((n for n in range(1, lane.connections) if n not in self._threads), None)
            if number is None:
                return
            # Not again and again, with a batch in hand: the next time will do.
            with suppress(StoreError):
                due_at = self._next_due()
                if due_at is not None and due_at <= self._together.now():
                    self._start(number)

    def _start(self, number: int) -> None:
        thread = threading.Thread(target=self._try, args=(number,), name=f"digest-send-{number}")
        self._threads[number] = thread
        try:
            thread.start()
        except RuntimeError:  # the system gives us no more: those that there are do it alone
            del self._threads[number]
