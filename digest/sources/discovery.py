"""The feeds that a web page advertises, as browsers and feed readers find them (RSS and Atom autodiscovery).

Where a page advertises none, the links that plainly name a feed are taken, those to its own site first.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from digest.sources.webpages import WebPage, is_same_site, read_webpage, read_words
from digest.sources.xmltree import Element

_FEED_TYPE = re.compile(
    r"application/(?:x[.-])?(?:rss|atom|rdf)(?:\+xml)?|text/(?:rss|atom|rdf)(?:\+xml)?|application/feed\+json"
)
_VAGUE_TYPES = frozenset({"text/xml", "application/xml", "application/json"})
_NO_FEED = re.compile(r"sitemap|wp-json|oembed|opensearch|\bopml\b|manifest|/api/", re.IGNORECASE)
_FEED_WORD = re.compile(r"(?<![a-z])(?:rss2?|atom|rdf|(?:json)?feeds?)(?![a-z])", re.IGNORECASE)
_FEED_PATH = re.compile(
    r"(?:^|/)(?:feeds?|rss2?|atom)(?:\.(?:xml|json|php|aspx?))?/?$|(?:^|/)feeds?/(?:rss2?|atom|rdf|all|posts/default|\w+\.xml)/?$"
    r"|\.(?:rss|atom|rdf|xml)$|(?:^|/)(?:rss|feeds?|atom)[\w.-]*\.(?:xml|json|php)$|(?:^|/)jsonfeed$",
    re.IGNORECASE,
)
_FEED_QUERY = re.compile(
    r"(?:^|&)(?:feed=(?:rss2?|atom|rdf|feed)|(?:format|type|output|alt)=(?:rss2?|atom|feed))(?:&|$)", re.IGNORECASE
)
_NAMES_RSS = re.compile(r"(?<![a-z])rss(?![a-z])", re.IGNORECASE)
_NAMES_FEED = re.compile(
    r"(?:(?:atom|xml|json|news|web|site|blog|subscribe(?: to)?(?: the| our)?)[ -]?feeds?|feeds?|atom)(?: [\d.]+)?",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\b(?:what|how|why|about|help|readers?|guide)\b|\?$", re.IGNORECASE)
_AGGREGATOR = re.compile(
    r"(?:^|\.)(?:feedly|inoreader|newsblur|theoldreader|netvibes|bloglovin|addtoany|subtome|feedspot|flipboard|facebook"
    r"|twitter|x|linkedin|pinterest|reddit)\.com$|^(?:add\.my\.yahoo|my\.yahoo|fusion\.google)\.com$"
)
_COMMENT_TITLE = re.compile(
    r"\bcomments\b|\bcomment feed\b|kommentare|kommentarer|commentaires|comentarios|comentários|commenti\b|\breacties\b"
    r"|komentarz|yorumlar|коммент|коментар|تعليقات|评论|評論|コメント|댓글",
    re.IGNORECASE,
)
_COMMENT_PATH = re.compile(r"(?:^|[/=._-])comments?(?:$|[/=._-])", re.IGNORECASE)
_PART = re.compile(r"(?:^|/)(?:category|categories|tags?|author|authors|search|podcasts?)/", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertisedFeed:
    """A feed as a page names it."""

    link: str
    title: str = ""

    @property
    def is_of_comments(self) -> bool:
        """Whether it holds what readers wrote, and no articles."""
        parts = urlsplit(self.link)
        return bool(_COMMENT_TITLE.search(self.title) or _COMMENT_PATH.search(f"{parts.path}?{parts.query}"))

    @property
    def is_of_a_part(self) -> bool:
        """Whether it holds the articles of one category or author, by its address."""
        return _PART.search(urlsplit(self.link).path) is not None


def find_feeds(body: bytes, *, url: str, content_type: str | None = None) -> tuple[str, ...]:
    """The addresses of the feeds that a page advertises, in its order, each once; comment feeds are feeds too.

    `url` is where the page was served, `content_type` the HTTP header's value. Raises SourceError when the document is
    no web page.
    """
    return tuple(feed.link for feed in _read_feeds(body, url, content_type))


def choose_feed(body: bytes, *, url: str, content_type: str | None = None) -> str | None:
    """The one feed to follow: the first that holds the articles of the site, not its comments; None without one.

    Raises SourceError when the document is no web page.
    """
    feeds = [feed for feed in _read_feeds(body, url, content_type) if not feed.is_of_comments]
    feeds.sort(key=lambda feed: feed.is_of_a_part)
    return feeds[0].link if feeds else None


def _read_feeds(body: bytes, url: str, content_type: str | None) -> list[AdvertisedFeed]:
    page = read_webpage(body, url=url, content_type=content_type)
    links = list(page.root.iter("link"))
    return (
        _once(_advertised(page, links))
        or _once(_untyped(page, links))
        or sorted(_once(_linked(page)), key=lambda feed: not is_same_site(feed.link, page.url))
    )


def _once(feeds: Iterable[AdvertisedFeed]) -> list[AdvertisedFeed]:
    kept: dict[str, AdvertisedFeed] = {}
    for feed in feeds:
        kept.setdefault(feed.link, feed)
    return list(kept.values())


def _advertised(page: WebPage, links: Iterable[Element]) -> Iterator[AdvertisedFeed]:
    for element in links:
        relations = (element.get("rel") or "").lower().split()
        kind = (element.get("type") or "").partition(";")[0].strip().lower()
        if "stylesheet" in relations or not ({"alternate", "feed"} & set(relations)):
            continue
        feed = _feed_of(page, element)
        if feed is None:
            continue
        is_vague = kind in _VAGUE_TYPES and not _NO_FEED.search(feed.link) and _looks_like_feed(feed)
        if _FEED_TYPE.fullmatch(kind) or is_vague or (not kind and "feed" in relations):
            yield feed


def _untyped(page: WebPage, links: Iterable[Element]) -> Iterator[AdvertisedFeed]:
    """Alternates without a type that look like a feed: no reader need take them, and some sites have no others."""
    for element in links:
        relations = (element.get("rel") or "").lower().split()
        if "alternate" not in relations or "stylesheet" in relations or element.get("type") or element.get("hreflang"):
            continue
        feed = _feed_of(page, element)
        if feed and not _NO_FEED.search(feed.link) and _has_feed_address(feed.link):
            yield feed


def _linked(page: WebPage) -> Iterator[AdvertisedFeed]:
    for element in page.root.iter("a"):
        link = page.resolve(element.get("href"))
        if link is None or _NO_FEED.search(link) or _AGGREGATOR.search(urlsplit(link).hostname or ""):
            continue
        name = read_words(element) or element.get("title") or element.get("aria-label") or _image_text(element)
        if _has_feed_address(link) or _is_feed_name(name):
            yield AdvertisedFeed(link=link, title=name)


def _feed_of(page: WebPage, element: Element) -> AdvertisedFeed | None:
    link = page.resolve(element.get("href"))
    return AdvertisedFeed(link=link, title=element.get("title") or "") if link else None


def _looks_like_feed(feed: AdvertisedFeed) -> bool:
    parts = urlsplit(feed.link)
    return bool(_FEED_WORD.search(f"{feed.title} {parts.path} {parts.query}")) or _has_feed_address(
        feed.link, loose=False
    )


def _has_feed_address(link: str, *, loose: bool = True) -> bool:
    """Whether an address plainly names a feed; `loose` also takes any XML document."""
    parts = urlsplit(link)
    path = unquote(parts.path)
    found = _FEED_PATH.search(path)
    is_named = found is not None and (loose or not found.group().lower().endswith(".xml"))
    return is_named or _FEED_QUERY.search(parts.query) is not None


def _is_feed_name(name: str) -> bool:
    name = " ".join(name.split())
    if not name or len(name) > 60 or len(name.split()) > 5 or _ASKS.search(name):
        return False
    return _NAMES_RSS.search(name) is not None or _NAMES_FEED.fullmatch(name) is not None


def _image_text(element: Element) -> str:
    return " ".join(image.get("alt") or "" for image in element.iter("img"))
