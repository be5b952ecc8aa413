"""The ticker over a real newsletter: what wakes it, what holds it back, and what it asks of workers."""

import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from digest.app import App
from digest.config import load_config
from digest.models import EditionState, Report, SetAside, Subscriber, SubscriberState, Task, TaskKind
from digest.schedule import Ticker, ensure_due
from tests.acceptance.serving import wait_for
from tests.acceptance.test_thirty_days import publish, several
from tests.doubles.clock import Clock


class Kept:
    """protocols.Queue: tasks that nobody does."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def enqueue(self, tasks: Sequence[Task], *, within: object | None = None) -> int:
        waiting = {task.identity for task in self.tasks}
        new = [task for task in tasks if not task.identity or task.identity not in waiting]
        self.tasks += new
        return len(new)

    def waiting(self) -> Mapping[TaskKind, int]:
        return {}

    def set_aside(self, limit: int = 100) -> Sequence[SetAside]:
        return []

    def count_aside(self) -> int:
        return 0

    def close(self) -> None:
        pass


def test_an_edition_whose_readers_wait_for_their_own_time_is_no_fault_and_not_run_each_minute(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 2, 23, 30, 5, tzinfo=UTC))
    reports: list[Report] = []
    faults: list[str] = []
    with several(tmp_path, clock, number=1, bahrain="Asia/Bahrain", berlin="Europe/Berlin") as (app,):
        ticker = Ticker(app, on_report=reports.append, on_fault=faults.append)
        for _ in range(121):
            ticker.tick()
            clock.wait(60)
        assert [report.state for report in reports] == [EditionState.SENDING, EditionState.SENT]
        assert faults == []


def test_an_edition_that_became_due_is_made_though_another_is_given_time(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 29, 30, tzinfo=UTC))
    reports: list[Report] = []
    faults: list[str] = []
    with several(tmp_path, clock, own=False, number=1, one="") as (app,):
        ticker = Ticker(app, on_report=reports.append, on_fault=faults.append)
        for line in ticker._lines:
            line._hold_back(clock(), "something")
            line._quiet_until = clock() + timedelta(minutes=15)
        ticker.tick()
        assert reports == []
        clock.wait(31)
        ticker.tick()
        assert [report.state for report in reports] == [EditionState.SENT]


def test_a_weekly_edition_does_not_wait_for_a_daily_one_that_is_under_way(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 8, 1, 30, 5, tzinfo=UTC))  # a Sunday
    reports: list[Report] = []
    with several(tmp_path, clock, own=False, number=1, one="") as (app,):
        reader = Subscriber(email="weekly@readers.test", state=SubscriberState.ACTIVE, frequency="weekly")
        app.store.subscribers.add("morning", reader, now=clock())
        ticker = Ticker(app, on_report=reports.append, on_fault=lambda _: None)
        with ticker._lines[0]._turn:
            ticker.tick()
        assert [(report.cadence, report.state) for report in reports] == [("weekly", EditionState.SENT)]


def test_there_is_a_timer_for_each_zone_that_readers_live_by(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 2, 12, tzinfo=UTC))
    faults: list[str] = []
    with several(tmp_path, clock, number=1, one="Asia/Bahrain", two="Europe/Berlin", three="Mars/Base") as (app,):
        ticker = Ticker(app, on_report=lambda _: None, on_fault=faults.append)

        def timers() -> set[str]:
            return {job.id for job in ticker._scheduler.get_jobs() if job.id.startswith("due")}

        with ticker:
            wait_for(lambda: timers() == {"due Asia/Bahrain", "due Europe/Berlin"}, 30, "timers of both zones")
            app.store.subscribers.add(
                "morning",
                Subscriber(email="four@readers.test", state=SubscriberState.ACTIVE, timezone="Pacific/Niue"),
                now=clock(),
            )
            one = app.store.subscribers.find("morning", "one@readers.test")
            assert one
            app.store.subscribers.leave("morning", one.key, now=clock())
            ticker._follow_zones()
            assert timers() == {"due Asia/Bahrain", "due Europe/Berlin"}  # they are read once an hour
            clock.wait(3600)
            ticker._follow_zones()
            assert timers() == {"due Pacific/Niue", "due Europe/Berlin"}
    assert faults == []


class Slow:
    """Readers' zones that are still being read when the ticker is told to end."""

    kept = ()

    def __init__(self) -> None:
        self.is_asked, self.is_ending = threading.Event(), threading.Event()

    def read(self) -> Collection[str]:
        self.is_asked.set()
        assert self.is_ending.wait(30)
        return {"Asia/Bahrain"}


def test_it_ends_while_timers_are_being_set(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 2, 12, tzinfo=UTC))
    zones = Slow()
    with several(tmp_path, clock, own=False, number=1, one="") as (app,):
        ticker = Ticker(app, on_report=lambda _: None, on_fault=lambda _: None)
        ticker._zones = zones  # type: ignore[assignment]
        ticker.__enter__()
        assert zones.is_asked.wait(30)
        ending = threading.Thread(target=ticker.__exit__, daemon=True)
        ending.start()
        wait_for(lambda: not ticker._scheduler.running, 10, "the scheduler ends")
        zones.is_ending.set()
        ending.join(20)
        assert not ending.is_alive()


def test_where_workers_do_the_work_what_is_due_becomes_one_task_and_nothing_is_made_here(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 30, 10, tzinfo=UTC))
    queue = Kept()
    with several(tmp_path, clock, own=False, number=2, one="") as apps:
        for app in apps:
            app.__dict__["queue"] = queue
            assert ensure_due(app, clock()) is None
            assert ensure_due(app, clock()) is None
        (task,) = queue.tasks
        assert task == Task(
            kind="compose",
            newsletter="morning",
            subject="daily/2026-03-03",
            identity="compose/morning/daily/2026-03-03",
        )
        assert apps[0].store.editions.newest("morning") == []
        clock.now = datetime(2026, 3, 3, 6, tzinfo=UTC)  # no worker took it
        apps[0].store.runs.note_look("morning", "daily", now=datetime(2026, 3, 2, 12, tzinfo=UTC))
        assert ensure_due(apps[0], clock()) is None
        (stored,) = apps[0].store.editions.newest("morning")
        assert (stored.date, stored.state) == (date(2026, 3, 3), EditionState.MISSED)


def test_a_run_by_hand_is_taken_up_by_a_scheduler_and_the_other_way_round(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 30, 10, tzinfo=UTC))
    with several(tmp_path, clock, own=False, number=1, one="") as (app,):
        app.run(date(2026, 3, 3), send=False)
        report = ensure_due(app, clock())
        assert report
        assert report.state is EditionState.SENT
        publish(tmp_path, date(2026, 3, 4), datetime(2026, 3, 4, 1, 30, tzinfo=UTC))
        clock.now = datetime(2026, 3, 4, 1, 30, 10, tzinfo=UTC)
        with App(load_config(tmp_path / "config.toml"), clock=clock, wait=clock.wait) as other:
            ensure_due(other, clock())
        again = app.run(date(2026, 3, 4))
        assert "already sent" in again.message
