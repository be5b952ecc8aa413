"""Procrastinate's worker, over a way to its database that waits while that is away. The only module that loads it.

The library fetches jobs, listens for new ones and runs as many at once as it may. Its worker ends at the first fault
of the database, and leaves a job `doing` for ever when it cannot say how that ended (procrastinate #1518, #1446): so
each way to the database is replaced here by one that goes on until it is back, and says whose job it was.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar

import procrastinate
from procrastinate import exceptions, job_context, jobs, manager, worker
from psycopg import AsyncConnection, errors
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import make_url

from digest.engine.contact import Again, Aside, Contact, Done, Ended, Fetched
from digest.engine.queue import KINDS, LONGEST_PAUSE, ProcrastinateQueue, queue_of
from digest.errors import StoreError
from digest.models import Owner, TaskKind

_POLL: Final = 2.0  # seconds; a new task is told of at once, one that is to be tried again is found so
_NEVER: Final = 1e9
_PATIENCE: Final = 5.0  # seconds for a connection, until it counts as a fault
_FIRST_PAUSE: Final = 1.0  # seconds, twice as long each time
_GOODBYE: Final = 10.0  # seconds for the last words, when the database is away at the end

_REGISTER: Final = """
WITH registered AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id)
INSERT INTO engine_workers (worker_id, owner) SELECT id, %(owner)s::jsonb FROM registered RETURNING worker_id AS id
"""
_BEAT: Final = "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %(worker)s RETURNING id"
_ORPHANS: Final = """
SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = %(worker)s AND id <> ALL(%(known)s::bigint[])
"""
_DONE: Final = """
DELETE FROM procrastinate_jobs
WHERE id = %(id)s AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker)s
"""

T = TypeVar("T")


_BROKEN: Final = Again(pause=timedelta(minutes=1), is_counted=True, fault="it ended without saying how")


@dataclass(slots=True, kw_only=True)
class Consumer:
    """Performs tasks of a queue on one asyncio loop, until it is stopped; once."""

    queue: ProcrastinateQueue
    kinds: Sequence[TaskKind]
    concurrency: int
    owner: Owner
    perform: Callable[[Fetched], Awaitable[Ended]]
    contact: Contact
    heartbeat: timedelta = timedelta(seconds=2)
    _worker: worker.Worker | None = field(default=None, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _stopped_at: float = field(default=0.0, init=False)

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Fetch nothing more, and end when what is under way has; from its own loop."""
        if not self.is_stopping:
            self._stopped_at = asyncio.get_running_loop().time()
            self._stopping.set()
            if self._worker is not None:
                self._worker.stop()  # type: ignore[no-untyped-call]

    async def is_over(self, pause: float, *, says_goodbye: bool) -> bool:
        """Wait a while, until the database answers others, or until this is stopped; whether it was.

        Who `says_goodbye` is given some time after that.
        """
        if self.is_stopping and says_goodbye:
            await asyncio.sleep(min(pause, 1.0))
            return asyncio.get_running_loop().time() - self._stopped_at > _GOODBYE
        waits = [asyncio.ensure_future(event.wait()) for event in (self._stopping, self.contact.turn)]
        try:
            await asyncio.wait(waits, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self.is_stopping and not says_goodbye

    async def run(self) -> None:
        """Until it is stopped, and what is under way has ended. Raises no fault of the database's."""
        # Their words are for programmers, and repeat what a job holds.
        for name in ("procrastinate", "psycopg"):
            logger = logging.getLogger(name)
            logger.propagate = False
            logger.addHandler(logging.NullHandler())
        address = make_url(self.queue.url).set(drivername="postgresql").render_as_string(hide_password=False)
        pool = AsyncConnectionPool(
            address,
            open=False,
            min_size=1,
            max_size=max(2, min(4, self.concurrency)),
            timeout=_PATIENCE,
            reconnect_timeout=_PATIENCE,  # then whoever next asks has it try anew: else its pauses grow without end
            check=AsyncConnectionPool.check_connection,
            configure=_configure,
            kwargs={"application_name": "digest worker", "connect_timeout": 5},
        )
        connector = procrastinate.PsycopgConnector()
        app = procrastinate.App(connector=connector)
        await pool.open()
        try:
            await connector.open_async(pool)
            access = app.job_manager = _Access(connector, self)
            for kind in KINDS:
                app.task(name=kind, pass_context=True)(self._make_function(access))
            while not self.is_stopping:
                self._worker = self._make_worker(app)
                with suppress(_Stopped):
                    await self._worker.run()  # type: ignore[no-untyped-call]
                if not await self.is_over(0.0, says_goodbye=False):
                    self.contact.tell("digest: the library's worker ended unasked; it begins again")
                    await self.is_over(_FIRST_PAUSE, says_goodbye=False)
        finally:
            await pool.close()

    def _make_worker(self, app: procrastinate.App) -> worker.Worker:
        return worker.Worker(
            app,
            queues=[queue_of(kind, self.queue.newsletter) for kind in self.kinds],
            concurrency=self.concurrency,
            fetch_job_polling_interval=_POLL,
            abort_job_polling_interval=_NEVER,
            install_signal_handlers=False,
            update_heartbeat_interval=self.heartbeat.total_seconds(),
        )

    def _make_function(self, access: "_Access") -> Callable[..., Awaitable[None]]:
        async def perform(context: job_context.JobContext, **arguments: object) -> None:
            job = context.job
            access.ended[job.id or 0] = await self.perform(
                Fetched(id=job.id or 0, attempts=job.attempts, arguments=arguments)
            )

        return perform


async def _configure(connection: AsyncConnection[Any]) -> None:
    """A crash of the server may forget that a task was fetched, or done: then it is done once more."""
    await connection.set_autocommit(True)
    await connection.execute("SET synchronous_commit = off")


class _Stopped(Exception):
    """It was stopped before it began."""


class _Access(manager.JobManager):
    """Each way of the library's worker to its database."""

    def __init__(self, connector: procrastinate.PsycopgConnector, consumer: "Consumer") -> None:
        super().__init__(connector)
        self.ended: dict[int, Ended] = {}
        self._consumer = consumer
        self._queue = consumer.queue
        self._number: int | None = None  # of this worker's row
        self._under_way: set[int] = set()  # fetched, and how it ended is not on record yet
        self._fetching = asyncio.Lock()

    async def register_worker(self) -> int:
        owner = json.dumps(asdict(self._consumer.owner))
        found = await self._insist(lambda: self.connector.execute_query_one_async(_REGISTER, owner=owner))
        if found is None:
            raise _Stopped
        self._number = int(found["id"])
        return self._number

    async def unregister_worker(self, worker_id: int) -> None:  # noqa: ARG002 - it may have another by now
        if self._consumer.contact.is_there:  # else it is taken for dead after a while, which does no harm
            await self._insist(partial(super().unregister_worker, self._number or 0))

    async def update_heartbeat(self, worker_id: int) -> None:  # noqa: ARG002
        """Be seen to live; and put back what was fetched when the answer was lost: nobody else would ever do it."""
        rows = await self._insist(partial(self.connector.execute_query_all_async, _BEAT, worker=self._number))
        if rows is not None and not rows:  # it was taken for dead, and what it had is others' now
            with suppress(_Stopped):
                await self.register_worker()
        async with self._fetching:
            known = list(self._under_way)
            rows = await self._insist(
                partial(self.connector.execute_query_all_async, _ORPHANS, worker=self._number, known=known)
            )
        for row in rows or ():
            await self._insist(partial(self._put_back, row["id"], self._number, Again(pause=timedelta())))

    async def prune_stalled_workers(self, seconds_since_heartbeat: float) -> list[int]:  # noqa: ARG002
        """Nothing: who prunes a worker must put back its jobs, see `ProcrastinateQueue.requeue_stalled`."""
        return []

    async def list_jobs_to_abort_async(self, queue: str | None = None) -> Iterable[int]:  # noqa: ARG002
        return ()

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> jobs.Job | None:  # noqa: ARG002
        if self._consumer.contact.obstacle:
            return None  # and asks again when it polls

        async def fetch() -> jobs.Job | None:
            async with self._fetching:
                job = await super(_Access, self).fetch_job(queues=queues, worker_id=self._number or 0)
                if job is not None and job.id is not None:
                    self._under_way.add(job.id)
                return job

        return await self._insist(fetch)

    async def finish_job(self, job: jobs.Job, status: jobs.Status, delete_job: bool) -> None:  # noqa: ARG002
        number = job.id or 0
        ended = self.ended.pop(number, _BROKEN)
        settle: Callable[[], Awaitable[object]]
        if isinstance(ended, Done):
            settle = partial(self.connector.execute_query_async, _DONE, id=number, worker=job.worker_id)
        else:
            settle = partial(self._put_back, number, job.worker_id, ended)
        await self._insist(settle, says_goodbye=True)
        self._under_way.discard(number)

    async def listen_for_jobs(
        self, *, on_notification: manager.NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        while not self._consumer.is_stopping:
            listen = super().listen_for_jobs
            await self._insist(partial(listen, on_notification=on_notification, queues=queues))

    async def _put_back(self, number: int, worker_id: int | None, ended: Again | Aside) -> None:
        if isinstance(ended, Aside):
            await asyncio.to_thread(self._queue.put_aside, number, worker_id, fault=ended.fault)
            return
        again = partial(self._queue.put_back, pause=ended.pause, is_counted=ended.is_counted, fault=ended.fault)
        await asyncio.to_thread(again, number, worker_id)

    async def _insist(self, work: Callable[[], Awaitable[T]], *, says_goodbye: bool = False) -> T | None:
        """Do it, for as long as the database needs to come back; None when this is stopped meanwhile."""
        pause = _FIRST_PAUSE
        while True:
            try:
                result = await work()
            except (exceptions.ConnectorException, StoreError) as error:
                self._consumer.contact.lost(await self._find_fault(error))
            else:
                self._consumer.contact.found(self._queue.name)
                return result
            if await self._consumer.is_over(pause, says_goodbye=says_goodbye):
                return None
            pause = min(2 * pause, LONGEST_PAUSE.total_seconds())

    async def _find_fault(self, error: Exception) -> StoreError:
        """What is wrong, in our words: who waits for a connection of a pool learns only that there is none."""
        cause = error.__cause__
        if isinstance(cause, errors.ForeignKeyViolation):  # it was taken for dead
            with suppress(_Stopped):
                await self.register_worker()
        try:
            await asyncio.to_thread(self._queue.require_schema)
        except StoreError as fault:
            return fault
        if isinstance(error, StoreError):
            return error
        return self._queue.explain(cause if isinstance(cause, Exception) else error)
