"""The chores that a configuration asks for."""

from typing import TYPE_CHECKING

from digest.operate.chores import Chore
from digest.operate.inbox import read_inbox, say_read

if TYPE_CHECKING:
    from digest.app import App


def list_chores(app: "App") -> list[Chore]:
    """What `digest serve` does beside its schedule."""
    chores = []
    if app.config.inbox.kind != "none":
        every = app.config.inbox.every
        chores.append(Chore(name="inbox", every=every, work=lambda: say_read(read_inbox(app))))
    return chores
