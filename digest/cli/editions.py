"""digest editions: what was made, who got it, and a person's word on what is held."""

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, cast
from zoneinfo import ZoneInfo

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import put, put_json, put_rows, say
from digest.errors import ConfigError

if TYPE_CHECKING:
    from digest.app import App
    from digest.models import Cadence, StoredEdition

commands = typer.Typer(help="The editions: what was made, and who got it.", no_args_is_help=True)
_LOOK_BACK = 30
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:-(daily|weekly|special))?")

EditionArgument = Annotated[
    str,
    typer.Argument(metavar="EDITION", help="A number, a date (of a weekly edition as 2026-01-31-weekly), or `latest`."),
]


def find_edition(app: "App", name: str) -> "StoredEdition":
    """The edition with that number or date, or the latest of any cadence. Raises ConfigError when there is none.

    A date alone names the daily edition, also where there is another of that day: nobody is to withdraw, or let go,
    what they did not mean.
    """
    slug, editions = app.config.newsletter.slug, app.store.editions
    found: StoredEdition | None = None
    if name == "latest":
        newest = editions.newest(slug, _LOOK_BACK)
        # One that was made ahead of its day is not what "latest" means, unless there is no other.
        found = next((stored for stored in newest if stored.date <= app.today()), next(iter(newest), None))
    elif name.isdecimal():
        found = editions.get(int(name))
    else:
        day, cadence = _read_name(name)
        found = editions.find(slug, cadence, day)
        others = [stored.reference for stored in editions.newest(slug, _LOOK_BACK, day=day)] if found is None else []
        if others:
            remedy = f"that day has {' and '.join(others)}"
            raise ConfigError(f'edition "{name}"', "there is none", remedy=remedy)
    if found is None or found.newsletter != slug:
        raise ConfigError(f'edition "{name}"', "there is none", remedy="see `digest editions list`")
    return found


def _read_name(name: str) -> "tuple[date, Cadence]":
    """2026-11-29, or with another cadence 2026-11-29-weekly. Raises ConfigError."""
    found = _NAME.fullmatch(name)
    try:
        day = date.fromisoformat(found[1] if found else "")
    except ValueError:
        remedy = "write a date as 2026-01-31, or as 2026-01-31-weekly"
        raise ConfigError(f'edition "{name}"', "it is no number, date or `latest`", remedy=remedy) from None
    return day, cast("Cadence", found[2] or "daily") if found else "daily"


@commands.command("list")
def list_editions(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1)] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The newest editions."""
    with open_app(context, config) as app:
        rows = [
            {
                "id": stored.id,
                "date": stored.date,
                "cadence": stored.cadence,
                "state": stored.state,
                "subject": stored.edition.subject if stored.edition else None,
                "stories": len(stored.edition.items) if stored.edition else 0,
                "sent_at": stored.sent_at,
                "reason": stored.reason,
            }
            for stored in app.store.editions.newest(app.config.newsletter.slug, limit)
        ]
    put_rows(rows, as_json=as_json, empty="no edition yet; `digest run` makes one")


@commands.command("show")
def show_edition(
    context: typer.Context,
    edition: EditionArgument = "latest",
    deliveries: Annotated[
        bool, typer.Option("--deliveries", help="Who got it, how, when, and with which answer.")
    ] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Who did not get it.")] = False,
    why: Annotated[bool, typer.Option("--why", help="The parts of each story's score.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """One edition: its stories, or its deliveries; and the zones of readers who get it at their own time."""
    from digest.operate.zones import read_zones

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        if deliveries or missing:
            rows = (
                {
                    "email": delivery.email,
                    "state": delivery.state,
                    "transport": delivery.transport,
                    "attempted_at": delivery.attempted_at,
                    "answer": delivery.answer,
                }
                for delivery in app.store.ledger.deliveries(stored.id, missing=missing)
            )
            put_rows(rows, as_json=as_json, empty="nobody is missing" if missing else "no delivery was planned yet")
            return
        if why and stored.edition:
            parts = [
                {
                    "story": number,
                    "score": item.score,
                    **item.parts,
                    "may_lead": item.may_lead,
                    "headline": item.headline,
                    "outlet": item.outlet,
                    "replaced": item.replaced,
                    "no_summary": item.reason,
                }
                for number, item in sorted(enumerate(stored.edition.items, 1), key=lambda pair: -pair[1].score)
            ]
            put_rows(parts, as_json=as_json, empty="it has no story")
            return
        counts, zones = app.store.ledger.counts(stored.id), read_zones(app, stored)
        if as_json:
            put_json({"stored": stored, "deliveries": counts, "zones": zones})
            return
        which = "edition" if stored.cadence == "daily" else f"{stored.cadence} edition"
        put(f"{which} {stored.id} of {stored.date}: {stored.state}" + (f" ({stored.reason})" if stored.reason else ""))
        if stored.edition:
            put(f"subject: {stored.edition.subject}")
            number = 0
            for section in stored.edition.sections:
                put(f"\n{section.title or 'More'}")
                for item in section.items:
                    number += 1
                    outlets = ", ".join([item.outlet, *(other.outlet for other in item.also)])
                    marks = [*(["update"] if item.news else []), *(f"{name} edited" for name in item.edited)]
                    marks += ["headline only"] if item.reason else []
                    put(f"  {number:>2}. {item.headline} ({outlets})" + (f" [{', '.join(marks)}]" if marks else ""))
        if counts:
            put("\n" + ", ".join(f"{number} {state}" for state, number in counts.items()))
        for zone in zones:
            local = f"{zone['due_at'].astimezone(ZoneInfo(zone['timezone'])):%Y-%m-%d %H:%M}"
            told = ", ".join(f"{number} {state}" for state, number in zone["deliveries"].items()) or "nobody"
            waits = " (waits)" if zone["waits"] else ""
            put(f"{zone['timezone']:<24} {local} ({zone['due_at']:%Y-%m-%d %H:%M} UTC){waits}: {told}")


@commands.command("counts")
def count_edition(
    context: typer.Context,
    edition: EditionArgument = "latest",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """How often an edition was opened and its links followed, by people and by machines."""
    from digest.audience.counting import RULE
    from digest.operate.counting import read_counts

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        rows = read_counts(app, stored)
    if as_json:
        put_json({"edition": stored.id, "date": stored.date, "cadence": stored.cadence, "counts": rows, "rule": RULE})
        return
    shown = [
        {
            "people": row.people,
            "scanners": row.scanners,
            "prefetchers": row.prefetchers,
            "proxies": row.proxies,
            "link": row.link or "(opened)",
        }
        for row in rows
    ]
    put_rows(shown, as_json=False, empty="nothing is counted; [counting] in config.toml says what is")
    if rows:
        say(RULE)


@commands.command("approve")
def approve_edition(
    context: typer.Context,
    edition: EditionArgument = "latest",
    force: Annotated[
        bool, typer.Option("--force", help="Also when preflight, a canary or too few stories hold it; recorded.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="NAME", help="Who stands for it; a model's summaries then bear no label."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Let a held edition go; the next `digest run` of its date sends it."""
    from digest.operate.revising import approve_edition as approve

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        approve(app, stored, by=by, force=force)
        put(f"the {stored.title} is ready; `digest run {stored.options}` sends it")


@commands.command("hold")
def hold_edition(
    context: typer.Context,
    edition: EditionArgument = "latest",
    reason: Annotated[str, typer.Option(help="Why; kept with the edition.")] = "by hand",
    config: ConfigOption = None,
) -> None:
    """Keep a ready edition from being sent until it is approved."""
    from digest.operate.revising import hold_edition as hold
    from digest.reporting import Held

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        hold(app, stored, f"{Held.OPERATOR}: {reason}")
        put(f"the {stored.title} is held")
