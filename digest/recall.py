"""Stories → stories: what was told before returns only when something is new, and says what.

    Story ──> never told ─────────────────────────────────> as it is
       └ told ──> new numbers, outlets or lead? ──> yes ──> with its News
                                                 └ no ───> left out

Pure. Which earlier story a new one continues has been found by `cluster`, from what it was handed of earlier editions.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from digest.models import Article, News, Story, Told
from digest.months import find_days
from digest.text import sentences, words

_FEWEST_OUTLETS: Final = 2  # new ones; a single one is mostly late
_OPENING_SENTENCES: Final = 3
_OPENING: Final = 2000  # characters
_SAME_WORDS: Final = 0.5  # share of a headline's words, from which it says the same
_NUMBER: Final = re.compile(r"(?<![\w.,])\d[\d.,]*\d|(?<![\w.,])\d")
# Years, hours and ordinals, which differ from one day's text to the next and are no news; named days are none either.
_MOMENT: Final = re.compile(
    r"\b(?:19|20)\d\d\b|\d{1,2}(?::\d\d)+|\d{1,2}\s?(?:[ap]\.?m\b|Uhr\b|h\b)|\d{1,2}(?:st|nd|rd|th)\b|\d{1,2}\.(?=\s[^\W\d])",
    re.IGNORECASE,
)


def recall(stories: Sequence[Story]) -> list[Story]:
    """The stories without those that were told and have nothing new; the others that were told have their `news`.

    What is new is what such a story is told by: the first of its articles that has it becomes its lead.
    """
    kept = []
    for story in stories:
        if story.told is None:
            kept.append(story)
            continue
        leading = _put_news_first(story, story.told)
        if news := find_news(leading, story.told):
            kept.append(replace(leading, news=news))
    return kept


def find_news(story: Story, told: Told) -> News | None:
    """What a story says beyond what was told; None: nothing."""
    numbers = _find_new_numbers(story.lead, told)
    outlets = tuple(outlet for outlet in story.outlets if outlet not in told.outlets)
    has_new_lead = story.lead.outlet in outlets and not _says_the_same(story.lead.title, told)
    if not numbers and len(outlets) < _FEWEST_OUTLETS and not has_new_lead:
        return None
    return News(told_on=told.date, numbers=numbers, outlets=outlets, has_new_lead=has_new_lead)


def _put_news_first(story: Story, told: Told) -> Story:
    quotable = [article for article in story.articles if article.rights != "headline"]
    first = next((article for article in quotable or story.articles if _find_new_numbers(article, told)), story.lead)
    return replace(story, articles=(first, *(article for article in story.articles if article is not first)))


def _find_new_numbers(article: Article, told: Told) -> tuple[str, ...]:
    """The numbers of its headline and opening that were not told."""
    opening = article.text[:_OPENING]
    first = " ".join(span.of(opening) for span in sentences(opening)[:_OPENING_SENTENCES])
    known = _find_numbers(f"{told.headline}\n{told.text}")
    return tuple(number for number in _find_numbers(f"{article.title}\n{first}") if number not in known)


def _find_numbers(text: str) -> dict[str, None]:
    """The numbers of a text as written, in its order, without years and moments."""
    for span, _, _ in find_days(text):
        text = f"{text[: span.start]}{' ' * (span.end - span.start)}{text[span.end :]}"
    return dict.fromkeys(_NUMBER.findall(_MOMENT.sub(" ", text)))


def _says_the_same(headline: str, told: Told) -> bool:
    """Whether most words of a headline stood in what was told: its headline and the opening of its text."""
    new = {word.lower() for word in words(headline)}
    known = {word.lower() for word in words(f"{told.headline} {told.text[:_OPENING]}")}
    return not new or len(new & known) >= _SAME_WORDS * len(new)
