"""The `feed` source: an RSS, Atom, RDF or JSON Feed document on the web."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from digest.errors import SourceError
from digest.models import Collected, Feed
from digest.protocols import Fetch, Request, Response
from digest.sources.parsing import parse_feed

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
    """Visits a feed, and takes it only when it changed (RFC 9110 §13): the cursor is `etag` and `last_modified`."""

    id: str
    url: str = field(repr=False)  # may carry a token
    fetch: Fetch = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def collect(self, cursor: Mapping[str, str]) -> Collected:
        """The feed's entries; none, and `unchanged`, when it did not change since the cursor. Raises SourceError."""
        response = await self._visit(cursor)
        if response.status == 304:
            if not cursor:
                raise SourceError(self.id, "it says that nothing changed since a visit that never was")
            return Collected(unchanged=True, cursor=dict(cursor))
        feed = await self._parse(response)
        if not feed.entries:
            raise SourceError(self.id, "the feed has no entries", remedy="look whether the site has moved its feed")
        # The store keeps entries, not feeds: what the feed says of its language goes with them.
        entries = (entry if entry.language else replace(entry, language=feed.language) for entry in feed.entries)
        return Collected(
            entries=tuple(entries),
            title=feed.title,
            language=feed.language,
            cursor=_read_validators(response.headers),
        )

    async def _visit(self, cursor: Mapping[str, str]) -> Response:
        conditions = {"if-none-match": cursor.get("etag"), "if-modified-since": cursor.get("last_modified")}
        headers = {"accept": _ACCEPT} | {name.lower(): value for name, value in self.headers.items()}
        headers |= {name: value for name, value in conditions.items() if value}
        try:
            return await self.fetch(Request(url=self.url, headers=headers, limit=_LIMIT))
        except SourceError as error:
            raise SourceError(self.id, error.message, remedy=error.remedy) from error.__cause__

    async def _parse(self, response: Response) -> Feed:
        def parse() -> Feed:
            return parse_feed(response.body, url=response.url, content_type=response.headers.get("content-type"))

        try:
            return await asyncio.to_thread(parse) if len(response.body) > _LARGE else parse()
        except SourceError as error:
            raise SourceError(self.id, error.message, remedy=error.remedy or _REMEDY) from None


def _read_validators(headers: Mapping[str, str]) -> dict[str, str]:
    found = {"etag": headers.get("etag"), "last_modified": headers.get("last-modified")}
    return {name: value for name, value in found.items() if value}
