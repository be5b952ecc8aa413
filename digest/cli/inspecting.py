"""digest inspect: one stage on documents you name, without a database."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import PARTIAL, leave, put, put_json
from digest.operate import documents
from digest.operate.documents import Document, Row, read_documents

commands = typer.Typer(
    help="What one stage makes of documents you name: no database, no network.", no_args_is_help=True
)

FilesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE]...", help="Documents, also compressed with gzip; - is standard input."),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help='JSON lines {"path", …}; paths are relative to the manifest.', show_default=False),
]


def _open(files: list[str] | None, manifest: Path | None) -> Iterator[Document]:
    return read_documents(files or [], manifest, sys.stdin.buffer)


def _print(rows: Iterator[Row], as_json: bool) -> None:
    faulty = False
    for row in rows:
        faulty = faulty or "error" in row
        if as_json:
            put_json(row)
        else:
            put(_describe(row))
    if faulty:
        leave(PARTIAL)


def _describe(row: Row) -> str:
    """A row for a person: a line for each short value, texts in full, lists by their members."""
    lines: list[str] = []
    for name, value in row.items():
        if isinstance(value, list):
            lines += [f"{name}:", *(f"  - {_brief(item)}" for item in value)] if value else [f"{name}: none"]
        elif isinstance(value, dict):
            lines.append(f"{name}: {_brief(value)}")
        elif isinstance(value, str) and "\n" in value:
            lines += [f"{name}:", *(f"  {line}" for line in value.splitlines())]
        else:
            lines.append(f"{name}: {'–' if value is None else value}")
    return "\n".join([*lines, ""])


def _brief(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    shown = {
        key: item for key, item in value.items() if item not in (None, "", []) and key not in {"summary", "content"}
    }
    return ", ".join(f"{key} {item}" for key, item in shown.items())


@commands.command("feed")
def inspect_feed(files: FilesArgument = None, manifest: ManifestOption = None, as_json: JsonOption = False) -> None:
    """RSS, Atom, RDF and JSON feeds: the feed and its entries."""
    _print(documents.inspect_feeds(_open(files, manifest)), as_json)


@commands.command("page")
def inspect_page(files: FilesArgument = None, manifest: ManifestOption = None, as_json: JsonOption = False) -> None:
    """HTML pages and plain texts: the article in them."""
    from digest.engine import LocalEngine

    _print(documents.inspect_pages(_open(files, manifest), LocalEngine().in_processes), as_json)


class SourceKind(StrEnum):
    """What kind of source a document is."""

    sitemap = "sitemap"
    listing = "listing"
    discovery = "discovery"


@commands.command("source")
def inspect_source(
    files: FilesArgument = None,
    manifest: ManifestOption = None,
    kind: Annotated[
        SourceKind | None,
        typer.Option(help="What they are, where no manifest says so; else what they look like.", show_default=False),
    ] = None,
    url: Annotated[str, typer.Option(help="Where they were served: relative links are resolved against it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Sitemaps, index pages and pages that advertise feeds: what they lead to."""
    chosen = kind.value if kind else None
    _print(documents.inspect_sources(_open(files, manifest), kind=chosen, url=url), as_json)


@commands.command("stories")
def inspect_stories(files: FilesArgument = None, manifest: ManifestOption = None, as_json: JsonOption = False) -> None:
    """JSON lines {id, title?, text?, url?, published?}: which articles tell the same story."""
    _print(documents.inspect_stories(_open(files, manifest)), as_json)


@commands.command("summary")
def inspect_summary(
    files: FilesArgument = None,
    manifest: ManifestOption = None,
    words: Annotated[int, typer.Option(help="The budget in words.", min=1)] = 60,
    sentences: Annotated[int | None, typer.Option(help="Or in sentences.", min=1, show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Texts, or JSON lines {id, title?, text} or {id, documents}: the summary, each sentence with its place."""
    from digest.models import Budget

    budget = Budget(words=words, sentences=sentences)
    _print(documents.inspect_summaries(_open(files, manifest), budget), as_json)


@commands.command("grounding")
def inspect_grounding(
    files: FilesArgument = None, manifest: ManifestOption = None, as_json: JsonOption = False
) -> None:
    """JSON lines {id, title?, text, summary, language?}: what of a summary its text does not bear out."""
    from digest.adapters import require_extra

    require_extra("llm", "simplemma", "text_to_num")
    _print(documents.inspect_grounding(_open(files, manifest)), as_json)


@commands.command("email")
def inspect_email(
    context: typer.Context,
    files: FilesArgument = None,
    manifest: ManifestOption = None,
    online: Annotated[bool, typer.Option("--online", help="Also try its links; wants a configuration.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """HTML or a whole message: what preflight finds in it."""
    if not online:
        _print(documents.inspect_emails(_open(files, manifest)), as_json)
        return
    with open_app(context, config) as app:
        _print(documents.inspect_emails(_open(files, manifest), app.network.try_links), as_json)
