"""What all connections of one sender share: whether to go on, the waiting, the looks at the edition, what was done."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from digest.deliver.breaking import Breaker, Limits, find_excess, without_addresses
from digest.errors import StoreUnavailable
from digest.protocols import Clock, Ledger

_AT_ONCE = 0.5  # seconds of a pause before it is asked again whether to go on
_LOOK_EVERY = 1.0  # seconds between looks at the edition
_LOOK_IN_PAUSE = 10.0  # seconds between those in a long pause
_LOOK_SHARE = 20  # counting a large edition takes its time: not more than one part in so many
_STOPPING = 10.0  # seconds for which a sender that was told to stop still tries to write down what it did
_LONGEST_TRY = 5.0
_OUTAGE = 1.0  # seconds without the database after which turns are over: no more than a second's worth leaves at once
_TELL_AFTER = 4  # failures, some three seconds: a deadlock or a failover passes sooner
_STEP = timedelta(seconds=1)  # less is no step: clocks are kept right by running a little slower
A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a sender did. `fault` says why it stopped before the end, `stopped` why the edition did."""

    attempted: int = 0
    fault: str | None = None
    stopped: str | None = None
    by_lane: Mapping[str, int] = field(default_factory=dict)  # how many each took
    put_off: Mapping[str, int] = field(default_factory=dict)  # how often a message was, by the reason


class Together:
    """One sender, seen from each of its connections."""

    def __init__(
        self,
        edition: int,
        ledger: Ledger,
        *,
        clock: Clock,
        monotonic: Callable[[], float],
        wait: Callable[[float], None],
        may_go_on: Callable[[], bool],
        is_open: Callable[[], bool],
        stop_edition: Callable[[str], None],
        on_progress: Callable[[Mapping[str, int]], None],
        on_away: Callable[[StoreUnavailable | None], None],
        limits: Limits | None,
        resumed_at: datetime | None,
        connections: int,
    ) -> None:
        """See Sender."""
        self._edition, self._ledger = edition, ledger
        self._clock, self.monotonic, self._wait = clock, monotonic, wait
        self._seen = (clock(), monotonic())
        self._may_go_on, self._is_open = may_go_on, is_open
        self._stop_edition, self._on_progress, self._on_away = stop_edition, on_progress, on_away
        self._limits, self._resumed_at = limits, resumed_at
        self.breaker = Breaker(connections=connections)
        self._lock = threading.Lock()  # of what is counted
        self._looking = threading.Lock()
        self._counts_since: datetime | None = None
        self._has_counted = False
        self._counted_at = self._asked_at = float("-inf")
        self._count_every = _LOOK_EVERY
        self._closed = False  # the edition is not being sent any more
        self._is_away = False  # the database, and that was told
        self.outages = 0  # how often somebody had to wait for it
        self.error: BaseException | None = None
        self.fault: str | None = None
        self.stopped: str | None = None
        self.progressed_at = monotonic()
        self._attempted = 0
        self._by_lane, self._put_off = Counter[str](), Counter[str]()

    def now(self) -> datetime:
        """The time as the ledger is told it. It does not go back: a clock that was set back must put nothing off."""
        wall, here = self._clock(), self.monotonic()
        seen, at = self._seen
        least = seen + timedelta(seconds=here - at)
        if least - wall > _STEP:
            return least
        self._seen = (wall, here)
        return wall

    def goes_on(self) -> bool:
        """Whether anything more may leave. Costs nothing: it is asked before each message."""
        if self._closed or self.fault or self.error:
            return False
        if self.breaker.fault:
            self.halt(self.breaker.fault)
            return False
        return self._may_go_on()

    def look(self, *, now_at_least: bool = False, every: float = _LOOK_EVERY) -> None:
        """Look at the edition: is it still to be sent, how far is it, is too much refused?

        At most once in so many seconds. `now_at_least`: ask in any case whether it is still to be sent.
        """
        now = self.monotonic()
        if not now_at_least and now - self._asked_at < every:
            return
        if not self._looking.acquire(blocking=now_at_least):
            return  # another connection is looking
        try:
            self._asked_at = now
            with suppress(StoreUnavailable):  # whoever writes next meets it, too, and knows what to do
                self._closed = self._closed or not self._is_open()
                if not self._closed and now - self._counted_at >= self._count_every:
                    self._count(now)
        finally:
            self._looking.release()

    def _count(self, now: float) -> None:
        counts = self._ledger.counts(self._edition)
        self._on_progress(counts)
        excess = find_excess(counts, self._limits) if self._limits else None
        if excess and self._limits:
            if not self._has_counted:
                # Somebody has seen too high a share, and had it resumed all the same: what left before, and is still
                # bouncing, is not held against it.
                self._counts_since = self._resumed_at
            if self._counts_since:
                since = self._ledger.counts(self._edition, since=self._counts_since)
                excess = find_excess(since, self._limits)
        self._has_counted = True
        took = self.monotonic() - now
        self._counted_at, self._count_every = now, max(_LOOK_EVERY, took * _LOOK_SHARE)
        if excess:
            self.stop(f"breakers: {excess}")

    def halt(self, fault: str) -> None:
        """End this sender; the first fault is the one that is told."""
        with self._lock:
            self.fault = self.fault or without_addresses(fault)

    def fail(self, error: BaseException) -> None:
        """End this sender with an error that `run` raises; the first one counts."""
        with self._lock:
            self.error = self.error or error

    def stop(self, reason: str) -> None:
        """Stop the edition for every sender, until a person has it resumed."""
        reason = without_addresses(reason)
        with self._lock:
            if self.stopped:
                return
            self.stopped = self.fault = reason
        self.persist(lambda: self._stop_edition(reason), until=self.monotonic() + _STOPPING)

    def pause(self, seconds: float) -> bool:
        """Wait; False when nothing more may leave meanwhile."""
        while seconds > 0:
            if not self.goes_on():
                return False
            part = min(seconds, _AT_ONCE)
            self._wait(part)
            seconds -= part
            if seconds > 0:
                self.look(every=_LOOK_IN_PAUSE)  # it may last an hour, and the edition be stopped meanwhile
        return self.goes_on()

    def persist(self, act: Callable[[], A], *, until: float) -> A:
        """Write to the ledger, again and again while it cannot be reached. Raises StoreError when it stays away."""
        failures, first = 0, self.monotonic()
        while True:
            try:
                done = act()
            except StoreUnavailable as error:
                failures += 1
                if failures >= _TELL_AFTER:
                    self._note_away(error)
                began = self.monotonic()
                pause = min(_LONGEST_TRY, 0.1 * 2.0 ** min(failures, 10))
                last = until if self.goes_on() else min(until, first + _STOPPING)
                if began + pause > last:
                    raise
                self._wait(pause)
                if self.monotonic() < began + pause / 2:
                    time.sleep(pause)  # a pause ends at once when somebody says stop; the database is not back by that
            else:
                if failures and self.monotonic() - first >= _OUTAGE:
                    with self._lock:
                        self.outages += 1
                if self._is_away:
                    self._note_away(None)
                return done

    def _note_away(self, error: StoreUnavailable | None) -> None:
        """Tell that the database does not answer, or (None) that it does again; once for all connections."""
        with self._lock:
            is_news, self._is_away = self._is_away == (error is None), error is not None
        if is_news:
            self._on_away(error)

    def note_attempts(self, count: int) -> None:
        """So many messages were marked."""
        with self._lock:
            self._attempted += count

    def note_taken(self, lane: str, count: int) -> None:
        """A lane took so many messages."""
        with self._lock:
            self._by_lane[lane] += count
        self.progressed_at = self.monotonic()

    def note_put_off(self, why: str, count: int) -> None:
        """So many messages of a claimed batch wait for a reason of ours."""
        with self._lock:
            self._put_off[why] += count
        self.progressed_at = self.monotonic()

    def sum_up(self) -> Sent:
        """What was done."""
        return Sent(
            attempted=self._attempted,
            fault=self.fault,
            stopped=self.stopped,
            by_lane=dict(self._by_lane),
            put_off=dict(self._put_off),
        )
