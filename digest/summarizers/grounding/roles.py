"""Who did what to whom: an answer may not swap the two.

Told by order alone: where a sentence has two names around a verb, and a source sentence has the same three, the one
that acts must be the same. "By" behind the verb turns the order round, in the source as in the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from digest.summarizers.grounding.lexicon import lexicon_of
from digest.summarizers.grounding.names import TITLES
from digest.summarizers.grounding.reading import Reading, ReadSentence, Token
from digest.summarizers.grounding.senses import is_deed

_STEPS: Final = 5  # words between a deed and each of the two
_FAR: Final = 10  # the same in the source, which says more
_BE: Final = frozenset("is are was were be been being get gets got".split())
_RELATIONS: Final = frozenset(
    "with for from in on at after before since as over about into through during near than while".split()
)
_SMALL: Final = _BE | frozenset(
    "has have had will would may might could can also again now since then still not never once who".split()
)


@dataclass(frozen=True, slots=True)
class Deed:
    """Who acts on whom, as told by the order of the words."""

    actor: Token
    verb: Token
    target: Token


def find_swapped(sentence: ReadSentence, source: Reading) -> str | None:
    """The verb of a deed that the source tells the other way round; None: there is none."""
    if source.language != "en":  # elsewhere cases and endings say it, and words stand in any order
        return None
    for deed in _find_deeds(sentence.plain, sentence.tokens):
        verdicts = [
            verdict
            for other in source.sentences
            if not other.keys.isdisjoint(deed.verb.keys)
            and not other.keys.isdisjoint(deed.actor.keys)
            and not other.keys.isdisjoint(deed.target.keys)
            for verdict in _compare(deed, other.tokens)
        ]
        if verdicts and not any(verdicts):
            return deed.verb.text
    return None


def _find_deeds(text: str, tokens: Sequence[Token]) -> Iterator[Deed]:
    """Every word with a name right before it, but for small words, and one behind it."""
    deeds = lexicon_of("en").deeds
    for number, verb in enumerate(tokens):
        if verb.is_quoted or not verb.is_content or not (is_deed(tokens, number, "en") or verb.bare in deeds):
            continue
        actor = next((t for t in reversed(tokens[max(0, number - _STEPS) : number]) if t.bare not in _SMALL), None)
        target = _find_behind(tokens, number, _STEPS)
        if actor is None or target is None or not _is_party(actor) or _is_cut(text, actor, target):
            continue
        if _is_passive(tokens, number):
            actor, target = target, actor
        if actor.keys.isdisjoint(target.keys):
            yield Deed(actor, verb, target)


def _is_cut(text: str, actor: Token, target: Token) -> bool:
    """Whether a comma or the like stands between the two: they belong to other clauses then."""
    return any(mark in text[actor.start : target.start] for mark in ",;:–—")


def _find_behind(tokens: Sequence[Token], number: int, reach: int) -> Token | None:
    """The first name behind a deed, unless another relation than "by" stands between."""
    for token in tokens[number + 1 : number + 1 + reach]:
        if _is_party(token):
            return token
        if token.bare in _RELATIONS:
            return None
    return None


def _is_party(token: Token) -> bool:
    return token.is_capital and token.is_content and token.text[0].isalpha() and token.bare not in TITLES


def _is_passive(tokens: Sequence[Token], number: int) -> bool:
    before = {token.bare for token in tokens[max(0, number - 3) : number]}
    behind = [token.bare for token in tokens[number + 1 : number + 7]]
    return "by" in behind[:1] or (not before.isdisjoint(_BE) and "by" in behind)


def _compare(deed: Deed, tokens: Sequence[Token]) -> Iterator[bool]:
    """For each place where the source has the verb between the two: whether the same one acts."""
    for number, verb in enumerate(tokens):
        if verb.keys.isdisjoint(deed.verb.keys):
            continue
        before, behind = tokens[max(0, number - _FAR) : number], tokens[number + 1 : number + 1 + _FAR]
        acts_first = _has(before, deed.actor) and _has(behind, deed.target)
        is_acted_on_first = _has(before, deed.target) and _has(behind, deed.actor)
        if acts_first == is_acted_on_first:
            continue
        yield acts_first != _is_passive(tokens, number)


def _has(tokens: Sequence[Token], token: Token) -> bool:
    return any(not one.keys.isdisjoint(token.keys) for one in tokens)
