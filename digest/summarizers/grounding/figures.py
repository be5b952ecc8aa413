"""Numbers: what they are worth however they are written, and what they count.

"1,200", "1.2 thousand", "twelve hundred" and, in German, "1.200" are one number. A number counts as said by the source
where it stands there with the same unit (per cent, money, years, kilometres …), and a small one or a year only among
words like those around it in the answer.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import zip_longest
from typing import Final

from digest.months import find_days
from digest.summarizers.grounding.forms import fold, keys_of
from digest.summarizers.grounding.lexicon import lexicon_of, multipliers, units
from digest.text import is_dense

_LANGUAGES: Final = {"en", "fr", "es", "pt", "de", "nl", "da", "it"}  # whose number words text2num knows
# Of others those of the lexicon: what each is worth.
_VALUES: Final = (*range(1, 21), *range(30, 100, 10), 100)
_POINT_IS_DECIMAL: Final = frozenset("en zh ja hi ar he th ko ur bn ta te".split())  # and a comma groups thousands
_GROUPED: Final = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_LOOK_BACK: Final = 24  # characters before a number that say what it is
_MINUS: Final = re.compile(r"(?:^|[\s(])(?:[-−‒–]|minus )$", re.IGNORECASE)
_WELL_GROUPED: Final = re.compile(
    r"(?:\d{1,3}(?:[., \u00a0\u202f]\d{2,3})*[., \u00a0\u202f]\d{3}(?:[.,]\d+)?|\d+[.,]\d+)(?:[\s-]?[^\W\d]+)?"
)
_STRICT: Final = frozenset("ordinal percent second minute hour day week month year decade century".split())
_MULTIPLES: Final = {
    "twice": "2",
    "double": "2",
    "doubled": "2",
    "doubling": "2",
    "doubles": "2",
    "thrice": "3",
    "triple": "3",
    "tripled": "3",
    "dozen": "12",
}
_NUMBER: Final = re.compile(
    r"(?<!\d)(?<!\d[.,:])"
    r"(?:\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,:]\d+)*)"
)
_NUMERALS: Final = re.compile(
    "[〇零一二三四五六七八九十百千]{2,}|[〇零一二三四五六七八九十百千]+(?=[万億亿名人年月日个個])"
)
_SPELLED: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_AFTER: Final = re.compile(r"[\s\u00a0-]*(%|％|[$€£¥₹₽]|[^\W\d_]+(?:-[^\W\d_]+)?)")
_BEFORE: Final = re.compile(r"(?:([$€£¥₹₽])|\b(Rs\.?|USD|EUR|GBP|INR))[\s\u00a0]*$", re.IGNORECASE)
_JOINT: Final = " \u2011 "  # for a hyphen within a word
_MULTIPLIED: Final = re.compile(r"(\d)[\s-]+([^\W\d_]+)")
_ORDINAL_ENDINGS: Final = {
    "en": ("st", "nd", "rd", "th"),
    "fr": ("e ", "er ", "ème"),
    "es": ("º", "ª"),
    "pt": ("º", "ª"),
}
_WITHIN_UNITS: Final = frozenset("more of us long full straight whole consecutive successive".split())
_RANGE: Final = re.compile(r"\s*(?:-|–|and|to|or|und|bis|y|et|à|a|e)\s*")
_SHIFTED: Final = re.compile(r"\bfrom\b[^.;]*\bto\s+$", re.IGNORECASE)
_BROKEN: Final = re.compile(r"(?<=\d), (?=0\d\d(?!\d))")  # "41, 000", as some sites set it
_FORTNIGHT: Final = re.compile(r"\bfortnights?\b", re.IGNORECASE)
_TWO: Final = Decimal(2)
_AGE: Final = re.compile(r"[\s-]*(?:years?[\s-]old|jährige?\w?\b|летн)", re.IGNORECASE)
_ABOUT: Final = re.compile(
    r"\b(?:about|around|roughly|nearly|almost|over|more than|less than|under|up to|at least|some|approximately)\s+"
    r"(?:[$€£¥₹]\s?)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a sentence: what it may be worth, what it counts, and where it stands."""

    text: str
    value: Decimal
    parts: tuple[int, ...]  # its runs of digits: of "10:30" and "04.05.2026" each must be right
    unit: str | None
    start: int
    is_about: bool  # "nearly 5,000": it may be a rounded one

    def is_said_by(self, other: "Figure") -> bool:
        """Whether another figure is the same number of the same unit, as far as units are given."""
        units = {self.unit, other.unit}
        if (
            len(units) > 1
            and units != {"age", "year"}
            and (None not in units or self.unit in _STRICT or other.unit == "percent")
        ):
            return False
        if self.is_compound or other.is_compound:
            return self.parts == other.parts
        return self.value == other.value or (self.is_about and _rounds(self.value, other.value))

    @property
    def is_compound(self) -> bool:
        """Whether it is no single number: a time, a score, a date in digits."""
        return ":" in self.text or (len(self.parts) > 2 and not _WELL_GROUPED.fullmatch(self.text.strip(" \u00a0")))


def find_figures(text: str, language: str) -> list[Figure]:
    """The numbers of a sentence in their order, in digits and in words; "one" is none, since it is a pronoun too."""
    return list(_share_units(text, sorted(_find_figures(text, language), key=lambda figure: figure.start)))


def _share_units(plain: str, figures: Sequence[Figure]) -> Iterator[Figure]:
    """The first of "5 and 25%" is of per cent too, and so is the last of "from 55 per cent … to 26"."""
    has_shares = any(figure.unit == "percent" for figure in figures)
    for figure, behind in zip_longest(figures, figures[1:]):
        is_shared = (
            behind is not None
            and figure.unit is None
            and behind.unit != "ordinal"
            and _RANGE.fullmatch(plain[figure.start + len(figure.text) : behind.start])
        )
        if is_shared and behind:
            yield replace(figure, unit=behind.unit)
        elif has_shares and figure.unit is None and _SHIFTED.search(plain[: figure.start]):
            yield replace(figure, unit="percent")
        else:
            yield figure


def _find_figures(plain: str, language: str) -> Iterator[Figure]:
    dates = [span for span, _, _ in find_days(plain)] if any(map(str.isdigit, plain)) else []
    for found in _NUMBER.finditer(plain):
        value, end = _read_value(found[0], language), found.end()
        after = _AFTER.match(plain, end)
        power = _power_of(after[1], language) if after else 0
        while after and power:
            value *= 10**power
            end = after.start(1) + 1 if is_dense(after[1][0]) else after.end()
            after = _AFTER.match(plain, end)
            power = _power_of(after[1], language) if after else 0
        before = plain[max(0, found.start() - _LOOK_BACK) : found.start()]
        unit = _find_unit(plain, after, language)
        # "3rd May" is "3 May".
        is_dated = any(span.start <= found.start() and end <= span.end for span in dates)
        if plain[end:].startswith(_ORDINAL_ENDINGS.get(language, ())) and not is_dated:
            unit = "ordinal"
        if _AGE.match(plain, end):
            unit = "age"
        if _BEFORE.search(before):
            unit = "money"
        if _MINUS.search(before):
            value = -value
        parts = tuple(map(int, re.findall(r"\d+", found[0])))
        yield Figure(plain[found.start() : end], value, parts, unit, found.start(), _ABOUT.search(before) is not None)
    if language == "en":
        yield from (Figure(f[0], _TWO, (2,), "week", f.start(), is_about=False) for f in _FORTNIGHT.finditer(plain))
    for start, end, value in _find_spelled(plain, language):
        after = _AFTER.match(plain, end)
        worth = value * 10 ** (_power_of(after[1], language) if after else 0)
        unit = _unit_of(after[1], language) if after else None
        yield Figure(plain[start:end], worth, (int(worth),), unit, start, is_about=False)


def _find_unit(plain: str, after: "re.Match[str] | None", language: str) -> str | None:
    """The unit that is named behind a number, also by two words or behind "more" and the like."""
    if after is None:
        return None
    unit = _unit_of(after[1], language)
    further = _AFTER.match(plain, after.end()) if unit is None else None
    if further is None:
        return unit
    joined = _unit_of(f"{after[1]}-{further[1]}", language)
    return joined or (_unit_of(further[1], language) if after[1].lower() in _WITHIN_UNITS else None)


def _find_spelled(text: str, language: str) -> Iterator[tuple[int, int, Decimal]]:
    """Number words that text2num does not know: where they stand and what they are worth, tens with their ones."""
    known = _word_values(language)
    before: tuple[int, int, Decimal] | None = None
    for found in _SPELLED.finditer(text) if known else ():
        value = next((known[key] for key in (fold(found[0]), *keys_of(found[0], language)) if key in known), None)
        if value is None:
            continue
        if before and value < 10 <= before[2] and before[1] + 1 == found.start():
            before = (before[0], found.end(), before[2] + value)
            continue
        if before and before[2] > 1:
            yield before
        before = (found.start(), found.end(), value)
    if before and before[2] > 1:  # "one" alone is a pronoun too
        yield before


def spell_in_digits(text: str, language: str) -> str:
    """The text with its numbers in digits from 0 to 9: those of other scripts, and number words that are known."""
    digits = "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in text)
    digits = _BROKEN.sub(",", digits)
    if language in {"zh", "ja"}:
        return _NUMERALS.sub(_read_numeral, digits)
    if language not in _LANGUAGES:
        return digits
    from text_to_num import alpha2digit

    # It would make two numbers of "5 million", and does not look into "seven-year-old" before that is taken apart.
    whole = _MULTIPLIED.sub(lambda found: found[1] + found[2] if _power_of(found[2], language) else found[0], digits)
    counted = alpha2digit(whole, language, threshold=1.5)
    apart = re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", _JOINT, counted)
    return str(alpha2digit(apart, language, threshold=1.5)).replace(_JOINT, "-")


def _read_numeral(found: "re.Match[str]") -> str:
    if found[0] == "一":  # an article more often than a number
        return found[0]
    total = part = 0
    for character in found[0]:
        value = int(unicodedata.numeric(character))
        if value >= 10:
            total += max(part, 1) * value
            part = 0
        else:
            part = part * 10 + value
    return str(total + part)


@lru_cache(maxsize=64)
def _word_values(language: str) -> dict[str, Decimal]:
    values = dict(zip(lexicon_of(language).numbers, map(Decimal, _VALUES), strict=False))
    return values | ({word: Decimal(value) for word, value in _MULTIPLES.items()} if language == "en" else {})


def _read_value(text: str, language: str) -> Decimal:
    """What digits are worth: "1.200" is 1.2 in English and 1200 in German. Of "10:30" the first number."""
    digits = re.sub(r"[ \u00a0\u202f]", "", text)
    if language in _POINT_IS_DECIMAL:
        plain = digits.replace(",", "")
    else:
        plain = (digits.replace(".", "") if _GROUPED.fullmatch(digits) else digits).replace(",", ".")
    try:
        return Decimal(plain).normalize()
    except InvalidOperation:
        return Decimal(re.findall(r"\d+", digits)[0])


@lru_cache(maxsize=4096)
def _power_of(word: str, language: str) -> int:
    """Of "million" 6: by how many noughts it makes a number larger; of other words 0."""
    known = multipliers()
    if is_dense(word[0]):
        return known.get(word[0], 0)
    folded = fold(word)
    if folded in known:
        return known[folded]
    return next((known[key] for key in keys_of(word, language) if key in known and len(key) > 2), 0)


@lru_cache(maxsize=4096)
def _unit_of(word: str, language: str) -> str | None:
    """The unit that a word after a number names; None: it counts something else."""
    known = units()
    if is_dense(word[0]):
        return next((unit for name, unit in known.items() if is_dense(name[0]) and word.startswith(name)), None)
    folded = fold(word)
    if folded in known:
        return known[folded]
    return next((known[key] for key in keys_of(word.partition("-")[0], language) if key in known), None)


def _rounds(rounded: Decimal, exact: Decimal) -> bool:
    """Whether one number is another with fewer digits that count: 5,000 of 4,987."""
    if not rounded or not exact:
        return False
    digits, exact_digits = (len(one.normalize().as_tuple().digits) for one in (rounded, exact))
    return digits <= min(2, exact_digits - 1) and abs(rounded - exact) <= abs(exact) * Decimal("0.06")
