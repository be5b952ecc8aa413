"""Whether "not" and "denied" survive: what an answer says may not be the contrary of what the source says.

What an answer says of a deed is laid beside the source sentences that speak of the same. Where each of those negates it
and the answer does not, or the other way round, or says the contrary word, the answer is refused. Words and their order
are all that is looked at, so a sense that turns without them turns unseen.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from digest.summarizers.grounding.lexicon import Lexicon, lexicon_of
from digest.summarizers.grounding.reading import Reading, ReadSentence, Token

_AUXILIARIES: Final = frozenset(
    """will would can could may might must shall should to do does did have has had be been being is are was were
    not""".split()
)
_OUGHT: Final = frozenset("should shouldn't must mustn't ought".split())
_BEFORE_NOUNS: Final = frozenset(
    "the a an his her its their our my your this that these those of more most very".split()
)
_STEP: Final = 2  # words between a negation and what it negates, small words not counted
_BOUND: Final = 5  # words behind a refusal within which stands what is refused
_NEAR: Final = 6  # words within which a negation belongs to the same clause
# Share of what stands around a word that a source sentence must have to speak of the same: for a deed, for any word.
_LIKE: Final = 0.1
_LIKE_ANY: Final = 0.3
_FAR: Final = 8  # words around a deed that tell which one is meant
_ALIKE: Final = 0.4  # share of a clause that a source sentence must have to be laid beside it


def find_turned(sentence: ReadSentence, source: Reading) -> str | None:
    """The word where a sentence says the contrary of what the source says; None: nowhere."""
    return _find_contrary(sentence, source) or _find_turned(sentence, source)


def _find_turned(sentence: ReadSentence, source: Reading) -> str | None:
    """What the source denies and the answer affirms, or the other way round."""
    for number in range(len(sentence.tokens)):
        if _may_be_compared(sentence.tokens, number, source.language):
            told = list(_find_told(sentence.tokens[number], source))
            if told and _is_turned(sentence, number, told, source):
                return sentence.tokens[number].text
    return None


def _is_turned(sentence: ReadSentence, number: int, told: Sequence[tuple[ReadSentence, int]], source: Reading) -> bool:
    tokens, lexicon = sentence.tokens, lexicon_of(source.language)
    nearest, likeness = _nearest(sentence, number, told, source)
    if is_negated(tokens, number, lexicon):
        # Only of a plain "not": "never before" and "no man's are finer" tell of a first and of a best.
        return (
            is_negated(tokens, number, lexicon, by=lexicon.denials)
            and likeness >= _LIKE_ANY
            and not any(is_negated(other.tokens, place, lexicon, is_told=True) for other, place in told)
            and not any(_turns(other.tokens, lexicon) for other, _ in nearest)
        )
    clause, least, may_be_refused = tokens, _LIKE_ANY, is_deed(tokens, number, source.language)
    if may_be_refused:
        clause, least = tokens[max(0, number - _FAR - 2) : number + _NEAR + 1], _LIKE
    steps = _STEP if may_be_refused else 1  # "nobody gave black people rights" denies no people
    return (
        likeness >= least
        and not _turns(clause, lexicon)
        and all(
            is_negated(other.tokens, place, lexicon, is_told=may_be_refused, steps=steps) for other, place in nearest
        )
    )


def _may_be_compared(tokens: Sequence[Token], number: int, language: str) -> bool:
    """Whether a word says enough by itself, and is the answer's own."""
    token, lexicon = tokens[number], lexicon_of(language)
    if token.is_quoted or not token.is_content or token.is_capital or len(token.bare) < 3 or token.text[0].isdigit():
        return False
    if token.bare in lexicon.turning | lexicon.hedges or not token.keys.isdisjoint(lexicon.light):
        return False
    return not token.is_joined and not (number > 0 and tokens[number - 1].is_joined)


def _find_told(token: Token, source: Reading) -> Iterator[tuple[ReadSentence, int]]:
    """Where the source has the word."""
    for other in source.sentences:
        if not other.keys.isdisjoint(token.keys):
            yield from ((other, place) for place, one in enumerate(other.tokens) if not one.keys.isdisjoint(token.keys))


def _nearest(
    sentence: ReadSentence, number: int, told: Sequence[tuple[ReadSentence, int]], source: Reading
) -> tuple[list[tuple[ReadSentence, int]], float]:
    """Those places of the source that have most of what stands around the word in the answer, and what share of it."""
    own = sentence.tokens[number].keys
    around = [t for t in _clause(sentence.tokens, number, _FAR) if t.is_content and t.keys.isdisjoint(own)]
    shares = [sum(source.weigh(t) for t in around if not other.keys.isdisjoint(t.keys)) for other, _ in told]
    best = max(shares)
    whole = sum(map(source.weigh, around))
    return [one for one, share in zip(told, shares, strict=True) if share >= best], best / whole if whole else 1.0


def _find_contrary(sentence: ReadSentence, source: Reading) -> str | None:
    """A word that the source does not have, where it has the contrary of it."""
    lexicon = lexicon_of(source.language)
    for number, token in enumerate(sentence.tokens):
        if token.is_quoted or source.knows(token) or token.bare.endswith("ing"):
            continue
        has_number = any(one.text[0].isdigit() for one in _clause(sentence.tokens, number))
        for own, contrary in (*lexicon.contraries, *(lexicon.moves if has_number else ())):
            if token.keys.isdisjoint(own) or has_any(_clause(sentence.tokens, number), lexicon.negations):
                continue
            if not sentence.keys.isdisjoint(contrary) or not source.keys.isdisjoint(own):
                continue
            if any(
                not other.keys.isdisjoint(contrary) and not has_any(other.tokens, lexicon.negations)
                for other in _lay_beside(sentence, number, source)
            ):
                return token.text
    return None


def is_deed(tokens: Sequence[Token], number: int, language: str) -> bool:
    """Whether a word may be a verb: in English by its ending or the word before it; elsewhere any longer word may."""
    token = tokens[number]
    if token.is_capital or len(token.bare) < 4:
        return False
    if language != "en":
        return True
    before = tokens[number - 1] if number else None
    if before is None:
        return False
    if before.bare in _AUXILIARIES or before.bare.endswith("n't"):
        return True
    is_past = token.bare.endswith("ed") or token.bare in lexicon_of(language).pasts
    return is_past and before.bare not in _BEFORE_NOUNS and "'" not in before.text


def _lay_beside(sentence: ReadSentence, number: int, source: Reading) -> Iterator[ReadSentence]:
    """The source sentences that speak of what stands around a word of the answer."""
    shares = source.share(_clause(sentence.tokens, number, _FAR))
    best = max(shares, default=0.0)
    return (other for other, share in zip(source.sentences, shares, strict=True) if share >= max(_ALIKE, 0.75 * best))


def _clause(tokens: Sequence[Token], number: int, reach: int = _NEAR) -> Sequence[Token]:
    return tokens[max(0, number - reach) : number + reach + 1]


def is_negated(
    tokens: Sequence[Token],
    number: int,
    lexicon: Lexicon,
    *,
    by: frozenset[str] | None = None,
    is_told: bool = False,
    steps: int = _STEP,
) -> bool:
    """Whether a negation stands right before a word, but for small words and one other, and none beside it.

    `by`: which words negate, else all that do. `is_told`: in a source, where what is refused counts as negated too.
    "No reason why it should not" says that it should, and "it should not have" that it did.
    """
    if sum(token.bare in lexicon.negations for token in _clause(tokens, number)) > 1:
        return False
    bound = tokens[max(0, number - _BOUND) : number]
    # "Denied that the company had ignored it": what is refused may stand further on than what is negated.
    if is_told and any(_is_refusal(tokens, token, lexicon) for token in bound):
        return True
    if any(token.bare in _OUGHT for token in bound):
        return False
    left = steps
    for place in range(number - 1, -1, -1):
        token = tokens[place]
        # "Not just turkeys": turkeys too.
        if place + 1 < number and tokens[place + 1].bare in lexicon.limits:
            return False
        if token.bare in (lexicon.negations if by is None else by) or token.bare.endswith("n't"):
            return True
        if by is None and _is_yet_to(tokens, token):
            return True
        left -= token.bare not in _AUXILIARIES
        if left <= 0:
            return False
    return False


def _is_refusal(tokens: Sequence[Token], token: Token, lexicon: Lexicon) -> bool:
    """Whether it refuses what follows: some words only before "to", as "declined" does."""
    return token.bare in lexicon.refusals or (token.bare in lexicon.refusals_to and _is_before_to(tokens, token))


def _is_before_to(tokens: Sequence[Token], token: Token) -> bool:
    return next((one.bare for one in tokens if one.start > token.start), "") == "to"


def _is_yet_to(tokens: Sequence[Token], token: Token) -> bool:
    """Whether it is the "yet" of "has yet to be found"."""
    return token.bare == "yet" and _is_before_to(tokens, token)


def _turns(tokens: Sequence[Token], lexicon: Lexicon) -> bool:
    listed = lexicon.turning | lexicon.open
    return any(token.bare in listed or token.bare.endswith("n't") or _is_yet_to(tokens, token) for token in tokens)


def has_any(tokens: Sequence[Token], listed: frozenset[str]) -> bool:
    """Whether one of the words stands there."""
    return any(token.bare in listed for token in tokens)
