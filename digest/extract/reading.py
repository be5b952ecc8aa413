"""A page's or a text's bytes → the article in it.

    HTML ─> tree ─┬─> metadata
                  └─ without what stands beside an article ─> trafilatura ─> paragraphs ─ without boilerplate ─> Page
    text ─> paragraphs without boilerplate ─> Page

A wall (consent, payment, an error, a challenge) is no article, and is named.
"""

import html
import re
import zlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Final

from digest.errors import ExtractError
from digest.extract.boilerplate import clean_paragraphs, find_own_date, prune
from digest.extract.metadata import Metadata, read_day, read_metadata
from digest.extract.walls import find_wall
from digest.models import Page
from digest.text import is_headline, lines, prose

_LIMIT: Final = 5_000_000  # bytes of a decompressed page

_HTML_SIGN: Final = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|article|main|div|p|h1|title|meta)\b", re.IGNORECASE
)
_CHARSET: Final = re.compile(rb"""<meta[^>]{1,200}charset\s*=\s*["']?\s*([\w.:-]{2,30})""", re.IGNORECASE)
_NOT_TEXT: Final = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"RIFF")


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


def read_page_star(argument: tuple[bytes, str]) -> Page:
    """`read_page(*argument)`: as a pool wants it."""
    return read_page(*argument)


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
    library = _trafilatura()
    try:
        tree = library.load_html(_decode_html(body))
        if tree is None:
            raise ExtractError(subject, "it is no web page")
        metadata = read_metadata(tree, url, library.extract_metadata)
        prune(tree)
        found = library.bare_extraction(tree, url=url or None, include_comments=False, with_metadata=False)
    except ExtractError:
        raise
    except Exception as error:  # noqa: BLE001 - strangers' markup makes its parsers fail in ways it does not name
        raise ExtractError(subject, f"it cannot be read: {type(error).__name__}") from None
    paragraphs = [
        line for part in ((found.text or "") if found else "").splitlines() if (line := " ".join(part.split()))
    ]
    text = "\n".join(clean_paragraphs(paragraphs, metadata.titles))
    wall = find_wall(text, metadata)
    if wall:
        raise ExtractError(subject, wall)
    if not text:
        raise ExtractError(subject, "it holds no article")
    return Page(
        title=metadata.title,
        author=metadata.author,
        date=_choose_date(metadata, paragraphs),
        text=text,
        language=metadata.language,
        image=metadata.image,
        link=metadata.link,
    )


def _choose_date(metadata: Metadata, paragraphs: Sequence[str]) -> datetime | None:
    """Where a page says nothing for machines, the date that its article begins with goes before one found anywhere."""
    words = None if metadata.is_dated else find_own_date(paragraphs)
    if words is None:
        return metadata.date
    found = _trafilatura().find_date(f"<html><body><p>{html.escape(words)}</p></body></html>", original_date=True)
    return read_day(found) or metadata.date


@lru_cache(maxsize=1)
def _trafilatura() -> SimpleNamespace:
    """What is used of the library. Imported where it is used: it takes as long as the rest of the program to start."""
    import logging

    from htmldate import find_date
    from trafilatura import bare_extraction
    from trafilatura.metadata import extract_metadata
    from trafilatura.utils import load_html

    for name in ("trafilatura", "htmldate", "courlan", "justext", "readability"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # its talk is of no use to an operator
    return SimpleNamespace(
        bare_extraction=bare_extraction, extract_metadata=extract_metadata, find_date=find_date, load_html=load_html
    )


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
