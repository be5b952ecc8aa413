"""The chores that a configuration asks for."""

from datetime import timedelta
from typing import TYPE_CHECKING

from digest.operate.chores import Chore
from digest.operate.inbox import read_inbox, say_read
from digest.operate.reconciling import find_table, reconcile, say_reconciled

if TYPE_CHECKING:
    from digest.app import App

_DAY = timedelta(days=1)
_SOON = timedelta(minutes=10)


def list_chores(app: "App") -> list[Chore]:
    """What `digest serve` does beside its schedule."""
    chores = []
    if app.config.inbox.kind != "none":
        every = app.config.inbox.every
        chores.append(Chore(name="inbox", every=every, work=lambda: say_read(read_inbox(app))))
    if find_table(app) is not None:
        # Not at once: whoever restarts the server again and again would ask for whole lists each time.
        chores.append(
            Chore(name="suppression lists", every=_DAY, first=_SOON, work=lambda: say_reconciled(reconcile(app)))
        )
    return chores
