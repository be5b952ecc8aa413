"""The `feed` source: an RSS, Atom, RDF or JSON Feed document on the web, or a page that advertises one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from digest.errors import SourceError
from digest.models import Collected, Feed
from digest.protocols import Clock, Fetch, Response
from digest.sources.discovery import choose_feed
from digest.sources.parsing import parse_feed, sniff
from digest.sources.visiting import FOUND, Cursor, Visitor, collect_as

__all__ = ["FeedSource", "parse_feed"]

_LIMIT: Final = 10_000_000  # bytes of a decompressed feed
_LARGE: Final = 200_000  # bytes from which parsing would make the other sources wait
_REMEDY: Final = "give the address of an RSS, Atom or JSON feed"
_ACCEPT: Final = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.5"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSource:
    """Visits a feed, and takes it when it changed. A page is asked for its feed once, and again when that fails."""

    id: str
    url: str = field(repr=False)  # may carry a token
    fetch: Fetch = field(repr=False)
    clock: Clock = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def collect(self, cursor: Cursor) -> Collected:
        """The feed's entries; none, and `unchanged`, when it did not change since the cursor. Raises SourceError."""
        return await collect_as(self.id, self._collect, cursor)

    async def _collect(self, cursor: Cursor) -> Collected:
        if found := cursor.get(FOUND):
            return await self._collect_found(found, cursor)
        visited = await self._visitor.visit(cursor)
        if visited.response is None:
            return Collected(unchanged=True, cursor=visited.cursor, fresh_for=visited.fresh_for)
        try:
            feed = await _parse(visited.response)
        except SourceError as error:
            found = _discover(visited.response)
            if found is None:
                raise SourceError(self.id, error.message, remedy=error.remedy or _REMEDY) from None
            return await self._collect_found(found, {})
        return replace(_collected(feed), cursor=visited.cursor, fresh_for=visited.fresh_for)

    async def _collect_found(self, url: str, cursor: Cursor) -> Collected:
        visited = await self._visitor.at(url).visit(cursor)
        collected = (
            Collected(unchanged=True) if visited.response is None else _collected(await _parse(visited.response))
        )
        return replace(collected, cursor=visited.cursor | {FOUND: url}, fresh_for=visited.fresh_for)

    @property
    def _visitor(self) -> Visitor:
        return Visitor(
            url=self.url, fetch=self.fetch, clock=self.clock, accept=_ACCEPT, limit=_LIMIT, headers=self.headers
        )


async def _parse(response: Response) -> Feed:
    def parse() -> Feed:
        return parse_feed(response.body, url=response.url, content_type=response.headers.get("content-type"))

    feed = await asyncio.to_thread(parse) if len(response.body) > _LARGE else parse()
    if not feed.entries:
        raise SourceError("feed", "the feed has no entries", remedy="look whether the site has moved its feed")
    return feed


def _collected(feed: Feed) -> Collected:
    # The store keeps entries, not feeds: what the feed says of its language goes with them.
    entries = (entry if entry.language else replace(entry, language=feed.language) for entry in feed.entries)
    return Collected(entries=tuple(entries), title=feed.title, language=feed.language)


def _discover(response: Response) -> str | None:
    """The feed that an answer advertises, when it is a page; never the page itself."""
    try:
        if sniff(response.body) != "html":
            return None
        found = choose_feed(response.body, url=response.url, content_type=response.headers.get("content-type"))
    except (SourceError, ValueError):
        return None
    return None if found in {None, response.url} else found
