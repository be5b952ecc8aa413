"""The feeds that a web page advertises (https://www.rssboard.org/rss-autodiscovery), or at least links to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from digest.sources.hypertext import Element, base_of, links_of, parse_html, visible_words

_FEED_TYPE: Final = re.compile(r"^(?:application|text)/(?:x-)?(?:(?:rss|atom|rdf|feed)\+(?:xml|json)|rss|atom)$")
_MAYBE_TYPE: Final = frozenset({"text/xml", "application/xml", "application/json"})
_FEED_NAME: Final = re.compile(
    r"(?:^|[/._=?&-])(?:rss\d?|atom|rdf|feeds?|feed\.json|index\.(?:xml|rdf))(?:$|[/._=?&-])|\.(?:rss|atom|rdf)$",
    re.IGNORECASE,
)
_FEED_WORDS: Final = re.compile(r"\b(?:rss|atom|feeds?|xml)\b", re.IGNORECASE)
_NO_FEED: Final = re.compile(r"oembed|wp-json|/rsd\b|opensearch|manifest|[?&]rsd", re.IGNORECASE)
_COMMENTS: Final = re.compile(r"comment|replies|kommentar|commentaire|comentario|تعليق", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertisedFeed:
    """A feed that a page names."""

    url: str
    title: str = ""

    @property
    def is_of_comments(self) -> bool:
        """Whether it brings what readers say, and not what the site does."""
        return bool(_COMMENTS.search(self.title) or _COMMENTS.search(urlsplit(self.url).path))


def find_feeds(body: bytes, *, url: str, content_type: str | None = None) -> tuple[str, ...]:
    """The feeds of a page, absolute, in its order, each once. Raises SourceError when it is no page."""
    return tuple(feed.url for feed in advertised(body, url=url, content_type=content_type))


def choose_feed(body: bytes, *, url: str, content_type: str | None = None) -> str | None:
    """The feed to follow when a page's address was given: the first that is not one of comments."""
    found = advertised(body, url=url, content_type=content_type)
    return next((feed.url for feed in found if not feed.is_of_comments), None)


def advertised(body: bytes, *, url: str, content_type: str | None = None) -> tuple[AdvertisedFeed, ...]:
    """What a page's `link` elements name; where they name nothing, what its text plainly links to as a feed."""
    root = parse_html(body, content_type=content_type)
    base = base_of(root, url)
    found = list(_from_link_elements(root, base)) or _ours_first(list(_from_text(root, base)), url)
    return tuple({feed.url: feed for feed in reversed(found)}.values())[::-1]


def _from_link_elements(root: Element, base: str) -> Iterator[AdvertisedFeed]:
    for element, link in links_of(root, "link", base):
        relations = (element.get("rel") or "").lower().split()
        kind = (element.get("type") or "").partition(";")[0].strip().lower()
        title = element.get("title") or ""
        if not {"alternate", "feed"} & set(relations) or "stylesheet" in relations or _NO_FEED.search(link):
            continue
        looks_like_one = bool(_FEED_NAME.search(link) or _FEED_WORDS.search(title))
        is_feed = _FEED_TYPE.match(kind) or (kind in _MAYBE_TYPE and looks_like_one)
        if is_feed or ("feed" in relations and kind in {"", *_MAYBE_TYPE}):
            yield AdvertisedFeed(url=link, title=title)


def _from_text(root: Element, base: str) -> Iterator[AdvertisedFeed]:
    for element, link in links_of(root, "a", base):
        kind = (element.get("type") or "").partition(";")[0].strip().lower()
        words = visible_words(element) or element.get("title") or ""
        is_named = _FEED_NAME.search(urlsplit(link).path) or _FEED_NAME.search(f"?{urlsplit(link).query}")
        is_called = _FEED_WORDS.search(words) and len(words.split()) <= 4 and link.endswith((".xml", ".json", ".php"))
        if (_FEED_TYPE.match(kind) or is_named or is_called) and not _NO_FEED.search(link):
            yield AdvertisedFeed(url=link, title=words)


def _ours_first(feeds: list[AdvertisedFeed], url: str) -> list[AdvertisedFeed]:
    """Those of the page's own site; another site's only when there is none."""
    host = urlsplit(url).hostname
    ours = [feed for feed in feeds if urlsplit(feed.url).hostname == host]
    return ours or feeds
