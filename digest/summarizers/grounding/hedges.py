"""Whether "allegedly" survives: what an answer says may not be surer than the source.

Laid beside the source sentence that has most of its words, a sentence of an answer is refused where that one calls an
allegation, a likelihood or an estimate what the answer calls a fact, unless the answer hedges too, names who says it,
or another sentence of the source says the same outright.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from digest.summarizers.grounding.lexicon import Lexicon, lexicon_of
from digest.summarizers.grounding.reading import Reading, ReadSentence, Token
from digest.summarizers.grounding.senses import has_any, is_deed

_ALIKE: Final = 0.3  # share of a sentence's words that a source sentence must have to be laid beside it
_BOUND: Final = 5  # words behind a hedge of which one is bound by it
_BOUND_TOGETHER: Final = 10  # and those of which two are
_SURER: Final = 0.7  # share of what is hedged that another sentence must have to say it outright
_FAR: Final = 8  # words before a deed among which a charge stands
_BACK: Final = 3  # words before a hedge that may deny it: "refuting claims that"
_AFTER_MODALS: Final = frozenset({"be", "have"})


def find_lost_hedge(sentence: ReadSentence, source: Reading) -> str | None:
    """What the nearest source sentence calls an allegation or a possibility, and this one a fact; None: nothing."""
    lexicon = lexicon_of(source.language)
    shares = source.share(sentence.tokens)
    if not shares or max(shares) < _ALIKE or has_any(sentence.tokens, lexicon.hedges | lexicon.open):
        return None
    nearest = source.sentences[shares.index(max(shares))]
    if charge := _find_charge(sentence, nearest, lexicon.charges):
        return charge
    for place, token in enumerate(nearest.tokens):
        if token.bare in lexicon.binding:
            for behind in nearest.tokens[place + 1 : place + 1 + _BOUND]:
                if behind.is_content and not sentence.keys.isdisjoint(behind.keys):
                    return behind.text
    if has_any(sentence.tokens, lexicon.attributions) or any(token.is_quoted for token in sentence.tokens):
        return None
    return next(_find_doubted(sentence, nearest, source, lexicon), None)


def _find_doubted(sentence: ReadSentence, nearest: ReadSentence, source: Reading, lexicon: Lexicon) -> Iterator[str]:
    """What stands behind "is expected to" and the like in the source, and nowhere without."""
    if sentence.text.rstrip().endswith("?"):
        return
    for place, token in enumerate(nearest.tokens):
        before = nearest.tokens[max(0, place - _BACK) : place]
        if not _is_doubt(nearest.tokens, place, lexicon) or has_any(before, lexicon.turning):
            continue
        behind = nearest.tokens[place + 1 : place + 1 + _BOUND_TOGETHER]
        shared = [one for one in behind if one.is_content and not sentence.keys.isdisjoint(one.keys)]
        if len(shared) > 1 and not any(_says_outright(other, shared, lexicon) for other in source.sentences):
            yield token.text


def _is_doubt(tokens: Sequence[Token], place: int, lexicon: Lexicon) -> bool:
    """Whether a word makes less than a fact of what follows, by what stands right behind it."""
    token, behind = tokens[place], next(iter(tokens[place + 1 : place + 2]), None)
    if behind is None or token.is_quoted:
        return False
    if token.bare in lexicon.binding:
        return True
    # "May said" is a person.
    if token.text in lexicon.modals and behind.bare in _AFTER_MODALS:
        return True
    if token.text in lexicon.doubts_to and behind.bare == "to":
        return True
    if token.bare in lexicon.doubts_of_deeds and behind.bare.endswith("ing"):
        return True
    if token.bare in lexicon.claims and behind.bare == "the":
        return False
    return token.bare in lexicon.doubts_that and (behind.bare in lexicon.clauses or behind.is_capital)


def _says_outright(sentence: ReadSentence, words: Sequence[Token], lexicon: Lexicon) -> bool:
    known = sum(not sentence.keys.isdisjoint(word.keys) for word in words)
    return known >= _SURER * len(words) and not has_any(sentence.tokens, lexicon.hedges)


def _find_charge(sentence: ReadSentence, nearest: ReadSentence, charges: frozenset[str]) -> str | None:
    """A deed of which somebody is only accused: "suspected of stealing", where the answer has "stole"."""
    for place, token in enumerate(nearest.tokens):
        if not token.bare.endswith("ing") or not place or nearest.tokens[place - 1].bare not in {"of", "with"}:
            continue
        if not has_any(nearest.tokens[max(0, place - _FAR) : place], charges):
            continue
        for number, own in enumerate(sentence.tokens):
            if not own.keys.isdisjoint(token.keys) and is_deed(sentence.tokens, number, "en"):
                return own.text
    return None
