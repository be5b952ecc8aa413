"""How the newsletter does, for `digest status` and the API alike."""

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from digest.due import find_next, gather_zones
from digest.models import Cadence
from digest.stores.patience import hurried

if TYPE_CHECKING:
    from digest.app import App

_EDITIONS = 7


def read_status(app: "App") -> dict[str, Any]:
    """The last editions with their deliveries by state, subscribers by state, the sources' health, what is due next."""
    with hurried():
        return _read_status(app)


def _read_status(app: "App") -> dict[str, Any]:
    slug, now = app.config.newsletter.slug, app.clock()
    last = app.store.runs.last(slug)
    due = read_next_due(app)
    return {
        "newsletter": slug,
        "next_due_at": due["utc"] if due else None,
        "next_due": due,
        "last_look_at": app.store.runs.last_look(slug, "daily"),
        "subscribers": app.store.managing.count(slug),
        "editions": [
            {
                "date": stored.date,
                "cadence": stored.cadence,
                "state": stored.state,
                "reason": stored.reason,
                "sent_at": stored.sent_at,
                "deliveries": app.store.ledger.counts(stored.id),
            }
            for stored in app.store.editions.newest(slug, _EDITIONS)
        ],
        "sources": app.store.entries.health(slug, now=now),
        "quarantined": dict(app.store.events.quarantined()),
        "last_run": {"finished_at": last[0], "status": last[1].status, "message": last[1].message} if last else None,
    }


def read_next_due(app: "App") -> dict[str, Any] | None:
    """The edition that is due next, and when, on the clocks of the newsletter and of this machine."""
    slug, schedule = app.config.newsletter.slug, app.config.schedule
    zones = gather_zones(schedule, app.store.subscribers.zones(slug)) if schedule.per_subscriber_timezone else {}
    has_weekly = schedule.weekly is not None and app.store.subscribers.has_weekly(slug)
    cadences: tuple[Cadence, ...] = ("daily", "weekly") if has_weekly else ("daily",)
    due = find_next(schedule, app.clock(), cadences=cadences, zones=zones)
    if due is None:
        return None
    return {
        "date": due.day,
        "cadence": due.cadence,
        "timezone": schedule.timezone,
        "local": due.at.astimezone(ZoneInfo(schedule.timezone)),
        "utc": due.at,
        "machine": due.at.astimezone(),
    }
