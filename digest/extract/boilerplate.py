"""What stands in and around an article and is none of it: taken off the tree before, and off the paragraphs after.

Two kinds of signs are used, and both are general: names that templates give to such blocks, and how such lines begin,
in the languages that most news is written in.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from digest.extract.metadata import fold

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

_POINTERS: Final = re.compile(
    r"^(?:[▶►»→*•|\[(–-]+\s*)?(?:read (?:more|also|next|on)|also read|read the full|see also|also on \S+\.\w{2,}|"
    r"more (?:on|from|about)\b|related(?: (?:stories|story|articles?|content|links?|coverage|news))?\s*[:|]|"
    r"you (?:may|might) (?:also )?(?:like|enjoy)|recommended\b|don't miss\s*:|watch(?: (?:also|more|below|"
    r"live|now))?\s*:|"
    r"lesen sie|lies auch|auch interessant|mehr (?:zum thema|dazu|lesen|infos?)|weiterlesen|siehe auch|"
    r"lire (?:aussi|plus|également|la suite)|à lire|voir aussi|lea (?:también|más)|leer (?:más|también)|ver también|"
    r"leggi anche|leia (?:também|mais)|veja (?:também|mais)|saiba mais|confira também|czytaj (?:też|także|więcej)|"
    r"zobacz (?:też|także)|lees ook|läs (?:också|mer)|les også|اقرأ|شاهد أيض|читайте также|смотрите также)(?!\w)",
    re.IGNORECASE,
)
_CALLS: Final = re.compile(
    r"^(?:like this (?:story|article)|(?:did you )?(?:like|enjoy)\b.{0,40}\?|(?:please )?(?:sign up|subscribe|"
    r"register)\b|"
    r"(?:get|receive|join)\b.{0,60}\b(?:newsletter|inbox|e-?mails?)\b|follow (?:us|@|"
    r"\w+(?: \w+){0,3} on (?:twitter|facebook|"
    r"instagram|x|google)\b)|follow @?\w+ on|(?:find|like|join|visit) us on|share (?:this|on|with|via)\b|"
    r"click here|tell us what|"
    r"(?:have|got) (?:a|any) (?:tip|story|news)|download (?:the|our) app|if you buy (?:something|a product)\b|"
    r"(?:we|this (?:post|article|site)) (?:may|might) (?:earn|receive|contain)|gefällt (?:dir|ihnen)|folgen sie|"
    r"(?:jetzt |hier )?(?:abonnieren|anmelden)|suivez|abonnez|inscrivez|partage[rz]|s[ií]guen?os|suscr[ií]b|comparte|"
    r"assine|inscreva|compartilhe|seguici|iscriviti|condividi|تابعنا|اشترك|подпиш|nous utilisons des cookies|"
    r"we use cookies|this (?:site|website) uses cookies|wir verwenden cookies|diese (?:seite|"
    r"website) verwendet cookies|"
    r"utilizamos cookies|anzeige,|werbung\b|advertisement\b|publicidad\b|publicité\b|"
    r"sie sind (?:aktuell )?nicht eingeloggt)",
    re.IGNORECASE,
)
_CREDITS: Final = re.compile(
    r"^\(?(?:(?:photos?|images?|pictures?|photo(?:graph)?|foto|bild|video)?\s*(?:credits?|by|source|courtesy|"
    r"von|par|por)|"
    r"photos?|images?|pictures?|fotos?|bild(?:er)?|sources?|quelle|fuente|fonte|crédits?)\s*[:/©].{0,80}\)?$",
    re.IGNORECASE,
)
_CONTACT: Final = re.compile(
    r"^(?:e-?mail\s*:?\s*)?(?:\S+@\S+\.\w+|(?:https?://)?(?:www\.)?(?:twitter|facebook|x|instagram)\.com/\S+)$",
    re.IGNORECASE,
)
_DATELINE: Final = re.compile(
    r"\b\d{1,2}\b\D{1,14}\b(?:19|20)\d\d\b|\b(?:19|20)\d\d[./年-]\s?\d{1,2}[./月-]\s?\d{1,2}|"
    r"\b\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d\d\b"
)
_BRACKETED: Final = re.compile(r"\(([^()]{6,40})\)")
_SENTENCE_END: Final = re.compile(r"[.!?…。؟]['\"”»)]?$")
_HEAD: Final = 4  # paragraphs at the start in which titles and dates are repeated
_WORDS: Final = re.compile(r"\w+")


def read_headings(tree: Any) -> list[str]:
    """The page's first headings: an article's text does not begin with them."""
    found = []
    for name in ("h1", "h2"):
        for element, _ in zip(tree.iter(name), range(3), strict=False):
            found.append(" ".join(element.text_content().split()))
    return [text for text in found if text]


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
        if not _is_boilerplate(paragraph):
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


def _is_boilerplate(paragraph: str) -> bool:
    plain = paragraph.replace("’", "'")
    words = len(_WORDS.findall(plain))
    return (
        (words <= 25 and bool(_POINTERS.match(plain)))
        or (words <= 40 and bool(_CALLS.match(plain)))
        or (words <= 12 and bool(_CREDITS.match(plain) or _CONTACT.match(plain)))
    )
