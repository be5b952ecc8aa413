"""Single batches handed over as tasks ask for it, over a real server, real tasks and a real SMTP server."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from digest.app import App
from digest.config import load_config
from digest.errors import ConfigError, StoreError
from digest.models import (
    UNSUBSCRIBE_TOKEN,
    EditionState,
    Owner,
    Planned,
    Rendition,
    Report,
    Subscriber,
    SubscriberState,
    Task,
)
from digest.operate.delivering import Deliveries
from digest.stores.rounds import Open, Round, has_moved, is_stuck
from digest.sweeping import WORKER, Sweeper
from digest.tasks import compose, list_worker_chores, read_subject
from tests.acceptance.serving import wait_for
from tests.contract.editions import make_edition
from tests.contract.test_lanes import flaky
from tests.doubles.smtp_server import SmtpServer
from tests.faults.field import NEWSLETTER, SECTION

NOW = datetime.now(UTC)
CONFIG = f"""{NEWSLETTER}
[alerts]
to = ["operator@news.test"]

[transport]
kind = "smtp"
host = "127.0.0.1"
port = {{port}}
tls = "none"
rate = "{{rate}}"
per_domain = "off"
{{more}}
"""
READERS = 12
BATCHES = 4


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as started:
        yield started


@pytest.fixture
def url(server_url: str) -> str:
    return server_url


def write_config(folder: Path, url: str, server: SmtpServer, *, rate: str = "3000/s", more: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(CONFIG.format(store=url, engine="procrastinate", port=server.port, rate=rate, more=more))
    return path


@pytest.fixture
def app(tmp_path: Path, url: str, server: SmtpServer) -> Iterator[App]:
    with App(load_config(write_config(tmp_path, url, server))) as made:
        fill(made)
        yield made


def fill(app: App) -> None:
    readers = [
        Subscriber(email=f"reader{number:03}@rehearsal.test", state=SubscriberState.ACTIVE, consent_at=NOW)
        for number in range(READERS)
    ]
    app.store.subscribers.add_many("morning", readers, now=NOW)


def make_ready(app: App, days: int = 0) -> int:
    """An edition that waits to be planned."""
    made = make_edition(app.today() - timedelta(days=days), composed_at=NOW, cutoff_at=NOW, sections=(SECTION,))
    html = f'<p>A story</p><a href="{UNSUBSCRIBE_TOKEN}">Unsubscribe</a>'
    renditions = [Rendition(variant="all", subject="A subject", html=html, text=UNSUBSCRIBE_TOKEN)]
    return app.store.editions.save(made, renditions, EditionState.READY, None, now=NOW).id


def plan(app: App, days: int = 0) -> int:
    """An edition in some batches, with a task for each."""
    number = make_ready(app, days)
    planned = [
        Planned(subscriber=reader, send_key=f"key-{number}-{reader.id}", variant="all", reason=None)
        for reader in app.store.subscribers.reached("morning")
    ]
    app.store.ledger.plan(number, planned, batch_size=READERS // BATCHES, now=app.clock())
    assert app.store.ledger.begin(number, as_of=None, now=app.clock())
    return number


def waiting(app: App) -> int:
    assert app.queue
    return app.queue.waiting()["deliver"]


def take_all(app: App) -> None:
    """Tasks are taken by somebody, and never done: their worker died for good."""
    with psycopg.connect(app.config.store.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")


def test_each_batch_has_a_task_when_the_edition_is_begun(app: App) -> None:
    plan(app)
    assert waiting(app) == BATCHES


def test_an_edition_is_not_begun_when_its_tasks_cannot_be_added(app: App) -> None:
    number = make_ready(app)
    assert app.queue
    planned_tasks = app.store.rounds.on_due

    def refuse(*_: object) -> None:
        raise StoreError("the queue", "it is full")

    app.store.rounds.on_due = refuse
    planned = [
        Planned(subscriber=reader, send_key=f"key-{reader.id}", variant="all", reason=None)
        for reader in app.store.subscribers.reached("morning")
    ]
    app.store.ledger.plan(number, planned, batch_size=5, now=app.clock())
    with pytest.raises(StoreError):
        app.store.ledger.begin(number, as_of=None, now=app.clock())
    assert app.store.editions.state(number) is EditionState.READY
    app.store.rounds.on_due = planned_tasks
    assert app.store.ledger.begin(number, as_of=None, now=app.clock())
    assert waiting(app) == 3


def test_batches_leave_by_kept_connections_and_the_edition_is_closed_and_told_of_once(
    app: App, server: SmtpServer
) -> None:
    number = plan(app)
    with closing(Deliveries(app, concurrency=2)) as deliveries:
        for _ in range(BATCHES):
            assert deliveries.deliver(number) is None
        assert deliveries.deliver(number) is None  # and nothing is left
        with ThreadPoolExecutor(10) as threads:
            found = list(threads.map(lambda _: app.sweep_sends(), range(10)))
    assert len({message.recipient for message in server.messages}) == len(server.messages) == READERS
    assert server.connections == 1
    reports = [report for reports in found for report in reports]
    assert [report.state for report in reports] == [EditionState.SENT]
    assert reports[0].deliveries == {"accepted": READERS}
    assert app.store.runs.last("morning", edition=number)


def test_tasks_at_once_share_connections_and_open_no_more_than_the_lane_is_given(
    tmp_path: Path, url: str, server: SmtpServer
) -> None:
    with App(load_config(write_config(tmp_path, url, server, more="connections = 2"))) as app:
        fill(app)
        number = plan(app)
        with closing(Deliveries(app, concurrency=8)) as deliveries, ThreadPoolExecutor(BATCHES) as threads:
            assert list(threads.map(deliveries.deliver, [number] * BATCHES)) == [None] * BATCHES
    assert len(server.messages) == READERS
    assert server.connections <= 2


def test_a_stopped_edition_sends_nothing_and_goes_on_when_it_is_resumed(app: App, server: SmtpServer) -> None:
    number = plan(app)
    with closing(Deliveries(app, concurrency=1)) as deliveries:
        deliveries.deliver(number)
        move = app.store.editions.set_state
        assert move(number, EditionState.STOPPED, "by hand", now=app.clock(), only_from=[EditionState.SENDING])
        assert deliveries.deliver(number) is None
        assert len(server.messages) == READERS // BATCHES
        take_all(app)
        assert move(number, EditionState.SENDING, "goes on", now=app.clock(), only_from=[EditionState.STOPPED])
        assert waiting(app) == BATCHES - 1
        for _ in range(BATCHES):
            deliveries.deliver(number)
    assert len(server.messages) == READERS


def test_a_policy_refusal_stops_the_edition_for_all_and_the_operator_is_told_once(app: App, server: SmtpServer) -> None:
    number = plan(app)
    told: list[str] = []

    def refuse(address: str) -> str:
        if address.startswith("operator"):
            told.append(address)
            return "250 2.0.0 queued"
        return "550 5.7.1 not wanted"

    server.on_data = refuse
    with closing(Deliveries(app, concurrency=2)) as deliveries, ThreadPoolExecutor(2) as threads:
        list(threads.map(deliveries.deliver, [number] * BATCHES))
        assert app.sweep_sends() == []
    assert app.store.editions.state(number) is EditionState.STOPPED
    assert told == ["operator@news.test"]
    last = app.store.runs.last("morning", edition=number)
    assert last and last[1].state is EditionState.STOPPED


def test_a_server_that_takes_nothing_now_holds_up_no_thread(app: App, server: SmtpServer) -> None:
    number = plan(app)
    server.on_rcpt = lambda address: "421 4.3.2 try later"
    with closing(Deliveries(app, concurrency=1)) as deliveries:
        pauses = [deliveries.deliver(number) for _ in range(4)]
    assert any(pause and pause >= timedelta(seconds=2) for pause in pauses), pauses
    assert app.store.ledger.counts(number).keys() <= {"planned", "deferred"}


def test_what_could_not_be_let_go_of_is_freed_by_the_next_task(app: App, server: SmtpServer) -> None:
    number = plan(app)
    with closing(Deliveries(app, concurrency=1)) as deliveries:
        with psycopg.connect(app.config.store.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$"
            )
            connection.execute(
                "CREATE TRIGGER full_disk BEFORE UPDATE ON batches FOR EACH ROW"
                " WHEN (old.state = 'claimed') EXECUTE FUNCTION fill()"
            )
            with pytest.raises(StoreError, match="disk is full"):
                deliveries.deliver(number)
            connection.execute("DROP TRIGGER full_disk ON batches")
        assert app.store.ledger.owners(number)
        for _ in range(BATCHES):
            deliveries.deliver(number)
        assert not app.store.ledger.owners(number)
        assert [report.deliveries for report in app.sweep_sends()] == [{"accepted": READERS}]
    assert len({message.recipient for message in server.messages}) == len(server.messages) == READERS


def test_an_edition_that_workers_sent_is_reported_as_any_other_and_is_no_fault(app: App, server: SmtpServer) -> None:
    number = plan(app)
    with closing(Deliveries(app, concurrency=1)) as deliveries:
        for _ in range(BATCHES):
            deliveries.deliver(number)
    reports: list[Report] = []
    (sweep,) = [chore for chore in list_worker_chores(app, on_report=reports.append) if chore.name == "sends"]
    assert sweep.work() is None
    assert [(report.status, report.deliveries) for report in reports] == [("done", {"accepted": READERS})]


def test_an_edition_that_was_left_alone_goes_on_at_once_when_a_person_says_so(app: App, server: SmtpServer) -> None:
    number = plan(app)
    server.on_rcpt = lambda _: "550 5.1.8 the sender's address is not known here"
    with closing(Deliveries(app, concurrency=1)) as deliveries:
        for _ in range(BATCHES):
            deliveries.deliver(number)
        pause = deliveries.deliver(number)
        assert pause
        assert pause > timedelta(seconds=10)
        server.on_rcpt = lambda _: "250 2.1.5 ok"
        assert app.store.ledger.retry(number, batch_size=READERS, now=app.clock())
        assert deliveries.deliver(number) is None
    assert server.messages


def test_what_is_no_news_any_more_is_left_to_the_scheduler_until_a_person_lets_it_go_on(
    app: App, server: SmtpServer
) -> None:
    number = plan(app)
    later = NOW + timedelta(days=3)
    with App(app.config, clock=lambda: later) as woken, closing(Deliveries(woken, concurrency=1)) as deliveries:
        assert deliveries.deliver(number)
        assert not server.messages
        for before, after in (
            (EditionState.SENDING, EditionState.STOPPED),
            (EditionState.STOPPED, EditionState.SENDING),
        ):
            assert app.store.editions.set_state(number, after, "by hand", now=later, only_from=[before])
        assert deliveries.deliver(number) is None
    assert len(server.messages) == READERS // BATCHES


def test_a_zone_that_became_too_late_is_left_to_the_scheduler_and_the_others_go(app: App, server: SmtpServer) -> None:
    number, later = make_ready(app), NOW + timedelta(hours=5)
    due = {"Asia/Bahrain": NOW, "Europe/Berlin": NOW + timedelta(hours=2)}
    planned = [
        Planned(subscriber=reader, send_key=f"key-{reader.id}", variant="all", timezone=zone, due_at=due[zone])
        for reader, zone in zip(app.store.subscribers.reached("morning"), [*due] * (READERS // 2), strict=True)
    ]
    app.store.ledger.plan(number, planned, batch_size=READERS // BATCHES, now=NOW)
    assert app.store.ledger.begin(number, as_of=None, now=NOW)
    with App(app.config, clock=lambda: later) as woken, closing(Deliveries(woken, concurrency=1)) as deliveries:
        assert [deliveries.deliver(number) for _ in range(BATCHES // 2)] == [None] * (BATCHES // 2)
        pause = deliveries.deliver(number)
        assert pause
        assert pause > timedelta(minutes=1)
        assert woken.store.ledger.count_by_zone(number) == {
            "Asia/Bahrain": {"planned": READERS // 2},
            "Europe/Berlin": {"accepted": READERS // 2},
        }
        stored = woken.store.editions.get(number)
        assert stored
        woken.close_late(stored, "it is no news any more", timezones=["Asia/Bahrain"])
        assert deliveries.deliver(number) is None
    assert len(server.messages) == READERS // 2
    assert app.store.editions.state(number) is EditionState.SENT


def test_what_was_made_too_late_for_all_of_its_readers_is_missed_and_left_to_no_worker(
    tmp_path: Path, url: str, server: SmtpServer
) -> None:
    path = write_config(tmp_path, url, server)
    path.write_text(f"{path.read_text()}\n[schedule]\nper_subscriber_timezone = true\n")
    with App(load_config(path)) as app:
        fill(app)
        number = make_ready(app, days=2)
        report = app.run(app.today() - timedelta(days=2), on_time=True, by_workers=True)
        assert (report.state, report.deliveries) == (EditionState.MISSED, {"skipped": READERS})
        assert "the edition was made more than" in report.message
        assert app.sweep_sends() == []
        assert app.store.runs.last("morning", edition=number)


def test_tasks_that_are_lost_are_added_anew_by_one_of_all_who_sweep(app: App) -> None:
    plan(app)
    take_all(app)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: app.sweep_sends(), range(4)))
    assert waiting(app) == BATCHES


def test_tasks_that_rest_for_a_day_are_not_added_over_and_over(app: App) -> None:
    plan(app)
    assert app.queue
    sweeper, now = Sweeper(app.store, app.queue, "morning", monotonic=time.monotonic), app.clock()
    for minutes in range(0, 24 * 60, 11):  # each one of them finds its lane at rest, and is put back
        sweeper.sweep(now + timedelta(minutes=minutes))
    assert waiting(app) == 2 * BATCHES


def test_what_another_edition_waits_for_is_no_task_for_this_one(app: App) -> None:
    stopped = plan(app, days=1)
    assert app.store.editions.set_state(
        stopped, EditionState.STOPPED, "by hand", now=app.clock(), only_from=list(EditionState)
    )
    assert waiting(app) == BATCHES
    number = plan(app)
    with psycopg.connect(app.config.store.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DELETE FROM procrastinate_jobs WHERE args->>'subject' = %s", [str(number)])
    app.sweep_sends()
    assert waiting(app) == 2 * BATCHES


def test_workers_together_are_no_faster_than_their_lane(tmp_path: Path, url: str, server: SmtpServer) -> None:
    config = load_config(write_config(tmp_path, url, server, rate="10/s"))
    with App(config) as app:
        fill(app)
        number = plan(app)

    def work(_: int) -> None:
        with (
            App(config) as app,
            closing(Deliveries(app, concurrency=2)) as deliveries,
            ThreadPoolExecutor(2) as threads,
        ):
            list(threads.map(deliveries.deliver, [number] * BATCHES))

    began = time.monotonic()
    with ThreadPoolExecutor(3) as workers:
        list(workers.map(work, range(3)))
    assert len(server.messages) == READERS
    # Each knows only of the turns that it took; the last of all cannot come before its own, however slow they were.
    assert time.monotonic() - began >= (READERS - 1) / 10


def test_what_a_silent_worker_elsewhere_holds_is_freed_once_the_database_has_answered_for_a_while(app: App) -> None:
    number = plan(app)
    assert app.queue
    strange = Owner(host="elsewhere", boot="another", pid=7, started=1.0, name=f"{WORKER}one-0")
    by_hand = replace(strange, name="one-0")  # it shows no sign of life, whether it lives or not
    until = app.clock() + timedelta(minutes=10)
    for owner in (strange, by_hand):
        assert app.store.ledger.claim(number, owner, lease_until=until, now=app.clock())
    seconds = iter([0.0, 30.0, 60.0])
    sweeper = Sweeper(app.store, app.queue, "morning", monotonic=lambda: next(seconds))
    for holders in ({strange, by_hand}, {strange, by_hand}, {by_hand}):
        sweeper.sweep(app.clock())
        assert app.store.ledger.owners(number) == holders
    assert app.store.ledger.counts(number) == {"planned": 9, "claimed": 3}


def test_a_run_by_hand_waits_for_the_workers_and_says_how_it_ended(app: App, server: SmtpServer) -> None:
    number = plan(app)
    stored = app.store.editions.get(number)
    assert stored
    with (
        App(app.config) as worker,
        closing(Deliveries(worker, concurrency=2)) as deliveries,
        ThreadPoolExecutor(2) as threads,
    ):
        ran = threads.submit(app.run, stored.date)
        for _ in range(BATCHES):
            threads.submit(deliveries.deliver, number)
        report = ran.result(60)
    assert (report.status, report.state) == ("done", EditionState.SENT)
    assert len(server.messages) == READERS
    assert any("by workers" in note for stage in report.stages for note in stage.notes)


def test_a_run_by_hand_that_waits_for_workers_outwaits_a_database_that_is_away(
    url: str, tmp_path: Path, server: SmtpServer
) -> None:
    told: list[str] = []
    config = load_config(write_config(tmp_path, url, server))
    with (
        App(config, on_stage=lambda stage: told.extend(stage.notes)) as app,
        App(config) as worker,
        closing(Deliveries(worker, concurrency=1)) as deliveries,
        ThreadPoolExecutor(1) as threads,
    ):
        fill(app)
        number = plan(app)
        stored = app.store.editions.get(number)
        assert stored
        with flaky(app.store, leased_until=["", "before", "before", "before"]):
            ran = threads.submit(app.run, stored.date)
            wait_for(lambda: any("answers again" in note for note in told) or ran.done(), 60, "it is told")
            for _ in range(BATCHES):
                deliveries.deliver(number)
            assert ran.result(60).state is EditionState.SENT
    assert [sum(words in note for note in told) for words in ("trying again", "answers again")] == [1, 1]


def test_a_run_by_hand_delivers_itself_when_no_worker_does(url: str, tmp_path: Path, server: SmtpServer) -> None:
    told: list[str] = []
    seconds = iter(range(10**6))
    with App(
        load_config(write_config(tmp_path, url, server)),
        clock=lambda: NOW + timedelta(seconds=next(seconds) / 10),
        wait=lambda _: None,
        on_stage=lambda stage: told.extend(stage.notes),
    ) as app:
        fill(app)
        number = plan(app)
        stored = app.store.editions.get(number)
        assert stored
        report = app.run(stored.date)
    assert (report.status, report.state) == ("done", EditionState.SENT)
    assert len(server.messages) == READERS
    assert any("no worker" in note for note in told)


def test_a_task_for_an_edition_that_is_not_there_is_done(app: App) -> None:
    with closing(Deliveries(app, concurrency=1)) as deliveries:
        assert deliveries.deliver(10**30) is None
        assert deliveries.deliver(7) is None


def test_whoever_composes_is_alone_with_it(app: App) -> None:
    with app.store.alone("daily") as first, app.store.alone("daily") as second, app.store.alone("weekly") as third:
        assert (first, second, third) == (True, False, True)
    with app.store.alone("daily") as again:
        assert again


@pytest.mark.parametrize("is_missed", [False, True], ids=["nobody has looked since", "it was missed"])
def test_a_task_that_waited_for_a_day_makes_no_edition_of_yesterday(app: App, *, is_missed: bool) -> None:
    day = app.today() - timedelta(days=2)
    if is_missed:
        assert app.store.editions.miss("morning", "daily", day, "nothing ran", now=NOW)
    task = Task(kind="compose", newsletter="morning", subject=f"daily/{day}")
    assert compose(app, task) is None
    found = app.store.editions.find("morning", "daily", day)
    assert found.state is EditionState.MISSED if is_missed and found else found is None


@pytest.mark.parametrize("subject", ["", "daily", "hourly/2026-03-01", "daily/2026-02-30", "/", "daily/x"])
def test_a_task_that_names_no_edition_is_refused(subject: str) -> None:
    with pytest.raises(ConfigError, match="names no edition"):
        read_subject(subject)


def test_only_what_makes_no_progress_is_stuck() -> None:
    last = Round(number=1, waiting=5, enqueued_at=NOW)

    def look(due: int = 5, claimed: int = 0, last: Round | None = last) -> Open:
        return Open(edition=1, due=due, claimed=claimed, later=0, last=last)

    late = NOW + timedelta(seconds=10)
    assert is_stuck(look(), late)
    assert is_stuck(look(last=None), NOW)
    assert not is_stuck(look(), NOW + timedelta(seconds=9))
    assert not is_stuck(look(due=4), late)
    assert not is_stuck(look(claimed=1), late)
    assert not is_stuck(look(due=0), late)
    assert not is_stuck(look(), NOW - timedelta(seconds=1))
    assert is_stuck(look(), NOW - timedelta(hours=1))
    assert not is_stuck(look(last=Round(number=2, waiting=5, enqueued_at=NOW)), late)
    assert has_moved(look(due=4), late)
    assert not has_moved(look(), late)
