"""Who wrote an article, by what its page says in JSON-LD, in links, in by-lines and in `meta` elements."""

import re
from collections.abc import Iterator
from typing import Any, Final

from lxml.html import HtmlElement as Element

from digest.extract.markup import flat, fold, names_in, read_meta

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


def choose_author(tree: Element, linked: list[dict[str, Any]], known: str | None, sites: frozenset[str]) -> str | None:
    """Who is named in JSON-LD, by a link of its own, in a by-line, or by the library; else an organisation."""
    named = [name for block in linked for name in names_in(block.get("author"))]
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
        next((name for raw in read_meta(tree, "twitter:creator") if (name := _person(raw, sites))), None),
    ]
    chosen = next((name for name in candidates if name), None)
    # An editorial office, or the owner of a site that bears his name, is an author where nobody else is.
    return chosen or (flat(known) if known and not _FORM_FIELD.match(known) else None) or None


def _is_by(element: Element) -> bool:
    return "author" in (element.get("rel") or "").lower().split() and not _is_elsewhere(element)


def _by_lines(tree: Element) -> Iterator[str]:
    """What stands where by-lines stand."""
    for element in tree.iter("a", "span", "div", "p", "address", "li", "cite", "strong", "h3", "h4"):
        is_named = element.get("itemprop") == "author" or _BY_NAMES.search(
            f"{element.get('class') or ''} {element.get('id') or ''}"
        )
        if is_named and not _is_elsewhere(element):
            text = flat(element.text_content())
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
    text = flat(raw)
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
