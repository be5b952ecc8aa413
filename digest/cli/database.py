"""digest db: the database's version, soundness and copies."""

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, load, open_app
from digest.cli.output import PARTIAL, leave, put, put_json, put_rows, say

commands = typer.Typer(help="The database: bring it up to date, check it, copy it.", no_args_is_help=True)


@commands.command("upgrade")
def upgrade_database(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Bring an older database up to this version. Copy it first: `digest db backup`."""
    from digest.upkeep import upgrade_store

    with open_app(context, config) as app:
        results = upgrade_store(app.config)
    for subject, result in zip(("database", "engine"), results, strict=False):
        if as_json:
            put_json({"subject": subject, "result": result})
        else:
            put(result)


@commands.command("check")
def check_database(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Its version and integrity."""
    from digest.upkeep import check_store

    with open_app(context, config) as app:
        rows = [
            {"subject": subject, "result": result} for subject, result in check_store(app.config, app.store).items()
        ]
    put_rows(rows, as_json=as_json, empty="")


@commands.command("backup")
def back_up_database(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    config: ConfigOption = None,
) -> None:
    """A consistent copy, also while an edition is being sent, and also of a database of another version."""
    from digest.upkeep import back_up_store

    with open_app(context, config) as app:
        unnoted = back_up_store(app.config, target)
    put(str(target))
    if unnoted:
        say(f"The backup is made, but `digest check` will not know of it: {unnoted}")


JournalOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="Who left since, and what began to be sent; the journals of several machines one by one."
        " Else \\[store] journal.",
        show_default=False,
    ),
]


@commands.command("restore")
def restore_database(
    context: typer.Context,
    backup: Annotated[Path, typer.Argument(help="What `digest db backup` wrote.")],
    journal: JournalOption = None,
    without_journal: Annotated[
        bool, typer.Option("--no-journal", help="Also where there is none: nobody left since, or nobody can know.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a backup in the place of a database that is missing or empty, and bring it up to its journal.

    Who left since the backup is not mailed, and no edition that began to be sent since is sent again.
    """
    from digest.upkeep import restore_store

    with open_app(context, config) as app:
        result = restore_store(app.config, backup, journal or (), without_journal=without_journal)
    _put_result(result, as_json=as_json)


@commands.command("replay")
def replay_database(
    context: typer.Context,
    journals: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[JOURNAL]...", help="Of all machines; else \\[store] journal.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring a database that was put back by other tools up to its journal. `digest db restore` does it by itself."""
    with open_app(context, config) as app:
        result = str(app.store.replay(journals or ()))
    _put_result(result, as_json=as_json)


def _put_result(result: str, *, as_json: bool) -> None:
    if as_json:
        put_json({"subject": "database", "result": result})
    else:
        put(result)


@commands.command("prune")
def prune_database(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Forget what \\[retention] keeps no longer. `digest serve`, and each run, does it once a day."""
    from digest.operate.housekeeping import Kept, keep_house, say_kept

    with open_app(context, config) as app:
        kept = keep_house(app, at_once=True) or Kept(faults=["another process is at it now"])
    if as_json:
        put_json({**kept.done, "faults": kept.faults})
    else:
        put(say_kept(kept) or "nothing is older than [retention] says")
    if kept.faults:
        leave(PARTIAL)


@commands.command("copy")
def copy_database(
    context: typer.Context,
    places: Annotated[
        list[str],
        typer.Argument(metavar="[SOURCE] TARGET", help="Files or addresses; the source is else the configured one."),
    ],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Move to another database: every row, from SQLite to PostgreSQL or back. Stop what writes first.

    The target is a new or an empty one. All is there when it ends, and was counted, or nothing is.
    """
    from digest.operate.moving import copy_store

    if len(places) > 2:
        raise typer.BadParameter("name a source and a target, or a target alone", param_hint="[SOURCE] TARGET")
    source = places[0] if len(places) == 2 else load(context, config).store.url
    copied = copy_store(source, places[-1])
    put_rows([{"table": table, "rows": rows} for table, rows in copied.items()], as_json=as_json, empty="")
    say("Everything is there. Name the new database in [store] url or DIGEST_STORE_URL, and start again.")
