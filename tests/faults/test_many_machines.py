"""Ten schedulers and four workers over one server: each edition once and in time, on the days when clocks change.

The clock is the test's own; what workers do comes to them through the queue. Then real processes, by the real clock.
"""

import asyncio
import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import IO

import psycopg
import pytest

from digest.app import App
from digest.config import load_config
from digest.engine.contact import Again, Contact, Done, Ended, Fetched
from digest.engine.library import Consumer
from digest.engine.queue import KINDS, ProcrastinateQueue, read_task
from digest.engine.schema import upgrade_schema
from digest.models import DeliveryState, EditionState, Subscriber, SubscriberState
from digest.schedule import ensure_due
from digest.schedule.calendar import list_entries
from digest.stores.owners import this_owner
from digest.stores.sql import SqlStore
from digest.tasks import make_performing
from tests.acceptance.conftest import NEWSLETTER, Desk
from tests.acceptance.serving import wait_for
from tests.acceptance.test_thirty_days import ZONES, publish
from tests.doubles.clock import Clock
from tests.doubles.postgresql import PostgresServer
from tests.doubles.smtp_server import SmtpServer
from tests.doubles.zones import SEARCHED, appointment
from tests.faults.conftest import FULL
from tests.forking import Forked

SCHEDULERS, WORKERS = 10, 4
READERS = 2  # in each zone
UNDER_WAY = 4  # at once in a worker: so many may be left unknown when it is killed
SETTINGS = """\
[schedule]
at = "{at}"
timezone = "{zone}"
per_subscriber_timezone = {own}
max_lateness = "4h"
pauses = [{pauses}]

[edition]
min_stories = 1

[store]
url = "{url}"

[engine]
kind = "procrastinate"

[[sources]]
id = "wire"
kind = "file"
path = "wire.xml"
rights = "own"

[transport]
"""
OUTBOX = """\
kind = "outbox"
path = "outbox"
"""
# Slow enough for a kill in the midst of it.
SMTP = """\
kind = "smtp"
host = "127.0.0.1"
port = {port}
tls = "none"
rate = "60/s"
per_domain = "off"
"""

# The first day and how many, and the days among them on which clocks change: a short run knows no others.
SPANS = {
    "spring": (date(2026, 3, 8), 30, [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5)]),
    "autumn": (date(2026, 10, 3), 30, [date(2026, 10, 4), date(2026, 10, 25), date(2026, 11, 1)]),
    "september": (date(2026, 9, 5), 3, [date(2026, 9, 6)]),  # in Santiago alone
}


@pytest.fixture
def url(postgresql: PostgresServer) -> Iterator[str]:
    url = postgresql.create()
    SqlStore.open(url, on_made=lambda: upgrade_schema(url)).close()
    yield url
    postgresql.drop(url)


class Hand(threading.Thread):
    """A worker but for its signals: it performs what comes to it through the queue, until it is stopped."""

    def __init__(self, app: App, number: int) -> None:
        super().__init__(daemon=True)
        self.app = app
        self.faults: list[str] = []
        self._name = f"hand {number}"
        self._begun = threading.Event()

    def run(self) -> None:
        with (
            closing(ProcrastinateQueue(self.app.config.store.url, "morning")) as queue,
            closing(make_performing(self.app, concurrency=2)) as performing,
        ):

            async def perform(fetched: Fetched) -> Ended:
                task = read_task(fetched.arguments)
                assert task
                try:
                    pause = await asyncio.to_thread(performing.performs[task.kind], task)
                except Exception as error:  # noqa: BLE001 - the test tells of it
                    self.faults.append(f"{task}: {error!r}")
                    return Done()
                return Done() if pause is None else Again(pause=pause)

            async def work() -> None:
                self._consumer = Consumer(
                    queue=queue,
                    kinds=KINDS,
                    concurrency=2,
                    owner=this_owner(self._name),
                    perform=perform,
                    contact=Contact(self.faults.append),
                )
                self._loop = asyncio.get_running_loop()
                self._begun.set()
                await self._consumer.run()

            asyncio.run(work())

    def begin(self) -> None:
        self.start()
        assert self._begun.wait(30)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._consumer.stop)
        self.join(30)
        assert not self.is_alive()


class Field:
    """The schedulers and the workers, and one clock for all."""

    def __init__(self, apps: Sequence[App], hands: Sequence[Hand], clock: Clock, url: str) -> None:
        self.apps, self.hands, self.clock = apps, hands, clock
        self._url = url.replace("+psycopg", "")
        self._threads = ThreadPoolExecutor(len(apps))

    def look(self, apps: Sequence[App]) -> None:
        """These all look in the same instant; then what is to be done is done."""
        ready = threading.Barrier(len(apps))

        def wake(app: App) -> None:
            ready.wait(30)
            ensure_due(app, app.clock())
            app.sweep_sends()

        for done in [self._threads.submit(wake, app) for app in apps]:
            done.result()
        self._settle()

    def _settle(self) -> None:
        deadline = time.monotonic() + 60
        for hand in self.hands:
            wait_for(self._is_idle, max(1.0, deadline - time.monotonic()), "the tasks are done")
            hand.app.sweep_sends()
        wait_for(self._is_idle, 30, "the tasks are done")

    def _is_idle(self) -> bool:
        # One that was found busy is tried again later, by the server's clock: that is not waited for.
        with psycopg.connect(self._url) as connection:
            ((count,),) = connection.execute(
                "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'"
                " OR (status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now()))"
            ).fetchall()
        return not count

    def close(self) -> None:
        self._threads.shutdown()


@contextmanager
def many(folder: Path, clock: Clock, url: str, pauses: Sequence[date]) -> Iterator[Field]:
    """Ten schedulers and four workers of one newsletter, with readers in each zone."""
    publish(folder, clock().date(), clock())
    listed = ", ".join(f'{{ first = "{day}", last = "{day}" }}' for day in pauses)
    settings = SETTINGS.format(at="02:30", zone="Europe/Berlin", own="true", pauses=listed, url=url)
    (folder / "config.toml").write_text(NEWSLETTER + settings + OUTBOX, encoding="utf-8")
    config = load_config(folder / "config.toml")
    pause = threading.Event()  # a moment of the machine's: the clock stands still in it
    with ExitStack() as stack:
        apps = [
            stack.enter_context(App(config, clock=clock, wait=lambda seconds: bool(pause.wait(min(seconds, 0.02)))))  # type: ignore[arg-type]
            for _ in range(SCHEDULERS + WORKERS)
        ]
        for app in apps[:SCHEDULERS]:
            app.is_swept = True
        for zone in ZONES:
            for number in range(READERS):
                email = f"{name_place(zone)}{number}@readers.test"
                reader = Subscriber(email=email, state=SubscriberState.ACTIVE, timezone=zone)
                apps[0].store.subscribers.add("morning", reader, now=clock())
        hands = [Hand(app, number) for number, app in enumerate(apps[SCHEDULERS:])]
        for hand in hands:
            hand.begin()
            stack.callback(hand.end)
        yield stack.enter_context(closing(Field(apps[:SCHEDULERS], hands, clock, url)))


def name_place(zone: str) -> str:
    return zone.partition("/")[2].lower()


def count_mails(folder: Path) -> Counter[tuple[str, str]]:
    """How often each reader was mailed each edition."""
    counted: Counter[tuple[str, str]] = Counter()
    for path in (folder / "outbox" / "new").iterdir():
        mail = message_from_bytes(path.read_bytes(), policy=default)
        counted[str(mail["To"]), str(mail["Subject"])] += 1
    return counted


@pytest.mark.timeout(1800 if FULL else 300)
@pytest.mark.parametrize("span", sorted(SPANS))
def test_each_edition_goes_once_and_in_time_from_ten_schedulers_and_four_workers(
    tmp_path: Path, url: str, span: str
) -> None:
    first, days, changes = SPANS[span]
    calendar = [first + timedelta(days=ahead) for ahead in range(days)]
    pauses = [] if FULL else [day for day in calendar if day not in changes]
    clock = Clock(datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=2))
    with many(tmp_path, clock, url, pauses) as field:
        store, rules = field.apps[0].store, field.apps[0].config.schedule
        due = list(list_entries(rules, first, days, zones=dict.fromkeys(ZONES, 1), has_weekly=False))
        due = [entry for entry in due if entry.at]
        made_on = set(calendar) - set(pauses)
        store.runs.note_look("morning", "daily", now=clock() + timedelta(hours=36))
        published: set[date] = set()
        for number, entry in enumerate(due):
            assert entry.at
            if entry.day not in published:
                published.add(entry.day)
                publish(tmp_path, entry.day, entry.at)
            turn = number % SCHEDULERS
            apps = [*field.apps[turn:], *field.apps[:turn]]
            # Each looks once a minute, at a second of its own; at the due time the timers of all of them fire.
            clock.now = entry.at - timedelta(seconds=1)
            field.look(apps if FULL else apps[:2])
            clock.now = entry.at
            field.look(apps)
            clock.now = entry.at + timedelta(seconds=59)
            field.look(apps if FULL else apps[:2])
        for hand in field.hands:
            assert hand.faults == []
        assert field.apps[0].queue
        assert field.apps[0].queue.set_aside() == []
        made = store.editions.newest("morning", 100)
        assert sorted(stored.date for stored in made) == sorted(made_on)
        assert {stored.state for stored in made} == {EditionState.SENT}
        expected = {
            (entry.day, f"{name_place(entry.timezone)}{number}@readers.test"): entry.at
            for entry in due
            for number in range(READERS)
        }
        mailed = [
            (stored.date, delivery.email, delivery.state, delivery.attempted_at)
            for stored in made
            for delivery in store.ledger.deliveries(stored.id)
        ]
    assert len(mailed) == len(expected) == len(made_on) * len(ZONES) * READERS
    for day, email, state, at in mailed:
        assert state is DeliveryState.ACCEPTED
        planned = expected[day, email]
        assert at
        assert planned
        assert timedelta() <= at - planned <= timedelta(minutes=1), (day, email)
    mails = count_mails(tmp_path)
    assert len(mails) == len(expected)
    assert set(mails.values()) == {1}


class Machines:
    """Processes of one newsletter, and what they said."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._processes: list[Forked] = []
        self._readers: list[threading.Thread] = []
        self.said: list[str] = []

    def start(self, *command: str) -> Forked:
        process = self._desk.start(*command)
        for stream in (process.stdout, process.stderr):
            reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
            reader.start()
            self._readers.append(reader)
        self._processes.append(process)
        return process

    def _read(self, stream: IO[str]) -> None:
        with stream:
            self.said.extend(stream)

    def stop(self) -> list[int]:
        """Each is told to end; how those ended that were still there."""
        left = [process for process in self._processes if process.poll() is None]
        for process in left:
            process.send_signal(signal.SIGTERM)
        return [process.wait(60) for process in left]

    def close(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        for reader in self._readers:
            reader.join(10)


@pytest.mark.timeout(300)
def test_real_schedulers_and_workers_that_are_killed_and_restarted_mail_nobody_early_or_twice(
    tmp_path: Path, url: str
) -> None:
    desk = Desk(tmp_path)
    readers = 300
    now = datetime.now(UTC)
    with ExitStack() as stack:
        its = stack.enter_context(appointment(tmp_path, seconds=15))
        desk.environment[SEARCHED] = its.path
        publish(tmp_path, its.day, now)
        settings = SETTINGS.format(at=its.at, zone=its.zone, own="false", pauses="", url=url)
        server = stack.enter_context(SmtpServer())
        desk.configure(settings + SMTP.format(port=server.port))
        app = stack.enter_context(App(load_config(tmp_path / "config.toml")))
        machines = stack.enter_context(closing(Machines(desk)))
        store = app.store
        for number in range(readers):
            reader = Subscriber(email=f"reader{number}@readers.test", state=SubscriberState.ACTIVE)
            store.subscribers.add("morning", reader, now=now)
        commands = [("serve", "--port", "0"), ("serve", "--port", "0"), ("worker",), ("worker",)]
        started = [machines.start(*command) for command in commands]

        def taken() -> int:
            made = store.editions.newest("morning")
            return store.ledger.counts(made[0].id).get("accepted", 0) if made else 0

        wait_for(lambda: taken() >= readers // 6, 100, f"the first are mailed: {machines.said}")
        for killed in (0, 2):
            started[killed].kill()
            machines.start(*commands[killed])
        wait_for(
            lambda: [stored.state for stored in store.editions.newest("morning")] == [EditionState.SENT],
            60,
            f"all is sent: {machines.said}",
        )
        assert machines.stop() == [0] * 4, machines.said
        assert not any("Traceback" in line for line in machines.said), machines.said
        (stored,) = store.editions.newest("morning")
        deliveries = list(store.ledger.deliveries(stored.id))
    assert stored.date == its.day
    assert len(deliveries) == readers
    assert {one.state for one in deliveries} <= {DeliveryState.ACCEPTED, DeliveryState.UNKNOWN}
    assert all(one.attempted_at and one.attempted_at >= its.due for one in deliveries)
    mailed = Counter(message.recipient for message in server.messages)
    assert set(mailed.values()) == {1}
    accepted = {one.email for one in deliveries if one.state is DeliveryState.ACCEPTED}
    assert accepted <= set(mailed)
    assert readers - len(accepted) <= UNDER_WAY
