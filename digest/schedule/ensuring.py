"""What is due is made, finished or ended: once, however often and from wherever that is asked.

    APScheduler tick ─┐
    sweep at start ───┼─> ensure_due(now) ──> nothing | app.run(day) | missed
    sweep a minute ───┘

What is due is decided from the clock and the store alone, never from whether a timer fired: a machine that slept
through 07:00 finds out at its next sweep. The unique (newsletter, cadence, date) makes any number of schedulers
harmless.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from digest.alerting import is_owed
from digest.config.scheduling import Schedule
from digest.due import Due, is_over, latest_due
from digest.models import EditionState, Report, StoredEdition
from digest.operate.events import take_refusals

if TYPE_CHECKING:
    from digest.app import App

_LOOK_BACK = 14  # editions that may still be open


def decide(
    due: Due, stored: StoredEdition | None, *, schedule: Schedule, now: datetime, is_first: bool
) -> Literal["run", "miss", "nothing"]:
    """What to do about the newest due edition. Pure.

    The first edition ever is not missed: a newsletter that was set up at noon had none in the morning.
    """
    if stored is None:
        if now - due.at <= schedule.max_lateness:
            return "run"
        return "nothing" if is_first else "miss"
    is_open = stored.state in {EditionState.READY, EditionState.SENDING, EditionState.DRAFT}
    return "run" if is_open and not is_over(schedule, stored, now) else "nothing"


def ensure_due(app: "App", now: datetime) -> Report | None:
    """Make what is due, finish what was begun, end what is too late; again and again. Raises DigestError."""
    schedule, slug, editions = app.config.schedule, app.config.newsletter.slug, app.store.editions
    due = latest_due(schedule, now)
    if due is None:
        return None
    newest = [stored for stored in editions.newest(slug, _LOOK_BACK) if stored.date <= due.day]
    # Whatever its age: a person may have let it go on.
    known = {stored.id for stored in newest}
    open_ = editions.newest(slug, _LOOK_BACK, state=EditionState.SENDING)
    newest += [stored for stored in open_ if stored.date <= due.day and stored.id not in known]
    for stored in newest:
        if stored.state in {EditionState.READY, EditionState.SENDING} and is_over(schedule, stored, now):
            app.close_late(
                stored, f"it was not sent within {schedule.max_lateness} after it was due, and is no news any more"
            )
    todays = editions.find(slug, "daily", due.day)
    match decide(due, todays, schedule=schedule, now=now, is_first=not newest):
        case "run":
            return _run(app, due.day)
        case "miss":
            reason = f"nothing ran until {now:%Y-%m-%d %H:%M} UTC, more than {schedule.max_lateness} after it was due"
            editions.miss(slug, "daily", due.day, reason, now=now)
    for stored in newest:
        # Begun by hand for another day, and interrupted; or approved when the next one was due already.
        is_let_go = stored.state is EditionState.READY and stored.edition and stored.edition.approved_by
        if (is_let_go or stored.state is EditionState.SENDING) and not is_over(schedule, stored, now):
            return _run(app, stored.date)
        is_told_of = app.alert_addresses and not is_over(schedule, stored, now)
        if is_told_of and is_owed(app.store.runs.last(slug), stored, now):
            return app.tell_again(stored)
    return None


def _run(app: "App", day: date) -> Report:
    """One edition, and what servers said of it at once."""
    report = app.run(day)
    take_refusals(app)
    return report
