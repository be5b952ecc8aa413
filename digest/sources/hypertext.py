"""An HTML document as a tree, for those who look for links in it."""

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from digest.errors import SourceError
from digest.sources.encoding import decode, unpack
from digest.sources.markup import absolute, join

Element = etree._Element  # noqa: SLF001 - lxml gives the type no public name

_CHARSET: Final = re.compile(rb"""<meta[^>]{1,200}charset\s*=\s*["']?\s*([\w.:-]{2,30})""", re.IGNORECASE)
_NULL: Final = re.compile("[\0\ud800-\udfff]")


def parse_html(body: bytes, *, content_type: str | None = None) -> Element:
    """The root of a page, also gzipped. Raises SourceError when there is no element in it."""
    try:
        body = unpack(body)
    except ValueError as error:
        raise SourceError("document", str(error)) from None
    declared = _CHARSET.search(body[:4096])
    if content_type is None and declared is not None:
        content_type = f"text/html; charset={declared.group(1).decode('ascii')}"
    text = _NULL.sub("", decode(body, content_type))
    if not text.strip():
        raise SourceError("document", "it is empty")
    # Bytes of a known encoding: of a string, the parser would obey the charset that a meta element claims.
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, recover=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(text.encode("utf-8", errors="replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None or "<" not in text:
        raise SourceError("document", "it is no web page")
    return root


def base_of(root: Element, url: str) -> str:
    """What the page's links are relative to: its first `base`, else where it was served."""
    for base in root.iter("base"):
        if href := base.get("href"):
            return join(url, href.strip())
    return url


def links_of(root: Element, tag: str, base: str) -> Iterator[tuple[Element, str]]:
    """Each element of that name with an address that can be fetched, and the address, absolute."""
    for element in root.iter(tag):
        link = absolute(element.get("href"), base)
        if link:
            yield element, link


def visible_words(element: Element) -> str:
    """The text of an element on one line."""
    return " ".join("".join(str(part) for part in element.itertext()).split())
