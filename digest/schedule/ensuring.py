"""What is due is made, finished or ended: once, however often and from wherever that is asked.

    APScheduler tick ─┐                                              ┌─> here: app.run
    sweep at start ───┼─> ensure_due(now) ──> list_steps (pure) ──> ─┼─> a task for workers: compose
    sweep a minute ───┘                                              └─> closed, given up, missed

What is due is decided from the clock and the store alone, never from whether a timer fired: a machine that slept
through 07:00 finds out at its next sweep. The unique (newsletter, cadence, date) makes any number of schedulers
harmless.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from digest.alerting import is_owed
from digest.decisions import alert_addresses
from digest.due import gather_zones, is_over, latest_due
from digest.models import Cadence, EditionState, Report, StoredEdition, Task
from digest.operate.events import take_refusals
from digest.schedule.deciding import Found, Standing, Step, find_late_zones, find_wait, list_steps

if TYPE_CHECKING:
    from digest.app import App

CADENCES: Final[tuple[Cadence, ...]] = ("daily", "weekly", "special")
_LOOK_BACK: Final = 14  # editions that may still be open
_BETWEEN_LOOKS: Final = timedelta(minutes=5)  # that are remembered


def read_zones(app: "App") -> Collection[str]:
    """By whose clocks the active readers are mailed; () where that is the newsletter's for all. Reads all of them."""
    schedule = app.config.schedule
    if not schedule.per_subscriber_timezone:
        return ()
    return gather_zones(schedule, app.store.subscribers.zones(app.config.newsletter.slug))


def ensure_due(
    app: "App", now: datetime, *, cadences: Sequence[Cadence] = CADENCES, zones: Collection[str] | None = None
) -> Report | None:
    """Make what is due, finish what was begun, end what is too late; again and again. Raises DigestError.

    One edition at a time is made or sent here: its report is returned, and what else there is to do is left to the next
    call. Where workers do that, they are asked to, and nothing is returned. `zones` are those of `read_zones`, where
    they were read lately.
    """
    zones = read_zones(app) if zones is None else zones
    for cadence in cadences:
        found = _find(app, cadence, zones, now)
        steps = list_steps(app.config.schedule, found, now)
        for step in steps:
            if not step.is_run:
                _end(app, step, now)
        if any(step.work == "give_up" for step in steps):
            # What is left of an edition may only wait for a zone, or be nothing.
            found = _find(app, cadence, zones, now)
            steps = list_steps(app.config.schedule, found, now)
        runs = [step for step in steps if step.is_run]
        if app.queue is not None:
            app.queue.enqueue([_make_task(app, step) for step in runs if step.work == "compose"])
        elif runs:
            return _run(app, runs[0])
        if not any(step.work == "compose" for step in runs):
            _note_look(app, found, now)
        if report := _tell_again(app, found, now):
            return report
    return None


def _find(app: "App", cadence: Cadence, zones: Collection[str], now: datetime) -> Found:
    """All that is decided on, from the store."""
    schedule, slug, editions = app.config.schedule, app.config.newsletter.slug, app.store.editions
    due = latest_due(schedule, now, cadence, zones)
    last_day = due.day if due else app.timetable.day_of(now)
    newest = editions.newest(slug, _LOOK_BACK, cadence=cadence)
    # Whatever its age: a person may have let it go on.
    known = {stored.id for stored in newest}
    open_ = editions.newest(slug, _LOOK_BACK, state=EditionState.SENDING, cadence=cadence)
    newest += [stored for stored in open_ if stored.id not in known]
    is_made = any(due and stored.date == due.day for stored in newest)
    return Found(
        cadence=cadence,
        due=due,
        standings=[_stand(app, stored, now) for stored in newest if stored.date <= last_day],
        zones=zones,
        looked_at=app.store.runs.last_look(slug, cadence),
        is_wanted=cadence != "weekly" or is_made or app.store.subscribers.has_weekly(slug),
    )


def _stand(app: "App", stored: StoredEdition, now: datetime) -> Standing:
    ledger = app.store.ledger
    zones = ledger.zones(stored.id) if stored.state is EditionState.SENDING else {}
    if not zones:
        return Standing(stored=stored)
    late = find_late_zones(app.config.schedule, stored, zones, now)
    # Once for all of them: as a rule nobody of them waits any more.
    if late and ledger.next_due(stored.id, besides=[zone for zone in zones if zone not in late]) is None:
        late = []
    wait = find_wait(zones, next_due=ledger.next_due(stored.id), leased_until=ledger.leased_until(stored.id), now=now)
    return Standing(stored=stored, zones=zones, late_zones=tuple(late), waits_until=wait)


def is_waiting(app: "App", report: Report, now: datetime) -> bool:
    """Whether a run left nothing to do before the time of a zone comes."""
    if report.state is not EditionState.SENDING or report.edition is None:
        return False
    ledger = app.store.ledger
    return bool(
        find_wait(
            ledger.zones(report.edition),
            next_due=ledger.next_due(report.edition),
            leased_until=ledger.leased_until(report.edition),
            now=now,
        )
    )


def _end(app: "App", step: Step, now: datetime) -> None:
    """What is done in a moment, and changes nothing when another scheduler has done it."""
    match step.work, step.edition:
        case "miss", _:
            app.store.editions.miss(app.config.newsletter.slug, step.cadence, step.day, step.reason, now=now)
        case "close" | "give_up", StoredEdition() as stored:
            app.close_late(stored, step.reason, timezones=step.timezones)


def _make_task(app: "App", step: Step) -> Task:
    slug, subject = app.config.newsletter.slug, f"{step.cadence}/{step.day}"
    return Task(kind="compose", newsletter=slug, subject=subject, identity=f"compose/{slug}/{subject}")


def _run(app: "App", step: Step) -> Report:
    """One edition, and what servers said of it at once."""
    if step.cadence == "daily":
        report = app.run(step.day, cadence=step.cadence, on_time=True)
    else:
        # With connections of its own: the daily one may be on its way, in another thread and for hours.
        with app.beside() as own:
            report = own.run(step.day, cadence=step.cadence, on_time=True)
    take_refusals(app)
    return report


def _note_look(app: "App", found: Found, now: datetime) -> None:
    if found.looked_at is None or now - found.looked_at >= _BETWEEN_LOOKS:
        app.store.runs.note_look(app.config.newsletter.slug, found.cadence, now=now)


def _tell_again(app: "App", found: Found, now: datetime) -> Report | None:
    """Tell the operator of what is held or has stopped, where the last mail about it did not go."""
    if not alert_addresses(app.config):
        return None
    runs, slug = app.store.runs, app.config.newsletter.slug
    for standing in found.standings:
        stored = standing.stored
        if is_over(app.config.schedule, stored, now):
            continue
        if is_owed(runs.last(slug, edition=stored.id), stored, now):
            return app.tell_again(stored)
    return None
