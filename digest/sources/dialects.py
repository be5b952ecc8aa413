"""From a parsed XML feed to ours, by the tables of `vocabulary`."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lxml import etree

from digest.models import Entry, Feed
from digest.sources.constructs import read_markup, read_text
from digest.sources.dates import parse_date
from digest.sources.markup import absolute, join, plain_name, sanitise, squeeze
from digest.sources.vocabulary import ENCLOSURES, ENTRY_FIELDS, FEED_FIELDS, IMAGES, TAG_LISTS, TAGS, Names
from digest.sources.xmltree import Element

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"
_SEVERAL: Final = frozenset({"link", "category", "author", *ENTRY_FIELDS["author"], *TAGS, *ENCLOSURES})
_MAILBOX = re.compile(r"^(?:mailto:)?[^\s@<>()]+@[^\s@<>()]+$")
_WITH_MAILBOX = re.compile(
    r"^\s*(?:(?:mailto:)?[^\s@<>()]+@[^\s@<>()]+\s*\(([^()]+)\)|([^<>]+?)\s*<[^<>]*@[^<>]*>|(.+?)\s*\([^\s()]+@[^()]+\))\s*$"
)

_Found = dict[str, list[Element]]


class Document:
    """A parsed XML feed. Reading alters the tree, so read it once."""

    def __init__(self, root: Element, *, url: str, relocates: bool) -> None:
        """`url` is where the document was served, `relocates` whether any `xml:base` stands in it."""
        self._root = root
        self._url = url
        self._relocates = relocates
        self._names = Names(str(root.tag))
        self._is_atom = self._names[root.tag] in {"feed", "entry"}
        self._language: str | None = None

    def read(self) -> Feed:
        """The feed and its entries, in the document's order."""
        channel = self._channel()
        found = self._collect(channel)
        self._language = self._text(found, FEED_FIELDS["language"]) or channel.get(_LANG) or self._root.get(_LANG)
        authors = self._authors(found, FEED_FIELDS["author"]) if self._is_atom else None
        return Feed(
            title=plain_name(self._first_raw(found, FEED_FIELDS["title"])),
            link=self._link(found, None),
            subtitle=self._body(found, FEED_FIELDS["subtitle"]),
            language=squeeze(self._language),
            entries=tuple(self._entry(item, authors) for item in self._items(channel)),
        )

    def _channel(self) -> Element:
        for child in self._root:
            if self._names[child.tag] == "channel":
                return child
        return self._root

    def _items(self, channel: Element) -> list[Element]:
        """The items of the channel and, as in RDF, beside it; of a document in disorder, wherever they are."""
        if self._names[self._root.tag] == "entry":
            return [self._root]
        places = [channel] if channel is self._root else [channel, self._root]
        items = [child for place in places for child in place if self._names[child.tag] in {"item", "entry"}]
        if not items:
            items = [node for node in self._root.iter(etree.Element) if self._names[node.tag] in {"item", "entry"}]
        return items

    def _entry(self, item: Element, feed_authors: str | None) -> Entry:
        found = self._collect(item)
        for group in found.get("media:group", ()):
            for name, elements in self._collect(group).items():
                found.setdefault(name, []).extend(elements)
        about = item.get(_ABOUT)
        link = self._link(found, about)
        return Entry(
            id=(self._text(found, ENTRY_FIELDS["id"]) or (about or "").strip() or link),
            title=plain_name(self._first_raw(found, ENTRY_FIELDS["title"])),
            link=link,
            published_at=self._date(found, ENTRY_FIELDS["published"]),
            updated_at=self._date(found, ENTRY_FIELDS["updated"]),
            author=self._authors(found, ENTRY_FIELDS["author"]) or self._source_authors(found) or feed_authors,
            summary=self._body(found, ENTRY_FIELDS["summary"]),
            content=self._body(found, ENTRY_FIELDS["content"]),
            enclosures=self._enclosures(found),
            image=self._image(found),
            tags=_read_tags(found),
            language=squeeze(self._text(found, ENTRY_FIELDS["language"]) or item.get(_LANG) or _inner_language(found)),
        )

    def _collect(self, parent: Element) -> _Found:
        """The children by name. Of what can be there once, the first that is not empty."""
        found: _Found = {}
        names = self._names
        for child in parent:
            name = names[child.tag]
            if not name:
                continue
            known = found.get(name)
            if known is None:
                found[name] = [child]
            elif name in _SEVERAL or name == "content":
                known.append(child)
            elif not known[0].text and not len(known[0]):
                known[0] = child
        return found

    def _text(self, found: _Found, names: Sequence[str]) -> str | None:
        for name in names:
            for element in found.get(name, ()):
                text = (element.text or "").strip()
                if text:
                    return text
        return None

    def _first_raw(self, found: _Found, names: Sequence[str]) -> str | None:
        """The text of a title, with its markup as it is."""
        for name in names:
            for element in found.get(name, ()):
                text = read_text(element)
                if text.strip():
                    return text
        return None

    def _body(self, found: _Found, names: Sequence[str]) -> str | None:
        """The first element that holds something, as sanitised HTML."""
        for name in names:
            for element in found.get(name, ()):
                if not element.text and not len(element):
                    continue
                base_of = self._base if self._relocates else None
                body = sanitise(read_markup(element, is_typed=self._is_atom, base_of=base_of), self._base(element))
                if body:
                    return body
        return None

    def _base(self, element: Element) -> str:
        if not self._relocates:
            return self._url
        return join(self._url, element.base or "")

    def _date(self, found: _Found, names: Sequence[str]) -> datetime | None:
        for name in names:
            for element in found.get(name, ()):
                text = element.text
                instant = parse_date(text, self._language) if text else None
                if instant:
                    return instant
        return None

    def _link(self, found: _Found, about: str | None) -> str | None:
        """RSS's link in the text, else Atom's alternate one, else a guid that is a permanent link, else RDF's own."""
        best: tuple[int, str] | None = None
        for element in found.get("link", ()):
            href = element.get("href")
            link = absolute(element.text if href is None else href, self._base(element))
            rank = 0 if href is None else _rank_relation(element)
            if link and rank is not None and (best is None or rank < best[0]):
                best = rank, link
        if best:
            return best[1]
        for guid in found.get("guid", ()):
            text = (guid.text or "").strip()
            if text.startswith(("http://", "https://")) and (guid.get("isPermaLink") or "true").lower() != "false":
                return absolute(text)
        return absolute(about, self._url) if about else None

    def _enclosures(self, found: _Found) -> tuple[str, ...]:
        links: dict[str, None] = {}
        for name in ENCLOSURES:
            for element in found.get(name, ()):
                link = absolute(element.get("url") or element.get("href"), self._base(element))
                if link:
                    links[link] = None
        for element in found.get("link", ()):
            if _relation(element) == "enclosure":
                link = absolute(element.get("href"), self._base(element))
                if link:
                    links[link] = None
        return tuple(links)

    def _image(self, found: _Found) -> str | None:
        """The first that says it is a picture; a thumbnail always is one."""
        for name in IMAGES:
            for element in found.get(name, ()):
                kind = element.get("medium") or element.get("type") or ""
                is_image = name == "media:thumbnail" or kind.lower().startswith("image")
                if is_image and (link := absolute(element.get("url") or element.get("href"), self._base(element))):
                    return link
        return None

    def _authors(self, found: _Found, names: Sequence[str]) -> str | None:
        """Names, and an address only where there is no name."""
        fallback = None
        for name in names:
            people = dict.fromkeys(person for element in found.get(name, ()) if (person := self._person(element)))
            called = [person for person in people if not _MAILBOX.match(person)]
            if called:
                return squeeze(", ".join(called))
            fallback = fallback or next(iter(people), None)
        return fallback

    def _person(self, element: Element) -> str | None:
        if not len(element):
            text = plain_name(element.text)
            found = _WITH_MAILBOX.match(text) if text and "@" in text else None
            return next((part.strip() for part in found.groups() if part), None) if found else text
        parts = {self._names[child.tag].rpartition(":")[2]: child.text for child in element}
        return plain_name(parts.get("name")) or plain_name(parts.get("email"))

    def _source_authors(self, found: _Found) -> str | None:
        """The authors of the feed that an Atom entry was copied from (RFC 4287 §4.2.11)."""
        source = found.get("source") if self._is_atom else None
        return self._authors(self._collect(source[0]), FEED_FIELDS["author"]) if source else None


def _relation(element: Element) -> str:
    return (element.get("rel") or "alternate").strip().rpartition("/")[2].lower()


def _rank_relation(element: Element) -> int | None:
    if _relation(element) != "alternate":
        return None
    kind = (element.get("type") or "text/html").lower()
    return 1 if "html" in kind else 2


def _read_tags(found: _Found) -> tuple[str, ...]:
    tags: dict[str, None] = {}
    for name in TAGS:
        for element in found.get(name, ()):
            for text in (element.get("term") or element.get("text") or element.text, element.get("label")):
                tag = plain_name(text)
                if tag:
                    tags[tag] = None
    for name in TAG_LISTS:
        for element in found.get(name, ()):
            for part in (element.text or "").split(","):
                tag = plain_name(part)
                if tag:
                    tags[tag] = None
    return tuple(tags)


def _inner_language(found: _Found) -> str | None:
    for name in ("title", "content", "summary", "description"):
        for element in found.get(name, ()):
            language = element.get(_LANG)
            if language:
                return str(language)
    return None
