"""A process that says it is there, and what it finds in its way, over real databases."""

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from digest.app import App
from digest.config import load_config
from digest.deliver.lanes import LEASE
from digest.errors import OtherRevision
from digest.models import SetAside, Task
from digest.operate.alerts import tell_incidents
from digest.operate.answering import Answering
from digest.operate.chores import Chore, Chores
from digest.operate.incidents import Standing, Stuck, find_incidents
from digest.operate.presence import Presence, find_wrong_clock, hold_back, wait_until_ready
from digest.operate.status import (
    find_unattended,
    find_versions,
    list_workers,
    read_oldest_claim,
    write_oldest_claim,
    write_standing,
)
from digest.protocols import Watch
from digest.schedule import Ticker
from digest.stores.sql import SqlStore
from tests.acceptance.serving import wait_for

CONFIG = """\
[newsletter]
name = "Morning Brief"
slug = "morning"
sender = "Morning Brief <brief@news.test>"
postal_address = "1 Example Street, Example City"
base_url = "https://news.test"

[alerts]
to = ["editor@news.test"]

[transport]
kind = "outbox"
path = "outbox"

[[sources]]
id = "one"
kind = "feed"
url = "https://news.test/feed"
"""
TICK = timedelta(milliseconds=20)


@pytest.fixture
def app(store: SqlStore, store_url: str, tmp_path: Path) -> App:
    (tmp_path / "config.toml").write_text(CONFIG)
    return App(load_config(tmp_path / "config.toml", {"DIGEST_STORE_URL": store_url}))


@dataclass
class Said:
    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    def has(self, words: str) -> Callable[[], bool]:
        return lambda: any(words in line for line in self.lines)


def watch(app: App, said: Said) -> Presence:
    return Presence(app, queues=["schedule"], tell=said, beat=TICK, look=TICK, grace=TICK)


def test_it_is_listed_while_it_lives_and_comes_back_when_it_was_forgotten(app: App, store: SqlStore) -> None:
    with closing(app), watch(app, Said()):
        (found,) = list_workers(app)
        assert found["queues"] == ["schedule"]
        assert 0 <= found["seconds_ago"] < 60, "it was seen a moment ago, however busy the machine"
        store.workers.forget(before=store.clock() + timedelta(hours=1))
        wait_for(lambda: store.workers.everyone("morning"), 10, "it says again that it is there")
    assert store.workers.everyone("morning") == []


def test_a_process_stays_listed_when_one_reading_of_its_configuration_follows_another(
    app: App, store: SqlStore
) -> None:
    with closing(app):
        first, second = watch(app, Said()), Presence(app, queues=["schedule"], tell=Said())  # which beats seldom
        first.start()
        second.start()
        first.stop(leaves=False)
        assert len(store.workers.everyone("morning")) == 1
        second.stop()
    assert store.workers.everyone("morning") == []


def test_a_database_that_is_upgraded_under_it_is_let_go_of(app: App, store: SqlStore) -> None:
    said, over = Said(), threading.Event()
    presence = Presence(app, queues=["schedule"], tell=said, on_over=over.set, beat=TICK, look=TICK, grace=TICK)
    with closing(app), presence:
        assert app.may_go_on()
        with store._database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        wait_for(lambda: app.store._database.refusal, 10, "nothing is written any more")
        assert not app.may_go_on()
        assert "does not know" in presence.find_obstacle()
        assert over.wait(10), "the process is told to end, to be started again"
        assert presence.has_let_go
        with pytest.raises(OtherRevision):
            presence.require_revision()
        with pytest.raises(OtherRevision):
            app.store.keys.key("a", lambda: "b")
        with pytest.raises(OtherRevision), app.store._database.straight():
            pass
    assert sum("9999" in line for line in said.lines) == 1


def test_who_meets_the_refusal_before_the_process_has_ended_tells_nothing_more(app: App, store: SqlStore) -> None:
    said, over, met = Said(), threading.Event(), threading.Event()

    def look() -> None:
        try:
            app.store.keys.key("a", lambda: "b")
        except OtherRevision:
            met.set()
            raise

    presence = Presence(app, queues=["schedule"], tell=said, on_over=over.set, beat=TICK, look=TICK, grace=TICK)
    chores = Chores([Chore(name="looks", every=TICK, work=look)], tell=said, note_lost=presence.note_lost)
    ticker = Ticker(app, on_report=lambda _: None, on_fault=said)
    with closing(app), presence, chores:
        with store._database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        assert over.wait(20)
        assert met.wait(20)
        app.watch = Unobstructed(presence)  # it looked just before
        ticker.tick()
        with Answering(app, on_fault=said):
            app.asked.set()
    assert len(said.lines) == 1, said.lines


class Unobstructed:
    """A watch, without what it holds back."""

    def __init__(self, watch: Watch) -> None:
        self.note_lost, self.may_send = watch.note_lost, watch.may_send

    def find_obstacle(self) -> str:
        return ""

    find_public_obstacle = find_obstacle


def test_how_long_the_oldest_claim_stands_is_said() -> None:
    now = datetime(2026, 3, 2, 7, tzinfo=UTC)
    assert write_oldest_claim(read_oldest_claim(None, now)) == ""
    assert write_oldest_claim(read_oldest_claim(now + LEASE - timedelta(seconds=34), now)) == (
        "; the oldest claim stands for 34 s"
    )
    assert "longer than its lease" in write_oldest_claim(read_oldest_claim(now - timedelta(seconds=1), now))


def test_a_server_waits_for_a_database_of_another_version_and_goes_on_by_itself(app: App, store: SqlStore) -> None:
    said, was_ready = Said(), []
    with store._database.write() as connection:
        (head,) = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    with closing(app):
        waiting = threading.Thread(target=lambda: was_ready.append(wait_until_ready(app, tell=said)))
        waiting.start()
        wait_for(said.has("it is at revision 0007"), 10, "it says what it waits for")
        with store._database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})
        waiting.join(30)
        assert was_ready == [True]
    assert len(said.lines) == 2


def test_who_waits_for_a_database_can_be_stopped(app: App, store: SqlStore) -> None:
    with store._database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    with closing(app):
        app.stop()
        assert not wait_until_ready(app, tell=Said())


def test_a_clock_that_somebody_else_turns_is_not_measured(app: App) -> None:
    with closing(App(app.config, clock=lambda: datetime(2030, 1, 1, tzinfo=UTC))) as turned:
        assert find_wrong_clock(turned) == ("", None)


class Turned(App):
    """An app whose clock is wrong, as a machine's may be."""

    @property
    def is_on_system_clock(self) -> bool:
        return True


def test_a_wrong_clock_holds_back_until_it_is_right_and_is_told_once(app: App, store: SqlStore) -> None:
    if not store.has_clock:
        pytest.skip("a file has no clock of its own")
    wrong = [timedelta(hours=2)]
    said, done = Said(), []
    turned = Turned(app.config, clock=lambda: datetime.now(UTC) + wrong[0])
    task = Task(kind="compose", newsletter="morning", subject="daily/2026-03-01")
    with closing(turned), watch(turned, said) as presence:
        performs = hold_back({"compose": lambda one: done.append(one)}, presence.find_obstacle)
        assert not turned.may_go_on()
        assert performs["compose"](task)
        assert not done
        (row,) = store.workers.everyone("morning")
        assert row.skew == pytest.approx(7200, abs=30)
        wrong[0] = timedelta()
        wait_for(said.has("is right again"), 10, "it is right again")
        assert performs["compose"](task) is None
        assert done == [task]
    assert sum("2 h ahead" in line or "1 h 59 min ahead" in line for line in said.lines) == 1


def test_several_versions_are_warned_of() -> None:
    from digest import __version__

    assert find_versions([{"version": __version__, "seconds_ago": 1}]) == ""
    warning = f"several versions of Digest use this database: 0.0.1, {__version__}"
    assert find_versions([{"version": "0.0.1", "seconds_ago": 1}]) == warning
    assert find_versions([{"version": "0.0.1", "seconds_ago": 300}]) == "", "it is gone"


def test_who_is_silent_for_long_is_said_to_be_gone() -> None:
    peer = {"host": "one", "version": "1", "queues": ["schedule"]}
    found = {"workers": [peer | {"seconds_ago": 3}, peer | {"seconds_ago": 300}], "tasks": None, "clock": {"fault": ""}}
    lines = [line for line in write_standing(found) if line.startswith("worker")]
    assert lines == [
        "worker     one, 1: schedule; seen 3 s ago",
        "worker     one, 1: schedule; gone, last seen 300 s ago",
    ]


def test_tasks_without_a_worker_are_warned_of() -> None:
    def worker(*queues: str, seconds_ago: int = 2) -> dict[str, object]:
        return {"queues": list(queues), "seconds_ago": seconds_ago}

    tasks = {"waiting": {}, "set_aside": []}
    assert find_unattended({"tasks": None, "workers": []}) == ""
    everything = "no worker is there for collect, read, compose, deliver tasks; start `digest worker`"
    assert find_unattended({"tasks": tasks, "workers": [worker("schedule")]}) == everything
    silent = worker("collect", "read", "compose", "deliver", seconds_ago=300)
    assert find_unattended({"tasks": tasks, "workers": [silent]}) == everything
    some = [worker("collect", "read"), worker("compose")]
    assert find_unattended({"tasks": tasks, "workers": some}).startswith("no worker is there for deliver tasks")
    assert find_unattended({"tasks": tasks, "workers": [*some, worker("deliver")]}) == ""


def test_incidents_are_found_with_when_they_are_told(app: App, store: SqlStore) -> None:
    day = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
    store.editions.miss("morning", "daily", day.date(), "nothing ran", now=day)
    (missed,) = store.editions.newest("morning", 1)
    aside = SetAside(id=3, task=Task(kind="read", newsletter="morning", subject="7"), attempts=5, fault="it is odd")
    stuck = Stuck(edition=missed, done=9)
    found = find_incidents(Standing(editions=[missed], aside=[aside], waiting={"deliver": 2}, stuck=[stuck]))
    assert [one.name for one in found] == [f"missed {missed.id}", "task 3", "no worker", f"stuck {missed.id} at 9"]
    assert [one.after.seconds for one in found] == [0, 0, 300, 600]
    assert find_incidents(Standing(waiting={"deliver": 2}, has_workers=True)) == []


def test_a_missed_edition_is_mailed_to_the_operator_once_over_restarts(
    app: App, store: SqlStore, tmp_path: Path
) -> None:
    now = store.clock()
    store.editions.miss("morning", "daily", now.date(), "nothing ran until noon", now=now)

    def mails() -> list[Path]:
        return list((tmp_path / "outbox" / "new").glob("*"))

    with closing(app):
        assert "was missed: nothing ran until noon" in (tell_incidents(app) or "")
    (mail,) = mails()
    assert b"editor@news.test" in mail.read_bytes()
    with closing(App(app.config)) as restarted:
        assert tell_incidents(restarted) is None
    assert len(mails()) == 1


def test_an_alert_that_did_not_go_is_tried_again(app: App, store: SqlStore, tmp_path: Path) -> None:
    now = store.clock()
    store.editions.miss("morning", "daily", now.date(), "nothing ran until noon", now=now)
    blocked = tmp_path / "outbox"
    blocked.write_text("a file where the folder would be")
    with closing(app):
        assert "No alert was mailed" in (tell_incidents(app) or "")
        blocked.unlink()
        assert "No alert was mailed" not in (tell_incidents(app) or "No alert was mailed")
