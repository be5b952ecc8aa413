"""What stands between quotation marks must stand in the source, word for word."""

import re
import unicodedata
from typing import Final

from digest.text import Span, is_dense

_PAIRS: Final = (
    ("“", "”"), ("„", "“"), ("„", "”"), ("«", "»"), ("»", "«"), ("「", "」"), ("『", "』"), ("《", "》"), ('"', '"'),
)  # fmt: skip
# A single mark opens where no letter stands before it, and closes where none follows: "the girls' school" has none.
_SINGLE: Final = re.compile(r"(?<!\w)[‘'](?=\S)((?:[^‘’']|(?<=\w)[’'](?=\w))+)[’'](?!\w)")
_ELLIPSIS: Final = re.compile(r"\s*(?:\.{3,}|…|\[[^\]]*\]|\([^)]*\))\s*")
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
    """The first quotation of a sentence that does not stand in the source; None: all do."""
    known = spell_out(source)
    for span in find_quotations(sentence):
        quotation = span.of(sentence)
        parts = [part for part in map(spell_out, _ELLIPSIS.split(quotation)) if part.strip()]
        if any(_without_edges(part) not in known for part in parts):
            return quotation
    return None


def _without_edges(words: str) -> str:
    """Without the spaces around it where no space stands between words: a quotation may begin within a run."""
    bare = words.strip()
    return bare if is_dense(bare[0]) else words


def spell_out(text: str) -> str:
    """The words alone, in small letters and between single spaces: how marks and spaces are set is no difference."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "").replace("'", "")
    return f" {' '.join(_LETTERS.findall(plain))} "
