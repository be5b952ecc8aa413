"""digest subscribers reconcile."""

import dataclasses
from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import put, put_json


def register(commands: typer.Typer) -> None:
    """Add the command to those of subscribers."""
    commands.command("reconcile")(reconcile_lists)


def reconcile_lists(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    with_waves: Annotated[
        bool, typer.Option("--with-waves", help="Also bounces that came too many at once from one domain.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring the provider's suppression lists and ours together, both ways. `digest serve` does it each day."""
    from digest.operate.reconciling import reconcile, say_reconciled

    with open_app(context, config) as app:
        done = reconcile(app, dry=dry_run, with_waves=with_waves)
    if as_json:
        put_json(dataclasses.asdict(done) | {"dry_run": dry_run})
        return
    put(say_reconciled(done) or f"suppression lists: nothing to do; {done.listed} addresses agree")
