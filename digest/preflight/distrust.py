"""What filters and readers take for spam, told from the mail alone: basics, each a warning."""

import re
from collections.abc import Iterator
from typing import Final

from lxml.html import HtmlElement

from digest.models import Finding
from digest.preflight.elements import place_of
from digest.preflight.links import is_reserved, split_url
from digest.preflight.words import count_letters

_SHOUTED: Final = 10  # letters from which a subject in capitals is shouting
_SHARE: Final = 0.8  # of the letters that have a case
_REPLY: Final = re.compile(r"^\s*(?:re|fwd?|aw|wg|tr|rv)\s*:", re.IGNORECASE)
_LOUD: Final = re.compile(r"[!！]{2,}|[?？][!！]|\${2,}|€{2,}")
_HOST_AS_WORDS: Final = re.compile(r"^(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?:[/?#]\S*)?$", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"^(?:[\d.]+|0x[\da-f]+|.*:.*)$")  # of the network, where a name should be
_SHORTENERS: Final = frozenset(
    "bit.ly t.co tinyurl.com goo.gl ow.ly is.gd buff.ly cutt.ly rb.gy shorturl.at tiny.cc rebrand.ly".split()
)
_FEW_LETTERS: Final = 200  # of a mail whose pictures say the rest
_MUCH_HIDDEN: Final = 500  # letters; a preheader has fewer


def distrust_subject(subject: str) -> Iterator[Finding]:
    """The findings on a subject, decoded."""
    cased = [character for character in subject if character.upper() != character.lower()]
    if len(cased) >= _SHOUTED and sum(map(str.isupper, cased)) >= _SHARE * len(cased):
        yield _finding("spam-subject", "The subject is written in capitals.", "Subject")
    if found := _LOUD.search(subject):
        yield _finding("spam-subject", f"The subject shouts: “{found[0]}”.", "Subject")
    if _REPLY.match(subject):
        yield _finding("spam-subject", "The subject passes for an answer, or for something forwarded.", "Subject")


def distrust_html(root: HtmlElement) -> Iterator[Finding]:
    """The findings on an HTML part."""
    yield from _distrust_links(root)
    body = root.find("body") if root.find("body") is not None else root
    seen, hidden = _count_letters(body)
    if seen < _FEW_LETTERS and next(root.iter("img"), None) is not None:
        yield _finding("spam-image-only", f"Pictures say it all: there are {seen} letters besides.", "HTML")
    if hidden > _MUCH_HIDDEN:
        yield _finding("spam-hidden", f"The HTML hides {hidden} letters from its reader.", "HTML")


def _distrust_links(root: HtmlElement) -> Iterator[Finding]:
    for link in root.iter("a", "area"):
        _, host = split_url((link.get("href") or "").strip())
        place = place_of(link)
        if host.removeprefix("www.") in _SHORTENERS:
            yield _finding("spam-link", f"{host} hides where the link leads.", place)
        if _ADDRESS.match(host) and not is_reserved(host):
            yield _finding("spam-link", f"The link leads to a bare address, {host}.", place)
        said = _HOST_AS_WORDS.match(str(link.text_content()).strip())
        if said and host and not _is_same_site(said[1].lower(), host):
            yield _finding("spam-link", f"The link says {said[1]} and leads to {host}.", place)


def _is_same_site(one: str, other: str) -> bool:
    """Whether one is the other, or a host of its."""
    short, long = sorted((one.removeprefix("www."), other.removeprefix("www.")), key=len)
    return long == short or long.endswith(f".{short}")


def _count_letters(body: HtmlElement) -> tuple[int, int]:
    """Letters that are seen, and letters in what is not displayed."""
    seen = hidden = 0
    waiting = [(body, False)]
    while waiting:
        element, is_hidden = waiting.pop()
        is_silent = not isinstance(element.tag, str) or element.tag in {"style", "script", "title"}
        if not is_silent:
            style = re.sub(r"\s+", "", element.get("style") or "").lower()
            is_hidden = is_hidden or "display:none" in style or "visibility:hidden" in style
            said = [element.text, *(child.tail for child in element)]
            letters = sum(count_letters(words) for words in said if words)
            seen, hidden = (seen, hidden + letters) if is_hidden else (seen + letters, hidden)
            waiting.extend((child, is_hidden) for child in element)
    return seen, hidden


def _finding(rule: str, message: str, where: str) -> Finding:
    return Finding(rule=rule, severity="warn", message=message, where=where)
