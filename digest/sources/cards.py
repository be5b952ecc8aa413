"""Where links to articles stand on a page: in headings, in cards with a day and a picture, in lists of alike blocks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from digest.sources.article_links import is_weak, rate_words
from digest.sources.dates import parse_date
from digest.sources.furniture import HEADINGS
from digest.sources.webpages import read_words
from digest.sources.xmltree import Element

_BLOCKS: Final = frozenset({"article", "li", "tr", "dd", "dt"})
_BLOCK_CLASS = re.compile(
    r"(?:^|[\s_-])(?:card|teaser|post|story|item|entry|article|news-?item|tile|promo|headline|hentry|block-link)(?:$|\s|--)",
    re.IGNORECASE,
)
_TOPS: Final = frozenset({"html", "body", "main"})
_DATE_CLASS = re.compile(
    r"(?:^|[\s_-])(?:date|time|datetime|timestamp|published|pubdate|posted-on|updated)(?:$|[\s_-])", re.IGNORECASE
)
_PARAGRAPHS: Final = frozenset({"p", "blockquote", "figcaption"})
_LINE_TAGS: Final = frozenset({"em", "i", "b", "strong", "span", "small", "u", "mark"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A link on a page, its rating by address, and the heading in which it stands or that stands in it."""

    element: Element
    link: str
    rate: int
    heading: Element | None
    words: str

    @property
    def block(self) -> Element | None:
        """The article element, list item or card in which the link stands."""
        for parent in (self.element, *self.element.iterancestors()):
            if parent.tag in _TOPS or parent.tag in {"ul", "ol", "table", "section"}:
                return None
            if parent.tag in _BLOCKS or (parent is not self.element and _BLOCK_CLASS.search(parent.get("class") or "")):
                return parent
        return None


@dataclass(slots=True, kw_only=True)
class Target:
    """A page to which links lead; `card` is the largest block that leads nowhere else."""

    anchors: list[Anchor] = field(default_factory=list)
    card: Element | None = None

    @property
    def link(self) -> str:
        """Its address as it is written first."""
        return self.anchors[0].link

    @property
    def is_weak(self) -> bool:
        """Whether no link to it says what it is, and nothing stands in a heading."""
        return all(is_weak(anchor.words) for anchor in self.anchors) and not _labels(self)

    @property
    def is_primary(self) -> bool:
        """Whether it may have a card of its own, which the name of a section or an author within it has not."""
        return any(
            not is_inline(anchor) and (anchor.heading is not None or anchor.rate >= 2 or rate_words(anchor.words) == 2)
            for anchor in self.anchors
        )

    @property
    def heading(self) -> Element | None:
        """The heading of a link to it; else the only one of its card."""
        for anchor in self.anchors:
            if anchor.heading is not None:
                return anchor.heading
        found = list(self.card.iter(*HEADINGS)) if self.card is not None else []
        return found[0] if len(found) == 1 and next(found[0].iter("a"), None) is None else None

    @property
    def block(self) -> Element | None:
        """The first block in which a link to it stands."""
        return next((anchor.block for anchor in self.anchors if anchor.block is not None), None)

    @property
    def has_time(self) -> bool:
        """Whether a day stands by it."""
        return _find_time(self) is not None

    @property
    def place(self) -> tuple[Element | None, object]:
        """What it has in common with its neighbours: where its block or card stands, and what element that is."""
        block = self.block
        card = self.card if self.card is not None else self.anchors[0].element
        top = card if block is None else block
        return top.getparent(), top.tag


def find_heading(element: Element) -> Element | None:
    """The heading around a link, or within it."""
    for parent in element.iterancestors():
        if parent.tag in HEADINGS:
            return parent
        if parent.tag in _BLOCKS or parent.tag in _TOPS:
            break
    return next(element.iter(*HEADINGS), None)


def is_inline(anchor: Anchor) -> bool:
    """Whether a link stands amid the words of a sentence."""
    if anchor.heading is not None:
        return False
    parent = anchor.element.getparent()
    while parent is not None and parent.tag in _LINE_TAGS:
        parent = parent.getparent()
    if parent is None or parent.tag not in _PARAGRAPHS:
        return False
    own = sum(len(read_words(link)) for link in parent.iter("a"))
    around = len(read_words(parent)) - own
    return around > 12 and (around > 40 or 2 * around > own)


def find_cards(targets: Iterable[Target]) -> None:
    """Give each target its card."""
    owners: dict[Element, Target | None] = {}  # None: several targets' links stand in it
    listed = list(targets)
    for target in listed:
        for anchor in target.anchors:
            for parent in (anchor.element, *anchor.element.iterancestors()):
                known = owners.get(parent, target)
                if known is None:
                    break
                owners[parent] = target if known is target else None
    for target in listed:
        for anchor in target.anchors:
            card = anchor.element
            for parent in anchor.element.iterancestors():
                if owners.get(parent) is not target or parent.tag in _TOPS:
                    break
                card = parent
            if target.card is None or anchor.heading is not None:
                target.card = card


def is_section_title(target: Target) -> bool:
    """Whether a heading stands over blocks that lead elsewhere: to several pages, or with a heading of its rank."""
    heading, top = target.heading, target.card
    if heading is None or top is None:
        return False
    ranks = [tag for tag in HEADINGS if tag <= heading.tag]
    links: set[str] = set()
    for number, sibling in enumerate(top.itersiblings()):
        if sibling.tag in ranks:
            break
        is_alike = next(sibling.iter(*ranks), None) is not None
        if is_alike and (number > 0 or top.tag not in HEADINGS):
            break
        links |= {href for link in sibling.iter("a") if (href := link.get("href")) and href != target.link}
        if len(links) > 1 or (is_alike and links):
            return True
        if is_alike:
            break
    return False


def find_date(target: Target, language: str | None) -> datetime | None:
    """The day that stands by a link."""
    element = _find_time(target)
    if element is None:
        return None
    for text in (element.get("datetime"), element.get("content"), read_words(element), element.get("title")):
        found = parse_date(text, language) if text else None
        if found:
            return found
    return None


def _find_time(target: Target) -> Element | None:
    for place in (target.block, target.card):
        if place is None or place.tag == "a":
            continue
        for element in place.iter("time", "span", "p", "div", "small", "abbr"):
            if element.tag == "time" or (not len(element) and _DATE_CLASS.search(element.get("class") or "")):
                return element
    return None


def _labels(target: Target) -> list[str]:
    return [
        words
        for anchor in target.anchors
        for image in (anchor.element, *anchor.element.iter("img"))
        if (words := image.get("alt") or image.get("aria-label") or "") and not is_weak(words)
    ]
