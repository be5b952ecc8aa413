"""Stories → stories in the order of their weight for this edition.

The score is a sum of parts that are kept with the story, so that the order can be explained:

    recency   1 for a story of this minute, halved every `half_life`
    outlets   log2 of the number of outlets that tell it
    weight    log2 of the heaviest source's weight

Nothing is dropped here; `compose` takes the first ones.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from digest.models import Story

_HALF_LIFE = timedelta(hours=12)


def rank(stories: Sequence[Story], *, now: datetime, half_life: timedelta = _HALF_LIFE) -> list[Story]:
    """The stories with their scores, best first; equal scores go by date, then by the lead's id."""
    scored = [_score(story, now, half_life) for story in stories]
    return sorted(scored, key=lambda story: (-story.score, -story.lead.published_at.timestamp(), story.lead.id))


def _score(story: Story, now: datetime, half_life: timedelta) -> Story:
    newest = max(article.published_at for article in story.articles)
    age = max(timedelta(), now - newest)
    parts = {
        "recency": round(0.5 ** (age / half_life), 6),
        "outlets": round(math.log2(len(story.outlets)), 6),
        "weight": round(math.log2(max(article.weight for article in story.articles)), 6),
    }
    return replace(story, score=round(sum(parts.values()), 6), parts=parts)
