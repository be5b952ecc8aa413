"""What stands between quotation marks must stand in the source, word for word."""

import re
import unicodedata
from typing import Final

from digest.text import Span, is_dense

_PAIRS: Final = tuple(
    (pair[: len(pair) // 2], pair[len(pair) // 2 :])
    for pair in "“” „“ „” «» »« 「」 『』 《》 ‹› ›‹ 〝〞 ＂＂ ``´´ ``'' \"\"".split()
)
# A single mark opens where no letter stands before it, and closes where none follows: "the girls' school" has none.
_SINGLE: Final = re.compile(r"(?<!\w)[‘'](?=\S)((?:[^‘’']|(?<=\w)[’'](?=\w))+)[’'](?!\w)")
_ELLIPSIS: Final = re.compile(r"\s*(?:\.{3,}|…|\[[^\]]*\]|\([^)]*\))\s*")
_BRACKETED: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_FARTHEST: Final = 400  # characters that a quotation may leave out at once
_LETTERS: Final = re.compile(r"[^\W_]+")


def find_quotations(text: str) -> list[Span]:
    """The stretches between quotation marks, without the marks."""
    found: list[Span] = []
    for opening, closing in _PAIRS:
        start = 0
        while (left := text.find(opening, start)) >= 0 and (right := text.find(closing, left + 1)) >= 0:
            if not any(span.start <= left < span.end + 1 for span in found):
                found.append(Span(left + 1, right))
            start = right + 1
    for single in _SINGLE.finditer(text):
        if not any(span.start <= single.start() < span.end for span in found):
            found.append(Span(*single.span(1)))
    return sorted(found, key=lambda span: span.start)


def find_misquoted(sentence: str, source: str) -> str | None:
    """The first quotation of a sentence that does not stand in the source; None: all do.

    One may leave words out, but not put together what stands far apart or in another order; one that is opened and not
    closed goes on to the end.
    """
    known = spell_out(source)
    spans = find_quotations(sentence)
    quotations = [span.of(sentence) for span in spans]
    closed = {span.end for span in spans}
    for opening, closing in (("“", "”"), ("„", "“"), ("«", "»"), ("‹", "›")):
        at = sentence.find(opening)
        # The mark that opens in English closes in German.
        if sentence.count(opening) == 1 and at not in closed and sentence.find(closing, at + 1) < 0:
            quotations.append(sentence[sentence.find(opening) + 1 :])
    for quotation in quotations:
        parts = [_without_edges(part) for part in map(spell_out, _ELLIPSIS.split(quotation)) if part.strip()]
        if parts and not _stand_in_order(parts, known):
            return quotation
    return None


def leave_out_brackets(text: str, span: Span) -> list[Span]:
    """The parts of a quotation outside brackets: what stands within is not the speaker's."""
    parts, start = [], span.start
    for bracket in _BRACKETED.finditer(text, span.start, span.end):
        parts.append(Span(start, bracket.start()))
        start = bracket.end()
    return [*parts, Span(start, span.end)]


def _stand_in_order(parts: list[str], known: str) -> bool:
    """Whether the parts follow each other in the source, each at most some sentences behind the one before."""
    start = known.find(parts[0])
    while start >= 0:
        at = start + len(parts[0])
        for part in parts[1:]:
            found = known.find(part, at - 1, at + _FARTHEST + len(part))
            if found < 0:
                break
            at = found + len(part)
        else:
            return True
        start = known.find(parts[0], start + 1)
    return False


def _without_edges(words: str) -> str:
    """Without the spaces around it where no space stands between words: a quotation may begin within a run."""
    bare = words.strip()
    return bare if is_dense(bare[0]) else words


def spell_out(text: str) -> str:
    """The words alone, in small letters and between single spaces: how marks and spaces are set is no difference."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "").replace("'", "")
    return f" {' '.join(_LETTERS.findall(plain))} "
