"""What is collected: feeds, other sources, pages."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from digest.errors import SourceError
from digest.models import Entry, Feed, Page
from digest.operate.documents.reading import Document, Row, inspect_one
from digest.protocols import Parallel

_PAGE_SECONDS = 30.0
_CHUNK = 256  # documents worked on between two lines of output


def inspect_feeds(documents: Iterator[Document]) -> Iterator[Row]:
    """`path`, `feed`, `entries` of each; or `path`, `error`."""
    from digest.sources.feed import parse_feed

    def parse(document: Document) -> Row:
        content_type = document.fields.get("content_type")
        return _feed_row(
            parse_feed(document.body, url=str(document.fields.get("url") or ""), content_type=content_type)
        )

    for document in documents:
        yield inspect_one(document, parse)


def inspect_sources(documents: Iterator[Document], *, kind: str | None = None, url: str = "") -> Iterator[Row]:
    """`path`, and `urls` + `sitemaps`, `links` or `feeds` of each; or `path`, `error`.

    A manifest's `kind` (sitemap, listing, discovery) and `url` go before those given; else the kind shows.
    """

    def inspect(document: Document) -> Row:
        chosen = document.fields.get("kind") or kind
        address = str(document.fields.get("url") or url)
        content_type = document.fields.get("content_type")
        if chosen is None:
            return _recognise(document.body, address, content_type)
        if chosen not in _INSPECTORS:
            known = ", ".join(_INSPECTORS)
            raise SourceError(document.path, f'the kind "{chosen}" is none', remedy=f"known: {known}")
        return _INSPECTORS[chosen](document.body, address, content_type)

    for document in documents:
        yield inspect_one(document, inspect)


def _recognise(body: bytes, url: str, content_type: str | None) -> Row:
    """By content: what is no sitemap and a web page advertises feeds or lists articles."""
    try:
        return _inspect_sitemap(body, url, content_type)
    except SourceError as no_sitemap:
        try:
            row = _inspect_discovery(body, url, content_type)
        except SourceError:
            raise no_sitemap from None
        return row if row["feeds"] else _inspect_listing(body, url, content_type)


def _inspect_sitemap(body: bytes, url: str, content_type: str | None) -> Row:
    from digest.sources.sitemap_parsing import parse_sitemap

    sitemap = parse_sitemap(body, url=url, content_type=content_type)
    return {
        "urls": [{"loc": page.loc, "date": _iso(page.date), "title": page.title} for page in sitemap.urls],
        "sitemaps": [link.loc for link in sitemap.sitemaps],
    }


def _inspect_listing(body: bytes, url: str, content_type: str | None) -> Row:
    from digest.sources.listing import find_article_links

    return {"links": [link.link for link in find_article_links(body, url=url, content_type=content_type)]}


def _inspect_discovery(body: bytes, url: str, content_type: str | None) -> Row:
    from digest.sources.discovery import find_feeds

    return {"feeds": list(find_feeds(body, url=url, content_type=content_type))}


_INSPECTORS: dict[str, Callable[[bytes, str, str | None], Row]] = {
    "sitemap": _inspect_sitemap,
    "listing": _inspect_listing,
    "discovery": _inspect_discovery,
}


def inspect_pages(documents: Iterator[Document], parallel: Parallel) -> Iterator[Row]:
    """`path`, `title`, `author`, `date`, `text`, `language`, `image` of each; or `path`, `error`. On all processors."""
    waiting: list[Document] = []
    for document in documents:
        waiting.append(document)
        if len(waiting) == _CHUNK:
            yield from _pages(waiting, parallel)
            waiting = []
    yield from _pages(waiting, parallel)


def _pages(documents: Sequence[Document], parallel: Parallel) -> Iterator[Row]:
    from digest.extract import explain, read_page_star

    readable = [document for document in documents if not document.error]
    results = iter(
        parallel(read_page_star, [(d.body, str(d.fields.get("url") or "")) for d in readable], seconds=_PAGE_SECONDS)
    )
    for document in documents:
        page = document.error or next(results)
        if isinstance(page, Page):
            yield {"path": document.path} | _page_row(page)
        else:
            yield {"path": document.path, "error": page if isinstance(page, str) else explain(page, _PAGE_SECONDS)}


def _feed_row(feed: Feed) -> Row:
    return {
        "feed": {
            "title": feed.title,
            "link": feed.link,
            "subtitle": feed.subtitle,
            "language": feed.language,
        },
        "entries": [_entry_row(entry) for entry in feed.entries],
    }


def _entry_row(entry: Entry) -> Row:
    return {
        "id": entry.id,
        "title": entry.title,
        "link": entry.link,
        "published": _iso(entry.published_at),
        "updated": _iso(entry.updated_at),
        "author": entry.author,
        "summary": entry.summary,
        "content": entry.content,
        "enclosures": list(entry.enclosures),
        "tags": list(entry.tags),
    }


def _page_row(page: Page) -> Row:
    return {
        "title": page.title,
        "author": page.author,
        "date": _iso(page.date),
        "text": page.text,
        "language": page.language,
        "image": page.image,
    }


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
