"""From the characters of a would-be XML document to bytes that libxml2 reads as the publisher meant them.

Half of the faults in real feeds lie below XML: junk before the first tag, HTML entities that nobody declared, bare
ampersands, control characters, windows-1252 read as Latin-1. Each is mended here, outside CDATA, and the document type
is taken off: of what it may declare only short literal entities are kept, so nothing can grow, loop or be fetched.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from html.entities import html5
from itertools import islice, pairwise
from typing import Final

FEED_ROOTS: Final = frozenset({"rss", "rdf", "feed", "channel", "entry"})

_MOST_EXPANSION: Final = 1_000_000  # bytes that declared entities may add to a document
_MOST_ITEMS: Final = 10_000  # of a broken document, that are read one by one
_LONGEST_END: Final = 200  # bytes in which a document's last tag stands

_CONTROLS = bytes(set(range(32)) - {0x09, 0x0A, 0x0D})
_C1_OR_NONCHARACTER = re.compile(rb"\xc2[\x80-\x9f]|\xef\xbf[\xbe\xbf]")
# Ampersands that begin neither one of XML's own entities nor a plain decimal reference to an ordinary character.
_ODD_AMPERSAND = re.compile(
    rb"&(?!(?:amp|lt|gt|quot|apos|#(?:3[2-9]|[4-9]\d|1[6-9]\d|[2-9]\d\d|[1-9]\d{3}|[1-4]\d{4}));)"
    rb"(?:#([xX][0-9a-fA-F]{1,8}|\d{1,10});(?:&#([xX]0*[dD][c-fC-F][0-9a-fA-F]{2}|5[67]\d{3});)?|([A-Za-z_][\w.-]{0,40});)?",
    re.ASCII,
)
_CDATA, _CDATA_END = b"<![CDATA[", b"]]>"
_TAG = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)(?=[\s/>])")
_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?(rss|rdf|feed|channel)(?=[\s/>])|<(html|head|body)[\s>]", re.IGNORECASE)
_LAST_TAG = re.compile(rb"</(?:[A-Za-z_][\w.-]*:)?(rss|rdf|feed)\s*>\s*\Z", re.IGNORECASE)
_PROLOG = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[>]*(?:\[(.*?)\]\s*)?>", re.DOTALL | re.IGNORECASE)
_ENTITY = re.compile(
    rb"""<!ENTITY\s+([\w.-]{1,40})\s+(?:"([^"<&%]{0,500})"|'([^'<&%]{0,500})'|["']&\#(x[0-9a-fA-F]{1,8}|\d{1,10});["'])\s*>"""
)
_TEXT_TAG = re.compile(
    rb"<(/?)(?:(title|description|summary|content|content:encoded|itunes:summary)(?:\s[^<>]*)?|(?:item|entry)\b[^<>]*)>",
    re.IGNORECASE,
)
_TEXT_END = re.compile(rb"</(?:title|description|summary|content|content:encoded|link)\s*>", re.IGNORECASE)
_START_TAG = re.compile(rb"<[A-Za-z][^<>]*>")
_ATTRIBUTE = re.compile(rb"(\s[\w:.-]+\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s\"'<>]+)")
_REFERENCE = re.compile(rb"&#[xX]?[0-9a-fA-F]*;?")
_ITEM = re.compile(rb"<(?:\w+:)?(?:item|entry)[\s>]", re.IGNORECASE)
_ITEM_END = re.compile(rb"</(?:\w+:)?(?:item|entry)\s*>", re.IGNORECASE)
_CDATA_SECTION = re.compile(rb"<!\[CDATA\[.*?\]\]>", re.DOTALL)
_XML_OWN = {b"amp", b"lt", b"gt", b"quot", b"apos"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """Where a document's root element stands: its local name in lower case, and the entities declared before it."""

    root: str
    start: int
    entities: dict[bytes, bytes] = field(default_factory=dict)


def outline(raw: bytes, roots: Collection[str] = FEED_ROOTS) -> Outline | None:
    """The document's root element, looking through what stands before it; None when there is no element at all.

    Warnings that a server printed before a feed are passed over; a feed quoted within a web page is not one.
    """
    at = 0
    entities: dict[bytes, bytes] = {}
    while True:
        if found := _PROLOG.match(raw, at):
            at = found.end()
        elif found := _DOCTYPE.match(raw, at):
            entities |= _declared(found.group(1) or b"")
            at = found.end()
        else:
            break
    tag = _TAG.match(raw, at)
    if tag and tag.group(1).lower().decode() in roots:
        return Outline(root=tag.group(1).lower().decode(), start=at, entities=entities)
    later = _ROOT.search(raw, at)
    if later and later.group(1):
        return Outline(root=later.group(1).lower().decode(), start=later.start(), entities=entities)
    first = tag or _TAG.search(raw, at)
    if first is None:
        return None
    closing = None if later else _LAST_TAG.search(raw, max(first.start(), len(raw) - _LONGEST_END))
    if closing and closing.group(1).lower().decode() in roots:  # only its beginning is broken
        return Outline(root=closing.group(1).lower().decode(), start=first.start(), entities=entities)
    root = (later.group(2) if later else first.group(1)).lower().decode()
    return Outline(root=root, start=first.start(), entities=entities)


def clean(text: str) -> bytes:
    """The text as UTF-8 without what XML forbids, and with what was windows-1252 all along put right."""
    raw = text.encode("utf-8", errors="replace").translate(None, _CONTROLS)
    return _C1_OR_NONCHARACTER.sub(_replace_c1, raw)


def mend(raw: bytes, found: Outline) -> bytes:
    """The document from its root element on, every entity and ampersand such that an XML parser takes it."""
    raw = raw[found.start :]
    if not _ODD_AMPERSAND.search(raw) and raw.rfind(_CDATA) <= raw.rfind(_CDATA_END):
        return raw
    fix = _Ampersands(found.entities)
    parts, at = [], 0
    while True:
        start = raw.find(_CDATA, at)
        parts.append(_ODD_AMPERSAND.sub(fix, raw[at : start if start >= 0 else len(raw)]))
        if start < 0:
            return b"".join(parts)
        end = raw.find(_CDATA_END, start)
        if end < 0:  # never closed: it ends where its element does, or with the document
            closing = _TEXT_END.search(raw, start)
            at = closing.start() if closing else len(raw)
            parts += [raw[start:at], _CDATA_END]
        else:
            at = end + len(_CDATA_END)
            parts.append(raw[start:at])


def rebuild(raw: bytes) -> bytes:
    """The document with its attributes quoted, and HTML that stands bare in text elements wrapped as CDATA.

    For documents whose items the parser lost: an unclosed `<br>` in a description makes every element after it a child
    of the wrong one, and an attribute without quotes ends its element.
    """
    raw = _START_TAG.sub(_quote_attributes, raw)
    parts, at = [], 0
    name, start = b"", 0
    for found in _TEXT_TAG.finditer(raw):
        closing, text_name = found.groups()
        if not text_name:  # an item begins or ends: what was left open stays as it is
            name = b""
        elif not closing:
            if not name and not found.group().endswith(b"/>"):
                name, start = text_name.lower(), found.end()
        elif text_name.lower() == name:
            name = b""
            inner = raw[start : found.start()]
            if b"<" in inner and _CDATA not in inner:
                parts += [raw[at:start], _CDATA, _unescape(inner), _CDATA_END]
                at = found.start()
    return b"".join([*parts, raw[at:]])


def _quote_attributes(tag: re.Match[bytes]) -> bytes:
    return _ATTRIBUTE.sub(
        lambda found: found.group() if found.group(2)[:1] in b"\"'" else b'%b"%b"' % found.groups(), tag.group()
    )


def count_items(raw: bytes) -> int:
    """How many items or entries the document seems to hold, by their opening tags."""
    return len(_ITEM.findall(raw))


def cut_items(raw: bytes) -> Iterator[bytes]:
    """Each item or entry as a feed of its own, from its opening tag to its closing one or to the next item.

    For documents of which the parser lost items: where an end tag or the head of the document is broken, everything
    after it can become part of something else, though the items after it are whole.
    """
    shown = _CDATA_SECTION.sub(lambda found: b" " * len(found.group()), raw)
    starts = [found.start() for found in islice(_ITEM.finditer(shown), _MOST_ITEMS)]
    for start, limit in pairwise([*starts, len(raw)]):
        closing = _ITEM_END.search(shown, start, limit)
        item = raw[start : closing.end() if closing else limit]
        root = b"feed" if item[:6].lower() == b"<entry" else b"rss"
        yield b"<%b>%b</%b>" % (root, item, root)


def drop_references(raw: bytes) -> bytes:
    """The document without any numeric character reference."""
    return _REFERENCE.sub(b"", raw)


def _unescape(inner: bytes) -> bytes:
    for name, plain in ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&amp;", b"&")):
        inner = inner.replace(name, plain)
    return inner.replace(_CDATA_END, b"]] >")


class _Ampersands:
    """What an odd ampersand becomes, within one document."""

    def __init__(self, declared: dict[bytes, bytes]) -> None:
        self._declared = declared
        self._left = _MOST_EXPANSION

    def __call__(self, found: re.Match[bytes]) -> bytes:
        number, low, name = found.groups()
        if number:
            return _character(_number(number), _number(low) if low else None)
        if name is None:
            return b"&amp;" + found.group()[1:]
        if name in self._declared:
            value = self._declared[name]
            self._left -= len(value)
            return value if self._left >= 0 else b""
        known = html5.get(name.decode() + ";")
        if known is None:
            return b"&amp;" + found.group()[1:]
        return known.replace("&", "&amp;").replace("<", "&lt;").encode()


def _number(reference: bytes) -> int:
    return int(reference[1:], 16) if reference[:1] in b"xX" else int(reference)


def _character(number: int, low: int | None) -> bytes:
    """The character that a reference means, two references for a UTF-16 pair; nothing where there is none."""
    if 0xD800 <= number <= 0xDBFF and low and 0xDC00 <= low <= 0xDFFF:
        return chr(0x10000 + ((number - 0xD800) << 10) + (low - 0xDC00)).encode()
    after = _character(low, None) if low else b""
    if 0x80 <= number <= 0x9F:
        return bytes([number]).decode("cp1252", errors="ignore").encode() + after
    if number in {0x26, 0x3C}:
        return b"&#%d;" % number + after
    if (
        number in {0x9, 0xA, 0xD}
        or 0x20 <= number <= 0xD7FF
        or 0xE000 <= number <= 0xFFFD
        or 0x10000 <= number <= 0x10FFFF
    ):
        return chr(number).encode() + after
    return after


def _replace_c1(found: re.Match[bytes]) -> bytes:
    both = found.group()
    return both[1:].decode("cp1252", errors="ignore").encode() if both[:1] == b"\xc2" else b""


def _declared(subset: bytes) -> dict[bytes, bytes]:
    """The entities of an internal subset that are a short literal and nothing else, escaped for XML."""
    return {
        name: _character(_number(reference), None) if reference else double or single
        for name, double, single, reference in _ENTITY.findall(subset[:100_000])
        if name not in _XML_OWN
    }
