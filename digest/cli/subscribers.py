"""digest subscribers: who gets the newsletter."""

from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, SegmentOption, open_app
from digest.cli.output import put, put_json, put_rows, say
from digest.errors import ConfigError
from digest.models import Effect, PageRequest, Subscriber, SubscriberState, fold_address

commands = typer.Typer(help="The subscribers: who gets the newsletter.", no_args_is_help=True)


@commands.command("list")
def list_subscribers(
    context: typer.Context,
    state: Annotated[SubscriberState | None, typer.Option(help="Only those in this state.", show_default=False)] = None,
    segment: SegmentOption = None,
    topic: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Only who chose this topic, alone or among others; who chose none gets all, and is not listed.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Everyone, by address."""
    from digest.operate.segments import find_members

    if topic is not None:
        nobody = "nobody has chosen that topic"  # which may be one that was taken out of the configuration
    elif segment:
        nobody = "nobody is of that segment"
    else:
        nobody = "nobody is subscribed; `digest subscribers add EMAIL` adds a reader"
    with open_app(context, config) as app:
        is_member = find_members(app, segment)
        everyone = app.store.subscribers.everyone(app.config.newsletter.slug, state)
        chosen = (reader for reader in everyone if topic is None or topic in reader.topics)
        put_rows((_row(reader) for reader in chosen if is_member(reader)), as_json=as_json, empty=nobody)


@commands.command("segments")
def list_segments(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The segments, and how many subscribers each has."""
    from digest.operate.segments import count_segments

    with open_app(context, config) as app:
        rows = [{"segment": one.segment, "members": one.members, "active": one.active} for one in count_segments(app)]
    put_rows(rows, as_json=as_json, empty="there is no segment; add a [[segments]] table")


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
    from digest.audience.rows import Terms, read_row

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
        terms = Terms(consent=consent, consent_from="the command line", topics=known, now=app.clock())
        reader, remark = read_row(row, terms)
        if remark:
            say(f"digest: {remark}")
        if app.store.subscribers.add(app.config.newsletter.slug, reader, now=app.clock()):
            put(f"added {reader.email}")
            return
        before = app.store.subscribers.find(app.config.newsletter.slug, reader.email)
        if before and before.state in {SubscriberState.ACTIVE, SubscriberState.PENDING}:
            put(f"{before.email} is subscribed already ({before.state}); nothing was changed")
            return
        why = f"left before ({before.state})" if before else "must not be mailed (suppressed)"
        raise ConfigError(
            reader.email,
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


@commands.command("show")
def show_subscriber(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="The address.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Everything that is kept of one person, in every newsletter of the database."""
    with open_app(context, config) as app:
        kept = app.store.subscribers.history(email)
        suppressed = app.store.subscribers.is_suppressed(app.config.newsletter.slug, email)
        listed = {one.newsletter: app.store.subscribers.is_suppressed(one.newsletter, email) for one in kept}
        heard = app.store.events.newest(email=email, limit=10_000) if kept else []
        asked = app.store.requests.of(email)
    if not kept and not asked:
        remedy = "but it is on the list of those that are not mailed" if suppressed else "see `digest subscribers list`"
        raise ConfigError(email, "nothing is kept of this address", remedy=remedy)
    for one in kept:
        shown = {"newsletter": one.newsletter, **_row(one.subscriber), "suppressed": listed[one.newsletter]}
        if as_json:
            # What names no delivery is of the person, and stands with each newsletter.
            events = [event for event in heard if event.newsletter in {None, one.newsletter}]
            put_json(shown | {"receipts": one.receipts, "events": events})
            continue
        for name, value in shown.items():
            put(f"{name:<14}{_said(value)}")
        for receipt in one.receipts:
            named = f"{receipt.edition}" if receipt.cadence == "daily" else f"{receipt.edition}-{receipt.cadence}"
            words = (named, receipt.state.value, receipt.transport, receipt.answer)
            put(f"{'sent':<14}{'  '.join(word for word in words if word)}")
        put("")
    for event in [] if as_json else heard:
        did = None if event.effect is Effect.NONE else f"({event.effect.value})"
        said = (f"{event.occurred_at:%Y-%m-%d %H:%M}", event.kind.value, event.status, event.answer, did)
        put(f"{'heard':<14}{'  '.join(word for word in said if word)}")
    for newsletter, request in asked:
        row = {"newsletter": newsletter, **_row_of_request(request)}
        if as_json:
            put_json(row)
        else:
            put(f"{'asked':<14}{'  '.join(f'{name} {_said(value)}' for name, value in row.items())}")


@commands.command("restore")
def restore_subscribers(
    context: typer.Context,
    since: Annotated[str, typer.Option(metavar="INSTANT", help="As 2026-01-31T10:00Z; without a zone it is UTC.")],
    domain: Annotated[str | None, typer.Option(help="Only what this domain refused.", show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Undo what bounces since an instant did: who was ended by them alone is mailed again.

    Never those who left or complained. The provider may have the addresses on a list of its own: take them off it too.
    """
    from digest.cli.events import read_instant
    from digest.operate.events import make_bounce_rules

    with open_app(context, config) as app:
        judged = app.store.events.undo(
            make_bounce_rules(app),
            since=read_instant(since),
            domain=fold_address(domain) if domain else None,
            now=app.clock(),
            dry=dry_run,
        )
    if as_json:
        put_json({"restored": judged.restored, "events": judged.events, "dry_run": dry_run})
        return
    would = "would be" if dry_run else "are"
    put(f"{judged.restored} readers {would} mailed again, {judged.events} events {would} undone")


@commands.command("erase")
def erase_subscriber(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="The address.")],
    config: ConfigOption = None,
) -> None:
    """Forget a person in every newsletter of the database; the address is not mailed again, and stands nowhere.

    A provider that has an erase job of its own is told, too.
    """
    from digest.operate.erasing import erase_reader, try_to_erase_owed

    with open_app(context, config) as app:
        if not erase_reader(app, email):
            raise ConfigError(email, "nothing is kept of this address", remedy="see `digest subscribers list`")
        if fault := try_to_erase_owed(app):
            say(f"digest: {fault}")
    put("erased; what was sent stays counted, without a name")


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "–"
    return str(value) if value is not None else "–"


def _row_of_request(request: PageRequest) -> dict[str, object]:
    return {
        "asked_for": request.kind,
        "email": request.email,
        "topics": list(request.topics),
        "language": request.language,
        "timezone": request.timezone,
        "frequency": request.frequency,
        "consent_text": request.consent_text,
        "asked_from": request.consent_from,
        "asked_at": request.requested_at,
        "mailed_at": request.mailed_at,
        "used_at": request.used_at,
    }


def _row(reader: Subscriber) -> dict[str, object]:
    return {
        "email": reader.email,
        "state": reader.state,
        "name": reader.name,
        "topics": list(reader.topics),
        "language": reader.language,
        "timezone": reader.timezone,
        "frequency": reader.frequency,
        "paused_until": reader.paused_until,
        "consent_at": reader.consent_at,
        "consent_text": reader.consent_text,
        "consent_from": reader.consent_from,
        "tags": list(reader.tags),
    }
