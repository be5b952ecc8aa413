"""`digest worker`: performs the tasks of one newsletter, as many at once as it may, until it is stopped.

    fetched ──> in a thread ──> done
                            ──> again later       it says when, or the database is away: that is no failure
                            ──> again, counted    it failed; each time after a longer pause
                            ──> set aside         it failed too often: kept, and reported

What a task does, and whether it is still needed, is decided elsewhere. Nothing here ends it but a signal.
"""

import asyncio
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from digest.engine.contact import Again, Aside, Contact, Done, Ended, Fetched
from digest.engine.queue import LONGEST_PAUSE, STALLED_AFTER, ProcrastinateQueue, read_task
from digest.errors import ConfigError, DigestError, StoreError, StoreUnavailable
from digest.means import Means, Readings
from digest.models import Owner, SetAside, Task, TaskKind
from digest.operate.chores import Chore, Chores
from digest.protocols import Perform

if TYPE_CHECKING:
    from digest.engine.library import Consumer
    from digest.health import Health

_SWEEP: Final = timedelta(seconds=2)  # how often it is looked for what dead workers left
_CHECK: Final = timedelta(seconds=15)  # whether the database is still of this version
_TIDY: Final = timedelta(minutes=10)
_UNSUITED: Final = timedelta(seconds=30)  # for a task that another worker is to do
_LONGEST_REST: Final = timedelta(minutes=10)
_AT_ONCE: Final = b"digest: ended at once; what was under way is done again by another worker\n"


def choose_pause(attempt: int) -> timedelta:
    """How long a task rests after it failed for the `attempt`-th time: 2 s, 8 s, 32 s, ... 10 min at most. Pure."""
    return min(timedelta(seconds=2 * 4 ** min(attempt - 1, 10)), _LONGEST_REST)


@dataclass(slots=True, kw_only=True)
class Worker:
    """One worker. `run` in the main thread: it minds signals."""

    queue: ProcrastinateQueue
    load: Callable[[], Means]  # reads the configuration; raises ConfigError
    owner: Owner
    tell: Callable[[str], None]  # a line for the operator
    kinds: Sequence[TaskKind]
    concurrency: int = 4
    health: "Health | None" = None
    pause: Callable[[int], timedelta] = choose_pause
    stalled_after: timedelta = STALLED_AFTER
    check_every: timedelta = _CHECK
    announce: Callable[[], None] = lambda: None  # it is at work
    is_hung_up: Callable[[], bool] = lambda: False  # whether the terminal is gone that it was started in
    _readings: Readings = field(init=False)
    _consumer: "Consumer" = field(init=False)
    _contact: Contact = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _told: str = field(default="", init=False)
    _was_unsuited: bool = field(default=False, init=False)
    _begun: set["asyncio.Task[None]"] = field(default_factory=set, init=False)

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and what is under way has ended. Raises ConfigError."""
        self._readings = Readings(self.load())
        asyncio.run(self._run())

    async def _run(self) -> None:
        from digest.engine.library import Consumer

        self._contact = Contact(
            self.tell,
            note_lost=lambda error: self._readings.newest.note_lost(error),
            note_found=lambda: self._readings.newest.note_found(),
        )
        self._consumer = Consumer(
            queue=self.queue,
            kinds=self.kinds,
            concurrency=self.concurrency,
            owner=self.owner,
            perform=self._perform,
            contact=self._contact,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        self._threads = ThreadPoolExecutor(self.concurrency, thread_name_prefix="digest task")
        try:
            if self.health:
                await self.health.start(self._find_obstacle, self._measure)
            if await self._open():
                self.announce()
                with Chores([*self._list_chores(), *self._follow_chores()], tell=self.tell):
                    await self._consumer.run()
        finally:
            if self.health:
                await self.health.close()
            self._threads.shutdown(wait=False)
            self._readings.retire()
            self.queue.close()

    def _stop(self) -> None:
        if self._consumer.is_stopping:
            os.write(2, _AT_ONCE)
            os._exit(1)
        self._consumer.stop()
        self._readings.stop()
        self.tell("digest: stopping with what is under way; a second signal ends at once")

    def _find_obstacle(self) -> str:
        """Why it is not ready; "" when it is."""
        if self._consumer.is_stopping:
            return "it is stopping"
        return "" if self._contact.is_ready else "the database does not answer, or is not of this version"

    def _measure(self) -> bytes:
        with self._readings.using() as means:
            return means.measure()

    async def _open(self) -> bool:
        """Wait for the database, and for its tables to be those of this version; whether it was not stopped."""
        pause = 1.0
        while not self._consumer.is_stopping:
            try:
                await asyncio.to_thread(self._readings.newest.open)
                await asyncio.to_thread(self.queue.require_schema)
            except StoreError as error:
                self._contact.lost(error)
            else:
                self._contact.found(self.queue.name)
                return True
            if await self._consumer.is_over(pause, says_goodbye=False):
                break
            pause = min(2 * pause, LONGEST_PAUSE.total_seconds())
        return False

    def _list_chores(self) -> list[Chore]:
        return [
            Chore(name="what dead workers left", every=_SWEEP, work=self._sweep),
            Chore(name="the database's version", every=self.check_every, work=self._check),
            Chore(name="tidying the queue", every=_TIDY, work=self._tidy, first=_SWEEP),
        ]

    def _follow_chores(self) -> list[Chore]:
        """Those of the means in use, whichever these are by then: what is closed looks after nothing any more."""

        def follow(place: int) -> str | None:
            with self._readings.using() as means:
                return means.chores[place].work()

        return [replace(chore, work=partial(follow, place)) for place, chore in enumerate(self._readings.newest.chores)]

    def _sweep(self) -> None:
        if not self._contact.is_there:  # who waits for it tries again more and more rarely
            return
        with self._telling():
            for aside in self.queue.requeue_stalled(after=self.stalled_after):
                self.tell(describe_aside(aside))

    def _check(self) -> None:
        if not self._contact.is_there:
            return
        try:
            with self._readings.using() as means:
                means.check()
        except StoreUnavailable:
            return  # of which the worker itself tells
        except StoreError as error:
            self._contact.block(error, is_told=True)
            return
        try:
            self.queue.require_schema()
        except StoreUnavailable:
            return  # of which the worker itself tells
        except StoreError as error:
            self._contact.block(error)
        else:
            self._contact.unblock()

    def _tidy(self) -> None:
        if not self._contact.is_there:
            return
        with self._telling():
            self.queue.tidy()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """A fault of the database's is told once, and the next time is no later for it."""
        try:
            yield
        except StoreUnavailable:
            pass  # of which the worker itself tells
        except StoreError as error:
            if str(error) != self._told:
                self._told = str(error)
                self.tell(f"digest: {error}")

    def _begin_reload(self) -> None:
        if self.is_hung_up():
            self._stop()
            return
        begun = asyncio.get_running_loop().create_task(self._reload())
        self._begun.add(begun)
        begun.add_done_callback(self._begun.discard)

    async def _reload(self) -> None:
        """Tasks that begin from now on use the configuration as it is now; where that is faulty, nothing changes."""
        try:
            means = await asyncio.to_thread(self.load)
            await asyncio.to_thread(means.open)
        except DigestError as error:
            faults = error.faults if isinstance(error, ConfigError) else ()
            for line in faults or (str(error),):
                self.tell(f"digest: {line}")
            self.tell("digest: the configuration was read again and not taken; work goes on with the one before")
            return
        if self._consumer.is_stopping:
            means.close()
            return
        self._readings.replace(means)
        self.tell("digest: the configuration was read again; tasks that begin now use it")

    async def _perform(self, fetched: Fetched) -> Ended:
        task = read_task(fetched.arguments)
        perform = self._readings.newest.performs.get(task.kind) if task else None
        if task is None or perform is None or task.newsletter != self.queue.newsletter:
            if not self._was_unsuited:
                self._was_unsuited = True
                self.tell("digest: there are tasks that this version does not know; they are left to other workers")
            return Again(pause=_UNSUITED)
        with self._readings.using():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._try, perform, task, fetched)

    def _try(self, perform: Perform, task: Task, fetched: Fetched) -> Ended:
        """Do it; how it ended."""
        try:
            pause = perform(task)
        except StoreUnavailable as error:
            return Again(pause=self.pause(1), fault=_word(error))
        except DigestError as error:
            fault = _word(error)
        except Exception as error:  # noqa: BLE001 - a bug in one task must not end the others
            place = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"a fault of Digest's own: {type(error).__name__} in {place.name}, line {place.lineno}"
            self.tell(f"digest: {describe(task)}: {traceback.format_exc()}")
        else:
            return Done() if pause is None else Again(pause=pause)
        attempt = fetched.attempts + 1
        if attempt < self.queue.attempts:
            return Again(pause=self.pause(attempt), is_counted=True, fault=fault)
        self.tell(describe_aside(SetAside(id=fetched.id, task=task, attempts=attempt, fault=fault)))
        return Aside(fault=fault)


def describe(task: Task) -> str:
    """A task for the operator."""
    return f"task {task.kind} {task.subject}"


def describe_aside(aside: SetAside) -> str:
    """The line that tells of a task that was set aside."""
    return f"digest: {describe(aside.task)}: set aside after {aside.attempts} attempts: {aside.fault}"


def _word(error: DigestError) -> str:
    """Without its cause, whose words may repeat an address or a secret."""
    return " ".join(f"{error.subject}: {error.message}".split())[:500]
