"""The ways out: transports in order of preference, how fast each may be used, and which of them rests now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from threading import Lock

from digest.models import Letterhead, Message, Recipient, Rendition
from digest.protocols import Transport

LEASE = timedelta(minutes=10)
_LONGEST_SPAN = 60.0  # seconds: a batch may have to wait for so long


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """What all batches of an edition share."""

    edition: int
    rendition: Callable[[str], Rendition]  # by variant
    letterhead: Letterhead
    unsubscribe_url: Callable[[str], str]  # a subscriber's key → the reader's own link
    zones: Mapping[str, datetime] = field(default_factory=dict)  # when those are due who wait for a time of their own
    news_until: Mapping[str, datetime] = field(default_factory=dict)  # by zone, "" of who has none; else for ever

    def find_late(self, now: datetime) -> list[str]:
        """The zones for whose readers it is no news any more: nothing of them is claimed."""
        return [zone for zone, until in self.news_until.items() if now > until]

    def letterhead_of(self, timezone: str | None) -> Letterhead:
        """Dated when it was due for those readers, where that is later: a mail of yesterday would look like spam."""
        due_at = self.zones.get(timezone) if timezone else None
        if due_at is None or due_at <= self.letterhead.dated_at:
            return self.letterhead
        return replace(self.letterhead, dated_at=due_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """A ceiling for each day that grows, until the day whose ceiling would be above `until`: then there is none."""

    start: date
    first: int
    growth: float
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Why a lane is not used now, and until when, as the process's own clock counts (monotonic seconds)."""

    until: float
    why: str
    is_planned: bool = False  # the operator's own rate asks for it: worth waiting for
    is_named: bool = False  # the provider says until when: worth waiting for, within limits


class Health:
    """How a lane does. For all threads of a process, and for as long as the lane is there."""

    def __init__(self) -> None:
        """Well."""
        self._lock = Lock()
        self._failures = 0  # in a row
        self._rest: Rest | None = None
        self._taking: set[object] = set()  # the connections whose last message it took
        self._crowded = 0  # how often one connection was too many, since it rested
        self._no_more_until = float("-inf")

    def note_success(self, connection: object = None) -> None:
        """It took a message, over that connection."""
        self._failures = 0
        self._taking.add(connection)

    def note_failure(
        self, why: str, now: float, *, wait_seconds: float | None = None, connection: object = None
    ) -> bool:
        """It took nothing: it rests for as long as it asks for, else longer each time.

        True when it does not rest, since it takes messages over other connections: then that one is too many, and no
        other is to be opened for a while.
        """
        with self._lock:
            self._taking.discard(connection)
            if self._rest and self._rest.until > now:
                return False  # another connection has met the same failure
            if self._taking and wait_seconds is None:
                if now >= self._no_more_until:
                    self._crowded += 1
                    self._no_more_until = now + back_off(self._crowded, first=_FEWER_FOR).total_seconds()
                return True
            self._failures += 1
            pause = back_off(self._failures).total_seconds() if wait_seconds is None else max(0.0, wait_seconds)
            self._rest = Rest(until=now + pause, why=why, is_named=wait_seconds is not None)
            # It was no crowd, then: none got through.
            self._crowded, self._no_more_until = 0, float("-inf")
            return False

    def leave(self, connection: object) -> None:
        """That connection is not used any more."""
        self._taking.discard(connection)

    def takes_more(self, now: float) -> bool:
        """Whether one more connection may be opened: none was too many lately."""
        return now >= self._no_more_until

    def rest(self, rest: Rest) -> None:
        """Leave it alone for a while."""
        with self._lock:
            self._rest = rest

    def resting(self, now: float) -> Rest | None:
        """Why it is not used now, if it is not."""
        rest = self._rest
        return rest if rest and rest.until > now else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A transport and how it may be used. `transport` is its first connection; `connect` makes the others."""

    transport: Transport
    rate: float  # messages a second
    key: str = ""  # by which all processes know it; "": the transport's name
    label: str = ""  # as deliveries name it; "": the transport's name
    connect: Callable[[], Transport] | None = None
    connections: int = 1
    is_by_request: bool = False  # its messages leave in requests of many, which its provider queues
    per_hour: int | None = None
    per_domain: float | None = None  # messages a second to one recipient domain
    domains: Mapping[str, float] = field(default_factory=dict)  # of single domains, folded
    warm_up: WarmUp | None = None
    health: Health = field(default_factory=Health, compare=False, repr=False)

    @property
    def name(self) -> str:
        """As processes count it, and as reports call it."""
        return self.key or self.transport.name

    @property
    def at_once(self) -> int:
        """How many messages may leave together: a request, or a second's worth of what leaves one by one."""
        return (
            self.transport.batch_size if self.is_by_request else max(1, min(int(self.rate), self.transport.batch_size))
        )

    @property
    def span_seconds(self) -> float:
        """How much of a domain's rate may leave together: a second's worth; in a request, until the next may leave."""
        if not self.is_by_request:
            return 1.0
        return max(1.0, min(self.transport.batch_size / self.rate, _LONGEST_SPAN))


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
    """How many messages a batch may have: what every transport takes, and what half a lease is enough for.

    And, but for requests, what the first lane takes in a second: of a longer batch, those of a large domain would be
    put off, to be mailed alone in the end, at that domain's pace, while the lane could have sent others between them.
    """
    slowest = min(lane.rate / lane.connections for lane in lanes) * LEASE.total_seconds() / 2
    hourly = min((lane.per_hour for lane in lanes if lane.per_hour), default=None)
    sizes: list[int] = [
        lanes[0].at_once,
        int(slowest),
        *(lane.transport.batch_size for lane in lanes),
        *([hourly] if hourly else ()),
    ]
    return max(1, min(sizes))


_FIRST_RETRY = timedelta(seconds=2)
_LONGEST_RETRY = timedelta(minutes=15)
_FEWER_FOR = timedelta(minutes=1)


def back_off(failures: int, *, first: timedelta = _FIRST_RETRY) -> timedelta:
    """How long to leave alone what failed so often in a row. Pure."""
    return min(_LONGEST_RETRY, first * float(2 ** min(failures - 1, 20)))
