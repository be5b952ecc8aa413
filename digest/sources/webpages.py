"""Web pages as trees, and the addresses in them: what `discovery` and `listing` share."""

import re
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urldefrag, urlsplit

from lxml import etree

from digest.errors import SourceError
from digest.sources.encoding import read_text
from digest.sources.markup import absolute
from digest.sources.repair import FEED_ROOTS, clean, outline
from digest.sources.xmltree import Element

_LARGEST: Final = 10_000_000  # bytes of a decompressed page
_REMEDY: Final = "give the address of a web page"
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_TAG = re.compile(r"<(?:!doctype|!--|/?[a-z][a-z0-9]*[\s/>])", re.IGNORECASE)
_INLINE: Final = frozenset("a abbr b bdi bdo cite code em font i kbd mark q s small span strong sub sup u wbr".split())
_UNSEEN: Final = frozenset({"script", "style", "template"})
_find_texts = etree.XPath("descendant::text()")

# Where a name is registered beneath a second-level domain, such as co.uk, and where anybody gets a site of their own.
_SECOND_LEVELS: Final = frozenset(
    "ac co com edu gob gov go gouv govt ltd mil ne net nhs nom or org plc sch web".split()
)
_SHARED_HOSTS: Final = frozenset(
    """blogspot.com wordpress.com github.io gitlab.io substack.com medium.com tumblr.com netlify.app vercel.app
    pages.dev ghost.io weebly.com wixsite.com livejournal.com typepad.com hatenablog.com herokuapp.com web.app
    """.split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPage:
    """A page's tree, the address it was served from, and the one that its links are relative to."""

    root: Element
    url: str
    base: str

    def resolve(self, href: str | None) -> str | None:
        """An address in the page, absolute and without its fragment; None unless it leads to http or https."""
        if href is None or not href.strip():
            return None
        link = absolute(href, self.base)
        return urldefrag(link).url if link else None


def read_webpage(body: bytes, *, url: str, content_type: str | None = None) -> WebPage:
    """The tree of a web page, however it was written. Raises SourceError for anything else, and over 10 MB."""
    subject = url or "document"
    try:
        text = read_text(body, content_type, limit=_LARGEST, label=_label)
    except ValueError as error:
        raise SourceError(subject, str(error)) from None
    if "\0" in text[:10_000]:
        raise SourceError(subject, "it is no text", remedy=_REMEDY)
    if text.startswith(("{", "[")):
        raise SourceError(subject, "it is JSON, not a web page", remedy=_REMEDY)
    raw = clean(text)
    found = outline(raw)
    if found is not None and found.root in FEED_ROOTS:
        raise SourceError(subject, "it is a feed itself, not a web page", remedy='give it as a source of kind "feed"')
    if not _TAG.search(text):
        raise SourceError(subject, "it is plain text, not a web page", remedy=_REMEDY)
    if found is not None and found.root in {"urlset", "sitemapindex"}:
        raise SourceError(subject, "it is a sitemap, not a web page", remedy='give it as a source of kind "sitemap"')
    root = _parse(raw)
    if root is None:
        raise SourceError(subject, "its HTML cannot be read")
    served = absolute(url) or _own_address(root)
    return WebPage(root=root, url=served, base=_find_base(root, served))


def read_words(element: Element) -> str:
    """The visible text within an element, on one line."""
    parts: list[str] = []
    for part in cast("list[Any]", _find_texts(element)):  # strings that know their elements
        owner = part.getparent()
        if part.is_text and owner.tag in _UNSEEN:
            continue
        parts += [part] if owner.tag in _INLINE else [" ", part]
    return " ".join("".join(parts).split())


def is_same_site(link: str, other: str) -> bool:
    """Whether both belong to one registered domain, as news.example.com and example.com do."""
    return _site_of(link) == _site_of(other)


def _site_of(link: str) -> str:
    try:
        host = (urlsplit(link).hostname or "").rstrip(".").removeprefix("www.")
    except ValueError:
        return link
    labels = host.split(".")
    if ":" in host or labels[-1].isdigit() or len(labels) <= 2:
        return host
    last = ".".join(labels[-2:])
    is_shared = last in _SHARED_HOSTS or (labels[-2] in _SECOND_LEVELS and len(labels[-1]) == 2)
    return ".".join(labels[-3:]) if is_shared else last


def _label(body: bytes, content_type: str | None) -> str | None:
    """The content type, with the charset that the page declares where the header names none (HTML §13.2.3.2)."""
    if content_type and "charset" in content_type.lower():
        return content_type
    declared = _META_CHARSET.search(body[:4096])
    return f"text/html; charset={declared.group(1).decode('ascii', 'replace')}" if declared else content_type


def _parse(raw: bytes) -> Element | None:
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, huge_tree=False, recover=True, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError, UnicodeError):
        return None


def _find_base(root: Element, url: str) -> str:
    """What the first `<base href>` says (HTML §4.2.3), else the page's own address."""
    for element in root.iter("base"):
        href = element.get("href")
        if href is not None:
            return absolute(href, url) or url
    return url


def _own_address(root: Element) -> str:
    """The address that a page says it has, for a page that nobody says where it is from."""
    for link in root.iter("link"):
        if "canonical" in (link.get("rel") or "").lower().split():
            return absolute(link.get("href")) or ""
    return ""
