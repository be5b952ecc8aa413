"""From a document's bytes to a feed, or to the reason why it is none.

bytes ─ unpack ─> bytes ─ decode ─> text ─┬─ JSON Feed ───────────────────────────> Feed
                                          └─ clean, mend ─> XML ─ dialects' tables ─> Feed
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from digest.errors import SourceError
from digest.models import Entry, Feed
from digest.sources.dialects import Document
from digest.sources.encoding import decode, read_text, unpack
from digest.sources.jsonfeed import read_json
from digest.sources.repair import (
    FEED_ROOTS,
    Outline,
    clean,
    count_items,
    cut_items,
    drop_references,
    mend,
    outline,
    rebuild,
)
from digest.sources.xmltree import PAGE_ROOTS, Element, parse_tree


def parse_feed(body: bytes, *, url: str = "", content_type: str | None = None) -> Feed:
    """The feed in a document: RSS 0.9x-2.0, RDF, Atom 0.3/1.0 or JSON Feed 1.0/1.1, or one of these gzipped.

    `url` is where the document was served: relative links are resolved against it. `content_type` is the HTTP header's
    value, of which only the charset counts. A feed without entries is a feed. Raises SourceError for anything else.
    """
    subject = url or "document"
    try:
        text = read_text(body, content_type)
    except ValueError as error:
        raise SourceError(subject, str(error)) from None
    if text.startswith(("{", "[")):
        return _parse_json(text, url, subject)
    raw = clean(text)
    found = outline(raw)
    if found is None or found.root not in FEED_ROOTS:
        raise SourceError(subject, *_explain(found))
    feed = _parse_xml(mend(raw, found), url)
    if feed is None:
        raise SourceError(subject, "it begins like a feed, and its XML cannot be read")
    return feed


def sniff(body: bytes) -> Literal["feed", "html", "text"]:
    """What a document is, by its content. Raises ValueError when it is gzip and broken."""
    text = decode(unpack(body)).lstrip("\ufeff \t\r\n\0")
    if text.startswith("{"):
        try:
            return "feed" if read_json(text, url="") else "text"
        except ValueError:
            return "text"
    if "<" not in text:
        return "text"
    found = outline(clean(text))
    if found and found.root in FEED_ROOTS:
        return "feed"
    # Text may mention a tag; a page begins with one, or holds one of those that only pages have.
    return "html" if found and (text.startswith("<") or found.root in {"html", "head", "body"}) else "text"


def _parse_json(text: str, url: str, subject: str) -> Feed:
    try:
        feed = read_json(text, url=url)
    except ValueError as error:
        raise SourceError(subject, f"it begins like JSON and cannot be read: {error}") from None
    if feed is None:
        raise SourceError(
            subject, "it is JSON, but not a JSON Feed", remedy="JSON Feed has a version and a list of items"
        )
    return feed


def _parse_xml(raw: bytes, url: str) -> Feed | None:
    try:
        return _read_xml(raw, url)
    except UnicodeDecodeError:  # half of a UTF-16 pair, in a place that looked like CDATA and was none
        return _read_xml(drop_references(raw), url)


def _read_xml(raw: bytes, url: str) -> Feed | None:
    root, is_faulty = parse_tree(raw)
    feed = Feed() if root is None else _read(root, raw, url)
    if not is_faulty and feed.entries:
        return feed
    stated = count_items(raw)
    if root is None and not stated:
        return None
    if len(feed.entries) != stated:
        again = _reread(rebuild(raw), url) or feed
        feed = min(feed, again, key=lambda each: abs(len(each.entries) - stated))
    if len(feed.entries) < stated:
        entries = tuple(entry for piece in cut_items(raw) for entry in _read_piece(piece, url))
        return replace(feed, entries=entries) if len(entries) > len(feed.entries) else feed
    return feed


def _reread(raw: bytes, url: str) -> Feed | None:
    root, _ = parse_tree(raw)
    return None if root is None else _read(root, raw, url)


def _read_piece(piece: bytes, url: str) -> Iterator[Entry]:
    """The entry of an item that stands alone, unless it says nothing."""
    feed = _reread(rebuild(piece), url)
    for entry in feed.entries if feed else ():
        if entry.title or entry.link or entry.id or entry.summary or entry.content:
            yield entry


def _read(root: Element, raw: bytes, url: str) -> Feed:
    return Document(root, url=url, relocates=b"xml:base" in raw).read()


def _explain(found: Outline | None) -> tuple[str, None] | tuple[str]:
    if found is None:
        return ("it is plain text, not a feed",)
    if found.root in PAGE_ROOTS:
        return ("it is a web page, not a feed",)
    return (f"it is XML, but not a feed: its root is <{found.root[:40]}>",)
