"""digest subscribers: who gets the newsletter."""

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import PARTIAL, leave, put, put_json, put_rows, say
from digest.errors import ConfigError
from digest.models import Subscriber, SubscriberState

_SHOWN_REMARKS = 10

commands = typer.Typer(help="The subscribers: who gets the newsletter.", no_args_is_help=True)


@commands.command("list")
def list_subscribers(
    context: typer.Context,
    state: Annotated[SubscriberState | None, typer.Option(help="Only those in this state.", show_default=False)] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Everyone, by address."""
    with open_app(context, config) as app:
        rows = [_row(reader) for reader in app.store.subscribers.everyone(app.config.newsletter.slug, state)]
    put_rows(rows, as_json=as_json, empty="nobody is subscribed; `digest subscribers add EMAIL` adds a reader")


@commands.command("add")
def add_subscriber(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="The address.")],
    name: Annotated[str | None, typer.Option(help="The reader's name.", show_default=False)] = None,
    topics: Annotated[str, typer.Option(help="Topic ids, separated by commas; empty is every topic.")] = "",
    language: Annotated[str | None, typer.Option(help="As in BCP 47.", show_default=False)] = None,
    timezone: Annotated[str | None, typer.Option(help="As Europe/Berlin.", show_default=False)] = None,
    frequency: Annotated[str, typer.Option(help="daily or weekly.")] = "daily",
    consent: Annotated[str, typer.Option(help="How the reader agreed; kept as the proof.")] = "added by the operator",
    config: ConfigOption = None,
) -> None:
    """Add one reader, who has agreed to it."""
    from digest.audience.importing import read_row

    with open_app(context, config) as app:
        row = {
            "email": email,
            "name": name or "",
            "topics": topics,
            "language": language or "",
            "timezone": timezone or "",
            "frequency": frequency,
        }
        known = [topic.id for topic in app.config.topics]
        read = read_row(row, consent=consent, topics=known, now=app.clock())
        if read.remark:
            say(f"digest: {read.remark}")
        if app.store.subscribers.add(app.config.newsletter.slug, read.subscriber, now=app.clock()):
            put(f"added {read.subscriber.email}")
            return
        before = app.store.subscribers.find(app.config.newsletter.slug, read.subscriber.email)
        if before and before.state in {SubscriberState.ACTIVE, SubscriberState.PENDING}:
            put(f"{before.email} is subscribed already ({before.state}); nothing was changed")
            return
        why = f"left before ({before.state})" if before else "must not be mailed (suppressed)"
        raise ConfigError(
            read.subscriber.email,
            f"this address {why}",
            remedy="only the reader can come back, by subscribing again",
        )


@commands.command("remove")
def remove_subscriber(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="The address.")],
    config: ConfigOption = None,
) -> None:
    """Unsubscribe a reader; the address is not mailed again."""
    with open_app(context, config) as app:
        if not app.store.subscribers.remove(app.config.newsletter.slug, email, now=app.clock()):
            raise ConfigError(email, "nobody of that address is subscribed", remedy="see `digest subscribers list`")
    put(f"removed {email}")


@commands.command("import")
def import_subscribers(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file with a header; only the column email is needed.")],
    consent: Annotated[
        str | None,
        typer.Option(help="How these readers agreed; without it they come in as pending.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add many readers from CSV. Repeating it is harmless; nobody who left is revived.

    Columns: email, name, topics, language, timezone, frequency, state, consent_at.
    """
    from digest.audience.importing import Tally, read_csv

    with open_app(context, config) as app:
        known = [topic.id for topic in app.config.topics]
        rows = read_csv(file, consent=consent, topics=known, now=app.clock())
        tally = Tally()
        added = app.store.subscribers.add_many(app.config.newsletter.slug, tally.pick(rows), now=app.clock())
    for row in tally.remarks[:_SHOWN_REMARKS]:
        say(f"{file}:{row.line}: {row.remark}")
    if len(tally.remarks) > _SHOWN_REMARKS:
        say(f"{file}: {len(tally.remarks) - _SHOWN_REMARKS} more remarks like these")
    for row in tally.refused:
        say(f"{file}:{row.line}: {row.fault}")
    result = {"added": added, "known": tally.taken - added, "refused": len(tally.refused)}
    if as_json:
        put_json(result)
    else:
        put(f"{added} added, {tally.taken - added} known already or suppressed, {len(tally.refused)} refused")
        if added and not consent:
            say("Without --consent, rows that carry none of their own came in as pending: they are not mailed.")
    if tally.refused:
        leave(PARTIAL)


def _row(reader: Subscriber) -> dict[str, object]:
    return {
        "email": reader.email,
        "state": reader.state,
        "name": reader.name,
        "topics": list(reader.topics),
        "language": reader.language,
        "timezone": reader.timezone,
        "frequency": reader.frequency,
        "consent_at": reader.consent_at,
    }
