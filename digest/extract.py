"""Entries → articles: the page behind an entry is read where the operator wants it, else the feed's own words do.

    entry ──> page ──> main text ──> Article
      └ no link, no page, or a page with less to say than the feed ──> the feed's own text ──> Article

Pages are fetched and read through callables that are handed in; trafilatura finds the text in HTML. Which articles are
worth telling is not decided here.
"""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import ModuleType
from typing import Final

from digest.errors import ExtractError, SourceError
from digest.models import Article, Page, SourceProfile, StoredEntry
from digest.protocols import Parallel, Response
from digest.text import is_headline, lines, prose, visible_text

_LIMIT: Final = 5_000_000  # bytes of a decompressed page
_TITLE_WORDS: Final = 12  # of the text, where there is no title
_PAGES_AT_ONCE: Final = 200  # fetched before the first of them is read: what memory holds

_HTML_SIGN: Final = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|article|main|div|p|h1|title|meta)\b", re.IGNORECASE
)
_CHARSET: Final = re.compile(rb"""<meta[^>]{1,200}charset\s*=\s*["']?\s*([\w.:-]{2,30})""", re.IGNORECASE)
_NOT_TEXT: Final = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"RIFF")


def extract(
    entries: Sequence[StoredEntry],
    profiles: Mapping[str, SourceProfile],
    topic_names: Mapping[str, str],
    fetch_pages: Callable[[Sequence[str]], Sequence[Response | SourceError]],
    parallel: Parallel,
    keep: Callable[[int, Page | None], None],
    *,
    since: datetime,
    seconds: float = 20.0,
) -> list[Article]:
    """The articles, in the order of the entries. An entry without title and text, or of an unknown source, gives none.

    `topic_names` maps a topic's id to its title; `fetch_pages` gives an answer or its failure for each address, in
    order; `keep` is told what was read for an entry, or None when the feed's own text must do; reading a page takes at
    most `seconds`. What a source's first visit brought without a date is left out when its page is from before `since`.
    """
    known = [(stored, profiles[stored.source_id]) for stored in entries if stored.source_id in profiles]
    unread = [stored for stored, profile in known if _wants_page(stored, profile)]
    pages: dict[int, Page] = {}
    for start in range(0, len(unread), _PAGES_AT_ONCE):
        group = unread[start : start + _PAGES_AT_ONCE]
        found = _read_links([stored.entry.link or "" for stored in group], fetch_pages, parallel, seconds)
        for stored in group:
            page = found.get(stored.entry.link or "")
            if page and len(page.text) >= len(_own_text(stored)):
                pages[stored.number] = page
            keep(stored.number, pages.get(stored.number))
    told = ((stored, profile) for stored, profile in known if not _is_old_page(stored, pages.get(stored.number), since))
    articles = (_make_article(stored, profile, pages.get(stored.number), topic_names) for stored, profile in told)
    return [article for article in articles if article]


def read_page(body: bytes, url: str = "") -> Page:
    """The article in an HTML page or a plain text, also gzipped, recognised by content.

    Its date, when it has one, is a day's beginning in UTC. Raises ExtractError when there is no article.
    """
    subject = url or "document"
    body = _unpack(body, subject)
    if not body.strip():
        raise ExtractError(subject, "it is empty")
    if body.startswith(_NOT_TEXT) or (b"\0" in body[:1024] and body[:2] not in (b"\xff\xfe", b"\xfe\xff")):
        raise ExtractError(subject, "it is neither HTML nor text")
    if _HTML_SIGN.search(body[:20_000]):
        return _read_html(body, url, subject)
    return read_text(_decode(body))


def read_page_star(argument: tuple[bytes, str]) -> Page | None:
    """`read_page(*argument)`, or None where it finds no article: what a worker process can hand back."""
    try:
        return read_page(*argument)
    except ExtractError:
        return None


def read_text(text: str) -> Page:
    """The article in a plain text, one paragraph a line; its first line is the title when it reads like a headline.

    Source and e-mail lines, bare sub-headings, promotions and a trailing "Related Posts" are left out. Raises
    ExtractError when nothing is left.
    """
    first = next(lines(text), None)
    title = first.of(text) if first and is_headline(first.of(text)) else None
    body = _unwrap(text[first.end :] if first and title else text)
    paragraphs = [span.of(body) for span in prose(body)]
    if not paragraphs:
        raise ExtractError("text", "no line of it is running text")
    return Page(title=title, text="\n".join(paragraphs))


def _read_html(body: bytes, url: str, subject: str) -> Page:
    try:
        found = _trafilatura().bare_extraction(
            _decode_html(body), url=url or None, favor_precision=True, include_comments=False, with_metadata=True
        )
    except Exception as error:  # noqa: BLE001 - strangers' markup makes its parsers fail in ways it does not name
        raise ExtractError(subject, f"it cannot be read: {type(error).__name__}") from None
    text = (
        "\n".join(line for part in (found.text or "").splitlines() if (line := " ".join(part.split()))) if found else ""
    )
    if not text:
        raise ExtractError(subject, "it holds no article")
    return Page(
        title=found.title or None,
        author=found.author or None,
        date=_read_day(found.date),
        text=text,
        language=found.language or None,
        image=found.image if str(found.image or "").startswith(("http://", "https://")) else None,
    )


@lru_cache(maxsize=1)
def _trafilatura() -> ModuleType:
    """The library, imported where it is used: it takes as long as the rest of the program to start. Its talk is off."""
    import logging

    import trafilatura

    for name in ("trafilatura", "htmldate", "courlan", "justext", "readability"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return trafilatura


def _read_day(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text or "").replace(tzinfo=UTC)
    except ValueError:
        return None


def _decode_html(body: bytes) -> bytes | str:
    """The page by the character set that it declares; as bytes, to be guessed, when it is UTF-8 or declares none."""
    declared = _CHARSET.search(body[:4096])
    if declared is None or declared.group(1).lower() in {b"utf-8", b"utf8"}:
        return body
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return body.decode(declared.group(1).decode("ascii"))
        except (LookupError, ValueError):
            return body
    return body  # it says something else, and is UTF-8


def _decode(body: bytes) -> str:
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


def _unpack(body: bytes, subject: str) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, _LIMIT)
    except zlib.error:
        raise ExtractError(subject, "its compression is broken") from None
    if not unpacker.eof:
        fault = f"it is larger than {_LIMIT:,} bytes" if unpacker.unconsumed_tail else "its compression is cut off"
        raise ExtractError(subject, fault)
    return plain


def _unwrap(text: str) -> str:
    """The text with a paragraph a line, where lines are broken at a fixed width and empty lines part paragraphs."""
    blocks = [block.splitlines() for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())]
    broken = [line for block in blocks for line in block[:-1]]
    if len(blocks) < 2 or len(broken) < len(blocks) or not all(40 <= len(line.strip()) <= 100 for line in broken):
        return text
    return "\n".join(" ".join(line.strip() for line in block) for block in blocks)


def _wants_page(stored: StoredEntry, profile: SourceProfile) -> bool:
    """Whether the entry's page is to be read: for its text where that may be shown, else where there is no title."""
    if stored.is_read or stored.entry.text is not None or stored.entry.link is None:
        return False
    return stored.entry.title is None or (profile.full_text and profile.rights != "headline")


def _read_links(
    links: Sequence[str],
    fetch_pages: Callable[[Sequence[str]], Sequence[Response | SourceError]],
    parallel: Parallel,
    seconds: float,
) -> dict[str, Page]:
    """The pages that could be read, by link."""
    wanted = list(dict.fromkeys(links))
    answers = zip(wanted, fetch_pages(wanted), strict=True)
    fetched = {link: answer for link, answer in answers if isinstance(answer, Response)}
    read = parallel(read_page_star, [(answer.body, answer.url) for answer in fetched.values()], seconds=seconds)
    return {link: page for link, page in zip(fetched, read, strict=True) if isinstance(page, Page)}


def _is_old_page(stored: StoredEntry, page: Page | None, since: datetime) -> bool:
    """Whether an undated entry of a source's first visit is from before the window, by the day that its page gives."""
    page = page or stored.page
    entry = stored.entry
    if not stored.is_first_contact or entry.published_at or entry.updated_at or page is None or page.date is None:
        return False
    return page.date.date() < since.astimezone(UTC).date()


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
        image=page.image if page and may_quote else None,
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
