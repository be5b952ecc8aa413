"""What languages call the months, by CLDR, and the days that texts name by them."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from digest.text import Span

# The languages in which news names months, where it is not English; those with names of their own.
_LANGUAGES: Final = (
    "de fr es it pt nl pl ru tr sv nb da fi el hu cs ro uk bg ca hr sr sk sl et lt lv id vi is ar fa he hi ko ms th"
).split()
_NAME: Final = re.compile(r"[^\W\d_]+")
_DAYS: Final = (
    r"\d{1,2}(?:st|nd|rd|th|\.|º|er)?(?:\s*(?:and|to|und|bis|et|au|y|al?|e|&|,|-|–)\s*\d{1,2}(?:st|nd|rd|th|\.)?)?"
)
_DAY_FIRST: Final = re.compile(rf"\b({_DAYS})\s+(?:de\s+)?([^\W\d_]{{3,}})", re.IGNORECASE)
_MONTH_FIRST: Final = re.compile(rf"\b([^\W\d_]{{3,}})\.?\s+({_DAYS})(?!\d)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d+")


@lru_cache(maxsize=64)
def month_names(language: str) -> dict[str, int]:
    """A language's names of months, full and short, as they stand in dates and alone; casefolded, in one word."""
    from babel import Locale, UnknownLocaleError

    try:
        months = Locale.parse(language).months
    except (UnknownLocaleError, ValueError):
        return {}
    names: dict[str, int] = {}
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in months[context][width].items():
                found = _NAME.findall(name.casefold())
                if len(found) == 1 and len(found[0]) >= 3:
                    names[found[0]] = number
    return names


@lru_cache(maxsize=1)
def foreign_months() -> dict[str, int]:
    """The names that mean the same month in every language that has them: "listopad" is two, and so is none here."""
    months: dict[str, set[int]] = {}
    for language in _LANGUAGES:
        for name, number in month_names(language).items():
            months.setdefault(name, set()).add(number)
    return {name: numbers.pop() for name, numbers in months.items() if len(numbers) == 1}


def month_of(name: str) -> int | None:
    """The month that a word names in English, or without doubt in another language."""
    folded = name.casefold()
    return month_names("en").get(folded) or foreign_months().get(folded)


def find_days(text: str) -> Iterator[tuple[Span, int, tuple[int, ...]]]:
    """The days that a text names by their month, "23 and 24 November", "Nov. 23": where, the month, the days."""
    for found in _DAY_FIRST.finditer(text):
        if month := month_of(found[2]):
            yield Span(*found.span()), month, tuple(map(int, _NUMBER.findall(found[1])))
    for found in _MONTH_FIRST.finditer(text):
        if month := month_of(found[1]):
            yield Span(*found.span()), month, tuple(map(int, _NUMBER.findall(found[2])))
