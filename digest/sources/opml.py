"""OPML, the list of subscriptions that feed readers give and take (http://opml.org/spec2.opml)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from digest.errors import SourceError
from digest.sources.encoding import read_text
from digest.sources.markup import plain_name
from digest.sources.repair import clean, mend, outline
from digest.sources.xmltree import parse_tree

_LIMIT: Final = 10_000_000  # bytes
_ROOT: Final = "opml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A feed of a list, in the folders that it lies in, the outermost first."""

    url: str
    title: str | None = None
    folders: tuple[str, ...] = ()


def parse_opml(body: bytes) -> tuple[Subscription, ...]:
    """The feeds of a list, in its order, each address once. Raises SourceError for what is no OPML."""
    try:
        text = read_text(body, limit=_LIMIT)
    except ValueError as error:
        raise SourceError("document", str(error)) from None
    raw = clean(text)
    found = outline(raw, {_ROOT})
    if found is None or found.root != _ROOT:
        raise SourceError("document", "it is not OPML", remedy="export the subscriptions of your feed reader as OPML")
    root, _ = parse_tree(mend(raw, found))
    if root is None:
        raise SourceError("document", "it begins like OPML, and its XML cannot be read")
    subscriptions = {subscription.url: subscription for subscription in reversed(list(_walk(root)))}
    return tuple(reversed(subscriptions.values()))


def write_opml(title: str, subscriptions: Sequence[Subscription]) -> bytes:
    """The list as OPML 2.0, the feeds of a folder together in it."""
    root = etree.Element("opml", version="2.0")
    etree.SubElement(etree.SubElement(root, "head"), "title").text = title
    body = etree.SubElement(root, "body")
    folders: dict[tuple[str, ...], etree._Element] = {(): body}
    for subscription in subscriptions:
        parent = body
        for depth, name in enumerate(subscription.folders, 1):
            path = subscription.folders[:depth]
            if path not in folders:
                folders[path] = etree.SubElement(parent, "outline", text=name, title=name)
            parent = folders[path]
        name = subscription.title or subscription.url
        etree.SubElement(parent, "outline", type="rss", text=name, title=name, xmlUrl=subscription.url)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _walk(root: etree._Element) -> Iterator[Subscription]:
    """Every outline with a feed. Not by recursion: a stranger's list may be nested as deep as they like."""
    waiting: list[tuple[etree._Element, tuple[str, ...]]] = [(root, ())]
    while waiting:
        element, folders = waiting.pop()
        attributes = {str(name).lower(): str(value) for name, value in element.attrib.items()}
        name = plain_name(attributes.get("title") or attributes.get("text"))
        url = attributes.get("xmlurl", "").strip()
        if url:
            yield Subscription(url=url, title=name, folders=folders)
        inside = folders if url or not name or element is root else (*folders, name)
        waiting += [(child, inside) for child in reversed(list(element.iterchildren(etree.Element)))]
