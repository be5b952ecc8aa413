"""digest sources: where articles come from."""

from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import PARTIAL, leave, put, put_rows
from digest.errors import ConfigError

commands = typer.Typer(help="The sources: where articles come from.", no_args_is_help=True)


@commands.command("list")
def list_sources(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The configured sources and how they do."""
    with open_app(context, config) as app:
        health = {row["id"]: row for row in app.store.entries.health(app.config.newsletter.slug)}
        rows = []
        for table in app.config.sources:
            known = health.get(table.id, {})
            rows.append(
                {
                    "id": table.id,
                    "kind": table.kind,
                    "where": str(getattr(table, "url", None) or getattr(table, "path", "")),
                    "topics": list(table.topics),
                    "last_success_at": known.get("last_success_at"),
                    "failures": known.get("failures", 0),
                    "error": known.get("error"),
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
    with open_app(context, config) as app:
        reports = app.visit(ids or [])
    rows = [{"id": r.id, "ok": r.ok, "entries": r.entries, "new": r.new, "error": r.error} for r in reports]
    put_rows(rows, as_json=as_json, empty="no source is configured; `digest sources add URL` adds one")
    if not all(report.ok for report in reports):
        leave(PARTIAL)


@commands.command("add")
def add_source(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="URL|PATH", help="A feed's address, or a file or folder.")],
    name: Annotated[str | None, typer.Option("--id", help="Else made from the address.", show_default=False)] = None,
    topics: Annotated[str, typer.Option(help="Topic ids, separated by commas.")] = "",
    config: ConfigOption = None,
) -> None:
    """Write a source into the configuration."""
    from digest.config.editing import add_source_table

    with open_app(context, config) as app:
        chosen = [topic for topic in topics.replace(" ", "").split(",") if topic]
        written = add_source_table(app.config, address, name=name, topics=chosen)
    put(f"added {written}; `digest sources check {written}` tries it")


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
