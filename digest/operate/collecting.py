"""Collecting and reading through the day, ahead of the editions: here, or by workers.

    due sources ──> visits, many at once ──> new entries ──> their pages, read ──> an edition finds them there

Each function does a bounded piece and may be called again and again, by any number of processes: what is claimed in the
store is done by one. What a visit finds, and when the next one is due, is not decided here.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from digest.about import about
from digest.adapters import host_of
from digest.collect import collect
from digest.extract import read_pages, wants_page
from digest.models import SourceReport, Task
from digest.operate.chores import Chore

if TYPE_CHECKING:
    from digest.app import App

T = TypeVar("T")

_EVERY: Final = timedelta(seconds=30)
_SWEEP: Final = timedelta(seconds=10)
_VISITS: Final = 500  # in one go
_PAGES: Final = 60  # in one go: they are held until they are read
_PAGES_SECONDS: Final = 120.0  # for all that are fetched at once
_READ_SECONDS: Final = 20.0  # for reading one; then its process is killed
_LEASE: Final = timedelta(minutes=5)
_FIRST_WAIT: Final = timedelta(minutes=10)
_TRIES: Final = 3
_STRANGER: Final = timedelta(days=1)  # a source that is configured no more is looked at again after that
_TASKS: Final = 5000  # in one go
_AT_ONE_HOST: Final = 4  # tasks that wait


def list_collecting_chores(app: "App") -> list[Chore]:
    """What a scheduler does: visits in one thread, pages in another; or tasks for workers.

    Not at once: an edition that is due when it starts visits the sources itself.
    """
    own = Collecting(app)
    if app.queue is not None:
        return [Chore(name="collecting", every=_SWEEP, first=_SWEEP, work=own.sweep)]
    return [
        Chore(name="collecting", every=_EVERY, first=_EVERY, work=own.collect_due),
        Chore(name="reading", every=_EVERY, first=_EVERY, work=own.read_due),
    ]


class Collecting:
    """The sources of one configuration, looked after by this process."""

    def __init__(self, app: "App") -> None:
        """Nothing is visited yet."""
        self._app = app
        self._ids = frozenset(table.id for table in app.config.sources)
        self._hosts = {table.id: host_of(table) for table in app.config.sources}
        self._is_enrolled = False

    def collect_due(self) -> str | None:
        """Visit what is due, until nothing is; what is worth telling of it. Raises StoreError."""
        told = []
        while names := self._find_due(_VISITS):
            reports = _visit(self._app, names)
            told += [f"digest: source {report.id}: {report.note}" for report in reports if report.new and report.note]
            if self._app.is_stopping or len(names) < _VISITS:
                break
        return "\n".join(told) or None

    def read_due(self) -> str | None:
        """Read the pages that are due, until none is. Raises StoreError."""
        app, slug = self._app, self._app.config.newsletter.slug
        numbers = app.store.reads.due(slug, now=app.clock(), limit=_PAGES)
        if not numbers:
            app.engine.rest()  # its processes take some 100 MB each
        while numbers and not app.is_stopping and _read(app, numbers):
            numbers = app.store.reads.due(slug, now=app.clock(), limit=_PAGES)
        return None

    def sweep(self) -> None:
        """As a chore. Raises StoreError."""
        self.enqueue_due()

    def enqueue_due(self) -> int:
        """Have workers visit what is due and read what waits; how many tasks that made. Raises StoreError."""
        app, slug = self._app, self._app.config.newsletter.slug
        if app.queue is None:
            return 0
        tasks = [
            Task(kind="collect", newsletter=slug, subject=name, identity=f"collect/{slug}/{name}")
            for name in self._choose_by_host(self._find_due(_TASKS))
        ]
        tasks += _make_reads(slug, app.store.reads.due(slug, now=app.clock(), limit=_TASKS))
        return app.queue.enqueue(tasks) if tasks else 0

    def _choose_by_host(self, names: Sequence[str]) -> list[str]:
        """A few of each host: workers know nothing of each other's visits. The others are due at the next look, too."""
        counts: Counter[str] = Counter()
        chosen = []
        for name in names:
            host = self._hosts.get(name, "")
            counts[host] += 1
            if not host or counts[host] <= _AT_ONE_HOST:
                chosen.append(name)
        return chosen

    def _find_due(self, limit: int) -> list[str]:
        """Configured sources that are due."""
        app, slug = self._app, self._app.config.newsletter.slug
        now = app.clock()
        if not self._is_enrolled:
            app.store.visits.enrol(slug, sorted(self._ids), now=now)
            self._is_enrolled = True
        while names := app.store.visits.due(slug, now=now, limit=limit):
            strangers = [name for name in names if name not in self._ids]
            if strangers:
                app.store.visits.postpone(slug, strangers, until=now + _STRANGER)
            if known := [name for name in names if name in self._ids]:
                return known
        return []


def collect_source(app: "App", source: str) -> timedelta | None:
    """Perform a task `collect`: visit a source, if it is due and nobody visits it. Raises StoreError.

    The pages of its new entries become tasks. A source that is configured no more is left alone.
    """
    slug = app.config.newsletter.slug
    with about(source=source):
        _visit(app, [source])
    if app.queue is not None:
        waiting = app.store.reads.due(slug, now=app.clock(), limit=_TASKS, source=source)
        if waiting:
            app.queue.enqueue(_make_reads(slug, waiting))
    return None


def read_entry(app: "App", number: int) -> timedelta | None:
    """Perform a task `read`: fetch and read an entry's page, if that is due and nobody does it. Raises StoreError.

    A page that cannot be had is due again later: the sweep makes another task then.
    """
    _read(app, [number])
    return None


def _visit(app: "App", names: Collection[str]) -> Sequence[SourceReport]:
    """Visit those of these sources that are due; nothing when it was told to stop."""
    now = app.clock()
    pacing = app.pace_visits(app.store, only_due=True, wants_page=wants_page)
    reports = app.network.run(
        lambda fetch: _until_stopped(
            collect(
                app.list_visits(fetch, names),
                app.store.entries,
                app.config.newsletter.slug,
                now=now,
                since=now - app.config.edition.window,
                pacing=pacing,
            ),
            lambda: app.is_stopping,
        )
    )
    return reports or ()


def _read(app: "App", numbers: Sequence[int]) -> bool:
    """Read the pages of these entries; whether any of them was to be had."""
    now, store = app.clock(), app.store
    taken = store.reads.take(numbers, now=now, until=now + _LEASE)
    tries = {stored.number: count for stored, count in taken}
    for number, count in tries.items():
        if count > _TRIES:  # whoever took it so often did not come back
            store.entries.keep_page(number, None)
    readings = read_pages(
        [stored for stored, count in taken if count <= _TRIES],
        partial(app.network.fetch_pages, seconds=_PAGES_SECONDS),
        app.engine.in_kept_processes,
        seconds=_READ_SECONDS,
    )
    for reading in readings:
        count = tries[reading.number]
        if reading.may_come and count < _TRIES:
            store.reads.put_off(reading.number, until=now + decide_rest(count))
        else:
            store.entries.keep_page(reading.number, reading.page)
    return bool(taken)


def decide_rest(tries: int) -> timedelta:
    """How long a page that could not be had is left alone: 10 minutes, 40 minutes, ... Pure."""
    return _FIRST_WAIT * int(4 ** (tries - 1))


def _make_reads(newsletter: str, numbers: Sequence[int]) -> list[Task]:
    return [Task(kind="read", newsletter=newsletter, subject=str(n), identity=f"read/{n}") for n in numbers]


async def _until_stopped(work: Coroutine[Any, Any, T], is_stopping: Callable[[], bool]) -> T | None:
    """Its result; None when it was told to stop meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.wait([task], timeout=0.25)
        if is_stopping() and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return None
    return task.result()
