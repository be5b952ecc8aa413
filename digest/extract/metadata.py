"""What a page says of its article beside the text: title, author, date, language, image, its own address.

Pages say it several times: for search engines (JSON-LD, OpenGraph, `title`), for programs (`rel`, `itemprop`), and for
readers (headings, by-lines). What readers see is the publisher's own wording, and goes first where it agrees.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from lxml.html import HtmlElement as Element

_ARTICLES: Final = re.compile(r"article|posting|report|review|webpage", re.IGNORECASE)
_SEPARATOR: Final = re.compile(r"\s+(?:[|»«·•›:]|[-–—]{1,2}|::)\s+|\s*\|\s*")
_QUOTES: Final = str.maketrans("‘’‚‛′`´“”„«»″‐‑‒–—―", "'''''''\"\"\"\"\"\"------")
_BY: Final = re.compile(
    r"^(?:.{0,40}?\b)??(?:written by|posted by|by|von|par|por|di|door|av|af|autore?|autorin|auteur|author|"
    r"text|texte|texto|"
    r"بقلم|автор)\b\s*:?\s+(?P<name>\S.*)$",
    re.IGNORECASE,
)
_NAME_END: Final = re.compile(
    r"\s*(?:[|•·,;(–—@]|\s-\s|\b(?:on|am|le|el|in|at|für|for|posted|updated|published)\b|\b\d).*$", re.IGNORECASE
)
_NO_NAME: Final = re.compile(
    r"^(?:name|admin\w*|administrator|guest.*|anonymous|author|autor|unknown|web ?master|user|"
    r"editor\w*|redaktion\w*|r[ée]daction|redacci[oó]n|redazione|staff.*|news ?desk|"
    r".*\b(?:erforderlich|required|comments?|kommentare?)\b.*)$",
    re.IGNORECASE,
)
_FORM_FIELD: Final = re.compile(
    r"^(?:name|e-?mail|website|.*\b(?:erforderlich|required|obligatoire)\b.*)$", re.IGNORECASE
)
_NAME: Final = re.compile(r"[\w .,'’&+-]+")
_BY_NAMES: Final = re.compile(
    r"(?:^|[\s_-])(?:author|byline|by-line|autor|auteur|verfasser)(?:s|[-_]?name)?(?:$|[\s_-])", re.IGNORECASE
)
_ELSEWHERE: Final = re.compile(
    r"(?:^|\s)(?:comment(?:s|list|-?(?:list|body|author|content|meta|area))?|respond|reply|related\S*|"
    r"sidebar\S*|widget\S*|"
    r"footer\S*|site-footer|teasers?|recommend\S*)(?:$|\s)",
    re.IGNORECASE,
)
_DATE_NAMES: Final = re.compile(r"published|(?:^|[\s._:-])date(?:$|\s)|datepublished|dc\.date|pubdate", re.IGNORECASE)
_MOST_SCRIPT: Final = 500_000  # characters of a JSON-LD block that are looked at
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
    linked = [block for block in _read_json_ld(tree) if _ARTICLES.search(str(block.get("@type")))]
    sites = _site_names(tree, linked, url)
    headlines = [text for block in linked if (text := _flat(_plain(block.get("headline"))))]
    seen = [text for name in ("h1", "h2") for element in _first(tree, name) if (text := _flat(element.text_content()))]
    title, titles = choose_title(
        [*_contents(tree, "og:title"), known.title or "", *(_flat(e.text_content()) for e in _first(tree, "title"))],
        [text for text in [*seen, *headlines] if fold(text) not in sites],
        sites,
        alone=next((text for element in _first(tree, "h1") if (text := _flat(element.text_content()))), None),
    )
    return Metadata(
        title=title,
        titles=tuple(titles),
        author=_choose_author(tree, linked, known.author, sites),
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
    said = [text for text in dict.fromkeys(map(_flat, said)) if text]
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


def fold(text: str) -> str:
    """For comparing: letter case, white space, and the kinds of quotation marks and dashes do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold().split()).strip(" .")


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
    names = [*_contents(tree, "og:site_name"), *_contents(tree, "application-name")]
    for block in linked:
        names += [_flat(name) for name in _names_in(block.get("publisher"))]
    host = (urlsplit(url).hostname or "").removeprefix("www.")
    labels = host.split(".")
    names += [host, labels[0] if len(labels) < 3 else "", labels[-2] if len(labels) > 1 else ""]
    for anchor in tree.iter("a"):  # a logo: the link home, in words
        if (anchor.get("href") or "").rstrip("/") in {"", f"https://{host}", f"https://www.{host}", f"http://{host}"}:
            names.append(_flat(anchor.text_content()))
    return frozenset(fold(name) for name in names if name)


def _choose_author(tree: Element, linked: list[dict[str, Any]], known: str | None, sites: frozenset[str]) -> str | None:
    """Who is named in JSON-LD, by a link of its own, in a by-line, or by the library; else an organisation."""
    named = [name for block in linked for name in _names_in(block.get("author"))]
    candidates = [
        "; ".join(dict.fromkeys(name for raw in named if (name := _person(raw, sites)))) or None,
        next(
            (
                name
                for element in tree.iter("a")
                if _is_by(element) and (name := _person(element.text_content(), sites))
            ),
            None,
        ),
        next((name for raw in _by_lines(tree) if (name := _person(raw, sites))), None),
        "; ".join(name for raw in (known or "").split(";") if (name := _person(raw, sites))) or None,
        next((name for raw in _contents(tree, "twitter:creator") if (name := _person(raw, sites))), None),
    ]
    chosen = next((name for name in candidates if name), None)
    # An editorial office, or the owner of a site that bears his name, is an author where nobody else is.
    return chosen or (_flat(known) if known and not _FORM_FIELD.match(known) else None) or None


def _is_by(element: Element) -> bool:
    return "author" in (element.get("rel") or "").lower().split() and not _is_elsewhere(element)


def _by_lines(tree: Element) -> Iterator[str]:
    """What stands where by-lines stand."""
    for element in tree.iter("a", "span", "div", "p", "address", "li", "cite", "strong", "h3", "h4"):
        is_named = element.get("itemprop") == "author" or _BY_NAMES.search(
            f"{element.get('class') or ''} {element.get('id') or ''}"
        )
        if is_named and not _is_elsewhere(element):
            text = _flat(element.text_content())
            if 2 < len(text) <= 120:
                yield text


def _is_elsewhere(element: Element) -> bool:
    """Whether an element belongs to comments, or to another article."""
    for parent in (element, *element.iterancestors()):
        if parent.tag in {"aside", "footer", "form", "nav"}:
            return True
        if parent.tag not in {"body", "html"} and _ELSEWHERE.search(
            f"{parent.get('class') or ''} {parent.get('id') or ''}"
        ):
            return True
    return False


def _person(raw: str, sites: frozenset[str]) -> str | None:
    """The name in a by-line, when it is one."""
    text = _flat(raw)
    found = _BY.match(text)
    name = _NAME_END.sub("", found["name"] if found else text).strip(" .:-–—,;")
    if not 2 < len(name) <= 60 or len(name.split()) > 5 or "/" in name or "@" in name:
        return None
    if (
        not _NAME.fullmatch(name)
        or _NO_NAME.match(name)
        or fold(name) in sites
        or sum(letter.isdigit() for letter in name) > 4
    ):
        return None
    return name


def _read_json_ld(tree: Element) -> Iterator[dict[str, Any]]:
    """Every object of the page's JSON-LD. Not by recursion: a stranger nests as deep as they like."""
    for script in tree.iter("script"):
        if "ld+json" not in (script.get("type") or "").lower() or not script.text:
            continue
        try:
            waiting: list[Any] = [json.loads(script.text[:_MOST_SCRIPT].strip().rstrip(";"), strict=False)]
        except (ValueError, RecursionError):
            continue
        while waiting:
            block = waiting.pop(0)
            if isinstance(block, list):
                waiting += block[:50]
            elif isinstance(block, dict):
                yield block
                waiting += [value for value in block.values() if isinstance(value, dict | list)]


def _names_in(value: Any) -> list[str]:
    """The names in a JSON-LD value, which may be a text, an object with a name, or a list of these."""
    if isinstance(value, str):
        return [] if value.startswith("http") else [_plain(value)]
    if isinstance(value, dict):
        return _names_in(value.get("name")) if not isinstance(value.get("name"), dict) else []
    if isinstance(value, list):
        return [name for part in value[:10] if not isinstance(part, list) for name in _names_in(part)]
    return []


def _contents(tree: Element, name: str) -> list[str]:
    return [
        text
        for meta in tree.iter("meta")
        if name in {(meta.get("property") or "").lower(), (meta.get("name") or "").lower()}
        and (text := _flat(meta.get("content")))
    ]


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


def _plain(value: Any) -> str:
    """A text of JSON-LD, in which some publishers leave their markup."""
    return re.sub(r"<[^<>]{0,200}>", "", value) if isinstance(value, str) else ""


def _flat(text: str | None) -> str:
    return " ".join((text or "")[:2000].split())


def _http(link: str | None) -> str | None:
    return link if link and link.startswith(("http://", "https://")) else None


def read_day(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat((text or "")[:10]).replace(tzinfo=UTC)
    except ValueError:
        return None
