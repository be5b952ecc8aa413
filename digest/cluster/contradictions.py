"""What speaks against two articles being one story, although they are alike. Pure.

Headlines made to a pattern differ in a number or a day alone: "Answers for 23 November" and "… 24 November",
"Season 4" and "Season 5", "Q3" and "Q4". Counts are another matter: outlets differ about how many were hurt, and a toll
rises. And articles that name people and places, but none in common, are seldom about one event; not never, since one
may name the mayor and the other the bridge.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from digest.language import bare_word
from digest.months import find_days, month_of
from digest.text import words

# What a number names one of, where it stands after the word: other numbers are other things.
_SERIES: Final = re.compile(
    r"(?:\b(season|series|episode|part|chapter|volume|vol|round|game|week|day|stage|leg|race|flight|route|bill|section|"
    r"edition|version|phase|group|level|no|nr|number|puzzle|saison|épisode|semaine|étape|journée|temporada|episodio|"
    r"capítulo|semana|jornada|etapa|staffel|folge|teil|woche|spieltag|etappe|rodada|сезон|серия|выпуск|тур|الموسم|"
    r"الحلقة|الجولة|الأسبوع)[\s.:#№º°]+|#\s?)(\d{1,3}(?:,\d{3})+|\d{1,6})\b",
    re.IGNORECASE,
)
_QUARTER: Final = re.compile(r"\bq([1-4])\b|\b([1-4])q\b", re.IGNORECASE)
_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")
_ALIKE: Final = 0.6  # share of the words of two headlines, numbers and months aside, from which they are of one pattern
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n")


@dataclass(frozen=True, slots=True)
class Numbered:
    """What a headline numbers: things of a series by their kind, days, years; and its other words."""

    series: Mapping[str, set[str]]
    days: set[tuple[int, int]]
    years: set[str]
    words: frozenset[str]


def read_numbers(headline: str) -> Numbered | None:
    """What a headline numbers; None: nothing."""
    if not any(map(str.isdigit, headline)):
        return None
    series, years = _find_series(headline), set(_YEAR.findall(headline))
    days = {(month, day) for _, month, named in find_days(headline) for day in named}
    if not series and not days and not years:
        return None
    others = frozenset(word.lower() for word in words(headline) if word.isalpha() and not month_of(word))
    return Numbered(series, days, years, others)


def contradict(one: Numbered, other: Numbered) -> bool:
    """Whether two headlines number the same kind of thing and have none of the numbers in common.

    Days and years count only in headlines of one pattern: others may name the first day of an event, or the last.
    """
    if any(not one.series[kind] & other.series[kind] for kind in one.series.keys() & other.series.keys()):
        return True
    has_other_days = bool(one.days and other.days) and not one.days & other.days
    has_other_years = bool(one.years and other.years) and not one.years & other.years
    return (has_other_days or has_other_years) and _have_one_pattern(one.words, other.words)


def _find_series(headline: str) -> dict[str, set[str]]:
    """The numbers of a headline by the kind of thing that they name."""
    found: dict[str, set[str]] = {}
    for kind, number in _SERIES.findall(headline):
        found.setdefault(kind.lower() or "#", set()).add(number.replace(",", ""))
    for first, second in _QUARTER.findall(headline):
        found.setdefault("quarter", set()).add(first or second)
    return found


def _have_one_pattern(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one) and len(one & other) >= _ALIKE * len(one | other)


def learn_names(texts: Iterable[str]) -> frozenset[str]:
    """The words that are written with a capital within sentences, and seldom without: names, in most languages.

    Headlines That Are Written Like This say nothing about it.
    """
    capital: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for text in texts:
        for sentence in _SENTENCE.split(text):
            found = words(sentence)
            if sum(word[0].islower() and len(word) > 3 for word in found[1:]) < 2:
                continue
            for word in found[1:]:
                (capital if word[0].isupper() else small)[bare_word(word)] += 1
    return frozenset(word for word, count in capital.items() if count > 4 * small[word] and len(word) > 1)


def find_names(text: str, names: frozenset[str]) -> frozenset[str]:
    """Those of the names that stand in a text, with a capital."""
    return frozenset(bare for word in words(text) if word[0].isupper() and (bare := bare_word(word)) in names)
