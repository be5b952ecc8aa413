"""What is done once a day, by whichever process comes first: readers are counted, and what was kept long enough goes.

A year of operation leaves a database that grows with its readers and sources, and not with its age.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from digest.errors import StoreError

if TYPE_CHECKING:
    from digest.app import App

# Less than a day: a job that begins some minutes earlier than yesterday does it, too.
_EVERY: Final = timedelta(hours=20)


@dataclass(slots=True, kw_only=True)
class Kept:
    """What was done: how much was forgotten, by name, and why some of it was not."""

    done: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def forget(self, name: str, work: Callable[[], int]) -> None:
        """One part. A fault of it keeps no other from being done."""
        self.done[name] = 0
        try:
            self.done[name] = work()
        except StoreError as error:
            self.faults.append(f"{name} wait for another day: {error}")


def keep_house(app: "App", *, at_once: bool = False) -> Kept | None:
    """What was done; None: it was done within the day, or somebody else is at it. Raises StoreError.

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
        kept = prune(app, now)
        store.keys.note(mark, now.isoformat())
    return kept


def prune(app: "App", now: datetime) -> Kept:
    """Forget what [retention] keeps no longer."""
    pruning, rules, slug, kept = app.store.pruning, app.config.retention, app.config.newsletter.slug, Kept()
    parts: Sequence[tuple[str, timedelta | None, Callable[[datetime], int]]] = (
        ("pages", app.config.pages_kept, lambda before: pruning.forget_pages(slug, before=before)),
        ("events", rules.events, lambda before: pruning.forget_events(before=before)),
        ("networks", rules.consent_networks, lambda before: pruning.forget_networks(slug, before=before)),
        (
            "editions",
            rules.deliveries,
            lambda before: pruning.forget_deliveries(slug, before=before.date(), untouched_since=before),
        ),
        ("runs", rules.deliveries, lambda before: pruning.forget_runs(slug, before=before)),
    )
    for name, span, work in parts:
        if span is not None:
            kept.forget(name, partial(work, now - span))
    return kept


def say_kept(kept: Kept) -> str | None:
    """What went, and what should have, a line each; None when nothing did. Pure."""
    words = {
        "pages": "texts of entries",
        "events": "events' own words",
        "networks": "networks from which readers agreed",
        "editions": "editions' deliveries",
        "runs": "reports of runs",
    }
    told = [f"{kept.done[name]:,} {what}" for name, what in words.items() if kept.done.get(name)]
    lines = [f"retention: forgotten were {', '.join(told)}"] if told else []
    return "\n".join([*lines, *(f"retention: {fault}" for fault in kept.faults)]) or None


def do_housekeeping(app: "App") -> str | None:
    """The chore of a server."""
    kept = keep_house(app)
    return say_kept(kept) if kept else None


def _is_due(noted: str | None, now: datetime) -> bool:
    """Whether a day has passed. Also when the clock was set back."""
    return noted is None or not timedelta() <= now - datetime.fromisoformat(noted) < _EVERY
