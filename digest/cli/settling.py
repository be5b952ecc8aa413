"""digest editions: stop and go on, and an operator's word on what became of deliveries."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.editions import EditionArgument, find_edition
from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import put, put_json, put_rows, say
from digest.errors import ConfigError

if TYPE_CHECKING:
    from digest.app import App
    from digest.models import StoredEdition


def stop_edition(
    context: typer.Context,
    edition: EditionArgument = "latest",
    reason: Annotated[str, typer.Option(help="Why; kept with the edition.")] = "by hand",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Stop sending an edition, after the batch that is under way."""
    from digest.operate.revising import stop_edition as stop

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        stop(app, stored, "by hand" if reason == "by hand" else f"by hand: {reason}")
        words = f"the {stored.title} is stopped; `digest editions resume {stored.reference}` goes on with it"
        _tell(app, stored, words, as_json=as_json)


def resume_edition(
    context: typer.Context,
    edition: EditionArgument = "latest",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Go on with an edition that was stopped; nobody gets it twice."""
    from digest.operate.revising import resume_edition as resume

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        resume(app, stored, "resumed by hand")
        words = f"the {stored.title} goes on; `digest run {stored.options}` sends it"
        _tell(app, stored, words, as_json=as_json)


def retry_edition(
    context: typer.Context,
    edition: EditionArgument = "latest",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Plan again what certainly failed: refused, dropped by the provider, given up. Never what may have arrived.

    Nothing is sent by this command: `digest run` of its date does that, or `digest serve` within a minute.
    """
    from digest.operate.settling import retry_edition as retry

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        planned = retry(app, stored)
        words = f"nothing of the {stored.title} was refused, dropped or given up"
        if planned:
            messages = "1 message is" if planned == 1 else f"{planned} messages are"
            words = f"{messages} planned again; `digest run {stored.options}` sends the rest of it"
        _tell(app, stored, words, as_json=as_json, planned=planned)


def settle_edition(
    context: typer.Context,
    edition: EditionArgument = "latest",
    accepted: Annotated[bool, typer.Option("--accepted", help="They arrived: never send them again.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="They did not: `retry` may send them again.")] = False,
    email: Annotated[
        list[str] | None, typer.Option("--email", help="Whose; may be repeated.", show_default=False)
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All that are unknown.")] = False,
    ask_provider: Annotated[
        bool, typer.Option("--ask-provider", help="Let SendGrid's email activity say; six requests a minute.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Of whom nobody knows whether they got it: list them with what is known, or decide."""
    from digest.operate.settling import list_unknown, settle_by_hand

    decides = accepted or failed or everybody or bool(email)
    if ask_provider and decides:
        remedy = "ask first, then decide on those who are left"
        raise ConfigError("editions settle", "either the provider says or you do", remedy=remedy)
    _require_sense(accepted=accepted, failed=failed, emails=email, everybody=everybody)
    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        if ask_provider:
            _ask_provider(app, stored, as_json=as_json)
            return
        if not (accepted or failed):
            rows: Iterator[dict[str, object]] = (
                {
                    "email": one.email,
                    "transport": one.transport,
                    "attempted_at": one.attempted_at,
                    "answer": one.answer,
                    "events": one.events,
                    "send_key": one.send_key,
                    "provider_id": one.provider_id,
                }
                for one in list_unknown(app, stored)
            )
            put_rows(rows, as_json=as_json, empty="nothing is unknown")
            return
        settled = settle_by_hand(app, stored, accepted=accepted, emails=None if everybody else email)
        words = f"{settled} settled as {'accepted' if accepted else 'failed'}"
        if failed and settled:
            words += f"; `digest editions retry {stored.reference}` plans them again"
        _tell(app, stored, words, as_json=as_json, settled=settled)


def _ask_provider(app: "App", stored: "StoredEdition", *, as_json: bool) -> None:
    from digest.operate.asking import ask_about_unknown

    app.store.ledger.recover(stored.id, now=app.clock())  # also what senders left who are gone
    asked = ask_about_unknown(app, stored.id, on_settled=lambda count: say(f"{count} are known by now"))
    said = ", ".join(f"{count} {state}" for state, count in sorted(asked.settled.items())) or "nothing new"
    words = f"of {asked.unknown} unknown deliveries that its provider may know: {said}; {asked.left} are left"
    _tell(app, stored, words, as_json=as_json, unknown=asked.unknown, **asked.settled, left=asked.left)


def _require_sense(*, accepted: bool, failed: bool, emails: list[str] | None, everybody: bool) -> None:
    """Raises ConfigError for a decision on nobody, on two things, or for none."""
    if accepted and failed:
        raise ConfigError("editions settle", "a message was either accepted or it failed", remedy="name one of the two")
    if everybody and emails:
        raise ConfigError("editions settle", "--all is everybody", remedy="leave out --all or --email")
    if (accepted or failed) and not (everybody or emails):
        raise ConfigError("editions settle", "it is not said of whom", remedy="add --email ADDRESS, or --all")
    if (everybody or emails) and not (accepted or failed):
        raise ConfigError("editions settle", "nothing is decided", remedy="add --accepted or --failed")


def _tell(app: "App", stored: "StoredEdition", words: str, *, as_json: bool, **numbers: int) -> None:
    if not as_json:
        put(words)
        return
    say(words)
    now = app.store.editions.get(stored.id) or stored
    put_json({"edition": now.id, "date": now.date, "cadence": now.cadence, "state": now.state, **numbers})


def register(commands: typer.Typer) -> None:
    """Add them to `digest editions`."""
    for name, command in (
        ("stop", stop_edition),
        ("resume", resume_edition),
        ("retry", retry_edition),
        ("settle", settle_edition),
    ):
        commands.command(name)(command)
