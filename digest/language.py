"""What is known of languages: the words that say nothing of what a text is about, and the stems of the others."""

import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import snowballstemmer
from stop_words import AVAILABLE_LANGUAGES, get_stop_words

from digest.text import is_dense

_STEMMERS: Final = {
    "ar": "arabic", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish", "fi": "finnish",
    "fr": "french", "hi": "hindi", "hu": "hungarian", "id": "indonesian", "it": "italian", "nb": "norwegian",
    "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish",
    "ta": "tamil", "tr": "turkish",
}  # fmt: skip


@lru_cache(maxsize=64)
def ignored_words(language: str) -> frozenset[str]:
    """The stop words of a language, by its ISO 639-1 code; none where nobody lists them."""
    if language == "en":  # scikit-learn's list is longer than the others', and groups better: BCubed F1 .98 against .95
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        return frozenset(ENGLISH_STOP_WORDS)
    return frozenset(get_stop_words(language)) if language in AVAILABLE_LANGUAGES else frozenset()


def bare_word(word: str) -> str:
    """A word in small letters, without the English genitive."""
    return word.lower().removesuffix("'s").removesuffix("’s")


def find_terms(found: Iterable[str], language: str) -> Iterator[str]:
    """The stems of those words that count; of scripts without spaces, the pairs of characters."""
    for word in found:
        yield from _terms_of(word, language)


@lru_cache(maxsize=200_000)
def _terms_of(word: str, language: str) -> tuple[str, ...]:
    """Found once for each word: a day's news repeats its words, and stemming one takes some 50 µs."""
    bare = bare_word(word)
    if bare in ignored_words(language):
        return ()
    if is_dense(bare[0]):
        return tuple(map("".join, pairwise(bare)))
    stemmer = _stemmer_of(language)
    return (stemmer.stemWord(bare) if stemmer else bare,)


class _Stemmers(threading.local):
    """Those of one thread: a stemmer keeps the word that it is at, so two threads would garble each other's."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}


_STEMMERS_HERE: Final = _Stemmers()


def _stemmer_of(language: str) -> Any:
    known = _STEMMERS_HERE.known
    if language not in known:
        known[language] = snowballstemmer.stemmer(_STEMMERS[language]) if language in _STEMMERS else None
    return known[language]
