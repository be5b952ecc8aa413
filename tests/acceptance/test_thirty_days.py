"""Thirty days with several schedulers over one database: a real newsletter, and a clock that the test turns."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from digest.app import App
from digest.config import load_config
from digest.models import EditionState, Report, Subscriber, SubscriberState
from digest.schedule import ensure_due
from digest.schedule.calendar import list_entries
from tests.acceptance.conftest import NEWSLETTER
from tests.doubles.clock import Clock

ZONES = ("Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Bahrain", "Australia/Lord_Howe")
SETTINGS = """\
[schedule]
at = "02:30"
timezone = "Europe/Berlin"
per_subscriber_timezone = {own}
max_lateness = "4h"

[edition]
min_stories = 1

[[sources]]
id = "wire"
kind = "file"
path = "wire.xml"
rights = "own"

[transport]
kind = "outbox"
path = "outbox"
"""


def publish(folder: Path, day: date, now: datetime) -> None:
    """The one source has a story of that day's own."""
    chance = random.Random(day.toordinal())
    words = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(4, 9))) for _ in range(40)]
    sentences = " ".join(f"{' '.join(words[at : at + 10]).capitalize()}." for at in range(0, 40, 10))
    item = (
        f"<item><title>{' '.join(words[:6]).capitalize()}</title><link>https://wire.test/{day}</link>"
        f"<pubDate>{format_datetime(now - timedelta(minutes=5))}</pubDate><description>{sentences}</description></item>"
    )
    feed = f'<rss version="2.0"><channel><title>The Wire</title><link>https://wire.test/</link>{item}</channel></rss>'
    (folder / "wire.xml").write_text(feed, encoding="utf-8")


@contextmanager
def several(folder: Path, clock: Clock, *, number: int = 3, own: bool = True, **readers: str) -> Iterator[list[App]]:
    """That many schedulers of one newsletter, whose readers are in these zones."""
    publish(folder, clock().date(), clock())
    settings = SETTINGS.format(own="true" if own else "false")
    (folder / "config.toml").write_text(NEWSLETTER + settings, encoding="utf-8")
    config = load_config(folder / "config.toml")
    with ExitStack() as stack:
        apps = [stack.enter_context(App(config, clock=clock, wait=clock.wait)) for _ in range(number)]
        for app in apps:
            app.is_swept = True
        for name, zone in readers.items():
            reader = Subscriber(email=f"{name}@readers.test", state=SubscriberState.ACTIVE, timezone=zone)
            apps[0].store.subscribers.add("morning", reader, now=clock())
        yield apps


def look(apps: list[App]) -> None:
    """Each looks once, and again while there was something to do."""
    for app in apps:
        for _ in range(5):
            if ensure_due(app, app.clock()) is None:
                break


def test_each_edition_goes_once_to_everybody_at_their_own_time_across_the_days_when_clocks_change(
    tmp_path: Path,
) -> None:
    first, days = date(2026, 3, 8), 30  # 02:30 does not come in New York on the first of them, in Berlin on the 29th
    clock = Clock(datetime(2026, 3, 6, tzinfo=UTC))
    readers = {zone.partition("/")[2].lower(): zone for zone in ZONES}
    with several(tmp_path, clock, **readers) as apps:
        store, rules = apps[0].store, apps[0].config.schedule
        due = list(list_entries(rules, first, days, zones=dict.fromkeys(ZONES, 1), has_weekly=False))
        store.runs.note_look("morning", "daily", now=datetime(2026, 3, 7, 12, tzinfo=UTC))
        published: set[date] = set()
        for number, entry in enumerate(due):
            assert entry.at
            if entry.day not in published:
                published.add(entry.day)
                publish(tmp_path, entry.day, entry.at)
            clock.now = entry.at - timedelta(seconds=1)
            look([apps[number % 3]])
            # Each sweeps once a minute, at a second of its own.
            for turn in range(2):
                clock.now = entry.at + timedelta(seconds=1 + 40 * turn)
                look([apps[(number + turn) % 3]])
        made = store.editions.newest("morning", 100)
        assert sorted(stored.date for stored in made) == [first + timedelta(days=ahead) for ahead in range(days)]
        assert {stored.state for stored in made} == {EditionState.SENT}
        expected = {(entry.day, readers_name(entry.timezone)): entry.at for entry in due}
        mailed = [
            (stored.date, delivery.email.partition("@")[0], delivery.attempted_at)
            for stored in made
            for delivery in store.ledger.deliveries(stored.id)
        ]
    assert len(mailed) == len(expected) == days * len(ZONES)
    for day, name, at in mailed:
        assert at
        assert timedelta() <= at - expected[day, name] <= timedelta(minutes=1), (day, name)
    assert len(list((tmp_path / "outbox" / "new").iterdir())) == len(mailed)


def readers_name(zone: str) -> str:
    """The reader who lives there."""
    return zone.partition("/")[2].lower()


def test_a_machine_that_slept_three_days_makes_one_edition_and_marks_the_others_missed(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 30, 10, tzinfo=UTC))
    with several(tmp_path, clock, own=False, number=2, one="") as apps:
        look(apps)
        clock.now = datetime(2026, 3, 6, 4, tzinfo=UTC)
        publish(tmp_path, date(2026, 3, 6), clock.now)
        look(apps)
        look(apps)
        found = {stored.date.day: stored for stored in apps[0].store.editions.newest("morning")}
    assert {day: stored.state.value for day, stored in found.items()} == {
        3: "sent",
        4: "missed",
        5: "missed",
        6: "sent",
    }
    assert found[5].reason == ("nothing ran until 2026-03-06 04:00 UTC, when the edition of 2026-03-06 was due already")
    assert len(list((tmp_path / "outbox" / "new").iterdir())) == 2


def test_who_wakes_too_late_for_any_edition_marks_each_as_missed(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 30, 10, tzinfo=UTC))
    with several(tmp_path, clock, own=False, number=2, one="") as apps:
        look(apps)
        clock.now = datetime(2026, 3, 5, 12, tzinfo=UTC)
        look(apps)
        look(apps)
        found = {stored.date.day: stored for stored in apps[0].store.editions.newest("morning")}
    assert {day: stored.state.value for day, stored in found.items()} == {3: "sent", 4: "missed", 5: "missed"}
    assert "more than 4 h after it was due" in (found[5].reason or "")


def test_of_an_edition_that_is_late_for_some_zones_their_readers_are_named_and_the_others_get_it(
    tmp_path: Path,
) -> None:
    clock = Clock(datetime(2026, 3, 3, 6, 30, tzinfo=UTC))
    with several(tmp_path, clock, number=2, bahrain="Asia/Bahrain", berlin="Europe/Berlin", santiago=ZONES[2]) as apps:
        store = apps[0].store
        store.runs.note_look("morning", "daily", now=datetime(2026, 3, 2, 12, tzinfo=UTC))
        look(apps)
        (stored,) = store.editions.newest("morning")
        assert stored.state is EditionState.SENT
        states = {delivery.email: delivery for delivery in store.ledger.deliveries(stored.id)}
    assert states["santiago@readers.test"].state == "accepted"
    for name in ("bahrain", "berlin"):
        assert states[f"{name}@readers.test"].state == "skipped"
        assert "Asia/Bahrain" in (states["bahrain@readers.test"].answer or "")


def test_a_machine_that_sleeps_between_two_zones_gives_up_those_that_it_slept_through(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 2, 23, 30, 5, tzinfo=UTC))
    with several(tmp_path, clock, number=2, bahrain="Asia/Bahrain", berlin="Europe/Berlin", newyork=ZONES[1]) as apps:
        store = apps[0].store
        look(apps)
        (stored,) = store.editions.newest("morning")
        assert store.ledger.counts(stored.id) == {"planned": 2, "accepted": 1}
        clock.now = datetime(2026, 3, 3, 6, tzinfo=UTC)
        look(apps)
        states = {delivery.email.partition("@")[0]: delivery for delivery in store.ledger.deliveries(stored.id)}
        assert {name: one.state.value for name, one in states.items()} == {
            "bahrain": "accepted",
            "berlin": "skipped",
            "newyork": "planned",
        }
        assert (states["berlin"].answer or "").startswith(
            "in Europe/Berlin it was not sent within 4 h after it was due"
        )
        run = store.runs.last("morning", edition=stored.id)
        assert run
        assert (run[1].status, run[1].state) == ("partial", EditionState.SENDING)
        assert "1 waits for their own time zone, the next at 02:30 in America/New_York" in run[1].message
        assert run[1].message.endswith(
            "; 1 in Europe/Berlin given up: it was not sent within 4 h after it was due there, and is no news any more"
        )
        clock.now = datetime(2026, 3, 3, 7, 30, 30, tzinfo=UTC)
        look(apps)
        last = store.editions.get(stored.id)
        assert last
        assert last.state is EditionState.SENT
        assert store.ledger.counts(stored.id) == {"accepted": 2, "skipped": 1}


def test_days_of_a_pause_that_somebody_took_out_of_the_schedule_were_not_missed(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 30, 10, tzinfo=UTC))
    with several(tmp_path, clock, own=False, number=1, one="") as apps:
        look(apps)
        paused = (tmp_path / "config.toml").read_text(encoding="utf-8")
    pause = 'pauses = [{ first = "2026-03-04", last = "2026-03-20" }]\n'
    (tmp_path / "config.toml").write_text(paused.replace("[edition]", f"{pause}\n[edition]"), encoding="utf-8")
    with App(load_config(tmp_path / "config.toml"), clock=clock, wait=clock.wait) as app:
        for day in range(4, 9):
            clock.now = datetime(2026, 3, day, 9, tzinfo=UTC)
            look([app])
    (tmp_path / "config.toml").write_text(paused, encoding="utf-8")
    with App(load_config(tmp_path / "config.toml"), clock=clock, wait=clock.wait) as app:
        clock.now = datetime(2026, 3, 8, 9, 10, tzinfo=UTC)
        look([app])
        assert [stored.date.day for stored in app.store.editions.newest("morning")] == [3]


def test_a_weekly_edition_is_made_once_and_only_when_somebody_reads_it(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 8, 1, 30, 10, tzinfo=UTC))  # a Sunday
    with several(tmp_path, clock, own=False, number=2, one="") as apps:
        store = apps[0].store
        look(apps)
        assert store.editions.newest("morning", cadence="weekly") == []
        clock.now = datetime(2026, 3, 14, 12, tzinfo=UTC)
        reader = Subscriber(email="weekly@readers.test", state=SubscriberState.ACTIVE, frequency="weekly")
        store.subscribers.add("morning", reader, now=clock.now)
        look(apps)
        assert store.editions.newest("morning", cadence="weekly") == []  # nobody missed last Sunday's
        clock.now = datetime(2026, 3, 15, 1, 30, 10, tzinfo=UTC)
        publish(tmp_path, date(2026, 3, 15), clock.now)
        look(apps)
        (stored,) = store.editions.newest("morning", cadence="weekly")
        assert (stored.date, stored.state.value) == (date(2026, 3, 15), "sent")
        assert [one.email for one in store.ledger.deliveries(stored.id) if one.state == "accepted"] == [
            "weekly@readers.test"
        ]


def test_of_two_that_find_an_edition_due_at_once_the_second_takes_up_what_the_first_made(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 30, 10, tzinfo=UTC))
    alerts = '\n[alerts]\nto = ["operator@news.test"]\n'
    with several(tmp_path, clock, own=False, number=1, one="") as (first,), ExitStack() as turn:
        text = (tmp_path / "config.toml").read_text(encoding="utf-8").replace("min_stories = 1", "min_stories = 2")
        (tmp_path / "config.toml").write_text(text + alerts, encoding="utf-8")
        waits = 0

        def wait(seconds: float) -> None:
            """The first, which has begun, ends while the second waits."""
            nonlocal waits
            waits += 1
            turn.close()
            with App(load_config(tmp_path / "config.toml"), clock=clock, wait=clock.wait) as one:
                look([one])

        assert turn.enter_context(first.store.editions.making("morning", "daily"))
        with App(load_config(tmp_path / "config.toml"), clock=clock, wait=wait) as second:
            report = ensure_due(second, clock())
        assert waits == 1
        assert report
        assert (report.state, report.stages) == (EditionState.HELD, ())
    assert len(list((tmp_path / "outbox" / "new").iterdir())) == 1  # the operator is told once


def test_what_was_ready_in_time_and_taken_up_too_late_goes_only_where_it_is_still_news(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 2, 23, 30, 5, tzinfo=UTC))
    with several(tmp_path, clock, number=1, bahrain="Asia/Bahrain", berlin="Europe/Berlin") as (app,):
        app.run(date(2026, 3, 3), send=False)  # and then the machine lost its power
        clock.now = datetime(2026, 3, 3, 4, 30, tzinfo=UTC)
        look([app])
        (stored,) = app.store.editions.newest("morning")
        states = {one.email.partition("@")[0]: one for one in app.store.ledger.deliveries(stored.id)}
    assert {name: one.state.value for name, one in states.items()} == {"bahrain": "skipped", "berlin": "accepted"}
    assert "not sent within 4 h after it was due in Asia/Bahrain" in (states["bahrain"].answer or "")


def test_what_became_too_late_since_the_last_look_leaves_by_hand_and_not_by_the_schedule(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 2, 23, 30, 5, tzinfo=UTC))
    with several(tmp_path, clock, number=1, bahrain="Asia/Bahrain", berlin="Europe/Berlin") as (app,):
        look([app])
        (stored,) = app.store.editions.newest("morning")
        assert app.store.ledger.counts(stored.id) == {"planned": 1, "accepted": 1}
        clock.now = datetime(2026, 3, 3, 5, 30, 10, tzinfo=UTC)  # four hours and some seconds
        report = app.run(stored.date, on_time=True)
        assert (report.state, report.deliveries) == (EditionState.SENDING, {"planned": 1, "accepted": 1})
        assert app.run(stored.date).deliveries == {"accepted": 2}


def test_what_is_still_being_sent_when_it_is_no_news_any_more_ends(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 30, 5, tzinfo=UTC))
    readers = {f"reader{number}": "" for number in range(10)}
    with several(tmp_path, clock, own=False, number=1, **readers):
        pass
    settings = (tmp_path / "config.toml").read_text(encoding="utf-8") + "per_hour = 1\n"
    (tmp_path / "config.toml").write_text(settings, encoding="utf-8")
    with App(load_config(tmp_path / "config.toml"), clock=clock, wait=clock.wait) as app:
        report = app.run(date(2026, 3, 3), on_time=True)
        assert report.state is EditionState.SENDING
        assert clock.now < datetime(2026, 3, 3, 7, tzinfo=UTC)
        look([app])
        (stored,) = app.store.editions.newest("morning")
        assert stored.state is EditionState.SENT
        assert app.store.ledger.counts(stored.id) == {"accepted": 4, "skipped": 6}


def test_schedulers_that_wake_in_the_same_instant_make_one_edition_and_send_it_once(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 3, 3, 1, 30, 10, tzinfo=UTC))
    readers = {f"reader{number}": "" for number in range(20)}
    with several(tmp_path, clock, own=False, number=1, **readers) as (app,):
        ready = threading.Barrier(4)

        def wake() -> Report | None:
            with App(app.config, clock=clock) as own:
                ready.wait(30)
                return ensure_due(own, clock())

        with ThreadPoolExecutor(4) as pool:
            reports = [future.result() for future in [pool.submit(wake) for _ in range(4)]]
        composed = [report for report in reports if report and any(one.stage == "compose" for one in report.stages)]
        assert len(composed) == 1
        look([app])
        (stored,) = app.store.editions.newest("morning")
        assert stored.state is EditionState.SENT
        assert app.store.ledger.counts(stored.id) == {"accepted": 20}
    assert len(list((tmp_path / "outbox" / "new").iterdir())) == 20
