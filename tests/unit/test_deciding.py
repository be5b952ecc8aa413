"""What is to be done about what is due, from values: an edition's own zones, days that were slept through, and many."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from digest.config.scheduling import Schedule
from digest.due import Due, due_at, latest_due
from digest.models import Cadence, EditionState, StoredEdition
from digest.schedule.deciding import Found, Standing, Step, find_late_zones, find_wait, list_steps

DAY = date(2026, 3, 4)
AT = datetime(2026, 3, 4, 7, tzinfo=UTC)
SCHEDULE = Schedule(max_lateness="4h")
ZONES = ("Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Bahrain", "Australia/Lord_Howe")


def stored(state: EditionState, day: date = DAY, cadence: Cadence = "daily", number: int = 0) -> StoredEdition:
    return StoredEdition(
        id=number or day.toordinal(),
        newsletter="m",
        cadence=cadence,
        date=day,
        state=state,
        reason=None,
        dated_at=None,
        sent_at=None,
        edition=None,
    )


def steps(now: datetime, *standings: Standing, schedule: Schedule = SCHEDULE, **found: object) -> list[Step]:
    cadence: Cadence = found.pop("cadence", "daily")  # type: ignore[assignment]
    zones: Sequence[str] = found.get("zones", ())  # type: ignore[assignment]
    due = latest_due(schedule, now, cadence, zones)
    return list_steps(schedule, Found(cadence=cadence, due=due, standings=standings, **found), now)  # type: ignore[arg-type]


def briefly(done: Sequence[Step]) -> list[tuple[str, int]]:
    return [(step.work, step.day.day) for step in done]


def sent(day: date) -> Standing:
    return Standing(stored=stored(EditionState.SENT, day))


def test_what_is_due_is_composed_and_what_was_composed_is_sent() -> None:
    yesterday = sent(DAY - timedelta(days=1))
    assert briefly(steps(AT, yesterday)) == [("compose", 4)]
    assert briefly(steps(AT, Standing(stored=stored(EditionState.READY)), yesterday)) == [("compose", 4)]
    assert briefly(steps(AT, Standing(stored=stored(EditionState.SENDING)), yesterday)) == [("send", 4)]
    assert steps(AT, sent(DAY), yesterday) == []
    assert steps(AT - timedelta(seconds=1), yesterday) == []


def test_after_three_days_of_sleep_the_newest_is_made_and_each_other_is_missed_for_a_reason() -> None:
    done = steps(AT + timedelta(hours=1), sent(date(2026, 2, 28)))
    assert briefly(done) == [("miss", 3), ("miss", 2), ("miss", 1), ("compose", 4)]
    assert done[0].reason == "nothing ran until 2026-03-04 08:00 UTC, when the edition of 2026-03-04 was due already"


def test_what_is_too_late_is_missed_as_well() -> None:
    done = steps(AT + timedelta(hours=5), sent(date(2026, 3, 2)))
    assert briefly(done) == [("miss", 4), ("miss", 3)]
    assert "more than 4 h after it was due" in done[0].reason


def test_a_long_sleep_marks_a_month_at_most() -> None:
    done = steps(AT, sent(date(2025, 3, 1)))
    assert briefly(done).count(("compose", 4)) == 1
    assert len(done) == 32


def test_days_by_which_a_scheduler_had_looked_were_not_missed() -> None:
    at = AT + timedelta(hours=1)
    assert briefly(steps(at, sent(date(2026, 2, 27)), looked_at=datetime(2026, 3, 2, 9, tzinfo=UTC))) == [
        ("miss", 3),
        ("compose", 4),
    ]
    late = AT + timedelta(hours=6)
    assert steps(late, sent(date(2026, 2, 27)), looked_at=late - timedelta(minutes=5)) == []


def test_a_newsletter_without_any_edition_missed_none_unless_a_scheduler_waited_for_it() -> None:
    late = AT + timedelta(hours=6)
    assert steps(late) == []
    assert briefly(steps(late, looked_at=AT - timedelta(hours=1))) == [("miss", 4)]


def test_days_without_an_edition_are_not_missed() -> None:
    schedule = Schedule(days="mon,wed", holidays=["2026-03-02"])
    assert briefly(steps(AT, sent(date(2026, 2, 25)), schedule=schedule)) == [("compose", 4)]


def test_a_weekly_edition_is_made_and_missed_only_where_somebody_reads_it() -> None:
    sunday = datetime(2026, 3, 8, 7, 0, 30, tzinfo=UTC)
    assert briefly(steps(sunday, cadence="weekly")) == [("compose", 8)]
    assert steps(sunday, cadence="weekly", is_wanted=False) == []
    last = Standing(stored=stored(EditionState.SENT, date(2026, 2, 22), "weekly"))
    late = sunday + timedelta(days=1)
    assert briefly(steps(late, last, cadence="weekly")) == [("miss", 8), ("miss", 1)]
    assert steps(late, last, cadence="weekly", is_wanted=False) == []


def test_a_special_edition_is_never_due_and_is_finished_all_the_same() -> None:
    special = replace(stored(EditionState.SENDING, cadence="special"), dated_at=AT)
    assert briefly(steps(AT, Standing(stored=special), cadence="special")) == [("send", 4)]
    assert briefly(steps(AT + timedelta(hours=5), Standing(stored=special), cadence="special")) == [("close", 4)]


def test_an_edition_that_waits_for_a_zone_is_left_alone_until_then() -> None:
    zones = {"Asia/Bahrain": AT - timedelta(hours=3), "Europe/Berlin": AT - timedelta(hours=1)}
    waiting = Standing(stored=stored(EditionState.SENDING), zones=zones, waits_until=zones["Europe/Berlin"])
    assert steps(AT - timedelta(hours=2), waiting, zones=tuple(zones)) == []
    assert briefly(steps(AT - timedelta(hours=1), waiting, zones=tuple(zones))) == [("send", 4)]


def test_what_is_too_late_for_a_zone_is_given_up_there_and_goes_on_elsewhere() -> None:
    zones = {"Asia/Bahrain": AT - timedelta(hours=3), "America/New_York": AT + timedelta(hours=5)}
    standing = Standing(
        stored=stored(EditionState.SENDING),
        zones=zones,
        late_zones=("Asia/Bahrain",),
        waits_until=AT + timedelta(hours=5),
    )
    (step,) = steps(AT + timedelta(hours=2), standing, zones=tuple(zones))
    assert (step.work, step.timezones) == ("give_up", ("Asia/Bahrain",))
    assert "after it was due there" in step.reason
    closing = steps(AT + timedelta(hours=9, seconds=1), standing, zones=tuple(zones))
    assert briefly(closing) == [("close", 4)]


def test_an_edition_that_is_late_for_its_first_zone_is_made_for_the_last() -> None:
    now = AT + timedelta(hours=8)  # New York is due at noon UTC
    assert briefly(steps(now, sent(date(2026, 3, 3)), zones=ZONES[:2])) == [("compose", 4)]
    assert briefly(steps(now, sent(date(2026, 3, 3)), zones=ZONES[:1])) == [("miss", 4)]


def test_an_approved_edition_of_a_day_before_goes_beside_the_newest() -> None:
    yesterday = replace(stored(EditionState.SENDING, date(2026, 3, 3)), resumed_at=AT - timedelta(hours=1))
    assert briefly(steps(AT, Standing(stored=yesterday))) == [("compose", 4), ("send", 3)]


@pytest.mark.parametrize(
    ("next_due", "leased_until", "until"),
    [
        (AT, None, AT),  # the next zone's time
        (AT - timedelta(hours=2), None, None),  # a batch that may be had now
        (AT - timedelta(minutes=20), None, None),  # put off by a fault, until before that
        (AT, AT - timedelta(minutes=50), None),  # a sender is at work, or died at it
        (None, None, None),  # nothing waits: it is to be finished
    ],
)
def test_an_edition_waits_for_a_zone_only_when_nothing_else_is_to_be_done(
    next_due: datetime | None, leased_until: datetime | None, until: datetime | None
) -> None:
    zones = {"Asia/Bahrain": AT - timedelta(hours=3), "Europe/London": AT}
    now = AT - timedelta(hours=1)
    assert find_wait(zones, next_due=next_due, leased_until=leased_until, now=now) == until
    assert find_wait({}, next_due=next_due, leased_until=leased_until, now=now) is None


def test_zones_are_late_one_by_one() -> None:
    zones = {"Asia/Bahrain": AT - timedelta(hours=3), "Europe/Berlin": AT - timedelta(hours=1)}
    edition = stored(EditionState.SENDING)
    assert find_late_zones(SCHEDULE, edition, zones, AT + timedelta(hours=2)) == ["Asia/Bahrain"]
    resumed = replace(edition, resumed_at=AT)
    assert find_late_zones(SCHEDULE, resumed, zones, AT + timedelta(hours=2)) == []


class World:
    """A store of the least that is decided on, and readers who note when they were mailed."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.editions: dict[date, EditionState] = {}
        self.zones: dict[date, dict[str, datetime]] = {}
        self.done: dict[date, set[str]] = {}
        self.mailed: list[tuple[date, str, datetime]] = []
        self.composed: list[date] = []
        self.missed: list[date] = []
        self.looked_at = datetime(2020, 1, 1, tzinfo=UTC)

    def look(self, now: datetime) -> None:
        """As a scheduler does."""
        due = latest_due(self.schedule, now, zones=ZONES)
        found = Found(
            cadence="daily",
            due=due,
            standings=[self._stand(day, now) for day in sorted(self.editions, reverse=True)[:4]],
            zones=ZONES,
            looked_at=self.looked_at,
        )
        for step in list_steps(self.schedule, found, now):
            if step.work == "compose":
                self.composed.append(step.day)
                self.done[step.day] = set()
                dues = {zone: due_at(self.schedule, step.day, "daily", zone) for zone in ZONES}
                self.zones[step.day] = {zone: at for zone, at in dues.items() if at}
            elif step.work == "miss":
                self.missed.append(step.day)
            if step.is_run:
                self._send(step.day, now)
        self.looked_at = now

    def _stand(self, day: date, now: datetime) -> Standing:
        edition = replace(stored(self.editions[day], day), dated_at=min(self.zones[day].values()))
        wait = find_wait(self.zones[day], next_due=self._next(day), leased_until=None, now=now)
        return Standing(stored=edition, zones=self.zones[day], waits_until=wait)

    def _next(self, day: date) -> datetime | None:
        return min((at for zone, at in self.zones[day].items() if zone not in self.done[day]), default=None)

    def _send(self, day: date, now: datetime) -> None:
        due = {zone for zone, at in self.zones[day].items() if at <= now} - self.done[day]
        self.done[day] |= due
        self.mailed += [(day, zone, now) for zone in due]
        self.editions[day] = EditionState.SENDING if self._next(day) else EditionState.SENT


@pytest.mark.parametrize(
    ("first", "at"),
    [(date(2026, 3, 7), time(2, 15)), (date(2026, 9, 4), time(0)), (date(2026, 10, 3), time(2, 15))],
    ids=str,
)
def test_ten_schedulers_mail_everybody_once_and_within_a_minute_whatever_is_done_to_clocks(
    first: date, at: time
) -> None:
    schedule = Schedule(at=at, timezone="Europe/Berlin", per_subscriber_timezone=True)
    world = World(schedule)
    days = [first + timedelta(days=ahead) for ahead in range(32)]
    expected = {(day, zone): due_at(schedule, day, "daily", zone) for day in days for zone in ZONES}
    instants = sorted({due for due in expected.values() if due})
    world.looked_at = instants[0] - timedelta(minutes=1)
    for number, due in enumerate(instants):
        for scheduler in range(10):  # each sweeps once a minute, at a second of its own
            if scheduler == number % 10:
                world.look(due - timedelta(seconds=1))
            world.look(due + timedelta(seconds=6 * scheduler))
    assert world.composed == days
    assert world.missed == []
    assert sorted((day, zone) for day, zone, _ in world.mailed) == sorted(expected)
    for day, zone, mailed_at in world.mailed:
        due_then = expected[day, zone]
        assert due_then
        assert timedelta() <= mailed_at - due_then <= timedelta(minutes=1)


def test_the_newest_due_edition_is_named_by_its_cadence() -> None:
    assert latest_due(SCHEDULE, datetime(2026, 3, 9, tzinfo=UTC), "weekly") == Due(
        day=date(2026, 3, 8), at=datetime(2026, 3, 8, 7, tzinfo=UTC), cadence="weekly"
    )
