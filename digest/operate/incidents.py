"""What goes wrong while nobody looks, found in the database: whoever looks finds the same, after any restart.

An edition was missed, is held, has stopped or has nothing to say; a run failed; sources fail; a task was set aside,
tasks wait and no worker is there; an edition that is being sent makes no progress; the journal cannot be written.
"""

import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from digest.alerting import has_stopped_itself, is_news
from digest.models import SCHEDULE, UNSETTLED, EditionState, Report, SetAside, StoredEdition, TaskKind
from digest.reporting import Held

if TYPE_CHECKING:
    from digest.app import App

Kind = Literal["missed", "held", "empty", "stopped", "failed", "sources", "tasks", "stuck", "journal"]

_LOOK_BACK: Final = 7  # editions
_NEWS: Final = timedelta(days=1)  # what was missed, or failed, before that is none
_NO_WORKER: Final = timedelta(minutes=5)
_NO_PROGRESS: Final = timedelta(minutes=10)
_MANY: Final = 0.5  # of the sources
_IN_A_ROW: Final = 2  # visits that failed, before a source counts as failing


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One thing that is the case, and is told when it was so for a while."""

    kind: Kind
    name: str
    words: str
    command: str  # what shows it
    after: timedelta = timedelta()
    is_mailed: bool = False  # by the run that met it, with what a person needs to decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """An edition of which something is due, or held, and how many of its deliveries are not open any more."""

    edition: StoredEdition
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that incidents are found in."""

    editions: Sequence[StoredEdition] = ()  # that were missed, are held or have stopped, lately
    last_run: Report | None = None  # within a day
    failing: Collection[str] = ()  # sources, by id
    sources: int = 0
    aside: Sequence[SetAside] = ()
    waiting: Mapping[TaskKind, int] | None = None  # None: there is no queue
    stuck: Sequence[Stuck] = ()
    has_workers: bool = False
    journal_fault: str = ""
    host: str = ""  # whose journal that is


def find_incidents(standing: Standing) -> list[Incident]:
    """What is the case. Pure."""
    return [
        *(found for one in standing.editions if (found := _describe_edition(one))),
        *_find_failures(standing),
        *_find_work(standing),
    ]


def _describe_edition(stored: StoredEdition) -> Incident | None:
    command = f"digest editions show {stored.reference}"
    match stored.state:
        case EditionState.MISSED:
            words = f"The {stored.title} was missed: {stored.reason or 'nothing made it in time'}."
            return Incident(kind="missed", name=f"missed {stored.id}", words=words, command=command)
        case EditionState.HELD if is_news(stored):
            is_empty = Held.of(stored.reason) is Held.FEW_STORIES
            return Incident(
                kind="empty" if is_empty else "held",
                name=f"held {stored.id} {stored.reason}"[:255],
                words=f"The {stored.title} is held: {stored.reason}.",
                command=command,
                is_mailed=True,
            )
        case EditionState.STOPPED if has_stopped_itself(stored):
            return Incident(
                kind="stopped",
                name=f"stopped {stored.id} {stored.reason}"[:255],
                words=f"The {stored.title} has stopped: {stored.reason}.",
                command=command,
                is_mailed=True,
            )
    return None


def _find_failures(standing: Standing) -> list[Incident]:
    found, last = [], standing.last_run
    if last is not None and last.status == "failed":
        found.append(
            Incident(
                kind="failed",
                name=f"failed {last.cadence} {last.date}",
                words=f"The last run failed: {last.message}.",
                command="digest status",
            )
        )
    if standing.failing and len(standing.failing) >= _MANY * standing.sources:
        found.append(
            Incident(
                kind="sources",
                name="sources",
                words=f"{len(standing.failing)} of {standing.sources} sources fail: {_list(standing.failing)}.",
                command="digest sources check",
            )
        )
    if standing.journal_fault:
        on = f" of {standing.host}" if standing.host else ""
        found.append(
            Incident(
                kind="journal",
                name="journal",
                words=f"Who leaves is not noted in the journal{on}: {standing.journal_fault}."
                " After a restore they would be mailed again.",
                command="digest check",
            )
        )
    return found


def _find_work(standing: Standing) -> list[Incident]:
    found = [
        Incident(
            kind="tasks",
            name=f"task {one.id}",
            words=f"A task was set aside: {one.task.kind} {one.task.subject}: {one.fault or 'it failed too often'}.",
            command="digest tasks list",
        )
        for one in standing.aside
    ]
    if sum((standing.waiting or {}).values()) and not standing.has_workers:
        found.append(
            Incident(
                kind="tasks",
                name="no worker",
                words="Tasks wait, and no worker is there to do them.",
                command="digest worker",
                after=_NO_WORKER,
            )
        )
    # By how far it came: that it went on, and stopped again, is another incident.
    found += [
        Incident(
            kind="stuck",
            name=f"stuck {one.edition.id} at {one.done}",
            words=f"The edition of {one.edition.date} is being sent, and made no progress for ten minutes.",
            command=f"digest editions show {one.edition.date} --missing",
            after=_NO_PROGRESS,
        )
        for one in standing.stuck
    ]
    return found


def read_standing(app: "App", now: datetime) -> Standing:
    """What incidents are found in, from the store and the queue. Raises StoreError."""
    store, slug, queue = app.store, app.config.newsletter.slug, app.queue
    newest = store.editions.newest(slug, _LOOK_BACK)
    last = store.runs.last(slug)
    peers = store.workers.present(slug, now=store.clock()) if queue else ()
    configured = {table.id for table in app.config.sources}
    failures = store.entries.failures(slug)
    failing = [one for one, number in failures.items() if one in configured and number >= _IN_A_ROW]
    return Standing(
        editions=[one for one in newest if _is_news(one, now)],
        last_run=last[1] if last and abs(now - last[0]) < _NEWS else None,
        failing=failing,
        sources=len(configured),
        aside=queue.set_aside() if queue else (),
        waiting=dict(queue.waiting()) if queue else None,
        stuck=_find_stuck(app, now),
        has_workers=any(SCHEDULE not in peer.queues for peer in peers),
        host=platform.node(),
        journal_fault=_find_journal_fault(app),
    )


def read_machine(app: "App") -> Standing:
    """What of it is this machine's alone. Raises StoreError."""
    return Standing(host=platform.node(), journal_fault=_find_journal_fault(app))


def _find_journal_fault(app: "App") -> str:
    return app.store.journal.find_fault() if app.store.journal else ""


def _is_news(stored: StoredEdition, now: datetime) -> bool:
    """What was missed long ago is none; what is held or stopped lasts."""
    if stored.state is EditionState.MISSED:
        return stored.changed_at is not None and abs(now - stored.changed_at) < _NEWS
    return stored.state in {EditionState.HELD, EditionState.STOPPED}


def _find_stuck(app: "App", now: datetime) -> list[Stuck]:
    """Editions that are being sent, without those that only wait: for the time of a zone, or a retry."""
    ledger, found = app.store.ledger, []
    for stored in app.store.editions.newest(app.config.newsletter.slug, _LOOK_BACK, state=EditionState.SENDING):
        due = ledger.next_due(stored.id)
        if (due is not None and due <= now) or ledger.leased_until(stored.id) is not None:
            counts = ledger.counts(stored.id)
            found.append(Stuck(edition=stored, done=sum(n for state, n in counts.items() if state not in UNSETTLED)))
    return found


def _list(names: Collection[str]) -> str:
    """A few of them. Pure."""
    shown = sorted(names)[:5]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
