"""How the newsletter does, for `digest status` and the API alike."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args
from zoneinfo import ZoneInfo

from digest import __version__
from digest.deliver.lanes import LEASE
from digest.due import Due, find_next, gather_zones
from digest.models import Cadence, EditionState, TaskKind
from digest.operate.presence import find_wrong_clock
from digest.stores.patience import hurried

if TYPE_CHECKING:
    from digest.app import App

_EDITIONS = 7
_ASIDE = 20
_OVER = (EditionState.SENT, EditionState.MISSED, EditionState.WITHDRAWN)
_SILENT = 60  # seconds after which a process is not counted as there


def read_status(app: "App") -> dict[str, Any]:
    """The last editions with their deliveries by state, subscribers by state, the sources' health, what is due next."""
    with hurried():
        return _read_status(app)


def _read_status(app: "App") -> dict[str, Any]:
    slug, now = app.config.newsletter.slug, app.clock()
    newest = app.store.editions.newest(slug, _EDITIONS)
    leases = app.store.ledger.first_leases([stored.id for stored in newest])
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
                **read_oldest_claim(leases.get(stored.id), now),
            }
            for stored in newest
        ],
        "sources": app.store.entries.health(slug, now=now),
        "quarantined": dict(app.store.events.quarantined()),
        "workers": list_workers(app),
        "tasks": count_tasks(app),
        "clock": read_clock(app),
        "last_run": {"finished_at": last[0], "status": last[1].status, "message": last[1].message} if last else None,
    }


def read_oldest_claim(lease_until: datetime | None, now: datetime) -> dict[str, Any]:
    """Since when a sender has had the batch that was claimed first, and has not settled it. Pure."""
    claimed_at = lease_until and lease_until - LEASE  # leases are all as long, and never renewed
    return {
        "oldest_claim_at": claimed_at,
        "oldest_claim_seconds": claimed_at and max(0, round((now - claimed_at).total_seconds())),
    }


def write_oldest_claim(edition: Mapping[str, Any]) -> str:
    """The same for people; "" where nothing is claimed. Pure."""
    seconds = edition["oldest_claim_seconds"]
    if seconds is None:
        return ""
    over = "" if seconds <= LEASE.total_seconds() else ", longer than its lease: a worker, `serve` or `run` takes it up"
    return f"; the oldest claim stands for {seconds} s{over}"


def read_next_due(app: "App") -> dict[str, Any] | None:
    """The edition that is due next, and when, on the clocks of the newsletter and of this machine."""
    slug, schedule = app.config.newsletter.slug, app.config.schedule
    zones = gather_zones(schedule, app.store.subscribers.zones(slug)) if schedule.per_subscriber_timezone else {}
    has_weekly = schedule.weekly is not None and app.store.subscribers.has_weekly(slug)
    cadences: tuple[Cadence, ...] = ("daily", "weekly") if has_weekly else ("daily",)
    found = [_find_open(app, cadence, zones) for cadence in cadences]
    due = min((one for one in found if one), key=lambda one: one.at, default=None)
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


def _find_open(app: "App", cadence: Cadence, zones: Collection[str]) -> Due | None:
    """The next one that is not over with already, as one is that was sent by hand before its time."""
    schedule, slug, now = app.config.schedule, app.config.newsletter.slug, app.clock()
    while due := find_next(schedule, now, cadences=[cadence], zones=zones):
        stored = app.store.editions.find(slug, cadence, due.day)
        if stored is None or stored.state not in _OVER:
            return due
        now = due.at
    return None


def list_workers(app: "App") -> list[dict[str, Any]]:
    """The processes that said they are there, and how long ago, by the database's clock."""
    peers = app.store.workers.everyone(app.config.newsletter.slug)
    now = app.store.clock() if peers else app.clock()
    return [
        {
            "host": peer.host,
            "version": peer.version,
            "queues": list(peer.queues),
            "concurrency": peer.concurrency,
            "started_at": peer.started_at,
            "seen_at": peer.seen_at,
            "seconds_ago": max(0, round((now - peer.seen_at).total_seconds())),
            "clock_ahead": peer.skew,
        }
        for peer in peers
    ]


def count_tasks(app: "App") -> dict[str, Any] | None:
    """What waits for workers, and the newest of what was set aside; None where there is no queue."""
    queue = app.queue
    if queue is None:
        return None
    aside = queue.set_aside(_ASIDE)
    return {
        "waiting": dict(queue.waiting()),
        "set_aside_total": queue.count_aside(),
        "set_aside": [
            {"id": one.id, "kind": one.task.kind, "subject": one.task.subject, "fault": one.fault} for one in aside
        ],
    }


def read_clock(app: "App") -> dict[str, Any]:
    """How many seconds this machine's clock is ahead of the database's (None: not compared), and what is wrong."""
    fault, ahead = find_wrong_clock(app)
    return {"ahead": ahead, "fault": fault or None}


def find_versions(workers: Sequence[Mapping[str, Any]]) -> str:
    """A warning where processes of several versions are at work; "": none. Pure."""
    there = [worker for worker in workers if worker["seconds_ago"] <= _SILENT]
    versions = sorted({str(worker["version"]) for worker in there} | {__version__})
    return f"several versions of Digest use this database: {', '.join(versions)}" if len(versions) > 1 else ""


def find_unattended(found: Mapping[str, Any]) -> str:
    """A warning where tasks of some kinds have no worker; "": none. Pure."""
    if found["tasks"] is None:
        return ""
    attended = {kind for one in found["workers"] if one["seconds_ago"] <= _SILENT for kind in one["queues"]}
    without = [kind for kind in get_args(TaskKind) if kind not in attended]
    return f"no worker is there for {', '.join(without)} tasks; start `digest worker`" if without else ""


def write_standing(found: Mapping[str, Any]) -> list[str]:
    """Lines about workers, tasks and the clock, for people. Pure."""
    lines = [
        f"worker     {one['host']}, {one['version']}: {','.join(one['queues'])};"
        f" {'gone, last ' if one['seconds_ago'] > _SILENT else ''}seen {one['seconds_ago']} s ago"
        for one in found["workers"]
    ]
    if warning := find_versions(found["workers"]):
        lines.append(f"warning    {warning}")
    if warning := find_unattended(found):
        lines.append(f"warning    {warning}")
    tasks = found["tasks"]
    if tasks:
        waiting = ", ".join(f"{number} {kind}" for kind, number in tasks["waiting"].items() if number)
        aside = f"{tasks['set_aside_total']} set aside" + ("; see `digest tasks list`" if tasks["set_aside"] else "")
        lines.append(f"tasks      {waiting or 'none'} waiting; {aside}")
        lines += [f"set aside  task {one['kind']} {one['subject']}: {one['fault']}" for one in tasks["set_aside"]]
    if found["clock"]["fault"]:
        lines.append(f"warning    {found['clock']['fault']}")
    return lines
