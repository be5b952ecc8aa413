"""The chores that a configuration asks for."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import DigestError
from digest.models import Report
from digest.operate.alerts import beat, tell_incidents
from digest.operate.asking import find_activity, make_asking
from digest.operate.chores import Chore
from digest.operate.collecting import list_collecting_chores
from digest.operate.delivering import make_sweep
from digest.operate.erasing import erase_owed, try_to_erase_owed
from digest.operate.events import take_refusals
from digest.operate.housekeeping import do_housekeeping
from digest.operate.inbox import open_mailbox, read_inbox, say_read
from digest.operate.reconciling import find_table, reconcile, say_reconciled
from digest.protocols import Mailbox

if TYPE_CHECKING:
    from digest.app import App

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_SOON = timedelta(minutes=10)
_NOW_AND_THEN = timedelta(minutes=15)


def list_chores(app: "App", *, on_report: Callable[[Report], None] = lambda _: None) -> list[Chore]:
    """What `digest serve` does beside its schedule; `on_report` hears of editions that workers have sent."""
    chores = list_collecting_chores(app)
    chores.append(Chore(name="incidents", every=_MINUTE, first=_MINUTE, work=lambda: tell_incidents(app)))
    chores.append(Chore(name="housekeeping", every=_HOUR, first=_MINUTE, work=lambda: do_housekeeping(app)))
    if app.config.inbox.kind != "none":
        chores.append(Chore(name="inbox", every=app.config.inbox.every, work=_make_reading(app)))
    if find_table(app) is not None:
        chores.append(Chore(name="erasures", every=_HOUR, first=_MINUTE, work=lambda: _erase(app)))
        # Not at once: whoever restarts the server again and again would ask for whole lists each time.
        chores.append(
            Chore(name="suppression lists", every=_DAY, first=_SOON, work=lambda: say_reconciled(reconcile(app)))
        )
    if find_activity(app) is not None:
        chores.append(Chore(name="email activity", every=_NOW_AND_THEN, first=_SOON, work=make_asking(app)))
    if app.queue is not None:
        chores.append(make_sweep(app, on_report=on_report))
    return chores


def look_after(app: "App", report: Report) -> Iterator[str]:
    """What a run by hand does afterwards, for where no server runs; lines for the log.

    A fault of one part is such a line, and keeps no other from being done.
    """
    works: tuple[Callable[[], str | None], ...] = (
        lambda: _take_refusals(app),
        lambda: do_housekeeping(app),
        lambda: try_to_erase_owed(app),
        lambda: tell_incidents(app),
        lambda: beat(app, report),
    )
    for work in works:
        try:
            said = work()
        except DigestError as error:
            said = f"digest: {error}"
        if said:
            yield said


def _take_refusals(app: "App") -> None:
    """A wave among them is told of where it is found."""
    take_refusals(app)


def _erase(app: "App") -> None:
    """A chore of its own: whether the provider can be told has nothing to do with what is forgotten here."""
    erase_owed(app)


def _make_reading(app: "App") -> Callable[[], str | None]:
    """Reads the inbox each time by the same reader, which remembers what a server keeps no mark of."""
    kept: list[Mailbox] = []

    def read() -> str | None:
        if not kept:
            kept.append(open_mailbox(app))
        with closing(kept[0]) as mailbox:
            return say_read(read_inbox(app, mailbox))

    return read
