"""One due instant for each day and zone, whatever is done to clocks; what is due next and what was due last."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from digest.config.scheduling import Schedule
from digest.due import (
    choose_zone,
    due_at,
    find_next,
    find_zone,
    first_due_at,
    gather_zones,
    is_over,
    last_due_at,
    latest_due,
    next_due,
)
from digest.models import EditionState, StoredEdition

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Asia/Bahrain",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Niue",
)
TIMES = (time(0), time(1, 30), time(2), time(2, 15), time(2, 30), time(7), time(23, 45))
FIRST, DAYS = date(2025, 1, 1), 3 * 365


def _days() -> Iterator[date]:
    return (FIRST + timedelta(days=ahead) for ahead in range(DAYS))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", TIMES, ids=str)
def test_each_day_has_one_instant_a_day_after_the_last(zone: str, at: time) -> None:
    schedule = Schedule(at=at, timezone=zone)
    instants = [due_at(schedule, day) for day in _days()]
    found = [instant for instant in instants if instant]
    assert len(found) == DAYS
    steps = {after - before for before, after in pairwise(found)}
    assert steps <= {timedelta(hours=24) + timedelta(minutes=minutes) for minutes in (-60, -30, 0, 30, 60)}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", TIMES, ids=str)
def test_the_clocks_of_the_zone_show_that_time_unless_they_never_do(zone: str, at: time) -> None:
    schedule, there = Schedule(at=at, timezone=zone), ZoneInfo(zone)
    for day in _days():
        instant = due_at(schedule, day)
        assert instant
        shown = instant.astimezone(there)
        if (shown.date(), shown.time()) == (day, at):
            assert shown.fold == 0  # of two, the first
            continue
        # Skipped: as late after what the clocks showed before as it would have been, and no earlier than asked for.
        before = instant - timedelta(hours=2)
        assert before.astimezone(there).utcoffset() == datetime.combine(day, at, there).utcoffset()
        assert shown.replace(tzinfo=None) > datetime.combine(day, at)
        assert shown.date() == day


@pytest.mark.parametrize(
    ("zone", "at", "day", "utc"),
    [
        ("America/New_York", time(2, 30), date(2026, 3, 8), "2026-03-08T07:30"),  # skipped
        ("America/New_York", time(1, 30), date(2026, 11, 1), "2026-11-01T05:30"),  # comes twice
        ("Europe/Berlin", time(2, 30), date(2026, 3, 29), "2026-03-29T01:30"),
        ("Europe/Berlin", time(2, 30), date(2026, 10, 25), "2026-10-25T00:30"),
        ("America/Santiago", time(0), date(2026, 9, 6), "2026-09-06T04:00"),  # there is no midnight
        ("America/Santiago", time(23, 30), date(2026, 4, 4), "2026-04-05T02:30"),
        ("Australia/Lord_Howe", time(2, 15), date(2026, 10, 4), "2026-10-03T15:45"),  # half an hour is skipped
        ("Australia/Lord_Howe", time(1, 45), date(2026, 4, 5), "2026-04-04T14:45"),
        ("Asia/Bahrain", time(7), date(2026, 3, 29), "2026-03-29T04:00"),
        ("Pacific/Kiritimati", time(7), date(2026, 3, 2), "2026-03-01T17:00"),
        ("Pacific/Niue", time(7), date(2026, 3, 2), "2026-03-02T18:00"),
    ],
    ids=str,
)
def test_times_that_are_skipped_or_come_twice_have_one_instant(zone: str, at: time, day: date, utc: str) -> None:
    assert due_at(Schedule(at=at, timezone=zone), day) == datetime.fromisoformat(f"{utc}+00:00")
    assert due_at(Schedule(at=at), day, timezone=zone) == datetime.fromisoformat(f"{utc}+00:00")


def test_an_edition_has_the_instant_of_its_first_zone_and_of_its_last() -> None:
    schedule, day = Schedule(per_subscriber_timezone=True), date(2026, 3, 2)
    assert first_due_at(schedule, day, zones=ZONES) == datetime(2026, 3, 1, 17, tzinfo=UTC)
    assert last_due_at(schedule, day, zones=ZONES) == datetime(2026, 3, 2, 18, tzinfo=UTC)
    assert first_due_at(schedule, day) == last_due_at(schedule, day) == datetime(2026, 3, 2, 7, tzinfo=UTC)


def test_the_newest_due_edition_and_the_next_one_lie_on_both_sides_of_now() -> None:
    schedule = Schedule(per_subscriber_timezone=True, timezone="Pacific/Niue", at=time(2, 30))
    now = datetime(2026, 3, 1, tzinfo=UTC)
    while now < datetime(2026, 4, 10, tzinfo=UTC):
        last, following = latest_due(schedule, now, zones=ZONES), find_next(schedule, now, zones=ZONES)
        assert last and following
        assert last.at <= now < following.at
        assert following.day - last.day == timedelta(days=1)
        now += timedelta(minutes=97)


def test_a_weekly_edition_is_due_on_its_weekday_and_none_when_it_is_off() -> None:
    schedule = Schedule(weekly="sun", days="mon-fri")
    sunday, monday = date(2026, 3, 8), date(2026, 3, 9)
    assert due_at(schedule, sunday, "weekly") == datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert due_at(schedule, sunday) is None
    assert due_at(schedule, monday, "weekly") is None
    assert due_at(Schedule(weekly="off"), sunday, "weekly") is None
    assert due_at(schedule, sunday, "special") is None
    saturday = datetime(2026, 3, 7, 12, tzinfo=UTC)
    following = find_next(schedule, saturday, cadences=("daily", "weekly"))
    assert following
    assert (following.cadence, following.day) == ("weekly", sunday)


def test_nothing_is_due_in_a_pause_or_on_a_holiday_of_either_cadence() -> None:
    schedule = Schedule(
        weekly="sun", holidays=["2026-03-08", "12-25"], pauses=[{"first": date(2026, 6, 1), "last": date(2026, 8, 31)}]
    )
    assert due_at(schedule, date(2026, 3, 8)) is None
    assert due_at(schedule, date(2026, 3, 8), "weekly") is None
    assert due_at(schedule, date(2031, 12, 25)) is None
    within = datetime(2026, 8, 1, tzinfo=UTC)
    assert next_due(schedule, within) == datetime(2026, 9, 1, 7, tzinfo=UTC)
    last = latest_due(schedule, within)
    assert last
    assert last.day == date(2026, 5, 31)


def test_where_every_day_is_off_nothing_is_ever_due() -> None:
    schedule = Schedule(pauses=[{"first": date(2020, 1, 1), "last": date(2099, 1, 1)}])
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert latest_due(schedule, now) is None
    assert next_due(schedule, now) is None


def test_the_ends_of_the_calendar_are_no_days_for_an_edition() -> None:
    assert due_at(Schedule(timezone="Pacific/Niue", at=time(23)), date.max) is None
    assert due_at(Schedule(timezone="Europe/Berlin", at=time(0)), date.min) is None


@pytest.mark.parametrize("name", ["Mars/Base", "America", "../../etc/passwd", "", "Europe/Berlin\0", "x" * 5000])
def test_a_zone_that_is_not_known_is_the_newsletters(name: str) -> None:
    schedule = Schedule(timezone="Asia/Bahrain", per_subscriber_timezone=True)
    assert find_zone(name) is None
    assert choose_zone(schedule, name) == "Asia/Bahrain"
    assert due_at(schedule, date(2026, 3, 2), timezone=name) == datetime(2026, 3, 2, 4, tzinfo=UTC)


def test_readers_are_counted_by_whose_clock_they_are_mailed() -> None:
    counted = {"Asia/Bahrain": 3, None: 4, "Mars/Base": 5, "Europe/Berlin": 6}
    own = Schedule(timezone="Asia/Bahrain", per_subscriber_timezone=True)
    assert gather_zones(own, counted) == {"Asia/Bahrain": 12, "Europe/Berlin": 6}
    assert gather_zones(Schedule(timezone="Asia/Bahrain"), counted) == {"Asia/Bahrain": 18}


def test_an_edition_is_over_in_one_zone_and_not_yet_in_another() -> None:
    schedule = Schedule(per_subscriber_timezone=True, max_lateness="4h")
    stored = StoredEdition(
        id=1,
        newsletter="m",
        cadence="daily",
        date=date(2026, 3, 2),
        state=EditionState.SENDING,
        reason=None,
        dated_at=datetime(2026, 3, 1, 17, tzinfo=UTC),
        sent_at=None,
        edition=None,
    )
    now = datetime(2026, 3, 1, 21, 1, tzinfo=UTC)
    assert is_over(schedule, stored, now, "Pacific/Kiritimati")
    assert not is_over(schedule, stored, now, "Pacific/Niue")
    assert not is_over(schedule, stored, now)
