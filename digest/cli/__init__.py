"""The command line: parse, call the app, print, choose the exit code. The only place that prints."""

import sys
from typing import Annotated

import typer

from digest.cli import (
    database,
    drilling,
    editions,
    events,
    inbox,
    inspecting,
    reconciling,
    revising,
    running,
    scheduling,
    settling,
    sinking,
    sources,
    starting,
    subscribers,
    tasks,
    tokens,
    transferring,
    working,
)
from digest.cli.options import ConfigOption
from digest.cli.output import put, report_error
from digest.errors import DigestError

_QUESTIONS = """First questions

How do I begin?  digest init news && cd news && digest preview

How do I get my feeds in?  digest sources add URL --topics world --rights extract

Who gets it?  digest subscribers add EMAIL, or import FILE.csv

What would be sent?  digest preview, or digest send-test EMAIL

Is everything right?  digest check

How does my shell complete what I type?  digest --install-completion

How is it sent?  digest run now, digest serve every morning; both are safe to repeat

When is the next one due?  digest schedule

What went out, and what went wrong?  digest status

Who did not get it?  digest editions show latest --missing

How do I stop it?  digest editions stop latest, and resume

Where do secrets go?  into the environment: see .env.example

What if the disk is lost?  digest db backup FILE once a day, digest db restore FILE
"""

commands = typer.Typer(
    name="digest",
    help="From the day's articles to one email that people are glad to open.",
    epilog=_QUESTIONS,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from digest import __version__

        put(f"digest {__version__}")
        raise typer.Exit


@commands.callback()
def _root(
    context: typer.Context,
    config: ConfigOption = None,
    version: Annotated[  # noqa: ARG001 - acts through its callback
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave."),
    ] = False,
) -> None:
    context.obj = {"config": config}


starting.register(commands)
running.register(commands)
scheduling.register(commands)
working.register(commands)
commands.add_typer(sources.commands, name="sources")
reconciling.register(subscribers.commands)
transferring.register(subscribers.commands)
commands.add_typer(subscribers.commands, name="subscribers")
revising.register(editions.commands)
settling.register(editions.commands)
commands.add_typer(editions.commands, name="editions")
commands.add_typer(events.commands, name="events")
commands.add_typer(inbox.commands, name="inbox")
commands.add_typer(inspecting.commands, name="inspect")
commands.add_typer(tasks.commands, name="tasks")
commands.add_typer(tokens.commands, name="tokens")
drilling.register(commands)
sinking.register(commands)
commands.add_typer(database.commands, name="db")


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    try:
        commands(args=arguments)
    except DigestError as error:
        sys.exit(report_error(error))
