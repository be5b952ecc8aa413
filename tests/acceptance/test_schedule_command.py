"""`digest schedule`, and what `digest status` and `digest check` say of when."""

from tests.acceptance.conftest import Desk

SCHEDULE = """\
[schedule]
at = "02:30"
timezone = "{zone}"
per_subscriber_timezone = {own}
weekly = "sun"
holidays = ["01-01"]

[transport]
kind = "outbox"
path = "outbox"
"""


def configure(desk: Desk, *, zone: str = "America/New_York", own: bool = False) -> None:
    desk.configure(SCHEDULE.format(zone=zone, own="true" if own else "false"))


def test_the_calendar_gives_each_instant_on_three_clocks_and_marks_what_is_special(desk: Desk) -> None:
    configure(desk)
    ran = desk.digest("schedule", "--days", "400", "--json", TZ="Asia/Bahrain")
    assert ran.code == 0
    daily = [row for row in ran.rows if row["cadence"] == "daily"]
    assert len(daily) in {398, 399}  # without one or two New Year's Days
    marked = {row["clocks"]: row for row in ran.rows if row["clocks"]}
    assert set(marked) == {"clocks go back 1 h at 02:00", "clocks go forward 1 h at 02:00"}
    forward = marked["clocks go forward 1 h at 02:00"]  # there is no 02:30 on that day
    assert forward["local"] == f"{forward['date']}T03:30:00-04:00"
    assert forward["utc"] == f"{forward['date']}T07:30:00+00:00"
    assert forward["machine"] == f"{forward['date']}T10:30:00+03:00"
    assert forward["weekday"] == "sun"
    assert {row["rests"] for row in ran.rows if row["cadence"] is None} == {"holiday"}
    assert "nobody active reads the weekly edition" in ran.err
    listed = desk.digest("schedule", "--days", "3")
    assert len(listed.out.splitlines()) in {3, 4}
    assert "America/New_York" in listed.out


def test_where_readers_have_times_of_their_own_each_zone_has_a_line(desk: Desk) -> None:
    configure(desk, zone="Asia/Bahrain", own=True)
    rows = "email,timezone,state,frequency\none@readers.test,Europe/Berlin,active,\ntwo@readers.test,,active,weekly\n"
    (desk.folder / "readers.csv").write_text(rows)
    assert desk.digest("subscribers", "import", "readers.csv", "--consent", "on paper").code == 0
    ran = desk.digest("schedule", "--days", "7", "--json")
    assert {row["timezone"]: row["readers"] for row in ran.rows if row["cadence"]} == {
        "Asia/Bahrain": 1,
        "Europe/Berlin": 1,
    }
    assert "weekly" in {row["cadence"] for row in ran.rows}
    checked = {row["subject"]: row for row in desk.digest("check", "--json").rows}
    assert checked["time zones"]["result"] == "ok"
    import_ = desk.digest("subscribers", "add", "three@readers.test", "--timezone", "Mars/Base")
    assert import_.code == 2
    assert "Mars/Base" in import_.err and "Europe/" in import_.err


def test_the_status_says_what_is_due_next_on_both_clocks(desk: Desk) -> None:
    configure(desk, zone="Asia/Bahrain")
    (status,) = desk.digest("status", "--json", TZ="Asia/Tokyo").rows
    due = status["next_due"]
    assert due["cadence"] == "daily"
    assert due["local"] == f"{due['date']}T02:30:00+03:00"
    assert due["machine"] == f"{due['date']}T08:30:00+09:00"
    assert status["next_due_at"] == due["utc"]
    told = desk.digest("status", TZ="Asia/Tokyo").out
    assert "02:30 +03:00 in Asia/Bahrain" in told
    assert "08:30 +09:00 on this machine's clock" in told


def test_a_zone_or_a_number_of_days_that_there_is_not_is_refused_in_words(desk: Desk) -> None:
    configure(desk, zone="Mars/Base")
    ran = desk.digest("schedule")
    assert ran.code == 2
    assert '"Mars/Base" is not a time zone' in ran.err
    configure(desk)
    assert desk.digest("schedule", "--days", "0").code == 2


def test_weekly_readers_of_a_newsletter_without_a_weekly_edition_are_a_warning(desk: Desk) -> None:
    configure(desk)
    assert desk.digest("subscribers", "add", "one@readers.test", "--frequency", "weekly").code == 0
    assert "weekly edition" not in {row["subject"] for row in desk.digest("check", "--json").rows}
    desk.configure(SCHEDULE.format(zone="UTC", own="false").replace('weekly = "sun"', 'weekly = "off"'))
    (checked,) = [row for row in desk.digest("check", "--json").rows if row["subject"] == "weekly edition"]
    assert checked["result"] == "warning"
    assert "[schedule] weekly" in checked["message"]
