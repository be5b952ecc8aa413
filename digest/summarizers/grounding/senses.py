"""Whether "not", "denied" and "allegedly" survive: what an answer says may not be surer, or other, than the source.

What an answer says of a deed is laid beside the source sentences that speak of the same. Where each of those negates it
and the answer does not, or the other way round, or calls it an allegation that the answer calls a fact, or says the
contrary word, the answer is refused. Words and their order are all that is looked at, so a sense that turns without
them turns unseen.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from digest.summarizers.grounding.lexicon import lexicon_of
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
_BOUND: Final = 5  # words behind a hedge that it binds
_NEAR: Final = 6  # words within which a negation or a hedge belongs to the same clause
# Share of what stands around a word that a source sentence must have to speak of the same.
_SAME: Final = 0.3  # the same of a whole sentence
_LIKE: Final = 0.1
_FAR: Final = 8  # words around a deed that tell which one is meant
_ALIKE: Final = 0.4  # share of a clause that a source sentence must have to be laid beside it


def find_turned(sentence: ReadSentence, source: Reading) -> tuple[Literal["negation", "hedge"], str] | None:
    """The kind ("negation" or "hedge") and the word where a sentence turns what the source says; None: nowhere."""
    if word := _find_contrary(sentence, source) or _find_turned(sentence, source):
        return "negation", word
    if word := _find_lost_hedge(sentence, source):
        return "hedge", word
    return None


def _find_turned(sentence: ReadSentence, source: Reading) -> str | None:
    """A deed that the source denies and the answer affirms.

    Not the other way round: what a source says of others, or by other words, an answer may well deny.
    """
    lexicon = lexicon_of(source.language)
    for number, token in enumerate(sentence.tokens):
        if not _may_be_compared(sentence.tokens, number, source.language):
            continue
        told = list(_find_told(token, source))
        if not told:
            continue
        nearest, likeness = _nearest(sentence, number, told, source)
        clause = sentence.tokens[max(0, number - _FAR - 2) : number + _NEAR + 1]
        if (
            likeness >= _LIKE
            and not _is_negated(sentence.tokens, number, lexicon.negations)
            and not _turns(clause, lexicon.turning | lexicon.open)
            and all(_is_negated(other.tokens, place, lexicon.negations, lexicon.refusals) for other, place in nearest)
        ):
            return token.text
    return None


def _may_be_compared(tokens: Sequence[Token], number: int, language: str) -> bool:
    """Whether a word may be a deed, says enough by itself, and is the answer's own."""
    token, lexicon = tokens[number], lexicon_of(language)
    if token.is_quoted or not token.is_content or token.is_capital or len(token.bare) < 3 or token.text[0].isdigit():
        return False
    if token.bare in lexicon.turning | lexicon.hedges or not token.keys.isdisjoint(lexicon.light):
        return False
    is_part = token.is_joined or (number > 0 and tokens[number - 1].is_joined)
    return not is_part and is_deed(tokens, number, language)


def _find_lost_hedge(sentence: ReadSentence, source: Reading) -> str | None:
    """What the nearest source sentence calls an allegation or a possibility, and this one a fact."""
    lexicon = lexicon_of(source.language)
    shares = source.share(sentence.tokens)
    if not shares or max(shares) < _SAME or _has(sentence.tokens, lexicon.hedges | lexicon.open):
        return None
    nearest = source.sentences[shares.index(max(shares))]
    if charge := _find_charge(sentence, nearest, lexicon.charges):
        return charge
    for place, token in enumerate(nearest.tokens):
        if token.bare in lexicon.binding:
            for behind in nearest.tokens[place + 1 : place + 1 + _BOUND]:
                if behind.is_content and not sentence.keys.isdisjoint(behind.keys):
                    return behind.text
    return None


def _find_charge(sentence: ReadSentence, nearest: ReadSentence, charges: frozenset[str]) -> str | None:
    """A deed of which somebody is only accused: "suspected of stealing", where the answer has "stole"."""
    for place, token in enumerate(nearest.tokens):
        if not token.bare.endswith("ing") or not place or nearest.tokens[place - 1].bare not in {"of", "with"}:
            continue
        if not _has(nearest.tokens[max(0, place - _FAR) : place], charges):
            continue
        for number, own in enumerate(sentence.tokens):
            if not own.keys.isdisjoint(token.keys) and is_deed(sentence.tokens, number, "en"):
                return own.text
    return None


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
            if token.keys.isdisjoint(own) or _has(_clause(sentence.tokens, number), lexicon.negations):
                continue
            if not sentence.keys.isdisjoint(contrary) or not source.keys.isdisjoint(own):
                continue
            if any(
                not other.keys.isdisjoint(contrary) and not _has(other.tokens, lexicon.negations)
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


def _is_negated(
    tokens: Sequence[Token], number: int, negations: frozenset[str], refusals: frozenset[str] = frozenset()
) -> bool:
    """Whether a negation stands right before a word, but for small words and one other, and none beside it.

    "No reason why it should not" says that it should, and "it should not have" that it did.
    """
    if sum(token.bare in negations for token in _clause(tokens, number)) > 1:
        return False
    steps = 0
    # "Denied that the company had ignored it": what is refused may stand further on than what is negated.
    if any(token.bare in refusals for token in tokens[max(0, number - _BOUND) : number]):
        return True
    if any(token.bare in _OUGHT for token in tokens[max(0, number - _BOUND) : number]):
        return False
    for token in reversed(tokens[:number]):
        if token.bare in negations or token.bare.endswith("n't") or _is_yet_to(tokens, token):
            return True
        steps += token.bare not in _AUXILIARIES
        if steps >= _STEP:
            return False
    return False


def _is_yet_to(tokens: Sequence[Token], token: Token) -> bool:
    """Whether it is the "yet" of "has yet to be found"."""
    behind = next((one.bare for one in tokens if one.start > token.start), "")
    return token.bare == "yet" and behind == "to"


def _turns(tokens: Sequence[Token], listed: frozenset[str]) -> bool:
    return any(token.bare in listed or _is_yet_to(tokens, token) for token in tokens)


def _has(tokens: Sequence[Token], listed: frozenset[str]) -> bool:
    return any(token.bare in listed for token in tokens)
