"""digest sources: where articles come from."""

import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import PARTIAL, leave, put, put_rows, say
from digest.errors import ConfigError, SourceError
from digest.models import Rights

commands = typer.Typer(help="The sources: where articles come from.", no_args_is_help=True)


@commands.command("list")
def list_sources(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The configured sources and how they do."""
    with open_app(context, config) as app:
        health = {row["id"]: row for row in app.store.entries.health(app.config.newsletter.slug, now=app.clock())}
        rows = []
        for table in app.config.sources:
            known = health.get(table.id, {})
            rows.append(
                {
                    "id": table.id,
                    "kind": table.kind,
                    "where": str(getattr(table, "url", None) or getattr(table, "path", "")),
                    "topics": list(table.topics),
                    "rights": table.rights,
                    "entries": known.get("entries", 0),
                    "entries_per_day": known.get("entries_per_day"),
                    "last_success_at": known.get("last_success_at"),
                    "failures": known.get("failures", 0),
                    "failing_since": known.get("failing_since"),
                    "next_visit_at": known.get("next_visit_at"),
                    "error": known.get("error"),
                    "visit_due_at": known.get("visit_due_at"),
                    "pace": known.get("pace"),
                }
            )
    put_rows(rows, as_json=as_json, empty="no source is configured; `digest sources add URL` adds one")


@commands.command("check")
def check_sources(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(help="The sources to try; all when none is named.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Try sources now and say what was found; nothing is kept."""
    from digest.operate.trying import try_sources

    with open_app(context, config) as app:
        tried = try_sources(app, ids or [])
    rows = [
        {
            "id": one.report.id,
            "ok": one.report.ok,
            "title": one.report.title,
            "entries": one.report.entries,
            "new": one.report.new,
            "newest_at": one.report.newest_at,
            "page": one.page_fault or ("read" if one.is_page_tried else None),
            "note": one.report.note,
            "error": one.report.error,
        }
        for one in tried
    ]
    put_rows(rows, as_json=as_json, empty="no source is configured; `digest sources add URL` adds one")
    if not all(one.report.ok for one in tried):
        leave(PARTIAL)


class Kind(StrEnum):
    """What an address is."""

    feed = "feed"
    sitemap = "sitemap"
    page = "page"
    file = "file"


@commands.command("add")
def add_source(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="URL|PATH", help="An address, or a file or folder.")],
    kind: Annotated[
        Kind | None,
        typer.Option(help="What it is; else a feed (or a page that has one), or a file.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option("--id", help="Else made from the address.", show_default=False)] = None,
    topics: Annotated[str, typer.Option(help="Topic ids, separated by commas.")] = "",
    rights: Annotated[
        Rights | None,
        typer.Option(help="What you may print of it; else `digest check` asks.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write a source into the configuration."""
    from digest.config.editing import NewSource, add_source_tables

    with open_app(context, config) as app:
        chosen = tuple(topic for topic in topics.replace(" ", "").split(",") if topic)
        source = NewSource(address=address, kind=kind.value if kind else None, id=name, topics=chosen, rights=rights)
        (written,) = add_source_tables(app.config, [source])
    put(f"added {written}; `digest sources check {written}` tries it")


@commands.command("import")
def import_sources(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="OPML", help="A list of subscriptions; - is standard input.")],
    topics: Annotated[
        str, typer.Option(help="Topic ids for all of them, separated by commas; else folders that are topics.")
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write the feeds of an OPML file into the configuration. Those that are there already stay as they are."""
    from digest.operate.subscriptions import import_subscriptions
    from digest.sources.opml import parse_opml

    with open_app(context, config) as app:
        try:
            body = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
            found = parse_opml(body)
        except OSError as error:
            raise ConfigError(str(path), "it cannot be read") from error
        except SourceError as error:
            raise ConfigError(str(path), error.message, remedy=error.remedy) from None
        given = tuple(topic for topic in topics.replace(" ", "").split(",") if topic)
        rows = import_subscriptions(app, found, topics=given)
    put_rows(rows, as_json=as_json, empty=f"{path} lists no feed")
    counts = Counter(str(row["result"]).partition(":")[0] for row in rows)
    say(", ".join(f"{number} {result}" for result, number in counts.items()))


@commands.command("export")
def export_sources(context: typer.Context, config: ConfigOption = None) -> None:
    """Print the feeds as OPML, for a feed reader; other kinds of sources have no place in it."""
    from digest.operate.subscriptions import export_subscriptions
    from digest.sources.opml import write_opml

    with open_app(context, config) as app:
        subscriptions, others = export_subscriptions(app)
        put(write_opml(app.config.newsletter.name, subscriptions).decode().rstrip())
    if others:
        say(f"left out, since OPML knows only feeds: {', '.join(others)}")


@commands.command("remove")
def remove_source(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID", help="The source's id.")],
    config: ConfigOption = None,
) -> None:
    """Take a source out of the configuration. What it brought so far is kept."""
    from digest.config.editing import remove_source_table

    with open_app(context, config) as app:
        if name not in {table.id for table in app.config.sources}:
            known = ", ".join(sorted(table.id for table in app.config.sources)) or "none"
            raise ConfigError(f'source "{name}"', "there is none of that id", remedy=f"known: {known}")
        remove_source_table(app.config.path, name)
    put(f"removed {name}")
