"""What is made of it: stories, summaries, mails."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from digest.errors import DigestError, ExtractError
from digest.models import Article, Budget, Summary
from digest.operate.documents.reading import Document, Row, explain, inspect_one, records

if TYPE_CHECKING:
    from digest.preflight import TryLinks


def inspect_stories(documents: Iterator[Document]) -> Iterator[Row]:
    """`id` and `story` of each article of all documents together: the articles of one event have the same `story`."""
    from digest.cluster import cluster

    articles: list[Article] = []
    names: list[Any] = []
    failed: list[Row] = []
    for document in documents:
        for record in records(document):
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
        for record in records(document):
            if "error" in record:
                yield record
                continue
            texts = record["documents"] if isinstance(record.get("documents"), list) else [record.get("text")]
            row: Row = {"id": record.get("id", document.path)}
            try:
                summary = _summarize([str(text or "") for text in texts], record, budget)
            except DigestError as error:
                yield row | {"error": explain(error)}
                continue
            yield row | {
                "summary": "\n".join(sentence.text for sentence in summary.sentences),
                "sentences": [
                    {"text": s.text, "document": s.document, "start": s.start, "end": s.end} for s in summary.sentences
                ],
            }


def _article_of(record: Row, number: str) -> Article:
    return Article(
        id=number,
        source_id="",
        outlet=str(record.get("outlet") or record.get("publisher") or number),
        title=str(record.get("title") or ""),
        link=_text_of(record, "url"),
        text=str(record.get("text") or ""),
        published_at=_read_instant(record.get("published")),
        language=_text_of(record, "language"),
    )


def _text_of(record: Row, name: str) -> str | None:
    """A field as text; None where it is absent, or no text: strangers write these files."""
    value = record.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _read_instant(text: object) -> datetime:
    """An ISO date; the epoch when there is none, so that the order of such articles is that of their ids."""
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _summarize(texts: Sequence[str], record: Row, budget: Budget) -> Summary:
    from digest.summarizers.extractive import summarize_texts

    if not any(text.strip() for text in texts):
        raise ExtractError(str(record.get("id")), "there is no text")
    return summarize_texts(
        dict(enumerate(texts)), budget, title=_text_of(record, "title"), language=_text_of(record, "language")
    )


def inspect_grounding(documents: Iterator[Document]) -> Iterator[Row]:
    """`id`, `sentences` with the source sentences that bear each out, and `faults`; or `id`, `error`."""
    from digest.summarizers.grounding import ground
    from digest.text import sentences

    for document in documents:
        for record in records(document):
            if "error" in record:
                yield record
                continue
            row: Row = {"id": record.get("id", document.path)}
            text, summary = str(record.get("text") or ""), str(record.get("summary") or "")
            if not text.strip() or not summary.strip():
                yield row | {"error": "it has no text, or no summary"}
                continue
            language = (_text_of(record, "language") or "en").split("-")[0].lower()
            said = [span.of(summary) for span in sentences(summary, language=language)]
            grounded = ground(said, text, language=language, title=_text_of(record, "title"))
            yield row | {
                "sentences": [
                    {"text": one, "support": [{"start": p.start, "end": p.end} for p in found.passages]}
                    for one, found in zip(said, grounded, strict=True)
                ],
                "faults": [
                    {"sentence": number, "kind": found.fault.kind, "text": found.fault.text}
                    for number, found in enumerate(grounded)
                    if found.fault
                ],
            }


def inspect_emails(documents: Iterator[Document], try_links: "TryLinks | None" = None) -> Iterator[Row]:
    """`path`, `findings`, `bytes`, `verdict` of each. `try_links` asks the network, if that is wanted."""
    from digest.preflight import inspect_document, verdict

    def inspect(document: Document) -> Row:
        findings, size = inspect_document(document.body, try_links)
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
        yield inspect_one(document, inspect)
