"""Entry → Article: what sources publish, and what is read of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Rights = Literal["own", "licensed", "extract", "headline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProfile:
    """What the operator says of a source, whatever its kind."""

    id: str
    title: str | None = None  # the outlet's name; absent: the feed's own title
    topics: tuple[str, ...] = ()
    full_text: bool = True
    rights: Rights | None = None  # None: not stated; treated as "extract", and `digest check` asks
    weight: float = 1.0
    trusted: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    every: timedelta | None = None  # between visits through the day; None: at the pace of what it publishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item that a source published, as it was published: nothing is invented where a field is absent."""

    id: str | None = None
    title: str | None = None  # plain text
    link: str | None = None  # absolute http(s)
    published_at: datetime | None = None
    updated_at: datetime | None = None
    author: str | None = None
    summary: str | None = None  # sanitised HTML
    content: str | None = None  # sanitised HTML
    text: str | None = None  # the article's plain text, where the source itself is the page (a text or HTML file)
    enclosures: tuple[str, ...] = ()
    image: str | None = None  # absolute http(s)
    tags: tuple[str, ...] = ()
    language: str | None = None  # BCP 47


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """An RSS, Atom, RDF or JSON Feed document."""

    title: str | None = None
    link: str | None = None
    subtitle: str | None = None
    language: str | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one visit to a source brought. `cursor` is handed back at the next visit (HTTP validators and the like)."""

    entries: tuple[Entry, ...] = ()
    title: str | None = None
    language: str | None = None
    cursor: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()  # what part of the source could not be read, and why
    unchanged: bool = False  # the source said that nothing is new since the cursor
    fresh_for: timedelta = timedelta()  # how long the source says that nothing new is to be had
    lists_everything: bool = False  # undated entries of the first visit are a whole site's past, not its news


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What is known of a source from its earlier visits."""

    cursor: Mapping[str, str] = field(default_factory=dict)
    last_success_at: datetime | None = None
    failures: int = 0  # in a row
    failing_since: datetime | None = None
    told_at: datetime | None = None  # when it was reported that it has failed for long
    next_visit_at: datetime | None = None  # not before
    error: str | None = None  # of the last visit; without failures: what of it could not be read
    last_visit_at: datetime | None = None  # also one that failed
    visit_due_at: datetime | None = None  # at its own pace; None: no visit is planned
    pace: timedelta | None = None  # from one visit to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the store made of a visit's entries."""

    new: int = 0
    renamed: int = 0  # known ones that came under new ids and links all at once


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as the store keeps it, with what was read on its page; `is_read` also when that was nothing of use."""

    number: int  # the store's own key
    source_id: str
    outlet: str
    seen_at: datetime
    entry: Entry
    page: "Page | None" = None
    is_read: bool = False
    is_first_contact: bool = False  # its source was visited for the first time: it may be old although nothing says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What extraction found in one page or text. `text` has one paragraph a line."""

    title: str | None = None
    author: str | None = None
    date: datetime | None = None
    text: str
    language: str | None = None
    image: str | None = None
    link: str | None = None  # the page's own, canonical address


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """An entry with its page's text, and what the operator says of its source."""

    id: str
    source_id: str
    outlet: str
    title: str
    link: str | None
    text: str
    published_at: datetime  # the entry's date, or when it was first seen
    author: str | None = None
    language: str | None = None
    image: str | None = None
    topics: tuple[str, ...] = ()
    weight: float = 1.0
    trusted: bool = False
    rights: Rights = "extract"
