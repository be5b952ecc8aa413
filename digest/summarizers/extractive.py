"""A summary made of the articles' own sentences: offline, deterministic, verbatim.

    prose lines → sentences → score → the first good sentence, then the best that fit the budget → document order

The first good sentence is kept because reporters put the news there: no unsupervised method that we measured beats the
opening by much, and most lose to it. The others are scored by position, by how close they are to what the whole text
says, in words and in meaning, and by what they share with the headline, less what they repeat. A sentence that leans on
the one before it ("But he …") is taken only with that one. Each sentence carries its offsets into the text as given.

Of several articles, each sentence counts by its place in its own, and what is closest to all of them opens.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from digest.errors import SummarizeError
from digest.language import find_terms
from digest.meaning import measure_meaning
from digest.models import Budget, Sentence, Story, Summary
from digest.summarizers.sentences import Candidate, find_candidates
from digest.text import words

_MAX_SENTENCES: Final = 4
_WORDS_A_SENTENCE: Final = 25  # of more words, more sentences
_REDUNDANCY: Final = 0.55  # share of a sentence's words that may have been said already
_FULL_LENGTH: Final = 12  # words; what is shorter says less
_WEIGHTS: Final = {"position": 1.4, "centre": 0.8, "headline": 0.5, "meaning": 1.0}
# Articles on one event differ in their openings, and what they all mean is the event.
_WEIGHTS_OF_SEVERAL: Final = {"position": 0.7, "centre": 0.8, "headline": 0.0, "meaning": 3.0}
_DECAY: Final = 0.35
_NEAR: Final = 24  # sentences whose meaning is measured


class ExtractiveSummarizer:
    """The default summarizer, and the fallback of every other."""

    def __init__(self, *, of_all_outlets: bool = False) -> None:
        """`of_all_outlets`: a summary may take sentences of several articles, each with the name of its outlet."""
        self._of_all_outlets = of_all_outlets

    def summarize(self, story: Story, budget: Budget) -> Summary:
        """A summary of the story. Raises SummarizeError when it has no sentence that can stand alone."""
        quotable = [number for number, article in enumerate(story.articles) if article.rights != "headline"]
        if not self._of_all_outlets or len(quotable) < 2:
            return summarize_text(story.lead.text, budget, title=story.lead.title, language=story.lead.language)
        texts = {number: story.articles[number].text for number in quotable}
        return summarize_texts(texts, budget, title=story.lead.title, language=story.lead.language)


def summarize_text(text: str, budget: Budget, *, title: str | None = None, language: str | None = None) -> Summary:
    """Choose sentences of one text. Raises SummarizeError when there is none to choose."""
    return summarize_texts({0: text}, budget, title=title, language=language)


def summarize_texts(
    texts: Mapping[int, str], budget: Budget, *, title: str | None = None, language: str | None = None
) -> Summary:
    """Choose sentences of one text, or of several about one event, by number. Raises SummarizeError as above."""
    spoken = (language or "en").split("-")[0].lower()
    candidates = [
        candidate
        for number, text in texts.items()
        for candidate in find_candidates(text, title, spoken, document=number)
    ]
    if not any(candidate.good for candidate in candidates):
        subject = title or next(iter(texts.values()), "")[:40].strip()
        raise SummarizeError(f'"{subject}"', "the text has no sentence that can stand alone")
    several = len({candidate.document for candidate in candidates}) > 1
    _score(candidates, title, spoken, _WEIGHTS_OF_SEVERAL if several else _WEIGHTS)
    chosen = _choose(candidates, budget, opens_with_best=several)
    return Summary(
        sentences=tuple(Sentence(text=c.text, document=c.document, start=c.span.start, end=c.span.end) for c in chosen)
    )


def _score(candidates: Sequence[Candidate], title: str | None, language: str, weights: Mapping[str, float]) -> None:
    centroid: Counter[str] = Counter()
    for candidate in candidates:
        centroid.update(candidate.terms.keys())
    heaviest = max(centroid.values(), default=1)
    heading = set(find_terms(words(title or ""), language))
    meaning = _measure_closeness(candidates, language)
    for candidate, closeness in zip(candidates, meaning, strict=True):
        terms = candidate.terms
        size = math.sqrt(len(terms)) or 1.0
        central = sum(centroid[term] / heaviest for term in terms) / (size * 4)
        shared = len(heading & terms.keys()) / (math.sqrt(len(heading)) * size) if heading else 0.0
        candidate.score = min(1.0, candidate.length / _FULL_LENGTH) * (
            weights["position"] / (1.0 + _DECAY * candidate.position)
            + weights["centre"] * central
            + weights["headline"] * shared
            + weights["meaning"] * closeness
        )


def _measure_closeness(candidates: Sequence[Candidate], language: str) -> list[float]:
    """How close each sentence is in meaning to the whole, in which every article weighs the same; 0 where unknown."""
    # What stands so far behind is hardly ever chosen, and says no more of what the article is about.
    near = [number for number, candidate in enumerate(candidates) if candidate.position < _NEAR]
    vectors = measure_meaning([candidates[number].text for number in near], language)
    closeness = [0.0] * len(candidates)
    if vectors is None:
        return closeness
    import numpy as np

    lengths = np.array([min(candidates[number].length, 30) for number in near], dtype=np.float32)
    documents = np.array([candidates[number].document for number in near])
    whole = np.zeros(vectors.shape[1], dtype=np.float32)
    for document in set(documents.tolist()):
        members = documents == document
        own = (vectors[members] * lengths[members, None]).sum(axis=0)
        whole += own / max(float(np.linalg.norm(own)), 1e-9)
    whole /= max(float(np.linalg.norm(whole)), 1e-9)
    for number, cosine in zip(near, (vectors @ whole).tolist(), strict=True):
        closeness[number] = cosine
    return closeness


def _choose(candidates: Sequence[Candidate], budget: Budget, *, opens_with_best: bool) -> list[Candidate]:
    limit = budget.sentences or max(_MAX_SENTENCES, budget.words // _WORDS_A_SENTENCE + 2)
    room = math.inf if budget.sentences else budget.words
    place = {(candidate.document, candidate.position): number for number, candidate in enumerate(candidates)}
    ranked = sorted(range(len(candidates)), key=lambda number: (-candidates[number].score, number))
    order = ranked if opens_with_best else range(len(candidates))
    standing = (number for number in order if candidates[number].good and not candidates[number].leans)
    opening = next(standing, None)
    if opening is None:
        opening = next(number for number in order if candidates[number].good)
    chosen = {opening}
    room -= candidates[opening].length
    for number in ranked:
        wanted = _with_support(number, candidates, place, chosen)
        new = [candidates[one] for one in wanted if one not in chosen]
        if not new or len(chosen) + len(new) > limit or sum(candidate.length for candidate in new) > room:
            continue
        if _repeats(new, (candidates[one] for one in chosen)):
            continue
        chosen |= set(wanted)
        room -= sum(candidate.length for candidate in new)
    return [candidates[number] for number in sorted(chosen)]


def _with_support(
    number: int,
    candidates: Sequence[Candidate],
    place: Mapping[tuple[int, int], int],
    chosen: Collection[int],
) -> list[int]:
    """A sentence, with the one that it leans on; none when it may not be taken."""
    candidate = candidates[number]
    if not candidate.good:
        return []
    if not candidate.leans:
        return [number]
    before = place.get((candidate.document, candidate.position - 1))
    if before is None:
        return []
    stands = candidates[before].good and not candidates[before].leans
    return [before, number] if before in chosen or stands else []


def _repeats(new: Sequence[Candidate], chosen: Iterable[Candidate]) -> bool:
    said: set[str] = set().union(*(candidate.terms for candidate in chosen))
    terms = set().union(*(candidate.terms for candidate in new))
    return bool(terms) and len(terms & said) / len(terms) > _REDUNDANCY
