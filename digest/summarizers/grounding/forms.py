"""By what a word is known again where it is written in another form: folded letters, stem, lemma."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import simplemma

from digest.language import bare_word, find_terms

_ACCENTS: Final = re.compile("[\u0300-\u036f\u064b-\u0652\u0640]")
# What is written as one with a word: before it, and behind it.
_ATTACHED: Final = {
    "ar": ("و ف ب ل ك س ال وال بال لل فال كال وب ول وس", "ها هم هن ه ك نا ي كم هما ته تها تهم ت"),
    "es": ("", "lo la los las le les se me te nos selo sela"),
    "it": ("", "lo la li le si ne ci"),
}  # fmt: skip
_ALEFS: Final = str.maketrans("أإآٱىةؤئ", "ااااي" + "هوي")


@lru_cache(maxsize=100_000)
def keys_of(word: str, language: str) -> frozenset[str]:
    """By what a word is known again, also where it is declined."""
    whole = bare_word(word)
    forms = {whole, lemma_of(whole, language).lower()}
    # Accents stand until the word is stemmed, since stemmers know them.
    stems = {stem for form in forms for stem in find_terms([form], language)}
    return frozenset(fold(form) for form in forms | stems)


@lru_cache(maxsize=100_000)
def lemma_of(word: str, language: str) -> str:
    """The form under which a dictionary has the word; as it is where there is no dictionary."""
    try:
        return str(simplemma.lemmatize(word, lang=language))
    except ValueError:
        return word


@lru_cache(maxsize=100_000)
def is_common_word(word: str, language: str) -> bool:
    """Whether the dictionary has the word, and in small letters: no name, although it begins with a capital."""
    return any(
        is_in_dictionary(form, language) and lemma_of(form, language)[:1].islower()
        for form in (word, word.lower(), *_bare_forms(word, language))
    )


def is_known_word(word: str, language: str) -> bool:
    """Whether the dictionary has the word, also with the small words that some languages write as one with it."""
    return any(is_in_dictionary(form, language) for form in (word, *_bare_forms(word, language)))


@lru_cache(maxsize=100_000)
def is_compound(word: str, language: str) -> bool:
    """Whether a word is put together of two or more that the dictionary has: "Windparkstreit"."""
    return any(
        is_in_dictionary(head, language) and (is_in_dictionary(tail, language) or is_compound(tail, language))
        for at in range(4, len(word) - 3)
        for head in (word[:at], word[:at].removesuffix("s"))
        if len(head) > 3 and (tail := word[at:].capitalize())
    )


@lru_cache(maxsize=100_000)
def is_in_dictionary(word: str, language: str) -> bool:
    """Whether the dictionary has this very form; False where there is no dictionary."""
    try:
        return bool(simplemma.is_known(word, lang=language))
    except ValueError:
        return False


def _bare_forms(word: str, language: str) -> Iterator[str]:
    """The word without what is written as one with it: Arabic "and", "with", "his", Spanish "them"."""
    if language not in _ATTACHED:
        return
    before, behind = _ATTACHED[language]
    heads = [word, *(word.removeprefix(one) for one in before.split() if word.startswith(one))]
    for head in heads:
        yield from (head.removesuffix(one) for one in behind.split() if head.endswith(one) and len(head) > len(one) + 2)
        if head != word and len(head) > 2:
            yield head


def fold(text: str) -> str:
    """Small letters without accents; of Arabic without vowel signs and with one form of each letter."""
    decomposed = unicodedata.normalize("NFKD", text) if not text.isascii() else text
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed)).casefold().translate(_ALEFS)
