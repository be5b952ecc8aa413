"""A text as the checks read it: sentences, and in each its words, with everything by which they may be known again.

A word of an answer is known again in the source by its letters without accents, by its stem or by its lemma, so that
languages with cases are compared by what is declined. Scripts without spaces are read by pairs of characters.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from digest.language import bare_word, ignored_words
from digest.summarizers.grounding.figures import Figure, find_figures, spell_in_digits
from digest.summarizers.grounding.forms import fold, keys_of
from digest.summarizers.grounding.quotations import find_quotations, leave_out_brackets
from digest.text import Span, is_dense, lines, sentences, word_spans

_PLAIN: Final = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "‐": "-", "‑": "-"})
_PART: Final = re.compile(r"[^-]+")
_FOLLOWS_A_BREAK: Final = re.compile(r"[:;–—(\[“\"«„‘.]\s*$")
_NEIGHBOUR: Final = 0.5  # what a sentence counts for the one before or after it


@dataclass(frozen=True, slots=True)
class Token:
    """A word, and by what it is known again."""

    text: str
    start: int  # within the plain text of its sentence
    bare: str  # small letters, without accents and genitive
    keys: frozenset[str]  # its bare form, its stem, its lemma and the stem of that
    is_quoted: bool  # it stands within quotation marks
    is_initial: bool  # it begins a sentence, or what follows a colon: a capital says nothing there
    is_content: bool  # no stop word
    is_joined: bool = False  # a hyphen stands behind it

    @property
    def is_capital(self) -> bool:
        """Whether it holds a capital letter."""
        return any(map(str.isupper, self.text))


@dataclass(frozen=True, slots=True)
class ReadSentence:
    """One sentence, its words and its numbers."""

    text: str
    plain: str  # with number words in digits; tokens and figures stand at their offsets in this
    span: Span | None  # where it stands in the whole text; None for a headline
    tokens: tuple[Token, ...]
    figures: tuple[Figure, ...]
    keys: frozenset[str]

    def around(self, start: int, reach: int) -> list[Token]:
        """The words up to `reach` words before and after an offset of the plain text."""
        at = next((n for n, token in enumerate(self.tokens) if token.start >= start), len(self.tokens))
        return list(self.tokens[max(0, at - reach) : at + reach + 1])


@lru_cache(maxsize=4)
def read_source(text: str, language: str, title: str | None) -> "Reading":
    """Once, where several answers about the same text are judged, as when a model is asked again."""
    return Reading(text, language, title=title)


class Reading:
    """A whole text, read once for all checks."""

    def __init__(self, text: str, language: str, *, title: str | None = None) -> None:
        """`language` is an ISO 639-1 code. The title counts as a sentence that stands before the text."""
        self.language = language
        heading = [read_sentence(title, language)] if title else []
        spans = [span for line in lines(text) for span in sentences(text, line, language)]
        self.sentences = (*heading, *(read_sentence(span.of(text), language, span) for span in spans))
        self.keys: frozenset[str] = frozenset().union(*(sentence.keys for sentence in self.sentences))
        self.words = [token.bare for sentence in self.sentences for token in sentence.tokens]
        self._found_in = Counter(key for sentence in self.sentences for key in sentence.keys)

    def weigh(self, token: Token) -> float:
        """How much a word tells of where in the text one is: the more, the fewer sentences have it."""
        found = max((self._found_in[key] for key in token.keys), default=0)
        return math.log(1 + len(self.sentences) / max(found, 1))

    def knows(self, token: Token) -> bool:
        """Whether the word stands anywhere in the text."""
        return not self.keys.isdisjoint(token.keys)

    def share(self, tokens: Sequence[Token]) -> list[float]:
        """For each sentence, the share of the weight of those words that it has: 0 to 1."""
        content = [token for token in tokens if token.is_content]
        whole = sum(map(self.weigh, content)) or 1.0
        return [
            sum(self.weigh(token) for token in content if not sentence.keys.isdisjoint(token.keys)) / whole
            for sentence in self.sentences
        ]

    def tells_nearby(self, sentences_with_it: Sequence[int], context: Sequence[Token], least: float) -> bool:
        """Whether what stands in those sentences stands there among words like the context.

        The best of them must have `least` of what the best sentence of the whole text has of the context.
        """
        shares = self.share(context)
        best = max(shares, default=0.0)
        if best <= 0:
            return True
        there = 0.0
        for number in sentences_with_it:
            beside = [shares[n] for n in (number - 1, number + 1) if 0 <= n < len(shares)]
            there = max(there, shares[number] + _NEIGHBOUR * max(beside, default=0.0))
        return there >= least * best


def read_sentence(text: str, language: str, span: Span | None = None) -> ReadSentence:
    """The words and numbers of one sentence."""
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN)
    plain = spell_in_digits(plain, language)
    tokens = tuple(_read_tokens(plain, language))
    keys: frozenset[str] = frozenset().union(*(token.keys for token in tokens))
    return ReadSentence(text, plain, span, tokens, tuple(find_figures(plain, language)), keys)


@lru_cache(maxsize=50_000)
def _know_again(word: str, language: str) -> tuple[str, frozenset[str]]:
    """Its bare form, and all its keys; found once for each word, for a text and what is said of it share most."""
    bare = fold(bare_word(word)).replace(".", "")
    return bare, keys_of(word, language) | {bare}


def _read_tokens(text: str, language: str) -> Iterator[Token]:
    ignored = ignored_words(language)
    quoted = [part for span in find_quotations(text) for part in leave_out_brackets(text, span)]
    is_first = True
    parts = (
        Span(span.start + p.start(), span.start + p.end())
        for span in word_spans(text)
        for p in _PART.finditer(span.of(text))
    )
    for part in parts:
        word, start = part.of(text), part.start
        is_quoted = any(span.start <= start < span.end for span in quoted)
        if any(map(is_dense, word)):
            for offset, pair in enumerate(map("".join, pairwise(word))):
                yield Token(pair, start + offset, pair, frozenset({pair}), is_quoted, False, True)
            continue
        bare, keys = _know_again(word, language)
        yield Token(
            text=word,
            start=start,
            bare=bare,
            keys=keys,
            is_quoted=is_quoted,
            is_initial=is_first or _FOLLOWS_A_BREAK.search(text[max(0, start - 8) : start]) is not None,
            is_content=bare not in ignored and word.lower() not in ignored,
            is_joined=text[part.end : part.end + 1] == "-",
        )
        is_first = False
