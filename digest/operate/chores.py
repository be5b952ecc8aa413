"""What `digest serve` does beside its schedule, again and again: each chore in a thread of its own.

A fault ends nothing. It is told once, and once more when it has passed; until then the pauses grow longer.
"""

import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from digest.errors import DigestError, OtherRevision, StoreError, StoreUnavailable

_LONGEST_PAUSE = timedelta(hours=1)
_GOODBYE = 10.0  # seconds that a chore under way is given at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Something to be done every so often; `work` returns what is worth telling, and may raise DigestError."""

    name: str
    every: timedelta
    work: Callable[[], str | None]
    first: timedelta = timedelta()  # how long after the start


class Chores:
    """Does chores until it is left; a context manager."""

    def __init__(
        self,
        chores: Sequence[Chore],
        *,
        tell: Callable[[str], None],
        note_lost: Callable[[StoreError], bool] = lambda _: False,
    ) -> None:
        """Nothing is done yet.

        `note_lost` hears of a database that is away or of another version, and says whether it tells of that.
        """
        self._tell = tell
        self._note_lost = note_lost
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(chore,), name=f"digest {chore.name}", daemon=True)
            for chore in chores
        ]

    def __enter__(self) -> "Chores":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(_GOODBYE)

    def _repeat(self, chore: Chore) -> None:
        pause, fault = chore.first, ""
        while not self._over.wait(pause.total_seconds()):
            said = self._try(chore)
            if self._over.is_set():
                return
            if said and said != fault:
                self._tell(f"digest: {said}")
            elif fault and not said:
                self._tell(f"digest: {chore.name}: it works again")
            pause = next_pause(chore.every, pause if fault else chore.every) if said else chore.every
            fault = said

    def _try(self, chore: Chore) -> str:
        """Do it once; the fault, if there was one."""
        try:
            told = chore.work()
        except DigestError as error:
            if isinstance(error, StoreUnavailable | OtherRevision) and self._note_lost(error):
                return ""
            return str(error)
        except Exception:  # noqa: BLE001 - a bug must not end what is done beside it
            return f"{chore.name}: {traceback.format_exc()}"
        if told and not self._over.is_set():
            self._tell(told)
        return ""


def next_pause(every: timedelta, last: timedelta) -> timedelta:
    """How long to wait after a fault: twice as long as the last time, an hour at most, and never shorter than usual."""
    return max(every, min(2 * max(last, every), _LONGEST_PAUSE))
