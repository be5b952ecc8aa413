"""Stories → stories in the order of their weight for this edition.

The score is a sum of parts that are kept with the story, so that the order can be explained:

    recency   1 for a story of this minute, halved every `half_life`
    outlets   log2 of the number of outlets that tell it in words of their own
    weight    log2 of the heaviest source's weight
    novelty   less for a story that was told before and returns
    balance   less for each story of the same topic that stands before it

Nothing is dropped here; `compose` takes the first ones.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from digest.models import Story
from digest.text import words

_HALF_LIFE: Final = timedelta(hours=12)
_RETURNING: Final = -0.5
_SAME_TOPIC: Final = -0.15  # for each story before it; the seventh of a topic yields to one that is half as well told
_FINGERPRINT: Final = 40  # words that two outlets share only when they print the same agency's text


def rank(stories: Sequence[Story], *, now: datetime, half_life: timedelta = _HALF_LIFE) -> list[Story]:
    """The stories with their scores, best first; equal scores go by date, then by the lead's id."""
    waiting = [_score(story, now, half_life) for story in stories]
    waiting.sort(key=lambda story: (-story.score, -story.lead.published_at.timestamp(), story.lead.id))
    by_topic: dict[str | None, list[Story]] = {}
    for story in reversed(waiting):
        by_topic.setdefault(_topic_of(story), []).append(story)
    place = {story.lead.id: number for number, story in enumerate(waiting)}
    taken: Counter[str | None] = Counter()
    ranked = []
    while by_topic:
        # Within a topic the order stands; only which topic comes next is open.
        topic, best = min(
            ((topic, members[-1]) for topic, members in by_topic.items()),
            key=lambda pair: (-pair[1].score - _balance(pair[0], taken), place[pair[1].lead.id]),
        )
        by_topic[topic].pop()
        if not by_topic[topic]:
            del by_topic[topic]
        balance = round(_balance(topic, taken), 6)
        ranked.append(replace(best, score=round(best.score + balance, 6), parts={**best.parts, "balance": balance}))
        taken[topic] += 1
    return ranked


def count_voices(story: Story) -> int:
    """How many outlets tell it in words of their own: one agency's text in three papers is one voice."""
    outlets: set[str] = set()
    told: set[tuple[str, ...]] = set()
    voices = 0
    for article in story.articles:
        opening = tuple(word.lower() for word in words(article.text[:1000] or article.title)[:_FINGERPRINT])
        voices += article.outlet not in outlets and opening not in told
        outlets.add(article.outlet)
        told.add(opening)
    return voices


def _score(story: Story, now: datetime, half_life: timedelta) -> Story:
    newest = max(article.published_at for article in story.articles)
    age = max(timedelta(), now - newest)
    voices = count_voices(story)
    parts = {
        "recency": round(0.5 ** (age / half_life), 6),
        "outlets": round(math.log2(voices), 6),
        "weight": round(math.log2(max(article.weight for article in story.articles)), 6),
        "novelty": _RETURNING if story.told else 0.0,
    }
    return replace(story, voices=voices, score=round(sum(parts.values()), 6), parts=parts)


def _topic_of(story: Story) -> str | None:
    return next(iter(story.lead.topics), None)


def _balance(topic: str | None, taken: Counter[str | None]) -> float:
    return _SAME_TOPIC * taken[topic] if topic else 0.0
