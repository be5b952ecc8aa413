"""The `sitemap` source: news and plain sitemaps, indexes of them, and robots.txt files that name them.

    sitemap ──> its pages
      └ index ──> the sitemaps that may hold something new ──> their pages

A plain sitemap has neither titles nor dates of publication, and lists a site's whole past: titles come from the pages,
and what the first visit finds without a date is known and never told.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from digest.errors import SourceError
from digest.models import Collected, Entry
from digest.protocols import Clock, Fetch, Response
from digest.sources.sitemap_parsing import LARGEST, Sitemap, SitemapLink, SitemapUrl, parse_sitemap
from digest.sources.visiting import Cursor, Visited, Visitor, collect_as, without_move, without_validators

_LARGE: Final = 200_000  # bytes from which parsing would make the other sources wait
_ACCEPT: Final = "application/xml, text/xml;q=0.9, text/plain;q=0.8, */*;q=0.5"
_MOST_SITEMAPS: Final = 12  # of an index, in one visit
_DEEPEST: Final = 2  # indexes within indexes
_MOST_ENTRIES: Final = 5000  # of one visit, the newest
_NEWS: Final = re.compile(r"news|latest|recent|today", re.IGNORECASE)
_CHILDREN: Final = "sitemaps"  # in the cursor: what the visits to the sitemaps of an index left, as JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SitemapSource:
    """Visits a sitemap, and of an index the sitemaps that changed lately."""

    id: str
    url: str = field(repr=False)
    fetch: Fetch = field(repr=False)
    clock: Clock = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def collect(self, cursor: Cursor) -> Collected:
        """The pages as entries, the newest first. Raises SourceError."""
        return await collect_as(self.id, self._collect, cursor)

    async def _collect(self, cursor: Cursor) -> Collected:
        kept: dict[str, dict[str, str]] = json.loads(cursor.get(_CHILDREN, "{}"))
        # An index is asked whole each time: it may be unchanged while its sitemaps are not.
        visited = await self._visitor.visit(without_validators(cursor) if kept else cursor)
        if visited.response is None:
            return Collected(unchanged=True, cursor=visited.cursor, fresh_for=visited.fresh_for)
        sitemap = await _parse(visited.response)
        pages, children, faults = await self._follow(sitemap, kept, depth=0)
        newest = sorted(pages, key=lambda page: page.date or datetime.min.replace(tzinfo=UTC), reverse=True)
        return Collected(
            entries=tuple(_entry(page) for page in newest[:_MOST_ENTRIES]),
            cursor=visited.cursor | ({_CHILDREN: json.dumps(children)} if children else {}),
            faults=tuple(faults),
            fresh_for=visited.fresh_for,
            lists_everything=True,
        )

    async def _follow(
        self, sitemap: Sitemap, kept: Mapping[str, dict[str, str]], *, depth: int
    ) -> tuple[list[SitemapUrl], dict[str, dict[str, str]], list[str]]:
        """The pages of a sitemap and of those it names; the cursors of these; and what could not be read."""
        pages, children, faults = list(sitemap.urls), dict[str, dict[str, str]](), list[str]()
        chosen = choose_sitemaps(sitemap.sitemaps, now=self.clock()) if depth < _DEEPEST else []
        answers = await asyncio.gather(*(self._try(link.loc, kept.get(link.loc, {})) for link in chosen))
        for link, answer in zip(chosen, answers, strict=True):
            if isinstance(answer, SourceError):
                faults.append(f"{link.loc}: {answer.message}")
                continue
            if answer.response is None:
                children[link.loc] = without_move(answer.cursor)
                continue
            try:
                found = await _parse(answer.response)
            except SourceError as error:
                faults.append(f"{link.loc}: {error.message}")
                continue
            more, grandchildren, more_faults = await self._follow(found, kept, depth=depth + 1)
            pages += more
            faults += more_faults
            children |= grandchildren
            # An index within an index is asked whole each time: what is new stands in its sitemaps.
            children[link.loc] = {} if found.sitemaps else without_move(answer.cursor)
        if faults and not pages and not children:
            raise SourceError(self.id, faults[0])
        return pages, children, faults

    async def _try(self, url: str, cursor: Cursor) -> Visited | SourceError:
        try:
            return await self._visitor.at(url).visit(cursor)
        except SourceError as error:
            return error

    @property
    def _visitor(self) -> Visitor:
        return Visitor(
            url=self.url, fetch=self.fetch, clock=self.clock, accept=_ACCEPT, limit=LARGEST, headers=self.headers
        )


def choose_sitemaps(links: Sequence[SitemapLink], *, now: datetime) -> list[SitemapLink]:
    """Those of an index that may hold something new: named for news, or changed within a week; else both ends. Pure.

    Where no date is given, sites number their sitemaps: most add to the last, some to the first.
    """
    fresh = [link for link in links if link.date is None or link.date > now - timedelta(days=7)]
    news = [link for link in fresh if _NEWS.search(link.loc)]
    dated = sorted((link for link in fresh if link.date), key=lambda link: link.date or now, reverse=True)
    undated = [link for link in fresh if link.date is None]
    wanted = [*news, *dated, *undated[:2], *reversed(undated)]
    return list({link.loc: link for link in wanted}.values())[:_MOST_SITEMAPS]


async def _parse(response: Response) -> Sitemap:
    def parse() -> Sitemap:
        return parse_sitemap(response.body, url=response.url, content_type=response.headers.get("content-type"))

    return await asyncio.to_thread(parse) if len(response.body) > _LARGE else parse()


def _entry(page: SitemapUrl) -> Entry:
    # `lastmod` is when the page changed, a news sitemap's date when it was published; both serve as the entry's date.
    return Entry(id=page.loc, title=page.title, link=page.loc, published_at=page.date, language=page.language)
