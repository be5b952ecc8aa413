"""Article → Story → Item: what is told, and how it is said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from digest.models.collecting import Article

Direction = Literal["ltr", "rtl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A story as an earlier edition told it."""

    date: date
    headline: str
    text: str  # the lead article's
    language: str | None
    outlets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is new in a story that was told before."""

    told_on: date
    numbers: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()
    has_new_lead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One event, told by one or more articles; the first is the lead."""

    articles: tuple[Article, ...]
    told: Told | None = None  # when an earlier edition had it, the last that did
    news: News | None = None  # why it returns
    voices: int = 1  # outlets that tell it in words of their own
    score: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)  # the score's parts, for `editions show --why`

    @property
    def lead(self) -> Article:
        """The story's first article: the one whose words stand for it."""
        return self.articles[0]

    @property
    def outlets(self) -> tuple[str, ...]:
        """The names of the outlets that tell it, the lead's first, each once."""
        return tuple(dict.fromkeys(article.outlet for article in self.articles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a summary may be. `sentences`, when given, replaces the limit in words."""

    words: int = 60
    sentences: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stretch of the story's article number `document`, in code points, end exclusive."""

    document: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence of a summary: `text == documents[document][start:end]`, in code points, end exclusive.

    `document` is the number of the story's article. Where a sentence is in other words than the source, `support` names
    the source sentences that bear it out, the best first, and `start` and `end` are those of the first.
    """

    text: str
    document: int
    start: int
    end: int
    outlet: str | None = None  # whose words they are, where a summary has those of several
    support: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Our words about a story."""

    sentences: tuple[Sentence, ...]
    kind: str = "extractive"  # which summarizer made it

    @property
    def text(self) -> str:
        """The sentences, joined by spaces, each followed by its outlet where there are several."""
        return " ".join(
            f"{sentence.text} ({sentence.outlet})" if sentence.outlet else sentence.text for sentence in self.sentences
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Another outlet's article on the same story."""

    outlet: str
    title: str
    link: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Story and summary as printed."""

    id: str  # the lead article's id
    headline: str
    link: str | None
    outlet: str
    published_at: datetime
    topic: str | None
    summary: Summary | None
    language: str
    direction: Direction
    author: str | None = None
    image: str | None = None  # only where the source's rights are its own or licensed
    also: tuple[Mention, ...] = ()
    reason: str | None = None  # why there is no summary
    replaced: str | None = None  # why the summarizer that was asked first did not write it: "number: …"
    may_lead: bool = True  # told by two outlets, or by a trusted one, or pinned: it may give the edition its subject
    news: News | None = None  # it was told before, and this is new
    edited: tuple[str, ...] = ()  # what a person wrote: "headline", "summary"
    score: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
