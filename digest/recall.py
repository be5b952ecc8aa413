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

from digest.models import News, Story, Told
from digest.text import sentences, words

_FEWEST_OUTLETS: Final = 2  # new ones; a single one is mostly late
_OPENING_SENTENCES: Final = 3
_OPENING: Final = 2000  # characters
_SAME_WORDS: Final = 0.5  # share of a headline's words, from which it says the same
_NUMBER: Final = re.compile(r"(?<![\w.,])\d[\d.,]*\d|(?<![\w.,])\d")
# Years, hours and days of the month, which differ from one day's text to the next and are no news.
_MOMENT: Final = re.compile(
    r"\b(?:19|20)\d\d\b|\d{1,2}(?::\d\d)+|\d{1,2}\s?(?:[ap]\.?m\b|Uhr\b|h\b)|\d{1,2}(?:st|nd|rd|th)\b|\d{1,2}\.(?=\s[^\W\d])|"
    r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?\s\d{1,2}\b|"
    r"\b\d{1,2}\s(?:de\s)?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|"
    r"janv|févr|mars|avr|mai|juin|juil|août|sept|ene|abr|ago|dic|fev|set|out|dez)\w*",
    re.IGNORECASE,
)


def recall(stories: Sequence[Story]) -> list[Story]:
    """The stories without those that were told and have nothing new; the others that were told have their `news`."""
    kept = []
    for story in stories:
        if story.told is None:
            kept.append(story)
        elif news := find_news(story, story.told):
            kept.append(replace(story, news=news))
    return kept


def find_news(story: Story, told: Told) -> News | None:
    """What a story says beyond what was told; None: nothing."""
    opening = [span.of(story.lead.text[:_OPENING]) for span in sentences(story.lead.text[:_OPENING])]
    now = f"{story.lead.title}\n{' '.join(opening[:_OPENING_SENTENCES])}"
    known = _find_numbers(f"{told.headline}\n{told.text}")
    numbers = tuple(number for number in _find_numbers(now) if number not in known)
    outlets = tuple(outlet for outlet in story.outlets if outlet not in told.outlets)
    has_new_lead = story.lead.outlet in outlets and not _says_the_same(story.lead.title, told)
    if not numbers and len(outlets) < _FEWEST_OUTLETS and not has_new_lead:
        return None
    return News(told_on=told.date, numbers=numbers, outlets=outlets, has_new_lead=has_new_lead)


def _find_numbers(text: str) -> dict[str, None]:
    """The numbers of a text as written, in its order, without years and moments."""
    return dict.fromkeys(_NUMBER.findall(_MOMENT.sub(" ", text)))


def _says_the_same(headline: str, told: Told) -> bool:
    """Whether most words of a headline stood in what was told: its headline and the opening of its text."""
    new = {word.lower() for word in words(headline)}
    known = {word.lower() for word in words(f"{told.headline} {told.text[:_OPENING]}")}
    return not new or len(new & known) >= _SAME_WORDS * len(new)
