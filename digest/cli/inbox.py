"""digest inbox: what came back."""

import dataclasses
from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import put, put_json

commands = typer.Typer(help="The inbox: bounces, complaints, and mails that ask to leave.", no_args_is_help=True)


@commands.callback()
def _group() -> None:
    """A group, also while it has one command."""


@commands.command("read")
def read(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is there, and change nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read what nobody has looked at yet. Repeating it is harmless; `digest serve` does it by itself."""
    from digest.operate.inbox import read_inbox, say_read

    with open_app(context, config) as app:
        found = read_inbox(app, dry=dry_run)
    if as_json:
        put_json(dataclasses.asdict(found) | {"dry_run": dry_run})
        return
    put(say_read(found) or "inbox: nothing new")
    if found.ended:
        put(f"{found.ended} readers are mailed no more")
