"""What a page says of its article beside the text: title, author, date, language, image, its own address.

Pages say it several times: for search engines (JSON-LD, OpenGraph, `title`), for programs (`rel`, `itemprop`), and for
readers (headings, by-lines). What readers see is the publisher's own wording, and goes first where it agrees.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from lxml.html import HtmlElement as Element

from digest.extract.authors import choose_author
from digest.extract.markup import flat, fold, names_in, read_json_ld, read_meta, strip_markup

_ARTICLES: Final = re.compile(r"article|posting|report|review|webpage", re.IGNORECASE)
_SEPARATOR: Final = re.compile(r"\s+(?:[|»«·•›:]|[-–—]{1,2}|::)\s+|\s*\|\s*")
_DATE_NAMES: Final = re.compile(r"published|(?:^|[\s._:-])date(?:$|\s)|datepublished|dc\.date|pubdate", re.IGNORECASE)
_LONGEST_TITLE: Final = 300
_SHORTEST_TITLE: Final = 8  # characters: a shorter heading is a section's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What was found. `titles` are all that the page calls itself, the chosen one included."""

    title: str | None = None
    titles: tuple[str, ...] = ()
    author: str | None = None
    date: datetime | None = None  # a day's beginning in UTC
    is_dated: bool = False  # the page says for machines when it was published; else the date is found in its text
    language: str | None = None
    image: str | None = None
    link: str | None = None
    is_free: bool = True  # False: the page says that its article is to be paid for


def read_metadata(tree: Element, url: str, library: Callable[..., Any]) -> Metadata:
    """Read the tree of a page; `library` is trafilatura's own reading, which is also asked for the date (htmldate)."""
    known = library(tree, default_url=url or None)
    linked = [block for block in read_json_ld(tree) if _ARTICLES.search(str(block.get("@type")))]
    sites = _site_names(tree, linked, url)
    headlines = [text for block in linked if (text := flat(strip_markup(block.get("headline"))))]
    seen = [text for name in ("h1", "h2") for element in _first(tree, name) if (text := flat(element.text_content()))]
    title, titles = choose_title(
        [*read_meta(tree, "og:title"), known.title or "", *(flat(e.text_content()) for e in _first(tree, "title"))],
        [text for text in [*seen, *headlines] if fold(text) not in sites],
        sites,
        alone=next((text for element in _first(tree, "h1") if (text := flat(element.text_content()))), None),
    )
    return Metadata(
        title=title,
        titles=tuple(dict.fromkeys([*titles, *seen])),
        author=choose_author(tree, linked, known.author, sites),
        date=read_day(known.date)
        or read_day(next((str(b["datePublished"]) for b in linked if "datePublished" in b), None)),
        is_dated=any("datePublished" in block for block in linked) or _has_date_element(tree),
        language=known.language or _language(tree),
        image=_http(known.image),
        link=_http(known.url),
        is_free=not any(str(block.get("isAccessibleForFree")).lower() == "false" for block in linked),
    )


def choose_title(
    said: list[str], seen: list[str], sites: frozenset[str], *, alone: str | None = None
) -> tuple[str | None, list[str]]:
    """The title, and all titles: of what is said to machines, and what readers see (headings, headlines).

    A heading with which a said title begins or ends is the title in the publisher's own spelling, without the site's
    name. Without one, the parts that name the site are taken off. A said title that nobody sees gives way to `alone`,
    the page's first heading of the first rank.
    """
    said = [text for text in dict.fromkeys(map(flat, said)) if text]
    titles = list(dict.fromkeys([*said, *seen]))
    for text in said:
        folded = fold(text)
        agreeing = [
            heading
            for heading in seen
            if len(heading) >= _SHORTEST_TITLE and (folded.startswith(fold(heading)) or folded.endswith(fold(heading)))
        ]
        if agreeing:
            return max(agreeing, key=len)[:_LONGEST_TITLE], titles
    parts = [part for text in said for part in _parts_of(text, sites)]
    stripped = next(iter(parts), None)
    if alone and (len(alone.split()) < 3 or fold(alone) in sites):
        alone = None
    if stripped and (not alone or any(fold(stripped) in fold(heading) for heading in seen)):
        return stripped[:_LONGEST_TITLE], titles
    return (alone or stripped or next(iter(seen), None)), titles


def _parts_of(title: str, sites: frozenset[str]) -> Iterator[str]:
    """A title without the parts that name the site; what is left, the longest part first when the site stood first."""
    parts, at = [], 0
    for found in _SEPARATOR.finditer(title):
        parts.append((at, found.start()))
        at = found.end()
    parts.append((at, len(title)))
    kept = [span for span in parts if fold(title[slice(*span)]) not in sites]
    if not kept:
        return
    if kept[0] != parts[0]:
        yield max((title[slice(*span)] for span in kept), key=len)
    else:
        ends = [span for span in parts if span[0] >= kept[0][0]]
        while ends and ends[-1] not in kept:
            ends.pop()
        yield title[ends[0][0] : ends[-1][1]]


def _site_names(tree: Element, linked: list[dict[str, Any]], url: str) -> frozenset[str]:
    """What the site calls itself."""
    names = [*read_meta(tree, "og:site_name"), *read_meta(tree, "application-name")]
    for block in linked:
        names += [flat(name) for name in names_in(block.get("publisher"))]
    host = (urlsplit(url).hostname or "").removeprefix("www.")
    labels = host.split(".")
    names += [host, labels[0] if len(labels) < 3 else "", labels[-2] if len(labels) > 1 else ""]
    for anchor in tree.iter("a"):  # a logo: the link home, in words
        if (anchor.get("href") or "").rstrip("/") in {"", f"https://{host}", f"https://www.{host}", f"http://{host}"}:
            names.append(flat(anchor.text_content()))
    return frozenset(fold(name) for name in names if name)


def _first(tree: Element, name: str) -> list[Any]:
    """The first elements of that name: a page with hundreds of headings is no reason to be slow."""
    return [element for element, _ in zip(tree.iter(name), range(5), strict=False)]


def _has_date_element(tree: Element) -> bool:
    named = any(
        _DATE_NAMES.search(f"{meta.get('property') or ''} {meta.get('name') or ''} {meta.get('itemprop') or ''}")
        for meta in tree.iter("meta")
    )
    return named or any(element.get("datetime") for element in tree.iter("time"))


def _language(tree: Element) -> str | None:
    root = next(tree.iter("html"), None)
    language = (root.get("lang") or "").strip().replace("_", "-") if root is not None else ""
    return language if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*", language) else None


def _http(link: str | None) -> str | None:
    return link if link and link.startswith(("http://", "https://")) else None


def read_day(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat((text or "")[:10]).replace(tzinfo=UTC)
    except ValueError:
        return None
