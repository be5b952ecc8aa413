"""What a stage makes of given documents: the `digest inspect` commands. No database, no network.

    files | --manifest | - ──> Document ──> one stage ──> one JSON object a document, in order

A document that cannot be read or understood becomes `{"path", "error"}` and never stops the others. Kind and gzip are
recognised by content, never by name.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from digest.errors import ConfigError, DigestError, ExtractError
from digest.models import Article, Budget, Entry, Feed, Page, Summary
from digest.protocols import Parallel

_LIMIT = 50_000_000  # bytes of one decompressed document
_PAGE_SECONDS = 30.0
_CHUNK = 256  # documents worked on between two lines of output

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document to look at: its bytes, or why it cannot be read. `fields` are the manifest's further ones."""

    path: str
    body: bytes = b""
    error: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_documents(files: Sequence[str], manifest: Path | None, standard_input: BinaryIO) -> Iterator[Document]:
    """The documents that were named, in order; `-` is standard input. Raises ConfigError for a bad manifest."""
    if not files and manifest is None:
        raise ConfigError(
            "inspect", "no document was named", remedy="name files, a --manifest, or - for standard input"
        )
    for name in files:
        yield _read(name, Path(name), {}, standard_input)
    if manifest:
        for number, line in enumerate(_manifest_lines(manifest), 1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
                name = fields.pop("path")
            except (ValueError, KeyError, TypeError, AttributeError):
                yield Document(path=f"{manifest}:{number}", error='the line is no JSON object with a "path"')
                continue
            yield _read(str(name), manifest.parent / str(name), fields, standard_input)


def inspect_feeds(documents: Iterator[Document]) -> Iterator[Row]:
    """`path`, `feed`, `entries` of each; or `path`, `error`."""
    from digest.sources.feed import parse_feed

    def parse(document: Document) -> Row:
        content_type = document.fields.get("content_type")
        return _feed_row(
            parse_feed(document.body, url=str(document.fields.get("url") or ""), content_type=content_type)
        )

    for document in documents:
        yield _one(document, parse)


def inspect_pages(documents: Iterator[Document], parallel: Parallel) -> Iterator[Row]:
    """`path`, `title`, `author`, `date`, `text`, `language`, `image` of each; or `path`, `error`. On all processors."""
    waiting: list[Document] = []
    for document in documents:
        waiting.append(document)
        if len(waiting) == _CHUNK:
            yield from _pages(waiting, parallel)
            waiting = []
    yield from _pages(waiting, parallel)


def inspect_stories(documents: Iterator[Document]) -> Iterator[Row]:
    """`id` and `story` of each article of all documents together: the articles of one event have the same `story`."""
    from digest.cluster import cluster

    articles: list[Article] = []
    names: list[Any] = []
    failed: list[Row] = []
    for document in documents:
        for record in _records(document):
            if "error" in record:
                failed.append(record)
                continue
            articles.append(_article_of(record, str(len(articles))))
            names.append(record.get("id", len(articles)))
    stories = {article.id: story.lead.id for story in cluster(articles) for article in story.articles}
    for article, name in zip(articles, names, strict=True):
        yield {"id": name, "story": stories[article.id]}
    yield from failed


def inspect_summaries(documents: Iterator[Document], budget: Budget) -> Iterator[Row]:
    """`id`, `summary` and its `sentences` with their offsets into the text as given; or `id`, `error`."""
    for document in documents:
        for record in _records(document):
            if "error" in record:
                yield record
                continue
            texts = record["documents"] if isinstance(record.get("documents"), list) else [record.get("text")]
            row: Row = {"id": record.get("id", document.path)}
            try:
                summary = _summarize([str(text or "") for text in texts], record, budget)
            except DigestError as error:
                yield row | {"error": _explain(error)}
                continue
            yield row | {
                "summary": "\n".join(sentence.text for sentence in summary.sentences),
                "sentences": [
                    {"text": s.text, "document": s.document, "start": s.start, "end": s.end} for s in summary.sentences
                ],
            }


def inspect_emails(documents: Iterator[Document]) -> Iterator[Row]:
    """`path`, `findings`, `bytes`, `verdict` of each."""
    from digest.preflight import inspect_document, verdict

    def inspect(document: Document) -> Row:
        findings, size = inspect_document(document.body)
        return {
            "findings": [
                {
                    "rule": finding.rule,
                    "severity": finding.severity,
                    "message": finding.message,
                    "where": finding.where,
                    "clients": list(finding.clients),
                }
                for finding in findings
            ],
            "bytes": size,
            "verdict": verdict(findings),
        }

    for document in documents:
        yield _one(document, inspect)


def _manifest_lines(manifest: Path) -> list[str]:
    try:
        return manifest.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(manifest), "it cannot be read", remedy="name a UTF-8 file with a JSON object a line"
        ) from error


def _read(name: str, path: Path, fields: Mapping[str, Any], standard_input: BinaryIO) -> Document:
    try:
        body = standard_input.read() if name == "-" else path.read_bytes()
        body = _unpack(body)
        return Document(path=name, body=body, error=None if body.strip() else "it is empty", fields=fields)
    except OSError as error:
        return Document(path=name, error=f"it cannot be read: {error.strerror or error}", fields=fields)
    except (EOFError, zlib.error, ValueError) as error:
        return Document(path=name, error=f"it cannot be unpacked: {error}", fields=fields)


def _unpack(body: bytes) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    plain = unpacker.decompress(body, _LIMIT)
    if unpacker.unconsumed_tail:
        raise ValueError(f"over {_LIMIT:,} bytes")
    return plain


def _one(document: Document, inspect: Callable[[Document], Row]) -> Row:
    if document.error:
        return {"path": document.path, "error": document.error}
    try:
        return {"path": document.path} | inspect(document)
    except DigestError as error:
        return {"path": document.path, "error": _explain(error)}


def _explain(error: str | Exception) -> str:
    """What is wrong, without the subject: the row names the document already."""
    return str(error).removeprefix(f"{error.subject}: ") if isinstance(error, DigestError) else str(error)


def _pages(documents: Sequence[Document], parallel: Parallel) -> Iterator[Row]:
    readable = [document for document in documents if not document.error]
    results = iter(
        parallel(_read_page, [(d.body, str(d.fields.get("url") or "")) for d in readable], seconds=_PAGE_SECONDS)
    )
    for document in documents:
        page = document.error or next(results)
        if isinstance(page, Page):
            yield {"path": document.path} | _page_row(page)
        else:
            late = f"reading it took over {_PAGE_SECONDS:.0f} seconds"
            yield {"path": document.path, "error": late if isinstance(page, TimeoutError) else _explain(page)}


def _read_page(argument: tuple[bytes, str]) -> Page:
    from digest.extract import read_page

    body, url = argument
    return read_page(body, url)


def _feed_row(feed: Feed) -> Row:
    return {
        "feed": {
            "title": feed.title,
            "link": feed.link,
            "subtitle": feed.subtitle,
            "language": feed.language,
        },
        "entries": [_entry_row(entry) for entry in feed.entries],
    }


def _entry_row(entry: Entry) -> Row:
    return {
        "id": entry.id,
        "title": entry.title,
        "link": entry.link,
        "published": _iso(entry.published_at),
        "updated": _iso(entry.updated_at),
        "author": entry.author,
        "summary": entry.summary,
        "content": entry.content,
        "enclosures": list(entry.enclosures),
        "tags": list(entry.tags),
    }


def _page_row(page: Page) -> Row:
    return {
        "title": page.title,
        "author": page.author,
        "date": _iso(page.date),
        "text": page.text,
        "language": page.language,
        "image": page.image,
    }


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _records(document: Document) -> Iterator[Row]:
    """The records of a document: JSON lines, or one plain text."""
    if document.error:
        yield {"id": document.path, "path": document.path, "error": document.error}
        return
    try:
        text = document.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = document.body.decode("cp1252", errors="replace")
    if "\0" in text:
        yield {"id": document.path, "path": document.path, "error": "it is no text"}
        return
    if text.lstrip().startswith("["):
        yield from _array(document, text)
        return
    if not text.lstrip().startswith("{"):
        yield {"id": document.path, "text": text}
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            record = {"error": f"line {number} is no JSON: {error}"}
        if not isinstance(record, dict):
            record = {"error": f"line {number} is no JSON object"}
        yield {"id": f"{document.path}:{number}"} | record


def _array(document: Document, text: str) -> Iterator[Row]:
    """The records of a JSON array; a text that merely begins with a bracket is a text."""
    try:
        records = json.loads(text)
    except ValueError:
        yield {"id": document.path, "text": text}
        return
    for number, record in enumerate(records, 1):
        name = {"id": f"{document.path}:{number}"}
        yield name | (record if isinstance(record, dict) else {"error": f"item {number} is no JSON object"})


def _article_of(record: Row, number: str) -> Article:
    return Article(
        id=number,
        source_id="",
        outlet=str(record.get("outlet") or record.get("publisher") or number),
        title=str(record.get("title") or ""),
        link=record.get("url"),
        text=str(record.get("text") or ""),
        published_at=_read_instant(record.get("published")),
        language=record.get("language"),
    )


def _read_instant(text: object) -> datetime:
    """An ISO date; the epoch when there is none, so that the order of such articles is that of their ids."""
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _summarize(texts: Sequence[str], record: Row, budget: Budget) -> Summary:
    """A summary of the first text that has one: a summary speaks for one article."""
    from digest.summarizers.extractive import summarize_text

    fault: DigestError = ExtractError(str(record.get("id")), "there is no text")
    for number, text in enumerate(texts):
        try:
            summary = summarize_text(text, budget, title=record.get("title"), language=record.get("language"))
        except DigestError as error:
            fault = error
            continue
        return replace(summary, sentences=tuple(replace(s, document=number) for s in summary.sentences))
    raise fault
