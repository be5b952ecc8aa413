"""A text → its sentences, each with what decides whether it may stand in a summary.

Left out from the start: lines that are no prose, what lies behind the most that is read of a text, and the dateline
before the first words of a sentence. A sentence keeps its offsets into the text as it was given.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from digest.language import find_terms
from digest.summarizers.openers import leans, speaks_of_itself
from digest.text import Span, count_words, prose, sentences, words

_SHORTEST, _LONGEST = 5, 55  # words; shorter ones say little, longer ones fill the budget alone
_MOST_READ: Final = 60_000  # characters: the news is not behind them

_QUOTES: Final = '“«„「『”»‟」』"'
_ENDS: Final = _QUOTES + " .!…’'"
_BRACKETS: Final = ("()", "[]", "（）", "「」", "『』", "«»")
# "LONDON, May 4 (Reuters) - ", "(CNN) -- ", "PARIS —": places in capitals, agencies in brackets, then a dash.
_AGENCY: Final = r"\((?:Reuters|AP|AFP|ANI|Bloomberg|CNN|dpa|EFE|IANS|PTI|TASS|UPI|Xinhua)\)"
_PLACE: Final = r"(?:,\s[A-Z][\w.’\s]{1,24})"
_DATELINE: Final = re.compile(
    rf"(?:[A-Z][A-Z.'’\s-]{{2,30}}{_PLACE}{{0,2}}(?:\s?\([A-Z][\w\s./]{{1,24}}\))?|[A-Z][\w.’\s]{{2,30}}{_PLACE}?\s{_AGENCY}"
    rf"|\([A-Z][\w\s./]{{1,24}}\))\s*(?:--|[-–—:])\s+|{_AGENCY}\s+"
)
_CODE: Final = re.compile(
    r"[{};]\s*$|^\s*(?:def|class|import|function|var|const|let|public|#include|SELECT)\b|=>|\w\(\)|</"
)


@dataclass(slots=True)
class Candidate:
    """A sentence that a summary may take."""

    span: Span
    text: str
    document: int
    position: int  # its number among the sentences of its document
    length: int  # words
    terms: Counter[str] = field(default_factory=Counter)
    leans: bool = False
    good: bool = True
    score: float = 0.0


def find_candidates(text: str, title: str | None, language: str, *, document: int = 0) -> list[Candidate]:
    """Every sentence of a text's prose, in its order."""
    found: list[Candidate] = []
    heading = _fold(title or "")
    for line in prose(text):
        if line.start > _MOST_READ:
            break
        for whole in sentences(text, line, language):
            span = _without_dateline(text, whole) if not found or whole.start == line.start else whole
            sentence = span.of(text)
            terms = Counter(find_terms(words(sentence), language))
            length = count_words(sentence)
            is_leaning = leans(sentence, language)
            found.append(
                Candidate(
                    span=span,
                    text=sentence,
                    document=document,
                    position=len(found),
                    length=length,
                    terms=terms,
                    leans=is_leaning,
                    good=_SHORTEST <= length <= _LONGEST
                    and bool(terms)
                    and not is_broken(sentence)
                    and not (is_leaning and _has_lost_its_speaker(sentence, language))
                    and _fold(sentence) != heading,
                )
            )
    if not any(candidate.good for candidate in found):
        for candidate in found:  # a text of nothing but long, short or personal sentences: take them as they are
            candidate.good = bool(candidate.terms) and _fold(candidate.text) != heading
    return found


def is_broken(sentence: str) -> bool:
    """Whether it leaves a quotation or bracket open, asks or announces something, or is no sentence of prose."""
    ending = sentence.rstrip(_QUOTES + " ’'")
    return (
        sentence.count('"') % 2 == 1
        or sentence.count("“") != sentence.count("”")
        or any(sentence.count(opening) != sentence.count(closing) for opening, closing in _BRACKETS)
        or ending.endswith(("?", "؟", "？", ":", "："))
        or _is_bare_quote(sentence)
        or "http" in sentence
        or _CODE.search(sentence) is not None
    )


def _has_lost_its_speaker(sentence: str, language: str) -> bool:
    return speaks_of_itself(sentence, language) and not any(mark in sentence for mark in _QUOTES)


def _is_bare_quote(sentence: str) -> bool:
    """Whether it is nothing but a quotation: words without their speaker."""
    stripped = sentence.strip()
    inner = stripped.rstrip(".!?…")
    single = stripped[:1] == "‘" and inner[-1:] == "’"
    return len(stripped) > 2 and (single or (stripped[:1] in _QUOTES and inner[-1:] in _QUOTES))


def _without_dateline(text: str, span: Span) -> Span:
    found = _DATELINE.match(text, span.start, span.end)
    return Span(found.end(), span.end) if found and found.end() < span.end else span


def _fold(text: str) -> str:
    """A sentence or a headline, as the two are compared."""
    return text.casefold().strip(_ENDS)
