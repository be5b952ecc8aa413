"""A summary made of the article's own sentences: offline, deterministic, verbatim.

    prose lines → sentences → score → the first good sentence, then the best that fit the budget → document order

The first good sentence is kept because reporters put the news there: no unsupervised method that we measured beats the
opening by much, and most lose to it. The others are scored by position, by how central their words are to the article
and by what they share with the headline, less what they repeat. A sentence that leans on the one before it ("But he …")
is taken only with that one. Each sentence carries its offsets into the text as given.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from digest.errors import SummarizeError
from digest.models import Budget, Sentence, Story, Summary
from digest.text import Span, count_words, prose, sentences, words

_MAX_SENTENCES = 4
_SHORTEST, _LONGEST = 5, 55  # words; shorter ones say little, longer ones fill the budget alone
_REDUNDANCY = 0.55  # share of a sentence's words that may have been said already

# Openings that need the sentence before: pronouns, demonstratives, connectives.
_DANGLING = frozenset(
    """
    he she it they his her its their him them this that these those such both the-latter the-former but and or so
    yet however moreover furthermore meanwhile therefore thus hence nevertheless nonetheless instead also
    additionally besides still then afterwards later earlier otherwise similarly likewise consequently accordingly
    indeed another others one some neither either here there
    """.split()
)
_QUOTES = '"“”«»„‟'
_STOP = frozenset(
    """
    a an the of to in on at by for with from as is are was were be been being has have had do does did not no nor
    and or but if then than that this these those it its he she they his her their them we our you your i my me us
    who whom which what when where why how all any each more most other some such only own same so too very can will
    just would could should may might must into over after before about between through during against under again
    once said says
    """.split()
)


@dataclass(slots=True)
class _Candidate:
    span: Span
    text: str
    position: int  # its number among the article's sentences
    length: int  # words
    terms: Counter[str] = field(default_factory=Counter)
    leans: bool = False
    good: bool = True
    score: float = 0.0


class ExtractiveSummarizer:
    """The default summarizer, and the fallback of every other."""

    def summarize(self, story: Story, budget: Budget) -> Summary:
        """A summary of the lead article. Raises SummarizeError when it has no sentence that can stand alone."""
        return summarize_text(story.lead.text, budget, title=story.lead.title, language=story.lead.language)


def summarize_text(text: str, budget: Budget, *, title: str | None = None, language: str | None = None) -> Summary:
    """Choose sentences of one text. Raises SummarizeError when there is none to choose."""
    candidates = _find_candidates(text, title, language)
    if not any(candidate.good for candidate in candidates):
        raise SummarizeError(f'"{title or text[:40].strip()}"', "the text has no sentence that can stand alone")
    _score(candidates, title)
    chosen = _choose(candidates, budget)
    return Summary(
        sentences=tuple(
            Sentence(text=candidate.text, document=0, start=candidate.span.start, end=candidate.span.end)
            for candidate in chosen
        )
    )


def _find_candidates(text: str, title: str | None, language: str | None) -> list[_Candidate]:
    found: list[_Candidate] = []
    for line in prose(text):
        for span in sentences(text, line, language):
            sentence = span.of(text)
            terms = Counter(word.lower() for word in words(sentence) if word.lower() not in _STOP and len(word) > 1)
            length = count_words(sentence)
            found.append(
                _Candidate(
                    span=span,
                    text=sentence,
                    position=len(found),
                    length=length,
                    terms=terms,
                    leans=_leans(sentence),
                    good=_SHORTEST <= length <= _LONGEST
                    and bool(terms)
                    and not _is_broken(sentence)
                    and not _repeats_title(sentence, title),
                )
            )
    if not any(candidate.good for candidate in found):
        for candidate in found:  # a text of nothing but long or short sentences: take them as they are
            candidate.good = bool(candidate.terms) and not _repeats_title(candidate.text, title)
    return found


def _leans(sentence: str) -> bool:
    """Whether a sentence needs the one before it: it opens with a pronoun or a connective."""
    first = re.match(r"\W*([\w'’]+)", sentence)
    return bool(first) and first[1].lower() in _DANGLING if first else False


def _is_broken(sentence: str) -> bool:
    """Whether it leaves a quotation or bracket open, asks a question, or is no sentence of prose."""
    straight = sentence.count('"')
    return (
        straight % 2 == 1
        or sentence.count("“") != sentence.count("”")
        or sentence.count("«") != sentence.count("»")
        or sentence.count("(") != sentence.count(")")
        or sentence.rstrip(_QUOTES).endswith(("?", "؟", "？"))
        or _is_bare_quote(sentence)
        or "http" in sentence
    )


def _is_bare_quote(sentence: str) -> bool:
    """Whether it is nothing but a quotation: words without their speaker."""
    stripped = sentence.strip()
    return stripped[:1] in _QUOTES and stripped.rstrip(".!?…")[-1:] in _QUOTES and len(stripped) > 2


def _repeats_title(sentence: str, title: str | None) -> bool:
    return bool(title) and [w.lower() for w in words(sentence)] == [w.lower() for w in words(title or "")]


def _score(candidates: Sequence[_Candidate], title: str | None) -> None:
    """Position decay + closeness to the article's own words + words of the headline."""
    centroid: Counter[str] = Counter()
    for candidate in candidates:
        centroid.update(candidate.terms.keys())
    heaviest = max(centroid.values(), default=1)
    heading = {word.lower() for word in words(title or "")} - _STOP
    for candidate in candidates:
        terms = candidate.terms
        size = math.sqrt(len(terms)) or 1.0
        central = sum(centroid[term] / heaviest for term in terms) / (size * 4)
        shared = len(heading & terms.keys()) / (math.sqrt(len(heading)) * size) if heading else 0.0
        position = 1.0 / (1.0 + 0.35 * candidate.position)
        length = min(1.0, candidate.length / 12)
        candidate.score = (1.4 * position + 0.8 * central + 0.5 * shared) * length


def _choose(candidates: Sequence[_Candidate], budget: Budget) -> list[_Candidate]:
    limit = budget.sentences or _MAX_SENTENCES
    room = math.inf if budget.sentences else budget.words
    by_position = {candidate.position: candidate for candidate in candidates}
    opening = next((c for c in candidates if c.good and not c.leans), next(c for c in candidates if c.good))
    chosen = {opening.position: opening}
    room -= opening.length
    for candidate in sorted(candidates, key=lambda c: (-c.score, c.position)):
        wanted = [candidate]
        if candidate.leans:
            before = by_position.get(candidate.position - 1)
            if before is None or not (before.position in chosen or (before.good and not before.leans)):
                continue
            wanted = [before, candidate]
        new = [c for c in wanted if c.position not in chosen]
        if not new or not candidate.good or len(chosen) + len(new) > limit or sum(c.length for c in new) > room:
            continue
        if _repeats(new, chosen.values()):
            continue
        for c in new:
            chosen[c.position] = c
            room -= c.length
    return [chosen[position] for position in sorted(chosen)]


def _repeats(new: Sequence[_Candidate], chosen: Iterable[_Candidate]) -> bool:
    said: set[str] = set().union(*(candidate.terms for candidate in chosen))
    terms = set().union(*(candidate.terms for candidate in new))
    return bool(terms) and len(terms & said) / len(terms) > _REDUNDANCY
