"""How alike two articles are: by the words they share, and where they have few, by what the words mean as well.

    full texts   cosine of the TF-IDF of stems and pairs of stems
    headlines    that, times the cosine of the vectors of their meaning: ten words seldom share enough of them

Between the two the one passes into the other with the length of the shorter article. The vectors are those of
WordLlama, which come with its package and know English; other languages, and machines for which there is no package,
go by words alone. What is contradictory is less alike, or not at all.

`Likeness` never holds a full matrix: it gives the pairs that are alike enough, and the full square of a few articles.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from digest.cluster.contradictions import contradict, find_names, learn_names, read_numbers
from digest.language import find_terms
from digest.meaning import measure_meaning
from digest.text import count_words, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

ENOUGH: Final = 0.02  # likeness from which two groups are one story, on average over their pairs

_OPENING_WORDS: Final = 250
_TITLE_WEIGHT: Final = 2
_MEANING_WORDS: Final = 60  # of which a vector is made; more of them all mean "news"
_SHORT, _LONG = 20, 100  # words: up to the one, meaning counts in full; from the other on, not at all
_MEANING_OF_LONG: Final = 0.3  # what two full texts of one story count in its place
_SAME_OUTLET: Final = 0.2  # how much is left of that of one outlet's articles: it seldom tells an event twice
_OTHER_NAMES: Final = 0.5  # how much is left of the likeness of articles that name different people and places
_ROWS: Final = 500  # compared with all at a time
_PAIRS: Final = 100_000  # whose names are compared at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What of an article is compared."""

    title: str
    text: str
    language: str
    outlet: str | None = None  # whose it is; None is nobody's, and never the same


class Likeness:
    """How alike the articles of one day are, pair by pair."""

    def __init__(self, documents: Sequence[Document]) -> None:
        """Counts the words of all articles."""
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.size = len(documents)
        vectorizer = TfidfVectorizer(analyzer=_analyze, sublinear_tf=True, dtype=np.float32)
        try:
            self._words: Any = vectorizer.fit_transform(documents)
        except ValueError:  # nobody says a word that counts
            self._words = None
        lengths = np.array([count_words(document.title) + count_words(document.text[:2000]) for document in documents])
        self._brevity: NDArray[np.float32] = ((_LONG - lengths) / (_LONG - _SHORT)).clip(0.0, 1.0).astype(np.float32)
        self._meaning = _measure_meaning(documents, self._brevity > 0)
        outlets: dict[str, int] = {}
        nobodys = itertools.count(-1, -1)
        self._outlets = np.array(
            [next(nobodys) if d.outlet is None else outlets.setdefault(d.outlet, len(outlets)) for d in documents]
        )
        names = learn_names([_opening(document) for document in documents if document.language != "de"])
        self._names = _mark_names([find_names(_opening(document), names) for document in documents], names)
        self._named = np.asarray(self._names.sum(axis=1)).ravel() > 0
        self._numbers = [read_numbers(document.title) for document in documents]
        self._numbered = np.array([numbers is not None for numbers in self._numbers], dtype=bool)

    def pairs(self, enough: float) -> Iterator[tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.float32]"]]:
        """The pairs that are at least so alike, in pieces: two arrays of numbers, and their likeness."""
        if self._words is None:
            return
        everything = range(self.size)
        for start in range(0, self.size, _ROWS):
            rows, columns, alike = self._compare(range(start, min(start + _ROWS, self.size)), everything)
            chosen = (alike >= enough) & (columns > rows)
            yield rows[chosen], columns[chosen], self._less_contradictory(rows, columns, alike, chosen)[chosen]

    def square(self, members: Sequence[int]) -> "NDArray[np.float32]":
        """The likeness of each to each."""
        import numpy as np

        full = np.zeros((len(members), len(members)), dtype=np.float32)
        if self._words is not None:
            rows, columns, alike = self._compare(members, members)
            place = {member: number for number, member in enumerate(members)}
            alike = self._less_contradictory(rows, columns, alike, alike >= ENOUGH)
            full[[place[row] for row in rows.tolist()], [place[column] for column in columns.tolist()]] = alike
        return full

    def _compare(self, rows: Sequence[int], columns: Sequence[int]) -> tuple[Any, Any, Any]:
        """The pairs that share a word: their numbers, and how alike they are."""
        import numpy as np

        rows_of, columns_of = np.asarray(rows), np.asarray(columns)
        shared = (self._words[rows_of] @ self._words[columns_of].T).tocoo()
        row, column = rows_of[shared.row], columns_of[shared.col]
        is_same_outlet = (self._outlets[row] == self._outlets[column]) & (row != column)
        alike = np.where(is_same_outlet, shared.data * _SAME_OUTLET, shared.data).astype(np.float32)
        brevity = np.maximum(self._brevity[row], self._brevity[column])
        if self._meaning is None:
            return row, column, alike * _MEANING_OF_LONG
        meaning = (self._meaning[rows_of] @ self._meaning[columns_of].T).clip(0.0, 1.0)[shared.row, shared.col]
        return row, column, alike * (brevity * meaning + (1 - brevity) * _MEANING_OF_LONG)

    def _less_contradictory(self, rows: Any, columns: Any, alike: Any, chosen: Any) -> Any:
        """Of the chosen pairs, those that contradict each other count less, or not at all."""
        import numpy as np

        others = chosen & (rows != columns)
        (named,) = np.nonzero(others & self._named[rows] & self._named[columns])
        for part in np.array_split(named, len(named) // _PAIRS + 1):
            shared = self._names[rows[part]].multiply(self._names[columns[part]]).sum(axis=1)
            alike[part[np.asarray(shared).ravel() == 0]] *= _OTHER_NAMES
        for number in np.flatnonzero(others & self._numbered[rows] & self._numbered[columns]).tolist():
            one, other = self._numbers[rows[number]], self._numbers[columns[number]]
            if one and other and contradict(one, other):
                alike[number] = -1.0
        return alike


def _mark_names(found: Sequence[frozenset[str]], names: frozenset[str]) -> "csr_matrix":
    """Which names stand in which text (texts x names), as ones."""
    import numpy as np
    from scipy.sparse import csr_matrix

    place = {name: number for number, name in enumerate(sorted(names))}
    columns = [place[name] for one in found for name in sorted(one)]
    ends = np.cumsum([0, *(len(one) for one in found)])
    return csr_matrix((np.ones(len(columns), dtype=np.int32), columns, ends), shape=(len(found), max(1, len(names))))


def _opening(document: Document) -> str:
    return f"{document.title}\n{' '.join(document.text[:4000].split()[:_OPENING_WORDS])}"


def _analyze(document: Document) -> list[str]:
    """The stems that count, the title's twice, and each two that follow each other."""
    found = [*words(document.title) * _TITLE_WEIGHT, *words(document.text[:8000])[:_OPENING_WORDS]]
    terms = list(find_terms(found, document.language))
    return [*terms, *(f"{first} {second}" for first, second in itertools.pairwise(terms))]


def _measure_meaning(documents: Sequence[Document], wanted: "NDArray[np.bool_]") -> "NDArray[np.float32] | None":
    """A vector for each document that wants one; None where there is no saying, or nobody wants it."""
    languages = {document.language for document in documents}
    if len(languages) != 1 or not wanted.any():
        return None
    texts = [
        " ".join(f"{document.title} {document.text[:1000]}".split()[:_MEANING_WORDS]) if is_wanted else ""
        for document, is_wanted in zip(documents, wanted.tolist(), strict=True)
    ]
    return measure_meaning(texts, languages.pop())
