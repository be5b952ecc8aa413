"""Weekly editions, beside the daily ones of the same days."""

import email
import email.policy
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import EditionState, Subscriber, SubscriberState
from tests.acceptance.conftest import Desk
from tests.doubles.clock import Clock

SUNDAY = date(2026, 3, 1)


class Paper:
    """The sample newsletter on a clock that the test turns, with a daily and a weekly reader."""

    def __init__(self, desk: Desk, app: App, clock: Clock) -> None:
        self.desk, self.app, self.clock = desk, app, clock

    def mails(self) -> dict[str, list[email.message.EmailMessage]]:
        """What lies in the outbox, by recipient."""
        found: dict[str, list[email.message.EmailMessage]] = {}
        for path in self.desk.mails():
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(mail, email.message.EmailMessage)
            found.setdefault(mail["To"], []).append(mail)
        return found


def add_reader(app: App, address: str, **choices: str) -> None:
    """An active reader."""
    reader = Subscriber(email=address, state=SubscriberState.ACTIVE, consent_at=app.clock(), **choices)  # type: ignore[arg-type]
    assert app.store.subscribers.add_many("morning", [reader], now=app.clock()) == 1


@pytest.fixture
def paper(sample_desk: Desk) -> Iterator[Paper]:
    """On a Sunday at seven; reader@rehearsal.test reads it daily."""
    clock = Clock(datetime.fromisoformat("2026-03-01T07:00:10+00:00"))
    with App(load_config(sample_desk.folder / "config.toml"), clock=clock, wait=clock.wait) as app:
        add_reader(app, "weekly@rehearsal.test", frequency="weekly")
        yield Paper(sample_desk, app, clock)


def text_of(mail: email.message.EmailMessage) -> str:
    """Its plain text."""
    part = mail.get_body(("plain",))
    assert part
    return str(part.get_content())


def test_each_reader_gets_the_editions_of_the_cadence_they_chose(paper: Paper) -> None:
    assert paper.app.run().state is EditionState.SENT
    report = paper.app.run(cadence="weekly")
    assert (report.state, report.cadence) == (EditionState.SENT, "weekly")
    assert report.message.startswith("the weekly edition of 2026-03-01 went out: 1 message")
    mails = paper.mails()
    (daily,), (weekly,) = mails["reader@rehearsal.test"], mails["weekly@rehearsal.test"]
    assert "The best of the week · Sunday, March 1, 2026" in text_of(weekly)
    assert "That is all for this week." in text_of(weekly)
    assert "/morning/2026-03-01/weekly" in text_of(weekly)
    assert "The best of the week" not in text_of(daily)
    (left_out,) = paper.app.store.ledger.deliveries(report.edition or 0, missing=True)
    assert left_out.answer == "the reader asked for the daily edition"
    assert paper.app.run(cadence="weekly").message.startswith("the weekly edition of 2026-03-01 was already sent")


def test_the_weekly_tells_what_the_days_told_and_nothing_twice(paper: Paper) -> None:
    paper.app.run()
    first = paper.app.run(cadence="weekly")
    assert first.stories > 3
    paper.clock.wait(7 * 24 * 3600)
    again = paper.app.run(cadence="weekly")  # nothing came since the last that was sent
    assert (again.state, again.stories) == (EditionState.HELD, 0)
    assert again.message.startswith("the weekly edition of 2026-03-08 is held: few stories")


def test_a_weekly_edition_that_was_not_sent_leaves_its_stories_to_the_next(paper: Paper) -> None:
    first = paper.app.run(cadence="weekly", send=False)
    paper.clock.wait(2 * 24 * 3600)
    assert paper.app.run(cadence="weekly", send=False).stories == first.stories


def test_the_first_editions_that_wait_for_approval_are_counted_by_cadence(sample_desk: Desk) -> None:
    config = sample_desk.folder / "config.toml"
    config.write_text(config.read_text().replace('approval = "none"', 'approval = "first:1"'))
    clock = Clock(datetime.fromisoformat("2026-03-01T07:00:10+00:00"))
    with App(load_config(config), clock=clock, wait=clock.wait) as app:
        add_reader(app, "weekly@rehearsal.test", frequency="weekly")
        daily = app.run()
        assert daily.state is EditionState.HELD
        assert app.store.editions.set_state(
            daily.edition or 0, EditionState.READY, "approved", now=clock(), only_from=[EditionState.HELD]
        )
        assert app.run().state is EditionState.SENT
        clock.wait(10)
        assert app.run(cadence="weekly").state is EditionState.HELD


def test_commands_name_the_edition_that_is_meant(paper: Paper) -> None:
    paper.app.run(SUNDAY - timedelta(days=1))
    paper.app.run(cadence="weekly", send=False)
    desk = paper.desk
    held = desk.digest("editions", "hold", "2026-03-01-weekly")
    assert "the weekly edition of 2026-03-01 is held" in held.out
    approved = desk.digest("editions", "approve", "latest")  # it is the newest, whatever its cadence
    assert "`digest run --on 2026-03-01 --weekly` sends it" in approved.out
    (row, other) = desk.digest("editions", "list", "--json").rows
    assert (row["date"], row["cadence"], other["cadence"]) == ("2026-03-01", "weekly", "daily")
    shown = desk.digest("editions", "show", "2026-03-01")
    assert shown.code == 2
    assert "that day has 2026-03-01-weekly" in shown.err
    wrong = desk.digest("editions", "show", "2026-03-01-monthly")
    assert "2026-01-31-weekly" in wrong.err
    ran = desk.digest("run", "--on", "2026-03-01", "--weekly", "--json")
    assert (ran.rows[0]["cadence"], ran.rows[0]["state"]) == ("weekly", "sent")
    assert set(paper.mails()) == {"reader@rehearsal.test", "weekly@rehearsal.test"}
    assert "weekly edition" in desk.digest("editions", "show", "latest").out
