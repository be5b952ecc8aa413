"""The `file` source: feeds, texts, pages and mails here, one file or a folder of them; recognised by content."""

import asyncio
import hashlib
import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from digest.errors import DigestError, SourceError
from digest.models import Collected, Entry, Feed, Page
from digest.protocols import Clock
from digest.sources.encoding import decode, unpack
from digest.sources.markup import absolute
from digest.sources.mbox import is_mail, parse_mail
from digest.sources.parsing import parse_feed, sniff

__all__ = ["FileSource", "sniff"]

_LIMIT: Final = 10_000_000  # bytes of a decompressed file
_HEAD: Final = 200_000  # characters of a page in which its canonical address must stand
_CANONICAL: Final = re.compile(r"""<link\b[^<>]*\brel\s*=\s*["']?canonical\b[^<>]*>""", re.IGNORECASE)
_HREF: Final = re.compile(r"""\bhref\s*=\s*(?:"([^"<>]+)"|'([^'<>]+)'|([^\s"'<>]+))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """Reads everything at each visit; what is known already is the store's to tell.

    Of a folder, hidden files are passed over, and a document that cannot be read is left out and reported, as
    long as there are others. With `relative_dates`, meant for samples, all dates are moved so that the
    newest lies within the last hour, and the day is part of each id and link: every day has something new to say.
    """

    id: str
    path: Path
    now: Clock = field(repr=False)
    read_page: Callable[[bytes, str], Page] = field(repr=False)
    relative_dates: bool = False

    async def collect(self, cursor: Mapping[str, str]) -> Collected:  # noqa: ARG002 - files are always read anew
        """All entries, in the order of the files' names. Raises SourceError when there is none."""
        return await asyncio.to_thread(self._collect)

    def _collect(self) -> Collected:
        feeds, faults = self._read_all(self._find())
        entries = tuple(entry for feed in feeds for entry in feed.entries)
        if not entries:
            raise SourceError(self.id, f"{self.path} holds no entry", remedy="put articles or feeds into it")
        return Collected(
            entries=_move_dates(entries, self.now()) if self.relative_dates else entries,
            title=_the_only([feed.title for feed in feeds]),
            language=_the_only([feed.language for feed in feeds]),
            faults=tuple(error.message for error in faults),
        )

    def _find(self) -> list[Path]:
        try:
            if not self.path.is_dir():
                return [self.path]
            files = [file for file in self.path.rglob("*") if file.is_file() and not _is_hidden(file, self.path)]
        except OSError as error:
            raise SourceError(self.id, f"{self.path} cannot be listed", remedy="check its permissions") from error
        if not files:
            raise SourceError(self.id, f"the folder {self.path} is empty", remedy="put articles or feeds into it")
        return sorted(files)

    def _read_all(self, files: Sequence[Path]) -> tuple[list[Feed], list[SourceError]]:
        feeds: list[Feed] = []
        faults: list[SourceError] = []
        for file in files:
            try:
                feeds.append(self._read(file))
            except SourceError as error:
                faults.append(error)
        if not feeds:
            raise faults[0]
        return feeds, faults

    def _read(self, file: Path) -> Feed:
        try:
            body = unpack(file.read_bytes(), _LIMIT)
        except FileNotFoundError:
            raise SourceError(self.id, f"{file} does not exist", remedy="check the path of the source") from None
        except OSError as error:
            raise SourceError(self.id, f"{file} cannot be read", remedy="check its permissions") from error
        except ValueError as error:
            raise SourceError(self.id, f"{file}: {error}") from None
        if len(body) > _LIMIT:
            raise SourceError(self.id, f"{file}: it is larger than {_LIMIT:,} bytes")
        try:
            if is_mail(body):
                return parse_mail(body, self.read_page)
            kind = sniff(body)
            if kind == "feed":
                return _with_language(parse_feed(body))
            return self._read_article(file, body, kind == "html")
        except DigestError as error:
            raise SourceError(self.id, f"{file}: {error.message}", remedy=error.remedy) from None

    def _read_article(self, file: Path, body: bytes, is_html: bool) -> Feed:
        link = _find_canonical(decode(body)[:_HEAD]) if is_html else None
        page = self.read_page(body, link or "")
        name = file.relative_to(self.path).as_posix() if file != self.path else file.name
        entry = Entry(
            id=f"file:{hashlib.blake2b(name.encode(errors='surrogateescape'), digest_size=16).hexdigest()}",
            title=page.title,
            link=link,
            published_at=page.date,
            author=page.author,
            text=page.text,
            image=page.image,
            language=page.language,
        )
        return Feed(entries=(entry,))


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _the_only(values: Sequence[str | None]) -> str | None:
    """The value that all share: one feed's name is not that of the pages beside it."""
    return values[0] if len(set(values)) == 1 else None


def _with_language(feed: Feed) -> Feed:
    entries = (entry if entry.language else replace(entry, language=feed.language) for entry in feed.entries)
    return replace(feed, entries=tuple(entries))


def _find_canonical(head: str) -> str | None:
    """The address that a page gives as its own (RFC 6596)."""
    tag = _CANONICAL.search(head)
    href = _HREF.search(tag.group()) if tag else None
    return absolute(html.unescape(next(filter(None, href.groups())))) if href else None


def _move_dates(entries: Sequence[Entry], now: datetime) -> tuple[Entry, ...]:
    """The entries as of now: the newest date becomes one of the last hour, and the others keep their distance.

    By hours, not days: what was published within one day then lies within the last day at whatever hour it is read.
    """
    dates = [date for entry in entries if (date := entry.published_at or entry.updated_at)]
    # // rounds down, so no date is ever in the future.
    shift = timedelta(hours=(now - max(dates)) // timedelta(hours=1)) if dates else timedelta()
    day = now.date().isoformat()
    return tuple(
        replace(
            entry,
            id=f"{entry.id}#{day}" if entry.id else None,
            link=_add_day(entry.link, day) if entry.link else None,
            published_at=entry.published_at + shift if entry.published_at else None,
            updated_at=entry.updated_at + shift if entry.updated_at else None,
        )
        for entry in entries
    )


def _add_day(link: str, day: str) -> str:
    parts = urlsplit(link)
    return urlunsplit(parts._replace(query=f"{parts.query}&day={day}" if parts.query else f"day={day}"))
