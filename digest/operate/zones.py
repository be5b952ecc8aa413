"""An edition's zones, for `digest editions show` and the API alike."""

from typing import TYPE_CHECKING, Any

from digest.models import WAITING, StoredEdition

if TYPE_CHECKING:
    from digest.app import App


def read_zones(app: "App", stored: StoredEdition) -> list[dict[str, Any]]:
    """Whose readers get it at a time of their own: the zone, the instant, whether it waits for it, its deliveries."""
    now, counts = app.clock(), app.store.ledger.count_by_zone(stored.id)
    return [
        {
            "timezone": timezone,
            "due_at": due_at,
            "waits": due_at > now and any(state in counts.get(timezone, {}) for state in WAITING),
            "deliveries": counts.get(timezone, {}),
        }
        for timezone, due_at in app.store.ledger.zones(stored.id).items()
    ]
