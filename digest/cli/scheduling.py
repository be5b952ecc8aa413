"""digest schedule: the calendar of what is due."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import put_rows, say

if TYPE_CHECKING:
    from digest.app import App
    from digest.schedule.calendar import Entry

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONGEST = 3660


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command("schedule")(schedule)


def schedule(
    context: typer.Context,
    days: Annotated[int, typer.Option(help="How many, from today on.", min=1, max=_LONGEST)] = 14,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The calendar of what is due, with the days on which clocks are changed, holidays and pauses.

    Where each reader is mailed at their own time, a line for each zone, or on a page for those of the same time.
    """
    from digest.schedule.calendar import group_entries, list_entries

    with open_app(context, config) as app:
        rules, first = app.config.schedule, app.today()
        has_weekly = app.store.subscribers.has_weekly(app.config.newsletter.slug)
        entries = list(list_entries(rules, first, days, zones=_count_zones(app), has_weekly=has_weekly))
    if rules.weekly is not None and not has_weekly:
        say("digest: nobody active reads the weekly edition, so none is made")
    if as_json:
        put_rows((_write_entry(entry) for entry in entries), as_json=True, empty="")
        return
    empty = f"nothing is due within {days} days"
    has_notes = any(entry.clocks or entry.rests for entry in entries)
    has_zones = any(entry.readers is not None for entry in entries)
    put_rows(
        (_show(entry, zones, has_zones=has_zones, has_notes=has_notes) for entry, zones in group_entries(entries)),
        as_json=False,
        empty=empty,
    )


def _count_zones(app: "App") -> dict[str, int] | None:
    """How many readers are mailed by whose clocks; None where all are by the newsletter's."""
    from digest.due import find_zone, gather_zones

    rules = app.config.schedule
    if not rules.per_subscriber_timezone:
        return None
    counted = app.store.subscribers.zones(app.config.newsletter.slug)
    unknown = sum(number for name, number in counted.items() if name and not find_zone(name))
    if unknown:
        of = (
            "a time zone that this machine does not know, and is"
            if unknown == 1
            else "time zones it does not know, and are"
        )
        who = "1 reader has" if unknown == 1 else f"{unknown} readers have"
        say(f"digest: {who} {of} mailed by the clock of {rules.timezone}; `digest check` names them")
    return gather_zones(rules, counted)


def _write_entry(entry: "Entry") -> dict[str, Any]:
    """As JSON: the same instant on three clocks."""
    return {
        "date": entry.day,
        "weekday": _WEEKDAYS[entry.day.weekday()],
        "cadence": entry.cadence,
        "timezone": entry.timezone,
        "readers": entry.readers,
        "local": entry.at and entry.at.astimezone(ZoneInfo(entry.timezone)),
        "utc": entry.at,
        "machine": entry.at and entry.at.astimezone(),
        "clocks": entry.clocks,
        "rests": entry.rests,
    }


def _show(entry: "Entry", zones: list[str], *, has_zones: bool, has_notes: bool) -> dict[str, Any]:
    """As a row for people."""
    at = entry.at
    further = f" and {len(zones) - 1} more" if len(zones) > 1 else ""
    return {
        "date": f"{entry.day} {_WEEKDAYS[entry.day.weekday()].capitalize()}",
        "edition": entry.cadence,
        "local": at and write_instant(at.astimezone(ZoneInfo(entry.timezone)), entry),
        "time zone": f"{entry.timezone}{further}",
        **({"readers": entry.readers} if has_zones else {}),
        "UTC": at and write_instant(at, entry),
        "this machine": at and write_instant(at.astimezone(), entry),
        **({"note": "; ".join(note for note in (entry.clocks, entry.rests) if note)} if has_notes else {}),
    }


def write_instant(at: datetime, entry: "Entry") -> str:
    """The time with its offset, and the weekday where it is of another day than the edition."""
    day = "" if at.date() == entry.day else f"{_WEEKDAYS[at.weekday()].capitalize()} "
    offset = "" if at.tzinfo is UTC else f" {write_offset(at)}"
    return f"{day}{at:%H:%M}{offset}"


def write_offset(at: datetime) -> str:
    """How far a clock is ahead of UTC, as +03:00."""
    written = f"{at:%z}"
    return f"{written[:3]}:{written[3:5]}"
