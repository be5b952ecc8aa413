"""The articles that an index page links to: a front page, a section's, a blog's.

page ─ links outside its furniture ─ the same address together ─> targets ─ rated by address, words, place ─> articles

No single sign will do: an address with a date may be an archive's, a heading may name a section. Each sign adds to a
target's rating, and what stands in one list with articles, and alike, is an article too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from lxml import etree
from lxml.cssselect import CSSSelector

from digest.canonical import canonical_link
from digest.errors import SourceError
from digest.sources.article_links import (
    NEVER,
    date_in_address,
    is_weak,
    rate_address,
    rate_words,
)
from digest.sources.cards import Anchor, Target, find_cards, find_date, find_heading, is_inline, is_section_title
from digest.sources.furniture import HEADINGS, Furniture
from digest.sources.markup import plain_name
from digest.sources.webpages import WebPage, is_same_site, read_webpage, read_words
from digest.sources.xmltree import Element

_ENOUGH: Final = 4  # the rating of an article


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleLink:
    """A link to an article, with the headline and the day that the page gives for it."""

    link: str
    title: str | None = None
    date: datetime | None = None


def find_article_links(
    body: bytes, *, url: str, selector: str | None = None, content_type: str | None = None
) -> tuple[ArticleLink, ...]:
    """The articles that a page links to, in its order, each once, addresses absolute and without fragments.

    `selector` is CSS for the links, or for the blocks that hold them; what it chooses is taken, wherever it leads.
    Without one the page's structure decides. Raises SourceError for a wrong selector, and for what is no web page.
    """
    find = None if selector is None else _compile(selector, url or "document")
    page = read_webpage(body, url=url, content_type=content_type)
    anchors = list(_all_anchors(page)) if find is None else list(_chosen_anchors(page, find))
    targets = _group(anchors)
    find_cards(target for target in targets if target.is_primary)
    if find is None:
        targets = _choose(targets)
    language = page.root.get("lang")
    return tuple(
        ArticleLink(
            link=target.link,
            title=_title_of(target),
            date=find_date(target, language) or date_in_address(target.link),
        )
        for target in targets
    )


def _compile(selector: str, subject: str) -> CSSSelector:
    from cssselect import SelectorError

    try:
        return CSSSelector(selector, translator="html")
    except (SelectorError, etree.XPathError, RecursionError, ValueError) as error:
        raise SourceError(
            subject,
            f'the selector "{selector[:100]}" cannot be used: {error}',
            remedy='write a CSS selector of the links, such as "article h2 a"',
        ) from None


def _all_anchors(page: WebPage) -> Iterator[Anchor]:
    """The links of the page that may lead to an article of its own site."""
    furniture = Furniture(page.root)
    own = canonical_link(page.url)
    for element in page.root.iter("a"):
        href = element.get("href") or ""
        link = page.resolve(href)
        if not link or (page.url and not is_same_site(link, page.url)) or canonical_link(link) == own:
            continue
        relations = {*(element.get("rel") or "").lower().split()}
        if relations & {"nofollow", "sponsored", "ugc", "author", "tag", "category", "search", "next", "prev"}:
            continue
        rate = rate_address(link)
        if rate != NEVER and not furniture.holds(element):
            yield _make_anchor(element, link, rate)


def _chosen_anchors(page: WebPage, find: CSSSelector) -> Iterator[Anchor]:
    """The links that the operator's selector chose, and of a block that it chose, those that are its articles'."""
    for chosen in cast("list[Element]", find(page.root)):
        inner = [chosen] if chosen.tag == "a" else list(chosen.iter("a")) or list(chosen.iterancestors("a"))
        anchors = [
            _make_anchor(element, link, rate_address(link))
            for element in inner
            if (link := page.resolve(element.get("href")))
        ]
        yield from anchors if chosen.tag == "a" else _main_anchors(anchors)


def _main_anchors(anchors: list[Anchor]) -> list[Anchor]:
    """Of a block's links those in headings, else those with words of their own, else the first."""
    own = [anchor for anchor in anchors if anchor.rate != NEVER and not is_inline(anchor)]
    return (
        [anchor for anchor in anchors if anchor.heading is not None]
        or [anchor for anchor in own if not is_weak(anchor.words)]
        or own[:1]
        or anchors[:1]
    )


def _make_anchor(element: Element, link: str, rate: int) -> Anchor:
    heading = find_heading(element)
    return Anchor(
        element=element,
        link=link,
        rate=rate,
        heading=heading,
        words=read_words(heading if heading is not None and heading in set(element.iter(*HEADINGS)) else element),
    )


def _group(anchors: Iterable[Anchor]) -> list[Target]:
    """The anchors by the page to which they lead, in the order of the first."""
    targets: dict[str, Target] = {}
    for anchor in anchors:
        targets.setdefault(canonical_link(anchor.link), Target()).anchors.append(anchor)
    return list(targets.values())


def _choose(targets: list[Target]) -> list[Target]:
    """The targets that are articles, by their own rating or by their company."""
    targets = [target for target in targets if any(not is_inline(anchor) for anchor in target.anchors)]
    titled = _find_titled_blocks(targets)
    ratings = [NEVER if _is_aside(target, titled) else _rate(target) for target in targets]
    lists: dict[object, list[tuple[Target, int]]] = {}
    for target, rating in zip(targets, ratings, strict=True):
        lists.setdefault(target.place, []).append((target, rating))
    company = {place: _rate_company(listed) for place, listed in lists.items()}
    return [
        target
        for target, rating in zip(targets, ratings, strict=True)
        if rating >= _ENOUGH
        or (_may_follow(target, company[target.place]) and rating + company[target.place] >= _ENOUGH)
    ]


def _rate_company(listed: list[tuple[Target, int]]) -> int:
    """What a list says for each of its targets: 3 when most are articles, 1 when most have headlines."""
    sure = sum(1 for _, rating in listed if rating >= _ENOUGH)
    likely = sum(1 for other, rating in listed if 2 <= rating < _ENOUGH or (rating == 1 and other.has_time))
    if sure and 2 * (sure + likely) >= len(listed):
        return 3
    titled = sum(1 for other, rating in listed if rating == _ENOUGH - 1 and _has_headline(other))
    return 1 if titled >= 2 and 2 * titled >= len(listed) else 0


def _may_follow(target: Target, company: int) -> bool:
    """Whether articles beside it can make it one: "World", leading to /world/, is a section in any company."""
    if target.is_weak:
        return False
    if company == 1:
        return _has_headline(target)
    return target.has_time or target.anchors[0].rate >= 0 or rate_words(_title_of(target) or "") > 0


def _has_headline(target: Target) -> bool:
    return target.heading is not None or rate_words(_title_of(target) or "") == 2


def _rate(target: Target) -> int:
    """The sum of the signs."""
    words = _title_of(target) or ""
    rating = target.anchors[0].rate
    heading = target.heading
    if target.is_weak and heading is None:
        return NEVER
    if heading is not None:
        rating += 3 if heading.tag == "h1" else 2
        if heading.tag != "h1" and rate_words(words) < 2 and target.anchors[0].rate < 3 and is_section_title(target):
            rating -= 4  # the title of a section, with its articles beneath
    rating += rate_words(words)
    if target.has_time:
        rating += 2
    if target.block is not None and target.block.tag not in {"li", "tr", "dd", "dt"}:
        rating += 1
    return rating


def _find_titled_blocks(targets: Iterable[Target]) -> dict[Element, Target]:
    """The blocks whose heading is a link to an article: their other links lead to things about it."""
    blocks: dict[Element, Target] = {}
    for target in targets:
        if target.heading is not None and target.block is not None and _rate(target) >= _ENOUGH:
            blocks.setdefault(target.block, target)
    return blocks


def _is_aside(target: Target, titled: dict[Element, Target]) -> bool:
    """Whether every link to the target stands beside an article's headline, as an author's or an earlier report's."""
    if target.heading is not None:
        return False
    owners = [titled.get(anchor.block) if anchor.block is not None else None for anchor in target.anchors]
    return all(owner is not None and owner is not target for owner in owners)


def _title_of(target: Target) -> str | None:
    """The headline: a heading's words, else the longest of the links', else what a picture's link says."""
    if target.heading is not None:
        words = plain_name(read_words(target.heading))
        if words:
            return words
    names = [anchor.words for anchor in target.anchors if not is_weak(anchor.words) and not is_inline(anchor)]
    if names:
        return plain_name(max(names, key=len))
    for anchor in target.anchors:
        element = anchor.element
        images = (image.get("alt") for image in element.iter("img"))
        for words in (element.get("title"), element.get("aria-label"), *images):
            if words and not is_weak(words):
                return plain_name(words)
    return None
