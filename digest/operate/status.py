"""How the newsletter does, for `digest status` and the API alike."""

from typing import TYPE_CHECKING, Any

from digest.due import next_due
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
    return {
        "newsletter": slug,
        "next_due_at": next_due(app.config.schedule, now),
        "subscribers": app.store.managing.count(slug),
        "editions": [
            {
                "date": stored.date,
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
