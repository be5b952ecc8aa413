"""An element's content: plain text, escaped HTML, inline XHTML or base64, as its attributes say or as it shows."""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Final

from lxml import etree

from digest.sources.encoding import decode
from digest.sources.markup import escape, join, looks_like_html, scrub
from digest.sources.xmltree import Element

_HTML_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def read_text(element: Element) -> str:
    """The content of a title, its markup included: what stands bare as well as what is written as text."""
    if len(element):
        return _serialise(element, None)
    return decode_base64(element) or element.text or ""


def read_markup(element: Element, *, is_typed: bool, base_of: Callable[[Element], str] | None) -> str:
    """The content as HTML (RFC 4287 §3.1.1 and §4.1.3.3, and Atom 0.3's `mode`).

    `is_typed` says that text is plain unless its type says otherwise, as in Atom; `base_of` gives the base of the links
    within, where `xml:base` occurs.
    """
    decoded = decode_base64(element)
    if decoded is not None:
        return decoded
    if len(element):
        return _serialise(element, base_of)
    kind = (element.get("type") or "").lower()
    text = element.text or ""
    if kind in {"text", "text/plain"}:
        return text if element.get("mode") == "escaped" and looks_like_html(text) else escape(text)
    if is_typed and not kind and not looks_like_html(text):
        return escape(text)
    return text


def _join_text(element: Element) -> str:
    """All characters within an element."""
    return "".join(str(part) for part in element.itertext())


def decode_base64(element: Element) -> str | None:
    """The text of an element that says it is base64: Atom 0.3's mode, or a type that is neither text nor XML."""
    kind = (element.get("type") or "").lower()
    is_binary = "/" in kind and not kind.startswith("text/") and not kind.endswith(("/xml", "+xml"))
    if element.get("mode") != "base64" and not is_binary:
        return None
    try:
        return scrub(decode(b64decode(_join_text(element), validate=False)))
    except (binascii.Error, ValueError):
        return None


def _serialise(element: Element, base_of: Callable[[Element], str] | None) -> str:
    """The children of an element as HTML, their names without namespaces."""
    if base_of:
        for node in element.iter(etree.Element):
            for name in ("href", "src"):
                if name in node.attrib:
                    node.set(name, join(base_of(node), str(node.get(name))))
    for node in element.iter(etree.Element):
        tag = str(node.tag)
        if "}" in tag or ":" in tag:
            local = re.split("[}:]", tag)[-1]
            node.tag = local if _HTML_NAME.fullmatch(local) else "span"
    return "".join(_pieces(element))


def _pieces(element: Element) -> Iterator[str]:
    if element.text:
        yield escape(element.text)
    for child in element:
        yield etree.tostring(child, encoding="unicode", method="html", with_tail=True)
