"""Sitemaps (https://www.sitemaps.org/protocol.html), news sitemaps, indexes, plain lists and robots.txt files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from lxml import etree

from digest.errors import SourceError
from digest.sources.dates import parse_date
from digest.sources.encoding import decode, unpack
from digest.sources.markup import absolute, plain_name, squeeze
from digest.sources.parsing import parse_feed
from digest.sources.repair import FEED_ROOTS, clean, mend, outline

_LIMIT: Final = 50_000_000  # bytes of a decompressed sitemap, by the protocol
_ROOTS: Final = frozenset({"urlset", "sitemapindex", "url", "sitemap"})
_ROBOTS: Final = re.compile(r"^\s*sitemap\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_ADDRESS: Final = re.compile(r"https?://\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SitemapUrl:
    """A page. `date` is when a news sitemap says that it was published, else when it was last changed."""

    loc: str
    date: datetime | None = None
    title: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SitemapLink:
    """A further sitemap, and when it was last changed."""

    loc: str
    date: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitemap:
    """What a document lists, each address once."""

    urls: tuple[SitemapUrl, ...] = ()
    sitemaps: tuple[SitemapLink, ...] = ()


def parse_sitemap(body: bytes, *, url: str = "", content_type: str | None = None) -> Sitemap:
    """The pages and sitemaps that a document lists: XML, a feed, one address a line, or robots.txt; also gzipped.

    `url` is where it was served. Raises SourceError for anything else.
    """
    subject = url or "document"
    try:
        text = decode(unpack(body, _LIMIT), content_type).lstrip("\ufeff \t\r\n\0")
    except ValueError as error:
        raise SourceError(subject, str(error)) from None
    if not text:
        raise SourceError(subject, "it is empty")
    raw = clean(text)
    found = outline(raw, _ROOTS | FEED_ROOTS)
    if found is not None and found.root in FEED_ROOTS:
        return _of_feed(body, url, content_type)
    if found is not None and found.root in _ROOTS:
        return _of_xml(mend(raw, found), url)  # a news sitemap is empty on a quiet day, and that is no fault
    sitemap = Sitemap() if text.startswith(("<", "{", "[")) else _of_lines(text, url)
    if not sitemap.urls and not sitemap.sitemaps:
        raise SourceError(subject, "it is no sitemap", remedy="look for its address in the site's robots.txt")
    return sitemap


def _of_xml(raw: bytes, url: str) -> Sitemap:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        raise SourceError(url or "document", "it begins like a sitemap, and its XML cannot be read")
    urls: dict[str, SitemapUrl] = {}
    sitemaps: dict[str, SitemapLink] = {}
    for element in root.iter(etree.Element):
        kind = _split(element.tag)[1]
        if kind == "url":
            for page in _read_url(element, url):
                urls[page.loc] = _merge(urls.get(page.loc), page)
        elif kind == "sitemap":
            fields = _children(element)
            loc = absolute(squeeze(fields.get("loc")), url)
            if loc:
                sitemaps.setdefault(loc, SitemapLink(loc=loc, date=_date(fields.get("lastmod"))))
    return Sitemap(urls=tuple(urls.values()), sitemaps=tuple(sitemaps.values()))


def _read_url(element: etree._Element, base: str) -> Iterator[SitemapUrl]:
    fields = _children(element)
    loc = absolute(squeeze(fields.get("loc")), base)
    if not loc:
        return
    news: dict[str, str] = {}
    for child in element.iterchildren(etree.Element):
        if _split(child.tag)[1] == "news":
            for part in child.iter(etree.Element):
                news.setdefault(_split(part.tag)[1], part.text or "")
    yield SitemapUrl(
        loc=loc,
        date=_date(news.get("publication_date")) or _date(fields.get("lastmod")),
        title=plain_name(news.get("title")),
        language=squeeze(news.get("language")),
    )


def _children(element: etree._Element) -> dict[str, str]:
    """The texts of the children of an element's own namespace: an image has a `loc` too, and it is not the page's."""
    own = _split(element.tag)[0]
    found: dict[str, str] = {}
    for child in element.iterchildren(etree.Element):
        space, name = _split(child.tag)
        if space in {own, ""} and (child.text or "").strip():
            found.setdefault(name, child.text or "")
    return found


def _split(tag: object) -> tuple[str, str]:
    """The namespace, or the prefix where none was declared, and the name."""
    text = str(tag)
    space, _, name = text.rpartition("}") if text.startswith("{") else text.rpartition(":")
    return space, name.lower()


def _merge(known: SitemapUrl | None, page: SitemapUrl) -> SitemapUrl:
    if known is None:
        return page
    return replace(
        known,
        date=known.date or page.date,
        title=known.title or page.title,
        language=known.language or page.language,
    )


def _date(text: str | None) -> datetime | None:
    instant = parse_date(text) if text else None
    return instant if instant and instant.year > 1990 else None  # the web's first page; below are zeros and epochs


def _of_feed(body: bytes, url: str, content_type: str | None) -> Sitemap:
    """The protocol lets a feed stand for a sitemap."""
    feed = parse_feed(body, url=url, content_type=content_type)
    urls = {
        entry.link: SitemapUrl(
            loc=entry.link,
            date=entry.published_at or entry.updated_at,
            title=entry.title,
            language=entry.language or feed.language,
        )
        for entry in feed.entries
        if entry.link
    }
    return Sitemap(urls=tuple(urls.values()))


def _of_lines(text: str, url: str) -> Sitemap:
    named = [link for address in _ROBOTS.findall(text) if (link := absolute(address, url))]
    if named:
        return Sitemap(sitemaps=tuple(SitemapLink(loc=loc) for loc in dict.fromkeys(named)))
    lines = [line.strip() for line in text.splitlines()]
    links = [link for line in lines if _ADDRESS.fullmatch(line) and (link := absolute(line))]
    return Sitemap(urls=tuple(SitemapUrl(loc=loc) for loc in dict.fromkeys(links)))
