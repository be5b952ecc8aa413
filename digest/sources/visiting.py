"""Visits to one address, again and again: ask for what changed, follow what has moved, come back when asked to.

    cursor ──> where to ask, with which conditions ──> answer ──> unchanged | document, and the next cursor

The cursor is what one visit leaves for the next, as text: `etag`, `last_modified` and `hash` of the last document, `at`
when it came, `moved_to` and `moved` for a redirect that calls itself permanent and how often it was met, and `feed`
for the feed that a page was found to advertise.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from yarl import URL

from digest.errors import SourceError
from digest.models import Collected
from digest.protocols import Clock, Fetch, Request, Response

# Some servers answer 304 for ever: after so long the whole document is asked for, without conditions.
_LONGEST_TRUST: Final = timedelta(days=3)
_VISITS_BEFORE_MOVING: Final = 3  # a site that was moved by mistake is usually back by then
_LONGEST_FRESHNESS: Final = timedelta(hours=12)  # beyond it a daily edition would miss a day

FOUND: Final = "feed"

Cursor = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """What a visit brought: no response when nothing changed since the last one."""

    response: Response | None
    cursor: dict[str, str]
    fresh_for: timedelta = timedelta()  # how long the server says that nothing new is to be had


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Asks for one address, as its last visits went."""

    url: str = field(repr=False)  # may carry a token
    fetch: Fetch = field(repr=False)
    clock: Clock = field(repr=False)
    accept: str
    limit: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    obeys_robots: bool = False

    def at(self, url: str) -> "Visitor":
        """The same for an address that this one leads to; another site does not get the operator's headers."""
        return self if url == self.url else replace(self, url=url, headers=self._headers_for(url))

    async def visit(self, cursor: Cursor) -> Visited:
        """Ask once, at the new address of a document that has moved. Raises SourceError."""
        return await self._ask(cursor["moved_to"] if _has_moved(cursor) else self.url, cursor)

    async def _ask(self, url: str, cursor: Cursor) -> Visited:
        conditions = self._conditions(cursor)
        response = await self.fetch(
            Request(
                url=url,
                headers={"accept": self.accept} | self._headers_for(url) | conditions,
                limit=self.limit,
                obeys_robots=self.obeys_robots,
            )
        )
        fresh_for = read_freshness(response.headers)
        moved = self._note_move(url, response, cursor)
        if response.status == 304:
            if not conditions:
                raise SourceError("visit", "it says that nothing changed since a visit that never was")
            return Visited(response=None, cursor=without_move(cursor) | moved, fresh_for=fresh_for)
        found = self._read_validators(response) | moved
        is_same = cursor.get("hash") == found["hash"]
        return Visited(response=None if is_same else response, cursor=found, fresh_for=fresh_for)

    def _headers_for(self, url: str) -> dict[str, str]:
        """The operator's headers, which may be secret: another site does not get them."""
        is_ours = URL(url).origin() == URL(self.url).origin()
        return {name.lower(): value for name, value in self.headers.items()} if is_ours else {}

    def _conditions(self, cursor: Cursor) -> dict[str, str]:
        """RFC 9110 §13; none when the last whole document is old."""
        at = cursor.get("at")
        if not at or self.clock() - datetime.fromisoformat(at) > _LONGEST_TRUST:
            return {}
        conditions = {"if-none-match": cursor.get("etag"), "if-modified-since": cursor.get("last_modified")}
        return {name: value for name, value in conditions.items() if value}

    def _read_validators(self, response: Response) -> dict[str, str]:
        now = self.clock()
        found = {
            "etag": response.headers.get("etag"),
            "last_modified": _unless_future(response.headers.get("last-modified"), now),
            "hash": hashlib.blake2b(response.body, digest_size=16).hexdigest(),
            "at": now.isoformat(),
        }
        return {name: value for name, value in found.items() if value}

    def _note_move(self, url: str, response: Response, cursor: Cursor) -> dict[str, str]:
        """A permanent redirect is believed when it was the same several times; then its target is asked directly."""
        if url != self.url:  # asked there already: it stays, or goes on to where that has moved
            return {"moved_to": response.moved_to or url, "moved": cursor.get("moved", "0")}
        if not response.moved_to:
            return {}
        times = int(cursor.get("moved", "0")) if cursor.get("moved_to") == response.moved_to else 0
        return {"moved_to": response.moved_to, "moved": str(times + 1)}


async def collect_as(source: str, collect: Callable[[Cursor], Awaitable[Collected]], cursor: Cursor) -> Collected:
    """Collect as the last visits went; when they led elsewhere and that fails, once more from the configured address.

    What fails is said of the source. Raises SourceError, and nothing else.
    """
    try:
        try:
            return await collect(cursor)
        except SourceError as error:
            if error.wait_seconds is not None or not (FOUND in cursor or _has_moved(cursor)):
                raise
            return await collect({})
    except SourceError as error:
        raise error.about(source) from error.__cause__


def without_move(cursor: Cursor) -> dict[str, str]:
    """The cursor without what it says of a move."""
    return {name: value for name, value in cursor.items() if name not in {"moved_to", "moved"}}


def without_validators(cursor: Cursor) -> dict[str, str]:
    """The cursor without what would let a server, or us, call the document unchanged."""
    return {name: value for name, value in cursor.items() if name not in {"etag", "last_modified", "hash", "at"}}


def _has_moved(cursor: Cursor) -> bool:
    return "moved_to" in cursor and int(cursor.get("moved", "0")) >= _VISITS_BEFORE_MOVING


def read_freshness(headers: Mapping[str, str]) -> timedelta:
    """How long an answer stays fresh by its own words (RFC 9111 §4.2), at most half a day."""
    directives: dict[str, str] = {}
    for part in headers.get("cache-control", "").lower().split(","):
        name, _, value = part.strip().partition("=")
        directives[name] = value.strip(' "')
    if directives.keys() & {"no-cache", "no-store"}:
        return timedelta()
    if "max-age" in directives:
        age = directives["max-age"]
        seconds = float(age[:9]) if age.isdecimal() else 0.0
    else:
        seconds = _seconds_between(headers.get("date"), headers.get("expires"))
    return min(timedelta(seconds=max(0.0, seconds)), _LONGEST_FRESHNESS)


def _seconds_between(start: str | None, end: str | None) -> float:
    try:
        return (parsedate_to_datetime(end or "") - parsedate_to_datetime(start or "")).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def _unless_future(value: str | None, now: datetime) -> str | None:
    """A document "modified" tomorrow would be unchanged until then. What is no date is for the server to understand."""
    try:
        is_future = value is not None and parsedate_to_datetime(value) > now
    except (ValueError, TypeError):
        is_future = False
    return None if is_future else value
