"""That a process is there, and whether it may act: asked by all of it that composes, or delivers.

    each 5 s   says in the database that it is there; notices when that is away, and when it is back
    each 60 s  compares the clock with the server's, and the database's revision with the one that it knows

What it finds is told once, and once more when it has passed. Of a database that was upgraded under it, it lets go: what
is under way is given some seconds to end, and then nothing is read or written by this process any more.
"""

import platform
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from digest import __version__
from digest.errors import DigestError, OtherRevision, StoreError, StoreUnavailable
from digest.models import Peer, Task, TaskKind
from digest.operate.chores import Chore
from digest.operate.clock import find_skew, find_step_back, measure
from digest.protocols import Perform
from digest.stores.owners import name_process, this_owner

if TYPE_CHECKING:
    from digest.app import App

_BEAT: Final = timedelta(seconds=5)
_LOOK: Final = timedelta(seconds=60)
_LONGEST_PAUSE: Final = timedelta(seconds=30)
_GRACE: Final = timedelta(seconds=20)  # for what is under way when the database was upgraded
_FORGOTTEN_AFTER: Final = timedelta(days=1)
_HELD_BACK: Final = timedelta(seconds=15)  # a task that may not be done here now


class Presence:
    """One process of one newsletter, in a thread of its own; a context manager, or `start` and `stop`."""

    def __init__(
        self,
        app: "App",
        *,
        queues: Sequence[str],
        concurrency: int = 1,
        tell: Callable[[str], None],
        on_back: Callable[[], None] = lambda: None,
        on_over: Callable[[], None] = lambda: None,
        beat: timedelta = _BEAT,
        look: timedelta = _LOOK,
        grace: timedelta = _GRACE,
    ) -> None:
        """Nothing is done yet. `on_back` hears when the database is back, and when what was in the way has passed.

        `on_over` hears that nothing can be done here any more; unless the app was asked to stop, it is to end the
        process: who started it starts it again, and a new one waits for the database or is of the new version.
        """
        self._app = app
        self._tell = tell
        self._on_back, self._on_over = on_back, on_over
        self._beat, self._look, self._grace = beat, look, grace
        self._queues, self._concurrency = tuple(queues), concurrency
        self._number = name_process(this_owner(""))
        self._peer: Peer | None = None
        self._skew: float | None = None
        self._away = ""  # the fault of a database that does not answer
        self._clock = ""  # what is wrong with the clock
        self._other: StoreError | None = None  # the database is of another version
        self._has_let_go = False
        self._fault = ""
        self._over = threading.Event()
        self._awake = threading.Event()  # to be over, or to look before its time
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Presence":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Look, so that nothing is sent before; and begin to beat. Once."""
        if self._thread is not None:
            return
        self._try(is_look=True)
        self._app.watch = self
        self._thread = threading.Thread(target=self._repeat, name="digest presence", daemon=True)
        self._thread.start()

    def stop(self, *, leaves: bool = True) -> None:
        """Say that it ends, unless another says of the same process that it is there: then it does not leave."""
        self._over.set()
        self._awake.set()
        if self._thread is None:
            return
        self._thread.join(10)
        self._thread = None
        if leaves and not self._away and self._other is None:
            with suppress(DigestError):
                self._app.store.workers.leave(self._number)

    @property
    def has_let_go(self) -> bool:
        """Whether the database is of another version, and was let go of."""
        return self._has_let_go

    def find_obstacle(self) -> str:
        """Why nothing may be composed, delivered or collected here now; "" when it may."""
        return str(self._other) if self._other else self._clock or self._away

    def find_public_obstacle(self) -> str:
        """The same for who may not know where the database lies."""
        if self._other:
            return "the database is of another version"
        return self._clock or ("the database does not answer" if self._away else "")

    def may_send(self) -> bool:
        """Whether a send under way may go on. Where only the database is away, it waits for that itself."""
        return not self._other and not self._clock

    def note_lost(self, error: StoreError) -> bool:
        """Somebody met a database that is away, or of another version: told once. Whether nobody else need tell."""
        if self._thread is None:
            return False
        if isinstance(error, OtherRevision):
            self._note_other(error)
        else:
            self._tell_lost(error)
        return True

    def look_now(self) -> None:
        """Somebody met a database that is back: what was held back for it need not wait for the next look."""
        self._awake.set()

    def _tell_lost(self, error: StoreError) -> None:
        with self._turn:
            if not self._away:
                self._away = str(error)
                self._tell(f"digest: {error}; trying again, every {_LONGEST_PAUSE.seconds} s at the longest")

    def _repeat(self) -> None:
        pause, since_look, ends = self._beat, timedelta(), timedelta()
        while not self._rest(pause):
            since_look += pause
            is_look = since_look >= self._look or bool(self._away)
            if self._other is not None:
                ends += pause
                if ends >= self._grace:
                    self._app.store.shut(self._other)
                    self._has_let_go = True
                    if not self._app.is_stopping:
                        self._on_over()
                    return
                pause = min(pause, self._grace)
                continue
            self._try(is_look=is_look)
            if is_look:
                since_look = timedelta()
            pause = next_pause(pause, self._beat) if self._away else self._beat

    def _rest(self, pause: timedelta) -> bool:
        """Wait as long, unless there is something to look at; whether it is over."""
        self._awake.wait(pause.total_seconds())
        self._awake.clear()
        return self._over.is_set()

    def _try(self, *, is_look: bool) -> None:
        try:
            if is_look:
                self.require_revision()
                self._compare()
            self._say()
        except StoreUnavailable as error:
            self._tell_lost(error)
        except OtherRevision as error:
            self._note_other(error)
        except DigestError as error:
            self._report(str(error))
        except Exception:  # noqa: BLE001 - a bug here must not make this process look dead
            self._report(traceback.format_exc())
        else:
            self._fault = ""
            self._found()

    def _note_other(self, error: StoreError) -> None:
        with self._turn:
            if self._other is None:
                self._other = error
                ends = f"this process ends in {self._grace.total_seconds():.0f} s"
                self._tell(f"digest: {error}; nothing is begun here any more, and {ends}")

    def _report(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            self._tell(f"digest: {fault}")

    def _found(self) -> None:
        with self._turn:
            away, self._away = self._away, ""
        if away:
            self._tell("digest: the database answers again")
            self._on_back()

    def _say(self) -> None:
        """That it is there."""
        store = self._app.store
        now = store.clock()
        if self._peer is None:
            self._peer = Peer(
                id=self._number,
                newsletter=self._app.config.newsletter.slug,
                host=platform.node()[:255],
                version=__version__,
                queues=self._queues,
                concurrency=self._concurrency,
                started_at=now,
                seen_at=now,
                steady_since=now,
            )
            store.workers.forget(before=now - _FORGOTTEN_AFTER)
        self._peer = replace(self._peer, skew=self._skew)
        store.workers.beat(self._peer, now=now)

    def require_revision(self) -> None:
        """Raises OtherRevision when the database is of another version, or was: that is told here. Else StoreError."""
        if self._other is not None:
            raise self._other
        try:
            self._app.store.require_revision()
        except OtherRevision as error:
            self._note_other(error)
            raise

    def _compare(self) -> None:
        """Hold back while the clock is wrong. A clock that somebody else turns, as simulations do, is not measured."""
        found, self._skew = find_wrong_clock(self._app)
        before, self._clock = self._clock, found
        if found and not before:
            self._tell(f"digest: {found}")
        elif before and not found:
            self._tell("digest: the clock of this machine is right again")
            self._on_back()


def wait_until_ready(app: "App", *, tell: Callable[[str], None]) -> bool:
    """Open what a server needs; wait while the database is away or of another version. False: asked to stop meanwhile.

    Raises DigestError for what no waiting mends.
    """
    pause, fault = 1.0, ""
    while not app.is_stopping:
        try:
            app.require_ready()
        except (StoreUnavailable, OtherRevision) as error:
            if str(error) != fault:
                fault = str(error)
                tell(f"digest: {error}; trying again, every {_LONGEST_PAUSE.seconds} s at the longest")
        else:
            if fault:
                tell("digest: the database can be used now")
            return True
        app.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE.total_seconds())
    return False


def find_wrong_clock(app: "App") -> tuple[str, float | None]:
    """What is wrong with this machine's clock ("": nothing), and how many seconds it is ahead. Raises StoreError."""
    if not app.is_on_system_clock:
        return "", None
    if not app.store.has_clock:
        last = app.store.runs.last(app.config.newsletter.slug)
        return find_step_back(app.clock(), last[0] if last else None), None
    before: datetime = app.clock()
    there = app.store.clock()
    skew = measure(before, there, app.clock())
    return find_skew(skew), skew.total_seconds()


def next_pause(last: timedelta, shortest: timedelta) -> timedelta:
    """How long to wait for a database that is away: from a second on twice as long each time, 30 s at most. Pure."""
    return timedelta(seconds=1) if last == shortest else min(2 * last, _LONGEST_PAUSE)


def hold_back(performs: Mapping[TaskKind, Perform], find_obstacle: Callable[[], str]) -> Mapping[TaskKind, Perform]:
    """The same, which leave tasks for later while something is in the way. Pure."""

    def guard(perform: Perform) -> Perform:
        def try_to(task: Task) -> timedelta | None:
            return _HELD_BACK if find_obstacle() else perform(task)

        return try_to

    return {kind: guard(perform) for kind, perform in performs.items()}


def hold_back_chores(chores: Sequence[Chore], find_obstacle: Callable[[], str]) -> list[Chore]:
    """The same, which leave out a turn while something is in the way. Pure."""

    def guard(chore: Chore) -> Chore:
        return replace(chore, work=lambda: None if find_obstacle() else chore.work())

    return [guard(chore) for chore in chores]
