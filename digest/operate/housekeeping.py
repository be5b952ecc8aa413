"""What is done once a day, by whichever process comes first: readers are counted, and what was kept long enough goes.

A year of operation leaves a database that grows with its readers and sources, and not with its age.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from digest.operate.erasing import erase_owed
from digest.operate.reconciling import find_table

if TYPE_CHECKING:
    from digest.app import App

_EVERY: Final = timedelta(
    hours=20
)  # less than a day: a job that begins some minutes earlier than yesterday does it, too


def keep_house(app: "App", *, at_once: bool = False) -> dict[str, int] | None:
    """What was done, by name; None: it was done within the day, or somebody else is at it. Raises StoreError.

    `at_once`: also when it was done today.
    """
    store, slug, now = app.store, app.config.newsletter.slug, app.clock()
    mark = f"housekeeping {slug}"
    if not at_once and not _is_due(store.keys.find(mark), now):
        return None
    with store.alone(mark) as is_alone:
        if not is_alone:
            return None
        store.census.keep(slug, app.today(), store.managing.count(slug))
        done = prune(app, now)
        store.keys.note(mark, now.isoformat())
    return done


def prune(app: "App", now: datetime) -> dict[str, int]:
    """Forget what [retention] keeps no longer; how much that was, by name. Raises StoreError."""
    pruning, rules, slug = app.store.pruning, app.config.retention, app.config.newsletter.slug
    done = {"pages": 0, "events": 0, "networks": 0, "editions": 0, "runs": 0}
    if app.config.pages_kept:
        done["pages"] = pruning.forget_pages(slug, before=now - app.config.pages_kept)
    if rules.events:
        done["events"] = pruning.forget_events(before=now - rules.events)
    if rules.consent_networks:
        done["networks"] = pruning.forget_networks(slug, before=now - rules.consent_networks)
    if rules.deliveries:
        done["editions"] = pruning.forget_deliveries(slug, before=(now - rules.deliveries).date())
        done["runs"] = pruning.forget_runs(slug, before=now - rules.deliveries)
    return done


def say_kept(done: Mapping[str, int]) -> str | None:
    """What went, in one line; None when nothing did. Pure."""
    words = {
        "pages": "texts of entries",
        "events": "events' own words",
        "networks": "networks from which readers agreed",
        "editions": "editions' deliveries",
        "runs": "reports of runs",
    }
    told = [f"{done[name]:,} {what}" for name, what in words.items() if done.get(name)]
    return f"retention: forgotten were {', '.join(told)}" if told else None


def do_housekeeping(app: "App") -> str | None:
    """The chore of a server: both halves of it, each for itself."""
    done = keep_house(app)
    if find_table(app) is not None:
        erase_owed(app)
    return say_kept(done) if done else None


def _is_due(noted: str | None, now: datetime) -> bool:
    """Whether a day has passed. Also when the clock was set back."""
    return noted is None or not timedelta() <= now - datetime.fromisoformat(noted) < _EVERY
