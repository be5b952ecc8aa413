"""Options that several commands share, and the way from them to an App."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.errors import ConfigError

if TYPE_CHECKING:
    from digest.app import App
    from digest.config import Config
    from digest.models import Cadence

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The configuration; else $DIGEST_CONFIG, else ./config.toml.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
DayOption = Annotated[
    str | None,
    typer.Option("--on", metavar="DATE", help="The edition's date, as 2026-01-31; else today.", show_default=False),
]
WeeklyOption = Annotated[bool, typer.Option("--weekly", help="The weekly edition of that date.")]

SegmentOption = Annotated[
    str | None, typer.Option(metavar="ID", help="Only those of this segment.", show_default=False)
]


@contextmanager
def open_app(context: typer.Context, config: Path | None, **arguments: Any) -> "Iterator[App]":
    """The App of the chosen configuration, closed at the end. Raises ConfigError."""
    from digest.app import App

    with App(load(context, config), **arguments) as app:
        yield app


def load(context: typer.Context, config: Path | None) -> "Config":
    """The chosen configuration. Raises ConfigError."""
    from digest.config import find_config, load_config

    chosen = config or (context.obj or {}).get("config")
    return load_config(find_config(chosen, os.environ), os.environ)


def read_cadence(*, weekly: bool) -> "Cadence":
    """Of which cadence the edition is that is meant."""
    return "weekly" if weekly else "daily"


def read_day(text: str | None) -> date | None:
    """A date as 2026-01-31. Raises ConfigError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f'date "{text}"', "it is not a date", remedy="write it as 2026-01-31") from None
