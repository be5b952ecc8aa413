"""Everyone at their own seven o'clock: one edition, planned at once and sent zone by zone."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import EditionState, Report
from digest.operate.revising import resume_edition, stop_edition
from digest.operate.settling import retry_edition
from tests.acceptance.conftest import Desk
from tests.acceptance.test_weekly import Paper, add_reader
from tests.doubles.clock import Clock

ZONES = {
    "auckland": "Pacific/Auckland",  # 18:00 UTC of the day before
    "berlin": "Europe/Berlin",  # 06:00 UTC
    "nowhere": "Mars/Olympus_Mons",
    "anywhere": "",
    "york": "America/New_York",  # 12:00 UTC
}
SEVEN_IN_BERLIN = datetime.fromisoformat("2026-03-02T06:00:05+00:00")
SEVEN_IN_NEW_YORK = datetime.fromisoformat("2026-03-02T12:00:00+00:00")


def open_paper(desk: Desk, *, at: str = "07:00", zones: Mapping[str, str] = ZONES) -> Paper:
    """A newsletter of Berlin with a reader in each zone, at seven o'clock there."""
    config = desk.folder / "config.toml"
    text = config.read_text().replace("per_subscriber_timezone = false", "per_subscriber_timezone = true")
    text = text.replace('timezone = "UTC"', 'timezone = "Europe/Berlin"').replace('at = "07:00"', f'at = "{at}"')
    config.write_text(text)
    clock = Clock(SEVEN_IN_BERLIN)
    app = App(load_config(config), clock=clock, wait=clock.wait)
    for name, zone in zones.items():
        add_reader(app, f"{name}@rehearsal.test", **({"timezone": zone} if zone else {}))
    return Paper(desk, app, clock)


@pytest.fixture
def paper(desk: Desk) -> Iterator[Paper]:
    """With the sample's sources."""
    assert desk.digest("init").code == 0
    opened = open_paper(desk)
    with opened.app:
        yield opened


def who_got_it(paper: Paper) -> Counter[str]:
    """How many mails each reader has, by the name before the at sign."""
    return Counter({to.partition("@")[0]: len(mails) for to, mails in paper.mails().items()})


def send_the_rest(paper: Paper) -> Report:
    """At seven in New York."""
    paper.clock.now = max(paper.clock.now, SEVEN_IN_NEW_YORK)
    return paper.app.run(SEVEN_IN_BERLIN.date())


def test_each_zone_gets_it_at_its_own_time_and_the_report_says_who_waits_until_when(paper: Paper) -> None:
    report = paper.app.run()
    assert (report.status, report.state) == ("partial", EditionState.SENDING)
    assert report.message.endswith(
        "1 waits for their own time zone, the next at 07:00 in America/New_York (2026-03-02 12:00 UTC)"
    )
    assert report.waits_until == SEVEN_IN_NEW_YORK
    assert who_got_it(paper) == Counter(["auckland", "berlin", "nowhere", "anywhere"])
    assert paper.app.run().message == report.message  # again by hand, too early
    paper.clock.now = SEVEN_IN_NEW_YORK - timedelta(seconds=1)
    paper.app.run()
    assert "york" not in who_got_it(paper) or paper.clock.now >= SEVEN_IN_NEW_YORK
    last = send_the_rest(paper)
    assert (last.status, last.state, last.waits_until) == ("done", EditionState.SENT, None)
    assert who_got_it(paper) == Counter(["auckland", "berlin", "nowhere", "anywhere", "york"])
    dates = {to.partition("@")[0]: mail["Date"].datetime for to, (mail,) in paper.mails().items()}
    assert dates["york"] == SEVEN_IN_NEW_YORK
    assert dates["berlin"] < SEVEN_IN_BERLIN + timedelta(minutes=5)


def test_who_has_no_zone_or_an_unknown_one_is_of_the_newsletters(paper: Paper) -> None:
    report = paper.app.run()
    counts = paper.app.store.ledger.count_by_zone(report.edition or 0)
    assert {zone: sum(states.values()) for zone, states in counts.items()} == {
        "Pacific/Auckland": 1,
        "Europe/Berlin": 3,
        "America/New_York": 1,
    }


def test_a_zone_for_which_the_schedule_made_it_too_late_is_left_out_and_named(paper: Paper) -> None:
    report = paper.app.run(on_time=True)
    assert who_got_it(paper) == Counter(["berlin", "nowhere", "anywhere"])
    number = report.edition or 0
    missing = {one.email: one.answer for one in paper.app.store.ledger.deliveries(number, missing=True)}
    assert "4 h after it was due in Pacific/Auckland" in (missing["auckland@rehearsal.test"] or "")
    stored = paper.app.store.editions.get(number)
    assert stored
    assert retry_edition(paper.app, stored) == 1  # a person wants them to have it all the same
    send_the_rest(paper)
    assert who_got_it(paper) == Counter(["auckland", "berlin", "nowhere", "anywhere", "york"])


def test_an_edition_that_is_made_too_late_for_every_zone_is_missed_and_sent_by_hand_all_the_same(desk: Desk) -> None:
    assert desk.digest("init").code == 0
    opened = open_paper(desk, zones={name: ZONES[name] for name in ("auckland", "nowhere")})
    with opened.app as app:
        opened.clock.now = SEVEN_IN_BERLIN + timedelta(hours=5)
        report = app.run(SEVEN_IN_BERLIN.date(), on_time=True)
        assert (report.status, report.state) == ("partial", EditionState.MISSED)
        assert report.deliveries == {"skipped": 2}
        assert "after it was due in Pacific/Auckland" in report.message
        assert report.message.endswith("; 1 more zone was too late as well")
        assert who_got_it(opened) == Counter()
        stored = app.store.editions.get(report.edition or 0)
        assert stored
        assert (stored.state, stored.sent_at) == (EditionState.MISSED, None)
        assert retry_edition(app, stored) == 2
        assert app.run(SEVEN_IN_BERLIN.date()).state is EditionState.SENT
        assert who_got_it(opened) == Counter(["auckland", "nowhere"])


def test_a_stop_holds_for_the_zones_that_wait_and_resuming_lets_them_wait_on(paper: Paper) -> None:
    report = paper.app.run()
    stored = paper.app.store.editions.get(report.edition or 0)
    assert stored
    stop_edition(paper.app, stored, "by hand")
    paper.clock.now = SEVEN_IN_BERLIN + timedelta(hours=1)
    assert paper.app.run().state is EditionState.STOPPED
    resume_edition(paper.app, stored, "by hand")
    assert paper.app.run().waits_until == SEVEN_IN_NEW_YORK
    assert send_the_rest(paper).state is EditionState.SENT
    assert who_got_it(paper)["york"] == 1


def test_zones_that_are_too_late_are_closed_and_the_edition_with_the_last_of_them(paper: Paper) -> None:
    report = paper.app.run()
    stored = paper.app.store.editions.get(report.edition or 0)
    assert stored
    paper.app.close_late(stored, "it is no news any more", timezones=["America/New_York"])
    assert paper.app.store.editions.state(stored.id) is EditionState.SENT
    missing = [one.email for one in paper.app.store.ledger.deliveries(stored.id, missing=True)]
    assert missing == ["york@rehearsal.test"]
    last = paper.app.store.runs.last("morning", edition=stored.id)
    assert last
    assert last[1].message.endswith("; 1 in America/New_York given up: it is no news any more")
    paper.app.close_late(stored, "it is no news any more", timezones=["America/New_York"])  # another scheduler
    assert paper.app.store.runs.last("morning", edition=stored.id) == last


def test_a_wall_time_that_a_zone_skips_that_day_is_as_late_after_midnight_as_ever(desk: Desk) -> None:
    assert desk.digest("init").code == 0
    opened = open_paper(desk, at="02:30", zones={"york": "America/New_York"})
    with opened.app as app:
        day = datetime.fromisoformat("2026-03-08").date()  # at 02:00 clocks are set to 03:00
        opened.clock.now = datetime.fromisoformat("2026-03-08T01:30:00+00:00")
        assert app.run(day).waits_until == datetime.fromisoformat("2026-03-08T07:30:00+00:00")


def test_the_command_line_says_who_waits(desk: Desk) -> None:
    assert desk.digest("init").code == 0
    with open_paper(desk).app as app:
        day = (app.today() + timedelta(days=30_000)).isoformat()  # far from today, whenever that is
    ran = desk.digest("run", "--on", day)
    assert ran.code == 3
    assert "5 wait for their own time zones, the next at 07:00 in Pacific/Auckland" in ran.out
    shown = desk.digest("editions", "show", "latest").out
    assert "Pacific/Auckland" in shown
    assert "(waits): 1 planned" in shown
    (row,) = desk.digest("editions", "show", day, "--json").rows
    assert [zone["timezone"] for zone in row["zones"]] == ["Pacific/Auckland", "Europe/Berlin", "America/New_York"]
    assert all(zone["waits"] for zone in row["zones"])
