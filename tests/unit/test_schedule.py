"""When an edition is due."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from digest.config.scheduling import Schedule
from digest.due import Due, due_at, is_over, latest_due, next_due
from digest.models import EditionState, StoredEdition
from digest.schedule import decide

DAY = date(2026, 3, 2)  # a Monday
AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def _stored(state: EditionState, dated_at: datetime | None = None) -> StoredEdition:
    return StoredEdition(
        id=1,
        newsletter="m",
        cadence="daily",
        date=DAY,
        state=state,
        reason=None,
        dated_at=dated_at,
        sent_at=None,
        edition=None,
    )


@pytest.mark.parametrize(
    ("zone", "day", "utc"),
    [
        ("UTC", DAY, "07:00"),
        ("Asia/Bahrain", DAY, "04:00"),
        ("Europe/Berlin", date(2026, 3, 28), "06:00"),
        ("Europe/Berlin", date(2026, 3, 30), "05:00"),
        ("Australia/Lord_Howe", date(2026, 4, 4), "20:00"),
        ("Australia/Lord_Howe", date(2026, 4, 6), "20:30"),
    ],
)
def test_the_due_instant_follows_the_wall_clock(zone: str, day: date, utc: str) -> None:
    due = due_at(Schedule(timezone=zone), day)
    assert due and due.strftime("%H:%M") == utc


def test_an_hour_that_comes_twice_is_due_at_its_first_coming() -> None:
    schedule = Schedule(timezone="America/New_York", at=time(1, 30))
    assert due_at(schedule, date(2026, 11, 1)) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_an_hour_that_is_skipped_is_due_all_the_same() -> None:
    schedule = Schedule(timezone="America/New_York", at=time(2, 30))
    assert due_at(schedule, date(2026, 3, 8)) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


def test_nothing_is_due_on_a_day_off() -> None:
    schedule = Schedule(days="mon-fri")
    saturday = datetime(2026, 3, 7, 12, 0, tzinfo=UTC)
    assert due_at(schedule, saturday.date()) is None
    assert latest_due(schedule, saturday) == Due(day=date(2026, 3, 6), at=datetime(2026, 3, 6, 7, 0, tzinfo=UTC))
    assert next_due(schedule, saturday) == datetime(2026, 3, 9, 7, 0, tzinfo=UTC)


def test_the_date_is_that_of_the_newsletters_zone() -> None:
    due = latest_due(Schedule(timezone="Pacific/Auckland"), datetime(2026, 3, 1, 18, 30, tzinfo=UTC))
    assert due and due.day == DAY


@pytest.mark.parametrize(
    ("state", "hours_late", "action"),
    [
        (None, 0, "run"),
        (None, 3, "run"),
        (None, 5, "miss"),
        (EditionState.READY, 0, "run"),
        (EditionState.SENDING, 1, "run"),
        (EditionState.SENDING, 5, "nothing"),
        (EditionState.SENT, 0, "nothing"),
        (EditionState.HELD, 0, "nothing"),
        (EditionState.STOPPED, 0, "nothing"),
        (EditionState.MISSED, 0, "nothing"),
        (EditionState.WITHDRAWN, 0, "nothing"),
    ],
)
def test_what_to_do_depends_on_the_edition_and_the_lateness(
    state: EditionState | None, hours_late: int, action: str
) -> None:
    decision = decide(
        Due(day=DAY, at=AT),
        _stored(state) if state else None,
        schedule=Schedule(max_lateness="4h"),
        now=AT + timedelta(hours=hours_late),
        is_first=False,
    )
    assert decision == action


def test_a_newsletter_that_was_set_up_at_noon_did_not_miss_the_morning() -> None:
    now = AT + timedelta(hours=6)
    assert decide(Due(day=DAY, at=AT), None, schedule=Schedule(), now=now, is_first=True) == "nothing"


@pytest.mark.parametrize(
    ("dated_at", "now", "over"),
    [
        (None, AT + timedelta(hours=4), False),
        (None, AT + timedelta(hours=4, seconds=1), True),
        (AT + timedelta(hours=6), AT + timedelta(hours=9), False),  # approved at one o'clock
        (AT + timedelta(hours=6), AT + timedelta(hours=11), True),
        (AT - timedelta(hours=6), AT + timedelta(hours=1), False),  # made before it was due
    ],
)
def test_an_edition_has_its_time_from_when_it_was_due_and_ready(
    dated_at: datetime | None, now: datetime, over: bool
) -> None:
    stored = _stored(EditionState.READY, dated_at)
    assert is_over(Schedule(max_lateness="4h"), stored, now) is over
    decision = decide(Due(day=DAY, at=AT), stored, schedule=Schedule(max_lateness="4h"), now=now, is_first=False)
    assert decision == ("nothing" if over else "run")


def test_an_edition_that_a_person_let_go_on_is_as_young_as_that() -> None:
    schedule = Schedule(timezone="UTC")
    now = AT + 3 * schedule.max_lateness
    resumed = replace(_stored(EditionState.SENDING, AT), resumed_at=now - schedule.max_lateness)
    assert is_over(schedule, replace(resumed, resumed_at=None), now)
    assert not is_over(schedule, resumed, now)
    assert is_over(schedule, resumed, now + timedelta(seconds=1))
