"""digest events: what was heard of mail after it was handed over, and the operator's word on it."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import put, put_json, put_rows, say
from digest.errors import ConfigError
from digest.models import Effect, EventKind, StoredEvent, fold_address

commands = typer.Typer(help="What providers and mailboxes said of mail afterwards.", no_args_is_help=True)

SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar="INSTANT", help="As 2026-01-31 or 2026-01-31T10:00Z; without a zone it is UTC.", show_default=False
    ),
]


def read_instant(text: str) -> datetime:
    """An instant as 2026-01-31T10:00Z. Raises ConfigError."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        remedy = "write it as 2026-01-31T10:00Z"
        raise ConfigError(f'instant "{text}"', "it is no date and time", remedy=remedy) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@commands.command("list")
def list_events(
    context: typer.Context,
    since: SinceOption = None,
    kind: Annotated[EventKind | None, typer.Option(help="Only of this kind.", show_default=False)] = None,
    effect: Annotated[Effect | None, typer.Option(help="Only those that did this.", show_default=False)] = None,
    email: Annotated[str | None, typer.Option(help="Only of this reader.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1)] = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The newest events; with --json also what was said word for word."""
    with open_app(context, config) as app:
        found = app.store.events.newest(
            since=read_instant(since) if since else None, kind=kind, effect=effect, email=email, limit=limit
        )
    if as_json:
        for event in found:
            put_json(event)
        return
    put_rows([row_of(event) for event in found], as_json=False, empty="no such event was heard")


@commands.command("apply")
def apply_events(
    context: typer.Context,
    domain: Annotated[str | None, typer.Option(help="Those of this domain.", show_default=False)] = None,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="All that are set aside.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let refusals that were set aside count after all: the wave was true."""
    from digest.operate.events import make_bounce_rules

    if not domain and not quarantined:
        raise ConfigError("events apply", "it is not said which", remedy="name --domain, or --quarantined for all")
    with open_app(context, config) as app:
        judged = app.store.events.confirm(
            make_bounce_rules(app), domain=fold_address(domain) if domain else None, now=app.clock()
        )
    if as_json:
        put_json(judged)
        return
    put(f"{judged.events} events count now, {judged.ended} readers are mailed no more")
    if not judged.events:
        say("nothing is set aside; see `digest events list --effect quarantined`")


def row_of(event: StoredEvent) -> dict[str, object]:
    """An event as a line."""
    return {
        "occurred_at": event.occurred_at,
        "kind": event.kind.value,
        "email": event.email,
        "effect": event.effect.value,
        "weight": event.weight.value if event.weight else None,
        "status": event.status,
        "edition": event.edition,
        "answer": event.answer,
    }
