"""By whose clock a reader is mailed, and when that is."""

from datetime import date, datetime

import pytest

from digest.config.scheduling import Schedule
from digest.due import place_in

THURSDAY = date(2026, 11, 26)
BERLIN = ("Europe/Berlin", datetime.fromisoformat("2026-11-26T06:00:00+00:00"))


def make_schedule(**changes: object) -> Schedule:
    """Everyone at their own seven o'clock, on weekdays."""
    fields = {"timezone": "Europe/Berlin", "days": "mon-fri", "per_subscriber_timezone": True}
    return Schedule.model_validate(fields | changes)


@pytest.mark.parametrize(
    "name", [None, "", "Mars/Olympus_Mons", "America", "../../etc/passwd", "/etc/localtime", "a\0b", "x" * 5000]
)
def test_who_has_no_zone_that_is_known_is_of_the_newsletters(name: str | None) -> None:
    assert place_in(make_schedule(), THURSDAY, name) == BERLIN


def test_each_zone_has_its_own_instant_of_the_same_date() -> None:
    assert place_in(make_schedule(), THURSDAY, "Pacific/Kiritimati")[1].isoformat() == "2026-11-25T17:00:00+00:00"
    assert place_in(make_schedule(), THURSDAY, "Pacific/Niue")[1].isoformat() == "2026-11-26T18:00:00+00:00"


def test_a_day_of_rest_has_the_same_times_for_an_edition_that_is_made_by_hand() -> None:
    sunday = date(2026, 11, 29)
    assert place_in(make_schedule(holidays=["2026-11-29"]), sunday, None)[1].isoformat() == "2026-11-29T06:00:00+00:00"


@pytest.mark.parametrize("day", [date.min, date.max], ids=["first", "last"])
def test_the_ends_of_the_calendar_have_an_instant_too(day: date) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        assert place_in(make_schedule(at="23:00" if day == date.max else "01:00"), day, zone)[1].tzinfo is not None
