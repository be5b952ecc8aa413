"""Names of people, places and things: every one in an answer must stand in the source.

In scripts with capitals a name is what begins with one, within a sentence, and what no dictionary has in small letters
at its beginning. Where all nouns have capitals (German), and in scripts that have none, a name is told by the
dictionary alone.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from digest.summarizers.grounding.forms import is_common_word, is_compound, is_known_word
from digest.summarizers.grounding.lexicon import lexicon_of
from digest.summarizers.grounding.moments import find_moments
from digest.summarizers.grounding.reading import Reading, ReadSentence, Token

# Written with a capital and yet no name: titles, directions, currencies.
TITLES: Final = frozenset(
    """mr mrs ms miss dr sir dame lord lady prof professor rev reverend st saint herr frau señor señora don doña
    monsieur madame mme dr. mag sheikh i i'm i've ok tv rs inr usd eur gbp am pm north south east west""".split()
)
_LEAST_PART: Final = 5  # letters of a word that may be part of another
_ROMAN: Final = re.compile("[IVXLC]+")
_IDEOGRAPHS: Final = re.compile("[\u3400-\u9fff]+")
_KATAKANA: Final = re.compile("[\u30a0-\u30ff]+")
_ENDINGS: Final = ("ian", "ians", "ean", "eans", "an", "ans", "n", "ns", "ese", "ish", "i", "ic", "a", "e", "y", "o")
_JOINS: Final = frozenset("of the and de la du del der den for in on to al el bin von van & e y et und".split())
_PLACED: Final = frozenset("in at from near outside to of around across".split())
_COMMON_ENDING: Final = re.compile(
    r"(?:ung|heit|keit|schaft|tion|tät|[eè]|en|er|s)$"
)  # of German nouns, seldom of names
_DETERMINERS: Final = frozenset(
    """der die das den dem des ein eine einen einem einer eines kein keine keinen im am vom zum zur beim ins ans aufs
    seine seinen seiner ihre ihren ihrer unser alle viele mehrere einige diese dieser dieses diesen jeder jede jedes
    """.split()
)
_WITHOUT_CAPITALS: Final = frozenset("ar fa he hi ur ps ckb bn ta te ml ka".split())
_NOUN_CAPITALS: Final = frozenset({"de", "lb"})
# Languages with cases whose names change at their end.
_DECLINED: Final = frozenset("ru uk pl cs sk hr sr bs sl bg mk lt lv et fi hu tr el ro is hi".split())


def find_unknown_name(sentence: ReadSentence, source: Reading) -> str | None:
    """The first name of a sentence that the source does not have; None: it has all."""
    aliases = _find_aliased(sentence, source)
    moments = {moment.start for moment in find_moments(sentence.plain, source.language)}
    for number, token in enumerate(sentence.tokens):
        if token.is_quoted or token.start in aliases or token.start in moments:
            continue
        if not _is_name(sentence.tokens, number, source.language):
            continue
        if not (
            source.knows(token)
            or _is_known_otherwise(token, source)
            or _is_introduced(sentence, number, source)
            or _stands_for_country(sentence.tokens, number, source)
        ):
            return token.text
    return None


def find_unknown_run(sentence: ReadSentence, source: Reading) -> str | None:
    """Of a script without spaces: the first three characters of one kind that the source has no two of together."""
    for one, other in pairwise(sentence.tokens):
        if one.is_quoted or one.start + 1 != other.start or source.knows(one) or source.knows(other):
            continue
        run = one.text + other.text[-1]
        if _KATAKANA.fullmatch(run) or (_IDEOGRAPHS.fullmatch(run) and _may_hold_name(run, source.language)):
            return run
    return None


def _may_hold_name(run: str, language: str) -> bool:
    """Whether three characters may be of a name, where the lexicon knows what names are written with."""
    lexicon = lexicon_of(language)
    if not lexicon.surnames:
        return True
    return (
        not lexicon.surnames.isdisjoint(run[:2])
        or run[-1] in lexicon.places
        or sum(character in lexicon.transliterating for character in run) > 1
    )


def _is_name(tokens: Sequence[Token], number: int, language: str) -> bool:
    token = tokens[number]
    if language in _WITHOUT_CAPITALS:
        return (
            token.is_content
            and token.text[0].isalpha()
            and len(token.bare) > 2
            and not is_known_word(token.text, language)
        )
    if not token.is_capital or token.bare in TITLES or token.text[0].isdigit():
        return False
    if language in _NOUN_CAPITALS:
        before = tokens[number - 1].bare if number else ""
        is_behind_name = number > 0 and tokens[number - 1].is_capital
        if before.isdigit() or (
            not is_behind_name and _COMMON_ENDING.search(token.text) and is_compound(token.text, language)
        ):
            return False
        if is_known_word(token.text, language):
            return (
                not token.is_initial
                and before not in _DETERMINERS
                and not before.endswith(("en", "er", "es", "em", "e"))
            )
        return not token.is_initial or not is_common_word(token.text, language)
    if token.is_initial and not token.text[1:].isupper():
        follows = tokens[number + 1] if number + 1 < len(tokens) else None
        is_followed = follows is not None and follows.is_capital and not follows.is_initial and token.is_content
        return not is_common_word(token.text, language) and (token.is_content or is_followed)
    return token.bare not in _JOINS


def _is_known_otherwise(token: Token, source: Reading) -> bool:
    """Whether the source has a form of the name: another case, an adjective, or a word of which it is a part."""
    bare = token.bare
    if "-" in bare or "." in bare:
        return all(part in source.keys for part in re.split(r"[-.]", bare) if len(part) > 1)
    if len(bare) >= 4 and not _roots_of(bare).isdisjoint(_all_roots(tuple(source.words))):
        return True
    # "Windparkstreit", where the source has "Windpark".
    if source.language in _NOUN_CAPITALS and is_compound(token.text, source.language):
        parts = [word for word in source.words if len(word) >= _LEAST_PART]
        if any(bare.startswith(word) or bare.endswith(word) for word in parts):
            return True
    if source.language in _DECLINED | _NOUN_CAPITALS:
        least = max(4, len(bare) - 3) if source.language in _DECLINED else max(5, len(bare) - 3)
        return len(bare) >= least and any(word[:least] == bare[:least] for word in source.words)
    return False


def _roots_of(word: str) -> frozenset[str]:
    """The word, and what is left of it without an ending by which countries and their peoples differ."""
    bare = (word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending))
    return frozenset({word, *(root for root in bare if len(root) >= 4)})


@lru_cache(maxsize=8)
def _all_roots(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(root for word in words if len(word) >= 4 for root in _roots_of(word))


def _is_introduced(sentence: ReadSentence, number: int, source: Reading) -> bool:
    """Whether the source has the words that an acronym stands for, or the acronym of these words."""
    token = sentence.tokens[number]
    letters = token.text.replace(".", "").rstrip("s")
    if letters.isupper() and 2 <= len(letters) <= 6 and not _ROMAN.fullmatch(letters):
        return letters.lower() in _initials_of(source)
    run = _run_around(sentence.tokens, number)
    named = [word.bare[0] for word in run if word.bare not in _JOINS]
    if len(named) >= 3:
        return "".join(named) in source.keys
    return False


def _stands_for_country(tokens: Sequence[Token], number: int, source: Reading) -> bool:
    """Whether it is a capital that acts, not one that something happens in, and the source has its country."""
    countries = lexicon_of(source.language).capitals.get(tokens[number].bare, ())
    if number and tokens[number - 1].bare in _PLACED:
        return False
    known = f" {' '.join(source.words)} "
    return any(f" {country} " in known for country in countries)


def _run_around(tokens: Sequence[Token], number: int) -> list[Token]:
    """The words with capitals around one, with "of" and the like between them."""
    start = end = number
    while start and (
        tokens[start - 1].is_capital
        or (start > 1 and tokens[start - 1].bare in _JOINS and tokens[start - 2].is_capital)
    ):
        start -= 1
    while end + 1 < len(tokens) and (
        tokens[end + 1].is_capital
        or (end + 2 < len(tokens) and tokens[end + 1].bare in _JOINS and tokens[end + 2].is_capital)
    ):
        end += 1
    return list(tokens[start : end + 1])


def _initials_of(source: Reading) -> frozenset[str]:
    """The first letters of every run of two to six words with capitals, small words between them left out and not."""
    found: set[str] = set()
    for sentence in source.sentences:
        number = 0
        while number < len(sentence.tokens):
            if not sentence.tokens[number].is_capital:
                number += 1
                continue
            run = [token.bare for token in _run_around(sentence.tokens, number)]
            for kept in (run, [word for word in run if word not in _JOINS]):
                letters = [word[0] for word in kept if word]
                for length in range(2, 7):
                    found.update("".join(letters[at : at + length]) for at in range(len(letters) - length + 1))
            number += max(1, len(run))
    return frozenset(found)


def _find_aliased(sentence: ReadSentence, source: Reading) -> set[int]:
    """Where words stand that the source has under another name: "British" for "UK"."""
    known = f" {' '.join(source.words)} "
    said = [token.bare.replace(".", "") for token in sentence.tokens]
    found: set[int] = set()
    for names in lexicon_of(source.language).aliases:
        if not any(f" {name} " in known for name in names):
            continue
        for name in names:
            parts = name.split()
            for at in range(len(said) - len(parts) + 1):
                if said[at : at + len(parts)] == parts:
                    found.update(token.start for token in sentence.tokens[at : at + len(parts)])
    return found
