"""The `page` source: an index page, and on it the links to articles, by structure or by the operator's selector."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from digest.errors import SourceError
from digest.models import Collected, Entry
from digest.protocols import Clock, Fetch, Response
from digest.sources.listing import ArticleLink, find_article_links
from digest.sources.visiting import Cursor, Visitor, collect_as

_LIMIT: Final = 5_000_000  # bytes of a decompressed page
_MOST_LINKS: Final = 100
_ACCEPT: Final = "text/html, application/xhtml+xml;q=0.9, */*;q=0.5"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSource:
    """Visits an index page. What its links lead to is read when an edition wants it, titles and dates included."""

    id: str
    url: str = field(repr=False)
    fetch: Fetch = field(repr=False)
    clock: Clock = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    selector: str | None = None  # CSS: the links, or what they stand in

    async def collect(self, cursor: Cursor) -> Collected:
        """The links as entries, in the page's order. Raises SourceError, also when there is none."""
        return await collect_as(self.id, self._collect, cursor)

    async def _collect(self, cursor: Cursor) -> Collected:
        visitor = Visitor(
            url=self.url,
            fetch=self.fetch,
            clock=self.clock,
            accept=_ACCEPT,
            limit=_LIMIT,
            headers=self.headers,
            obeys_robots=True,
        )
        visited = await visitor.visit(cursor)
        if visited.response is None:
            return Collected(unchanged=True, cursor=visited.cursor, fresh_for=visited.fresh_for)
        links = await asyncio.to_thread(self._find, visited.response)
        if not links:
            remedy = "change its selector" if self.selector else 'name the links with selector = "CSS"'
            raise SourceError(self.id, "no link to an article was found on the page", remedy=remedy)
        entries = tuple(
            Entry(id=link.link, title=link.title, link=link.link, published_at=link.date)
            for link in links[:_MOST_LINKS]
        )
        return Collected(entries=entries, cursor=visited.cursor, fresh_for=visited.fresh_for)

    def _find(self, response: Response) -> tuple[ArticleLink, ...]:
        return find_article_links(
            response.body,
            url=response.url,
            selector=self.selector,
            content_type=response.headers.get("content-type"),
        )
