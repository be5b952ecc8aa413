"""Is an answer borne out by its source? Every number, date, name and quotation must stand in it, and the sense survive.

    answer ─ each sentence ─> quotations, numbers, moments, names, support, negation, hedges, roles ─> faults
                                                                    └ the source sentences that bear it out

Pure, and without a model: a checker that can itself invent would prove nothing. What it refuses in doubt costs a better
worded summary; what it lets pass in doubt costs a reader's trust. So it is strict with what can be looked up, and
leaves to the operator's own approval what cannot. `benchmarks/grounding.jsonl` has the cases that it is measured by.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from digest.meaning import measure_meaning
from digest.summarizers.grounding.figures import Figure
from digest.summarizers.grounding.hedges import find_lost_hedge
from digest.summarizers.grounding.moments import Moment, find_moments
from digest.summarizers.grounding.names import find_unknown_name, find_unknown_run
from digest.summarizers.grounding.quotations import find_misquoted
from digest.summarizers.grounding.reading import Reading, ReadSentence, Token, read_sentence, read_source
from digest.summarizers.grounding.roles import find_swapped
from digest.summarizers.grounding.senses import find_turned
from digest.text import Span, is_dense

Kind = Literal["quotation", "number", "date", "name", "support", "negation", "hedge", "roles"]

# Words on each side of a number or a date, and how much of what the best source sentence has of them one must have that
# says it; one of these is enough.
_CONTEXTS: Final = ((3, 0.3), (7, 0.3), (60, 0.7))
# Which numbers may stand in a text for something else: small ones and years.
_SMALL_NUMBER: Final = 12
_DIGIT_ONE: Final = re.compile(r"(?<!\d)1(?!\d)")
_PEOPLE: Final = frozenset({"person", "people", "persons"})
_SINGULAR: Final = frozenset("1 one a an another the this that every each no single first last".split())
_YEARS: Final = range(1900, 2100)
_PLURAL: Final = re.compile(r"[a-z]{3,}s")
_COUNTED_WITHIN: Final = 5  # words behind a number of which one is what it counts
_COUNTED_ALIKE: Final = 0.3  # share of a sentence that a source sentence must have to count the same things
_DATED_ALIKE: Final = 0.6  # the same to tell of the same moment
_LEAST_COVERED: Final = 0.45  # share of an answer's weight that the source must have
_LEAST_COVERED_IN_PAIRS: Final = 0.3  # the same of scripts that are read by pairs of characters
# Of one sentence less need stand there, and nothing when a source sentence is near in meaning.
_LEAST_ALONE: Final = 0.3
_NEAR_IN_MEANING: Final = 0.2
_MOST_PASSAGES: Final = 3
_LEAST_ADDED: Final = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What of an answer is not borne out."""

    kind: Kind
    text: str  # the words in question


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounded:
    """One sentence of an answer: what bears it out, or what does not."""

    passages: tuple[Span, ...]  # sentences of the source, the best first
    fault: Fault | None


def ground(sentences: Sequence[str], text: str, *, language: str, title: str | None = None) -> list[Grounded]:
    """Each sentence of an answer against the source's title and text. `language` is an ISO 639-1 code."""
    source = read_source(text, language, title)
    whole = "\n".join(part for part in (title, text) if part)
    read = [read_sentence(sentence, language) for sentence in sentences]
    least = _LEAST_COVERED_IN_PAIRS if any(map(_is_in_pairs, read)) else _LEAST_COVERED
    # The words of a short sentence may all be its own: what counts is the whole answer, unless one stands quite alone.
    is_covered = _share_known([token for one in read for token in one.tokens], source) >= least
    return [
        Grounded(
            passages=_find_passages(one, source),
            fault=_find_fault(one, source, whole) or (None if is_covered else Fault(kind="support", text=one.text)),
        )
        for one in read
    ]


def _find_fault(sentence: ReadSentence, source: Reading, whole: str) -> Fault | None:
    if quotation := find_misquoted(sentence.text, whole):
        return Fault(kind="quotation", text=quotation)
    if moment := _find_unknown_moment(sentence, source):
        return Fault(kind="date", text=moment)
    if odd := next((c for c in sentence.text if unicodedata.category(c) in {"No", "Nl"} and c not in whole), None):
        return Fault(kind="number", text=odd)
    if number := _find_unknown_number(sentence, source) or _find_only_one(sentence, source):
        return Fault(kind="number", text=number)
    if name := find_unknown_name(sentence, source) or find_unknown_run(sentence, source):
        return Fault(kind="name", text=name)
    if _share_known(sentence.tokens, source) < _LEAST_ALONE and _measure_nearness(sentence, source) < _NEAR_IN_MEANING:
        return Fault(kind="support", text=sentence.text)
    if word := find_turned(sentence, source):
        return Fault(kind="negation", text=word)
    if word := find_lost_hedge(sentence, source):
        return Fault(kind="hedge", text=word)
    if verb := find_swapped(sentence, source):
        return Fault(kind="roles", text=verb)
    return None


def _find_unknown_number(sentence: ReadSentence, source: Reading) -> str | None:
    """The first number that the source does not have, or has among other words only."""
    for figure in sentence.figures:
        if _is_quoted(sentence, figure.start) or _is_pronoun(sentence, figure) or _means_both(sentence, figure):
            continue
        there = [number for number, other in enumerate(source.sentences) if any(map(figure.is_said_by, other.figures))]
        may_stand_by_chance = figure.value <= _SMALL_NUMBER or figure.value in _YEARS
        if not there or (may_stand_by_chance and not _tells(source, there, sentence, figure.start)):
            return figure.text
        if figure.value <= _SMALL_NUMBER and _is_counted_otherwise(sentence, figure, source):
            return figure.text
    return None


def _is_counted_otherwise(sentence: ReadSentence, figure: Figure, source: Reading) -> bool:
    """Whether the source counts the same things by other numbers only: "five seasons", where it has "eight seasons"."""
    end = figure.start + len(figure.text)
    counted = next((token for token in sentence.tokens if token.start == end + 1), None)
    is_count = figure.unit != "ordinal" and source.language == "en" and sentence.plain[end : end + 1] == " "
    if not is_count or counted is None or not counted.is_content or not _PLURAL.fullmatch(counted.text):
        return False
    shares = source.share([token for token in sentence.tokens if not token.text[0].isdigit()])
    likest = 0.0
    for share, other in zip(shares, source.sentences, strict=True):
        for number in other.figures:
            behind = [token for token in other.tokens if token.start > number.start][:_COUNTED_WITHIN]
            if any(not token.keys.isdisjoint(counted.keys) for token in behind):
                if number.value == figure.value:
                    return False
                likest = max(likest, share)
    return likest >= _COUNTED_ALIKE


def _is_pronoun(sentence: ReadSentence, figure: Figure) -> bool:
    """Whether a 1 may be the word "one" of "between one and six", and no number that is written so."""
    return figure.value == 1 and figure.unit is None and _DIGIT_ONE.search(sentence.text) is None


def _find_only_one(sentence: ReadSentence, source: Reading) -> str | None:
    """ "One person", where the source counts persons and nowhere one: "one" alone is mostly a pronoun."""
    if source.language != "en":
        return None
    for number, (one, thing) in enumerate(pairwise(sentence.tokens)):
        things = thing.keys | (_PEOPLE if thing.bare in _PEOPLE else frozenset())
        if one.bare not in {"one", "1"} or one.is_quoted or not thing.is_content or source.keys.isdisjoint(things):
            continue
        if number and sentence.tokens[number - 1].bare in {"no", "number", "nr"}:  # a rank
            continue
        before = [
            earlier.bare
            for other in source.sentences
            for earlier, later in pairwise(other.tokens)
            if not later.keys.isdisjoint(things)
        ]
        if any(bare.isdigit() for bare in before) and _SINGULAR.isdisjoint(before):
            return f"{one.text} {thing.text}"
    return None


def _means_both(sentence: ReadSentence, figure: Figure) -> bool:
    """Whether it is "the two", who were named before and are not counted."""
    before = next((t.bare for t in reversed(sentence.around(figure.start, 1)) if t.start < figure.start), "")
    return figure.text == "2" and figure.unit is None and before in {"the", "these", "those", "les", "los", "die", "os"}


def _find_unknown_moment(sentence: ReadSentence, source: Reading) -> str | None:
    """The first day, month or the like that the source does not have, or has among other words only."""
    language = source.language
    moments = [one for one in find_moments(sentence.plain, language) if not _is_quoted(sentence, one.start)]
    if not moments:
        return None  # most sentences: the source, which is long, need not be read for any
    known = [frozenset(n for m in find_moments(other.plain, language) for n in m.names) for other in source.sentences]
    for moment in moments:
        there = [number for number, names in enumerate(known) if not names.isdisjoint(moment.names)]
        if not _tells(source, there, sentence, moment.start) or _is_shifted(moment, sentence, source):
            return moment.text
    return None


def _is_shifted(moment: Moment, sentence: ReadSentence, source: Reading) -> bool:
    """Whether it is "last month" where the source sentence that has most of the words says "last week"."""
    if not moment.is_shifted:
        return False
    shares = source.share(sentence.tokens)
    likest = max(range(len(shares)), key=shares.__getitem__)
    there = list(find_moments(source.sentences[likest].plain, source.language))
    return (
        shares[likest] >= _DATED_ALIKE
        and any(one.is_shifted for one in there)
        and all(one.names.isdisjoint(moment.names) for one in there)
    )


def _is_quoted(sentence: ReadSentence, start: int) -> bool:
    return any(token.is_quoted and token.start == start for token in sentence.tokens)


def _tells(source: Reading, there: Sequence[int], sentence: ReadSentence, start: int) -> bool:
    """Whether one of those source sentences speaks of what stands around an offset of ours."""
    return bool(there) and any(
        source.tells_nearby(there, [t for t in sentence.around(start, reach) if not t.text[0].isdigit()], least)
        for reach, least in _CONTEXTS
    )


def _share_known(tokens: Sequence[Token], source: Reading) -> float:
    """The share of the words' weight that stands anywhere in the source."""
    content = [token for token in tokens if token.is_content]
    whole = sum(map(source.weigh, content))
    return sum(source.weigh(token) for token in content if source.knows(token)) / whole if whole else 1.0


def _measure_nearness(sentence: ReadSentence, source: Reading) -> float:
    """The cosine to the source sentence that is nearest in meaning; 0 where no vectors know the language."""
    vectors = measure_meaning([sentence.text, *(other.text for other in source.sentences)], source.language)
    return float((vectors[1:] @ vectors[0]).max()) if vectors is not None and len(vectors) > 1 else 0.0


def _is_in_pairs(sentence: ReadSentence) -> bool:
    return sum(is_dense(token.text[0]) for token in sentence.tokens) * 2 > len(sentence.tokens)


def _find_passages(sentence: ReadSentence, source: Reading) -> tuple[Span, ...]:
    """The source sentences that together have most of a sentence's words, the best first."""
    left = [token for token in sentence.tokens if token.is_content]
    whole = sum(map(source.weigh, left)) or 1.0
    found: list[Span] = []
    while left and len(found) < _MOST_PASSAGES:
        gains = [
            (sum(source.weigh(token) for token in left if not other.keys.isdisjoint(token.keys)), -number)
            for number, other in enumerate(source.sentences)
            if other.span
        ]
        gain, place = max(gains, default=(0.0, 0))
        if gain / whole < _LEAST_ADDED:
            break
        best = source.sentences[-place]
        if best.span:
            found.append(best.span)
        left = [token for token in left if best.keys.isdisjoint(token.keys)]
    return tuple(found)
