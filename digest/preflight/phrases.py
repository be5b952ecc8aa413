"""Phrases by which filters know spam: one may stand in any article, several different ones do not."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from digest.models import Finding
from digest.preflight.tokens import place_in, show

_FEWEST: Final = 2  # different kinds of phrases
# By kind, so that an article on one drug and its rivals is one of a kind.
_PHRASES: Final = re.compile(
    r"(?P<click>\bclick (?:here|below) ?(?:now|to)?\b)"
    r"|(?P<guarantee>\b100 ?% (?:guaranteed|free|satisfaction|risk[- ]free|legal)|\bsatisfaction guaranteed\b)"
    r"|(?P<haste>\bact (?:now|immediately|fast)\b|\b(?:order|buy|apply) now\b|\blimited[- ]time offer\b"
    r"|\bwhile supplies last\b)"
    r"|(?P<drug>\bv[i1!|]agra\b|\bcial[i1!]s\b|\blevitra\b|\bonline pharmacy\b|\bcheap (?:meds|pills)\b"
    r"|\bmiracle cure\b)"
    r"|(?P<money>\b(?:make|earn) (?:easy |fast |extra )?(?:money|cash) (?:fast|online|from home)\b|\bfree money\b"
    r"|\bdouble your (?:money|income|cash)\b|\bno credit check\b|\bfast cash\b|\bget rich quick\b)"
    r"|(?P<prize>\byou(?: have|['’]ve| are|['’]re)? (?:won\b|a winner\b|been selected\b)|\bclaim your prize\b)"
    r"|(?P<risk>\brisk[- ]free\b|\bno obligation\b|\bno strings attached\b|\bno questions asked\b)",
    re.IGNORECASE,
)
# Filters know it as a way past filters, and a screen reader spells it.
_SPACED: Final = re.compile(r"(?<![\w.])[A-Z](?P<gap>[ *_-])[A-Z](?:(?P=gap)[A-Z]){2,}(?![\w.])")


def inspect_phrases(parts: Mapping[str, str]) -> Iterator[Finding]:
    """The findings on the words of a mail, in parts by their names."""
    kinds: dict[str, tuple[str, str]] = {}
    spaced: set[str] = set()
    for part, words in parts.items():
        shown = show(words) if part == "HTML" else words
        for found in _PHRASES.finditer(shown):
            kinds.setdefault(found.lastgroup or "", (found[0].strip(), place_in(shown, found, part)))
        for found in _SPACED.finditer(shown):
            if found[0] not in spaced:
                spaced.add(found[0])
                message = f"“{found[0]}” is spaced out."
                yield Finding(rule="spam-words", severity="warn", message=message, where=place_in(shown, found, part))
    if len(kinds) >= _FEWEST:
        said = ", ".join(f"“{phrase}”" for phrase, _ in kinds.values())
        _, where = next(iter(kinds.values()))
        message = f"Filters know spam by such phrases together: {said}."
        yield Finding(rule="spam-words", severity="warn", message=message, where=where)
