"""From a document's bytes to the pages that a site says it has: sitemaps, and what sites serve in their place.

bytes ─ unpack ─> bytes ─ decode ─> text ─┬─ lines: robots.txt, text sitemaps ─┐
                                          ├─ a feed: the feed parser           ├─> Sitemap
                                          └─ clean, mend ─> XML, read in pieces ┘

Elements are told apart by where they stand, not by their prefix: a page's `loc` is a child of its `url`, and what lies
within `image:image` or `video:video` is never taken for it (https://www.sitemaps.org/protocol.html).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from digest.errors import SourceError
from digest.sources.dates import parse_date
from digest.sources.encoding import read_text
from digest.sources.markup import absolute, plain_name, squeeze
from digest.sources.parsing import parse_feed
from digest.sources.repair import FEED_ROOTS, Outline, clean, mend, outline
from digest.sources.xmltree import PAGE_ROOTS, make_parser

LARGEST: Final = 52_428_800  # bytes when decompressed: the protocol's limit
MOST_URLS: Final = 200_000  # four times the protocol's limit; what comes after is passed over

_REMEDY: Final = "give the address of a sitemap, or of a robots.txt that names one"
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)  # dates from here on are a program's way to write "never"
_PIECE: Final = 65_536  # bytes
_LONGEST_LINK: Final = 2_083  # characters: the protocol allows 2,048, and what browsers take is little more

_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?(urlset|sitemapindex)(?=[\s/>])|<(?:html|head|body)[\s>]", re.IGNORECASE)
_STRAY_BRACKET = re.compile(rb"<(?![A-Za-z_/!?])")
_ROBOTS_LINE = re.compile(r"(?im)^\s*(user-agent|allow|disallow|crawl-delay|sitemap)\s*:\s*([^\s#]*)")
_ADDRESS_LINE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:|/)\S+")
_LINE_BREAKS = re.compile(r"\s*[\t\r\n]\s*")
_SITEMAP_ROOTS: Final = frozenset({"urlset", "sitemapindex", "url", "sitemap"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SitemapUrl:
    """A page of the site. `date` is when it was published, as news sitemaps say, else last changed."""

    loc: str
    date: datetime | None = None
    title: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SitemapLink:
    """A further sitemap, and when it last changed."""

    loc: str
    date: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitemap:
    """What a sitemap, an index of sitemaps, or a document that is both names; each address once, in order."""

    urls: tuple[SitemapUrl, ...] = ()
    sitemaps: tuple[SitemapLink, ...] = ()


def parse_sitemap(body: bytes, *, url: str = "", content_type: str | None = None) -> Sitemap:
    """The pages and sitemaps that a document names: a sitemap or an index, in XML or text, a robots.txt, or a feed.

    `url` is where it was served, `content_type` the HTTP header's value, of which only the charset counts. Of a
    document that is broken or cut off, what is whole is taken. Raises SourceError for what is nothing of the kind, and
    for more than `LARGEST` bytes.
    """
    subject = url or "document"
    try:
        text = read_text(body, content_type, limit=LARGEST)
    except ValueError as error:
        raise SourceError(subject, str(error), remedy=_REMEDY) from None
    if "\0" in text[:10_000]:
        raise SourceError(subject, "it is no text", remedy=_REMEDY)
    if "<" not in text[:10_000] or text.startswith("#") or _ROBOTS_LINE.match(text):
        return _read_lines(text, url, subject)
    raw = clean(text)
    del text  # tens of megabytes, in the worst case
    found = _find_root(raw)
    if found is not None and found.root in FEED_ROOTS:
        return _read_feed(body, url, content_type)
    if found is None or found.root not in _SITEMAP_ROOTS:
        raise SourceError(subject, _explain(found), remedy=_REMEDY)
    return _read_xml(_STRAY_BRACKET.sub(b"&lt;", mend(raw, found)), url)


def _find_root(raw: bytes) -> Outline | None:
    """The document's root; a sitemap's own when only a server's warnings stand before it."""
    found = outline(raw)
    if found is None or found.root in _SITEMAP_ROOTS:
        return found
    own = _ROOT.search(raw)
    if own and own.group(1):
        return Outline(root=own.group(1).lower().decode(), start=own.start())
    return found


def _explain(found: Outline | None) -> str:
    if found is None:
        return "it is plain text, not a sitemap"
    if found.root in PAGE_ROOTS:
        return "it is a web page, not a sitemap"
    return f"it is XML, but not a sitemap: its root is <{found.root[:40]}>"


def _read_lines(text: str, url: str, subject: str) -> Sitemap:
    """A robots.txt (RFC 9309 §2.2.4), or a text with an address a line."""
    if text.startswith(("{", "[")):
        raise SourceError(subject, "it is JSON, not a sitemap", remedy=_REMEDY)
    rules = _ROBOTS_LINE.findall(text)
    collected = _Collected(url)
    if rules:
        for name, value in rules:
            if name.lower() == "sitemap":
                collected.add_sitemap({"loc": value})
        return collected.give()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    addresses = [line for line in lines if _ADDRESS_LINE.fullmatch(line)]
    if 2 * len(addresses) < len(lines) or not any(line.lower().startswith("http") for line in addresses):
        raise SourceError(subject, "it is plain text, not a sitemap", remedy=_REMEDY)
    for line in addresses:
        collected.add_url({"loc": line})
    return collected.give()


def _read_feed(body: bytes, url: str, content_type: str | None) -> Sitemap:
    """A feed's entries: the protocol lets a feed stand for a sitemap."""
    feed = parse_feed(body, url=url, content_type=content_type)
    collected = _Collected(url)
    for entry in feed.entries:
        if entry.link:
            date, language = entry.published_at or entry.updated_at, entry.language or feed.language
            collected.keep(SitemapUrl(loc=entry.link, date=date, title=entry.title, language=language))
    return collected.give()


def _read_xml(raw: bytes, url: str) -> Sitemap:
    """Read in pieces and without a tree: memory is taken by the result alone."""
    collected = _Collected(url)
    reader = _Reader(collected)
    parser = make_parser(reader)
    try:
        parser.feed(b"<all>")  # a document may have several roots, or none
        for start in range(0, len(raw), _PIECE):
            parser.feed(raw[start : start + _PIECE])
            if collected.is_full:
                break
    except (etree.XMLSyntaxError, ValueError, UnicodeError):
        pass  # beyond recovery from here on: what was read is read
    reader.finish()
    return collected.give()


class _Reader:
    """Hears of elements as they begin and end, and makes a record of each `url` and `sitemap`."""

    def __init__(self, collected: "_Collected") -> None:
        self._collected = collected
        self._path: list[str] = []  # names from the record on
        self._record: dict[str, str] | None = None
        self._is_page = True
        self._text: list[str] | None = None

    def start(self, tag: str, _: object) -> None:
        """An element begins."""
        name = _local_name(tag)
        if name in {"url", "sitemap"}:
            self.finish()  # the one before may never have been closed
            self._record, self._is_page, self._path = {}, name == "url", []
        elif self._record is not None:
            self._path.append(name)
            self._text = []

    def data(self, text: str) -> None:
        """Characters within an element."""
        if self._text is not None:
            self._text.append(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._record is None:
            return
        if not self._path:
            self.finish()
            return
        if _local_name(tag) == self._path[-1]:
            self._note(self._record, "".join(self._text or ()).strip())
        self._path.pop()
        self._text = None

    def finish(self) -> None:
        """The record ends. An element that was cut off is no part of it: half an address leads nowhere."""
        if self._record and self._is_page:
            self._collected.add_url(self._record)
        elif self._record:
            self._collected.add_sitemap(self._record)
        self._record = self._text = None

    def close(self) -> None:
        """The document ends."""

    def _note(self, record: dict[str, str], text: str) -> None:
        match self._path:
            case ["loc" | "lastmod" | "publication_date" as name]:
                record.setdefault(name, text)
            case ["news", "publication_date" | "title" as name] | ["news", "publication", "language" as name]:
                record.setdefault(name, text)


def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2].rpartition(":")[2].lower()


class _Collected:
    """The addresses seen so far. A repeated one only adds what was not known of it."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._urls: dict[str, SitemapUrl] = {}
        self._sitemaps: dict[str, SitemapLink] = {}

    @property
    def is_full(self) -> bool:
        return len(self._urls) + len(self._sitemaps) >= MOST_URLS

    def add_url(self, record: dict[str, str]) -> None:
        """Keep a page, unless its address is none."""
        loc = self._resolve(record)
        if loc:
            language = squeeze(record.get("language"))
            published = _read_date(record.get("publication_date"), language)
            self.keep(
                SitemapUrl(
                    loc=loc,
                    date=published or _read_date(record.get("lastmod"), language),
                    title=plain_name(record.get("title")),
                    language=language,
                )
            )

    def keep(self, page: SitemapUrl) -> None:
        """Keep a page whose address is known to be one."""
        known = self._urls.get(page.loc)
        if known is not None:
            page = SitemapUrl(
                loc=page.loc,
                date=known.date or page.date,
                title=known.title or page.title,
                language=known.language or page.language,
            )
        elif self.is_full:
            return
        self._urls[page.loc] = page

    def add_sitemap(self, record: dict[str, str]) -> None:
        """Keep a further sitemap, unless its address is none."""
        loc = self._resolve(record)
        if loc and not self.is_full:
            known = self._sitemaps.get(loc)
            date = known.date if known else None
            self._sitemaps[loc] = SitemapLink(loc=loc, date=date or _read_date(record.get("lastmod"), None))

    def give(self) -> Sitemap:
        """All of it."""
        return Sitemap(urls=tuple(self._urls.values()), sitemaps=tuple(self._sitemaps.values()))

    def _resolve(self, record: dict[str, str]) -> str | None:
        loc = absolute(_LINE_BREAKS.sub("", record.get("loc", "").strip()), self._base)
        return loc if loc and len(loc) <= _LONGEST_LINK else None


def _read_date(text: str | None, language: str | None) -> datetime | None:
    found = parse_date(text, language) if text else None
    return found if found and found < _LATEST else None
