"""Days, months, weekdays and words such as "yesterday" and "last week": each must stand in the source."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from digest.language import bare_word
from digest.months import find_days, month_names
from digest.summarizers.grounding.forms import fold, keys_of
from digest.summarizers.grounding.lexicon import lexicon_of
from digest.text import is_dense

# "last year", and what else the same is called.
_SHIFTS: Final = {"last": "last previous past", "previous": "last previous past", "past": "last previous past recent",
                  "next": "next coming following", "coming": "next coming following this"}  # fmt: skip
_SPANS: Final = """second minute hour day week weekend month quarter year decade century season summer winter
    spring autumn fall night"""
_SHIFTED: Final = re.compile(
    rf"\b({'|'.join(_SHIFTS)})\s+(?:few\s+|several\s+|\d+\s+)?({'|'.join(_SPANS.split())})s?\b", re.IGNORECASE
)
_COUNTED: Final = frozenset({"day", "week", "month", "quarter", "year"})
_NO_MOMENTS: Final = frozenset("may march mon sat sun wed".split())
# "a month after": how long, where no number says it.
_ONE: Final = re.compile(
    r"\b(?:an?|one)\s+(second|minute|hour|day|week|month|quarter|year|decade|century)\s+"
    r"(?:ago|after|before|earlier|later|from)\b",
    re.IGNORECASE,
)
_RATE: Final = re.compile(r"\d\S*(?:\s|-)(?:a|per)(?:\s|-)$")  # "£200 a night"
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


_SAME: Final = {"evening": "night", "tonight": "night", "overnight": "night"}
_SAME_SPANS: Final = {"day": ("yesterday", "tomorrow")}


@dataclass(frozen=True, slots=True)
class Moment:
    """What a sentence says of when: any of the names says it too."""

    text: str
    names: frozenset[str]
    start: int
    is_shifted: bool = False  # "last week": one of the spans that calendars count


def find_moments(text: str, language: str) -> Iterator[Moment]:
    """The moments that a sentence names, each with the names by which the source may have it."""
    for span, month, days in find_days(text):
        if not any(month_names(language).get(fold(word)) == month for word in _WORD.findall(span.of(text))):
            continue  # "5 out of 10" names October in Portuguese alone
        yield Moment(span.of(text), frozenset(f"{month}-{day}" for day in days), span.start)
    for shifted in _SHIFTED.finditer(text) if language == "en" else ():
        names = frozenset(f"{word} {shifted[2].lower()}" for word in _SHIFTS[shifted[1].lower()].split())
        yield Moment(shifted[0], names, shifted.start(), is_shifted=shifted[2].lower() in _COUNTED)
    for alone in _ONE.finditer(text) if language == "en" else ():
        if _RATE.search(text[: alone.start(1)]):
            continue
        yield Moment(alone[0], _names_of_one(alone[1].lower()), alone.start(1))
    for dense in sorted(word for word in lexicon_of(language).relative if is_dense(word[0])):
        if (start := text.find(dense)) >= 0:
            yield Moment(dense, frozenset({dense}), start)
    known = _names(language)
    for found in _WORD.finditer(text):
        word = found[0]
        if language == "en" and (word in _NO_MOMENTS or word.lower() in {"today's", "today’s"}):
            continue  # "today's climate" is no day
        if language == "en" and _RATE.search(text[: found.start()]):
            continue
        name = known.get(fold(bare_word(word)))
        if name is None and language != "en":  # elsewhere days are declined
            name = next((known[key] for key in keys_of(word, language) if key in known), None)
        if name:
            yield Moment(word, frozenset({name}), found.start())


def _names_of_one(span: str) -> frozenset[str]:
    """What else tells that something lies one such span away."""
    shifts = {f"{word} {span}" for words in _SHIFTS.values() for word in words.split()}
    return frozenset({f"one {span}", *shifts, *_SAME_SPANS.get(span, ())})


@lru_cache(maxsize=64)
def _names(language: str) -> dict[str, str]:
    """Months, weekdays and relative words, folded, each with what it means."""
    from babel import Locale, UnknownLocaleError

    names = {word: _SAME.get(word, word) for word in lexicon_of(language).relative}
    names |= {fold(name): f"month {number}" for name, number in month_names(language).items()}
    try:
        days = Locale.parse(language).days
    except (UnknownLocaleError, ValueError):
        return names
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in days[context][width].items():
                found = fold(name).strip(".")
                if len(found) > 2 and " " not in found:
                    names[found] = f"weekday {number}"
    return names
