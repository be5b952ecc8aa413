"""Entries → articles: the page behind an entry is read where the operator wants it, else the feed's own words do.

    entry ──> page ──> main text ──> Article
      └ no link, no page, a wall, or a page with less to say than the feed ──> the feed's own text ──> Article

Pages are fetched and read through callables that are handed in; `reading` finds the article in one. Which articles are
worth telling is not decided here.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from digest.errors import DigestError, SourceError
from digest.extract.reading import read_page, read_page_star, read_text
from digest.models import Article, Entry, Page, SourceProfile, StoredEntry
from digest.protocols import Parallel, Response
from digest.text import visible_text

__all__ = [
    "Extracted",
    "Reading",
    "explain",
    "extract",
    "read_page",
    "read_page_star",
    "read_pages",
    "read_text",
    "text_of",
    "wants_page",
]

_TITLE_WORDS: Final = 12  # of the text, where there is no title
_GONE_FOR_GOOD: Final = frozenset({401, 403, 404, 410, 451})
_FAULTS: Final = 5  # that are told of
_PAGES_AT_ONCE: Final = 200  # fetched before the first of them is read: what memory holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read for an entry."""

    number: int
    page: Page | None  # None: nothing of use, and the feed's own text must do
    may_come: bool  # it could not be had just now
    fault: str | None = None  # why there is no page; none where the feed just says more


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The articles, and what became of the pages that were wanted for them, also by who read ahead."""

    articles: list[Article]
    wanted: int  # entries whose page was wanted
    read: int  # of these, those whose article is made of it
    faults: tuple[str, ...] = ()  # why pages could not be read just now, the commonest first


def extract(
    entries: Sequence[StoredEntry],
    profiles: Mapping[str, SourceProfile],
    topic_names: Mapping[str, str],
    fetch_pages: Callable[[Sequence[str]], Sequence[Response | SourceError]],
    parallel: Parallel,
    keep: Callable[[int, Page | None], bool],
    *,
    since: datetime,
    seconds: float = 20.0,
) -> Extracted:
    """The articles, in the order of the entries. An entry without title and text, or of an unknown source, gives none.

    `topic_names` maps a topic's id to its title; `fetch_pages` gives an answer or its failure for each address, in
    order; `keep` is told what was read for an entry, or None when the feed's own text must do, and says whether it is
    another entry's page, which is then told by that one alone; reading a page takes at most `seconds`. What a source's
    first visit brought without a date is left out when its page is from before `since`.
    """
    known = [(stored, profiles[stored.source_id]) for stored in entries if stored.source_id in profiles]
    wanted = [stored for stored, profile in known if wants_page(stored.entry, profile)]
    unread = [stored for stored in wanted if not stored.is_read]
    sources = {stored.number: stored.source_id for stored in unread}
    pages: dict[int, Page] = {}
    twins: set[int] = set()
    faults: Counter[str] = Counter()
    for start in range(0, len(unread), _PAGES_AT_ONCE):
        for reading in read_pages(unread[start : start + _PAGES_AT_ONCE], fetch_pages, parallel, seconds=seconds):
            if reading.page:
                pages[reading.number] = reading.page
            if reading.fault:
                faults[f"{sources[reading.number]}: {reading.fault}"] += 1
            if keep(reading.number, reading.page):
                twins.add(reading.number)
    articles = (
        _make_article(stored, profile, pages.get(stored.number), topic_names)
        for stored, profile in known
        if stored.number not in twins and not _is_old_page(stored, pages.get(stored.number), since)
    )
    return Extracted(
        articles=[article for article in articles if article],
        wanted=len(wanted),
        read=sum(stored.page is not None or stored.number in pages for stored in wanted),
        faults=tuple(f"{fault} ({count} ×)" for fault, count in faults.most_common(_FAULTS)),
    )


def wants_page(entry: Entry, profile: SourceProfile) -> bool:
    """Whether the entry's page is to be read: for its text where that may be shown, else where there is no title."""
    if entry.text is not None or entry.link is None:
        return False
    return entry.title is None or (profile.full_text and profile.rights != "headline")


def read_pages(
    entries: Sequence[StoredEntry],
    fetch_pages: Callable[[Sequence[str]], Sequence[Response | SourceError]],
    parallel: Parallel,
    *,
    seconds: float = 20.0,
) -> list[Reading]:
    """Read the page of each entry, in order; the arguments are those of `extract`."""
    wanted = list(dict.fromkeys(stored.entry.link or "" for stored in entries))
    answers = dict(zip(wanted, fetch_pages(wanted), strict=True))
    fetched = {link: answer for link, answer in answers.items() if isinstance(answer, Response)}
    read = parallel(read_page_star, [(answer.body, answer.url) for answer in fetched.values()], seconds=seconds)
    found = dict(zip(fetched, read, strict=True))
    readings = []
    for stored in entries:
        link = stored.entry.link or ""
        answer, page = answers[link], found.get(link)
        outcome = answer if isinstance(answer, SourceError) else page
        is_of_use = isinstance(page, Page) and len(page.text) >= len(_own_text(stored))
        readings.append(
            Reading(
                number=stored.number,
                page=page if is_of_use and isinstance(page, Page) else None,
                may_come=isinstance(answer, SourceError) and answer.status not in _GONE_FOR_GOOD,
                fault=explain(outcome, seconds) if isinstance(outcome, Exception) else None,
            )
        )
    return readings


def explain(fault: Exception, seconds: float) -> str:
    """Why a page could not be had or read within `seconds`, in words that need no subject."""
    if isinstance(fault, TimeoutError):
        return f"reading it took over {seconds:.0f} seconds"
    if isinstance(fault, DigestError):
        return fault.message
    return " ".join(str(fault).split()) or type(fault).__name__


def _is_old_page(stored: StoredEntry, page: Page | None, since: datetime) -> bool:
    """Whether an undated entry of a source's first visit is from before the window, by the day that its page gives."""
    page = page or stored.page
    entry = stored.entry
    if not stored.is_first_contact or entry.published_at or entry.updated_at or page is None or page.date is None:
        return False
    return page.date.date() < since.astimezone(UTC).date()


def text_of(stored: StoredEntry) -> str:
    """What is known of an entry's article: its page, its own text, or what the feed says."""
    return (stored.page.text if stored.page else None) or stored.entry.text or _own_text(stored)


def _own_text(stored: StoredEntry) -> str:
    """What the feed itself says, the fuller of its two texts."""
    return max(visible_text(stored.entry.content), visible_text(stored.entry.summary), key=len)


def _make_article(
    stored: StoredEntry, profile: SourceProfile, page: Page | None, topic_names: Mapping[str, str]
) -> Article | None:
    entry = stored.entry
    page = page or stored.page
    may_quote = profile.rights != "headline"
    read = (page.text if page else None) or entry.text
    text = (read or _own_text(stored)) if may_quote else ""
    title = entry.title or (page.title if page else None) or _first_words(text)
    if not title:
        return None
    dated_at = entry.published_at or entry.updated_at or (page.date if page else None) or stored.seen_at
    return Article(
        id=str(stored.number),
        source_id=stored.source_id,
        outlet=profile.title or stored.outlet,
        title=title,
        link=entry.link,
        text=text,
        published_at=min(dated_at, stored.seen_at),
        author=entry.author or (page.author if page else None),
        language=entry.language or (page.language if page else None),
        image=((page.image if page else None) or entry.image) if may_quote else None,
        topics=_match_topics(entry.tags, topic_names) or profile.topics,
        weight=profile.weight,
        trusted=profile.trusted,
        rights=profile.rights or "extract",
    )


def _first_words(text: str) -> str:
    words = text.split()
    return " ".join(words[:_TITLE_WORDS]) + ("…" if len(words) > _TITLE_WORDS else "")


def _match_topics(tags: Sequence[str], topic_names: Mapping[str, str]) -> tuple[str, ...]:
    """The configured topics that the entry's own tags name, by id or by title."""
    named = {" ".join(tag.split()).casefold() for tag in tags}
    return tuple(topic for topic, title in topic_names.items() if named & {topic.casefold(), title.casefold()})
