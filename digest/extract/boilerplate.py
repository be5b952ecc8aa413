"""What stands in and around an article and is none of it: taken off the tree before, and off the paragraphs after.

Two kinds of signs are used, and both are general: names that templates give to such blocks, and how such lines begin,
in the languages that most news is written in.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from digest.extract.markup import fold
from digest.text import is_call

_BLOCKS: Final = ("div", "p", "span", "section", "article", "aside", "ul", "small", "h2", "h3", "figcaption")
_BLOCK_NAMES: Final = re.compile(
    r"(?:^|[\s_-])(?:promo(?:ted|tion)?s?|disclosure|(?:reading|read)[-_]?time|kommentar\w*|newsletter\w*|"
    r"right[-_]rail|"
    r"related\w*|read[-_]?more|caption|art-?source|link-?list)(?:$|[\s_-])|kommentar|artsource|linklist",
    re.IGNORECASE,
)
_MOST_PARAGRAPHS: Final = 2  # long ones: a block with more is no aside, whatever it is called
_MOST_SHARE: Final = 0.25  # of the page's text
_LONG: Final = 120  # characters

_DATELINE: Final = re.compile(
    r"\b\d{1,2}\b\D{1,14}\b(?:19|20)\d\d\b|\b(?:19|20)\d\d[./年-]\s?\d{1,2}[./月-]\s?\d{1,2}|"
    r"\b\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d\d\b"
)
_BRACKETED: Final = re.compile(r"\(([^()]{6,40})\)")
_SENTENCE_END: Final = re.compile(r"[.!?…。؟]['\"”»)]?$")
_HEAD: Final = 4  # paragraphs at the start in which titles and dates are repeated
_WORDS: Final = re.compile(r"\w+")


def prune(tree: Any) -> None:
    """Take off the blocks that a template names as something else, unless they hold much of the page."""
    body = tree.find(".//body")
    if body is None:
        return
    total = len(body.text_content())
    for element in list(body.iter(*_BLOCKS)):
        names = f"{element.get('class') or ''} {element.get('id') or ''}"
        if len(names) < 2 or element.getparent() is None or not _BLOCK_NAMES.search(names):
            continue
        long_ones = sum(len(paragraph.text_content()) > _LONG for paragraph in element.iter("p"))
        if long_ones <= _MOST_PARAGRAPHS and len(element.text_content()) <= _MOST_SHARE * total:
            element.drop_tree()


def clean_paragraphs(paragraphs: Sequence[str], titles: Sequence[str]) -> list[str]:
    """The paragraphs that are of the article: no repeated title, no pointer elsewhere, no call, credit or contact."""
    folded = {fold(title) for title in titles if len(title) > 3}
    kept: list[str] = []
    for paragraph in paragraphs:
        is_head = len(kept) < _HEAD
        if is_head and (_repeats_title(paragraph, folded) or _is_dateline(paragraph)):
            continue
        if not is_call(paragraph):
            kept.append(paragraph)
    return kept


def find_own_date(paragraphs: Sequence[str]) -> str | None:
    """The words of a date that an article begins with, in brackets or as a line of its own: "(3 March 2026) The …"."""
    for paragraph in paragraphs[:_HEAD]:
        found = _BRACKETED.match(paragraph)
        if found and _DATELINE.search(found[1]):
            return found[1]
        if _is_dateline(paragraph):
            return paragraph
    return None


def _repeats_title(paragraph: str, titles: set[str]) -> bool:
    """Whether it is a title, or one with the site's name."""
    text = fold(paragraph)
    return text in titles or any(
        len(title) > 20 and text.startswith(title) and text[len(title) :].lstrip()[:1] in {"|", "-", "»", "·"}
        for title in titles
    )


def _is_dateline(paragraph: str) -> bool:
    """A line that says when it was published, and perhaps by whom."""
    return (
        len(_WORDS.findall(paragraph)) <= 16
        and not _SENTENCE_END.search(paragraph)
        and bool(_DATELINE.search(paragraph))
    )
