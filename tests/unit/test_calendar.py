"""The calendar: what is due on which clocks, and the days on which those are changed."""

from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from digest.config.scheduling import Schedule
from digest.schedule.calendar import find_change, group_entries, list_entries


@pytest.mark.parametrize(
    ("zone", "day", "words"),
    [
        ("Europe/Berlin", date(2026, 3, 29), "clocks go forward 1 h at 02:00"),
        ("Europe/Berlin", date(2026, 10, 25), "clocks go back 1 h at 03:00"),
        ("America/New_York", date(2026, 3, 8), "clocks go forward 1 h at 02:00"),
        ("America/New_York", date(2026, 11, 1), "clocks go back 1 h at 02:00"),
        ("America/Santiago", date(2026, 4, 5), "clocks go back 1 h at 00:00"),
        ("America/Santiago", date(2026, 9, 6), "clocks go forward 1 h at 00:00"),
        ("Australia/Lord_Howe", date(2026, 4, 5), "clocks go back 30 min at 02:00"),
        ("Australia/Lord_Howe", date(2026, 10, 4), "clocks go forward 30 min at 02:00"),
        ("Europe/Berlin", date(2026, 3, 28), None),
        ("Europe/Berlin", date(2026, 3, 30), None),
        ("Asia/Bahrain", date(2026, 3, 29), None),
        ("Mars/Base", date(2026, 3, 29), None),
        ("Europe/Berlin", date.max, None),
    ],
    ids=str,
)
def test_a_day_on_which_clocks_are_changed_says_what_is_changed(zone: str, day: date, words: str | None) -> None:
    found = find_change(zone, day)
    assert (found.describe() if found else None) == words


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_each_change_of_a_year_is_of_one_day(zone: str) -> None:
    there, first = ZoneInfo(zone), date(2026, 1, 1)
    changes = [found for ahead in range(365) if (found := find_change(zone, first + timedelta(days=ahead)))]
    assert len(changes) == 2
    for change in changes:
        before = (change.at - timedelta(seconds=1)).astimezone(there).utcoffset()
        after = change.at.astimezone(there).utcoffset()
        assert before is not None and after is not None and after - before == change.step


def test_the_calendar_has_each_edition_and_says_why_a_day_has_none() -> None:
    schedule = Schedule(
        timezone="Europe/Berlin",
        days="mon-fri",
        holidays=["2026-03-25"],
        pauses=[{"first": date(2026, 3, 26), "last": date(2026, 3, 27)}],
    )
    entries = list(list_entries(schedule, date(2026, 3, 23), 8))
    told = [(entry.day.day, entry.cadence, entry.clocks, entry.rests) for entry in entries]
    change, pause = "clocks go forward 1 h at 02:00", "pause from 2026-03-26 to 2026-03-27"
    assert told == [
        (23, "daily", None, None),
        (24, "daily", None, None),
        (25, None, None, "holiday"),
        (26, None, None, pause),
        (27, None, None, pause),
        (29, "weekly", change, None),
        (30, "daily", None, None),
    ]
    without = list(list_entries(schedule, date(2026, 3, 29), 1, has_weekly=False))
    assert [(entry.cadence, entry.clocks) for entry in without] == [(None, change)]


def test_each_zone_has_a_line_and_those_of_one_time_are_shown_together() -> None:
    schedule = Schedule(at=time(7), timezone="Europe/Berlin", weekly="off", per_subscriber_timezone=True)
    zones = {"Europe/Berlin": 3, "Europe/Rome": 5, "Asia/Bahrain": 2}
    entries = list(list_entries(schedule, date(2026, 3, 2), 1, zones=zones))
    assert [(entry.timezone, entry.readers) for entry in entries] == [
        ("Asia/Bahrain", 2),
        ("Europe/Berlin", 3),
        ("Europe/Rome", 5),
    ]
    grouped = [(entry.timezone, entry.readers, zones) for entry, zones in group_entries(entries)]
    assert grouped == [
        ("Asia/Bahrain", 2, ["Asia/Bahrain"]),
        ("Europe/Rome", 8, ["Europe/Rome", "Europe/Berlin"]),
    ]
