"""What goes wrong while nobody looks: told to the operator by mail once, and remembered over restarts.

An edition was missed; a task was set aside; tasks wait and no worker is there; an edition that is being sent makes no
progress. What has passed is forgotten, and told anew when it comes again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from digest.alerting import write_incident_alert
from digest.decisions import alert_addresses
from digest.models import SCHEDULE, EditionState, SetAside, StoredEdition, TaskKind
from digest.operate.events import mail_operator

if TYPE_CHECKING:
    from digest.app import App

_LOOK_BACK: Final = 7  # editions
_NEWS: Final = timedelta(days=1)  # what was missed before that is none
_NO_WORKER: Final = timedelta(minutes=5)
_NO_PROGRESS: Final = timedelta(minutes=10)
_OPEN: Final = ("planned", "claimed", "attempted", "deferred")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One thing that is the case, and is told when it was so for a while."""

    name: str
    words: str
    command: str  # what shows it
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """An edition of which something is due, or held, and how many of its deliveries are not open any more."""

    edition: StoredEdition
    done: int


def find_incidents(
    missed: Sequence[StoredEdition],
    aside: Sequence[SetAside],
    waiting: Mapping[TaskKind, int],
    stuck: Sequence[Stuck],
    *,
    has_workers: bool,
) -> list[Incident]:
    """What is the case. Pure."""
    found = [
        Incident(
            name=f"missed {one.id}",
            words=f"The edition of {one.date} was missed: {one.reason or 'nothing made it in time'}.",
            command=f"digest editions show {one.date}",
        )
        for one in missed
    ]
    found += [
        Incident(
            name=f"task {one.id}",
            words=f"A task was set aside: {one.task.kind} {one.task.subject}: {one.fault or 'it failed too often'}.",
            command="digest tasks list",
        )
        for one in aside
    ]
    total = sum(waiting.values())
    if total and not has_workers:
        found.append(
            Incident(
                name="no worker",
                words="Tasks wait, and no worker is there to do them.",
                command="digest worker",
                after=_NO_WORKER,
            )
        )
    # By how far it came: that it went on, and stopped again, is another incident.
    found += [
        Incident(
            name=f"stuck {one.edition.id} at {one.done}",
            words=f"The edition of {one.edition.date} is being sent, and made no progress for ten minutes.",
            command=f"digest editions show {one.edition.date} --missing",
            after=_NO_PROGRESS,
        )
        for one in stuck
    ]
    return found


def tell_incidents(app: "App") -> str | None:
    """Look, and tell what is new; a line for the log. Raises StoreError."""
    store, slug = app.store, app.config.newsletter.slug
    now = store.clock() if app.is_on_system_clock else app.clock()
    incidents = {one.name: one for one in _read(app, now)}
    since = store.incidents.observe(slug, incidents.keys(), now=now)
    told = []
    for name, one in incidents.items():
        if now - since[name] < one.after or not store.incidents.take(slug, name, now=now):
            continue
        rendition = write_incident_alert(app.config.newsletter.name, one.words, one.command)
        key = hashlib.blake2b(f"{name} {since[name].isoformat()}".encode(), digest_size=16).hexdigest()
        # Where nobody is to be told by mail, the log tells.
        fault = mail_operator(app, rendition, key=f"incident-{key}") if alert_addresses(app.config) else None
        if fault:
            store.incidents.give_back(slug, name)
        told.append(f"digest: {one.words}" + (f" No alert was mailed: {fault}" if fault else ""))
    return "\n".join(told) or None


def _read(app: "App", now: datetime) -> list[Incident]:
    store, slug, queue = app.store, app.config.newsletter.slug, app.queue
    newest = store.editions.newest(slug, _LOOK_BACK, state=EditionState.MISSED)
    is_news = [one for one in newest if one.changed_at and abs(now - one.changed_at) < _NEWS]
    peers = store.workers.present(slug, now=store.clock()) if queue else ()
    return find_incidents(
        is_news,
        queue.set_aside() if queue else (),
        dict(queue.waiting()) if queue else {},
        _find_stuck(app, now),
        has_workers=any(SCHEDULE not in peer.queues for peer in peers),
    )


def _find_stuck(app: "App", now: datetime) -> list[Stuck]:
    """Editions that are being sent, without those that only wait: for the time of a zone, or a retry."""
    ledger, found = app.store.ledger, []
    for stored in app.store.editions.newest(app.config.newsletter.slug, _LOOK_BACK, state=EditionState.SENDING):
        due = ledger.next_due(stored.id)
        if (due is not None and due <= now) or ledger.leased_until(stored.id) is not None:
            counts = ledger.counts(stored.id)
            found.append(Stuck(edition=stored, done=sum(n for state, n in counts.items() if state not in _OPEN)))
    return found
