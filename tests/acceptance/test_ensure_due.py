"""What a tick does: a real newsletter, database and server, and a clock that the test turns."""

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import EditionState
from digest.operate.settling import retry_edition
from digest.schedule import Ticker, ensure_due
from tests.acceptance.conftest import Desk
from tests.acceptance.test_weekly import add_reader
from tests.doubles.clock import Clock
from tests.doubles.smtp_server import SmtpServer


@pytest.fixture
def port() -> Iterator[int]:
    """A port where nobody answers, kept from others."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@pytest.fixture
def clock() -> Clock:
    """One minute past seven."""
    return Clock(datetime.fromisoformat("2026-03-02T07:01:00+00:00"))


def use(desk: Desk, port: int, clock: Clock) -> App:
    """The newsletter over SMTP."""
    config = desk.folder / "config.toml"
    text = config.read_text()
    outbox = text[text.index("[transport]") : text.index("[alerts]")]
    smtp = f'[transport]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n\n'
    config.write_text(text.replace(outbox, smtp))
    return App(load_config(config), clock=clock, wait=clock.wait)


def test_an_edition_that_could_not_be_sent_is_finished_later_and_sent_once(
    sample_desk: Desk, port: int, clock: Clock
) -> None:
    with use(sample_desk, port, clock) as app:
        report = ensure_due(app, clock())
        assert report
        assert (report.state, report.status) == (EditionState.SENDING, "failed")
    (status,) = sample_desk.digest("status", "--json").rows
    assert status["last_run"]["status"] == "failed"
    assert "no connection" in status["last_run"]["message"]
    assert "no connection" in sample_desk.digest("status").out
    clock.wait(3600)
    with SmtpServer() as server:
        with use(sample_desk, server.port, clock) as app:
            report = ensure_due(app, clock())
            assert report
            assert report.state is EditionState.SENT
            assert ensure_due(app, clock()) is None
        assert [message.recipient for message in server.messages] == ["reader@rehearsal.test"]


def test_an_edition_that_is_too_old_is_ended_and_everybody_without_it_is_named(
    sample_desk: Desk, port: int, clock: Clock
) -> None:
    with use(sample_desk, port, clock) as app:
        ensure_due(app, clock())
    clock.wait(5 * 3600)
    with SmtpServer() as server, use(sample_desk, server.port, clock) as app:
        assert ensure_due(app, clock()) is None
        assert ensure_due(app, clock()) is None
        (stored,) = app.store.editions.newest("morning")
        assert (stored.state, stored.sent_at) == (EditionState.MISSED, None)
        assert "no news any more" in (stored.reason or "")
        (missing,) = app.store.ledger.deliveries(stored.id, missing=True)
        assert (missing.email, missing.state) == ("reader@rehearsal.test", "skipped")
        assert "no news any more" in (missing.answer or "")
        assert server.messages == []
    (status,) = sample_desk.digest("status", "--json").rows
    assert status["last_run"]["status"] == "partial"
    assert "is missed: it was not sent within 4 h after it was due" in status["last_run"]["message"]


def test_what_was_given_up_as_too_old_is_sent_when_the_operator_asks_for_it(
    sample_desk: Desk, port: int, clock: Clock
) -> None:
    with use(sample_desk, port, clock) as app:
        ensure_due(app, clock())
        clock.wait(5 * 3600)
        ensure_due(app, clock())
        (stored,) = app.store.editions.newest("morning")
        assert retry_edition(app, stored) == 1
    with SmtpServer() as server, use(sample_desk, server.port, clock) as app:
        clock.wait(3600)
        report = ensure_due(app, clock())
        assert report
        assert (report.state, len(server.messages)) == (EditionState.SENT, 1)
        assert ensure_due(app, clock()) is None


def test_an_edition_whose_sender_was_killed_after_the_last_answer_is_closed(
    sample_desk: Desk, port: int, clock: Clock
) -> None:
    with use(sample_desk, port, clock) as app:
        ensure_due(app, clock())
        (stored,) = app.store.editions.newest("morning")
        reason = "settled, and then nothing more was written"
        app.store.ledger.give_up(stored.id, reason, now=clock(), variant="all")
        assert stored.state is EditionState.SENDING
        report = ensure_due(app, clock())
        assert report
        assert report.state is EditionState.SENT


def test_an_edition_that_was_ready_and_never_sent_is_missed(sample_desk: Desk, port: int, clock: Clock) -> None:
    with use(sample_desk, port, clock) as app:
        app.run(send=False)
        clock.wait(5 * 3600)
        assert ensure_due(app, clock()) is None
        (stored,) = app.store.editions.newest("morning")
        assert stored.state is EditionState.MISSED


def test_what_was_begun_for_another_day_and_interrupted_is_finished(sample_desk: Desk, port: int, clock: Clock) -> None:
    yesterday = clock().date() - timedelta(days=1)
    with use(sample_desk, port, clock) as app:
        app.run(yesterday)
    with SmtpServer() as server, use(sample_desk, server.port, clock) as app:
        today = ensure_due(app, clock())
        assert today
        assert today.state is EditionState.HELD  # yesterday's has what there was to tell
        report = ensure_due(app, clock())
        assert report
        assert (report.state, len(server.messages)) == (EditionState.SENT, 1)
        assert ensure_due(app, clock()) is None


def test_a_ticker_that_meets_faults_says_so_and_waits_longer_each_time(
    sample_desk: Desk, port: int, clock: Clock
) -> None:
    faults: list[str] = []
    with use(sample_desk, port, clock) as app:
        ticker = Ticker(app, on_report=lambda _: None, on_fault=faults.append)
        for _ in range(20):
            ticker.tick()
            clock.wait(60)
    assert 4 <= len(faults) <= 6
    assert all("no connection" in fault for fault in faults)
    assert "in 8 minutes" in faults[3]


def test_the_time_of_a_zone_does_not_wait_until_a_fault_before_it_was_given_time_to_pass(
    sample_desk: Desk, port: int, clock: Clock
) -> None:
    config = sample_desk.folder / "config.toml"
    config.write_text(config.read_text().replace("per_subscriber_timezone = false", "per_subscriber_timezone = true"))
    due_at = datetime.fromisoformat("2026-03-02T10:30:00+00:00")
    clock.now, tries = due_at - timedelta(minutes=25), list[datetime]()
    with use(sample_desk, port, clock) as app:
        add_reader(app, "john@rehearsal.test", timezone="America/St_Johns")
        ticker = Ticker(app, on_report=lambda _: None, on_fault=lambda _: tries.append(clock()))
        while clock() <= due_at + timedelta(minutes=1):
            ticker.tick()
            clock.wait(60)
    assert [at for at in tries if due_at <= at < due_at + timedelta(minutes=2)]


def test_a_bug_is_told_and_does_not_end_the_ticker(sample_desk: Desk, port: int, clock: Clock) -> None:
    faults: list[str] = []

    class Stumbling(Clock):
        """A clock that fails once, in the midst of the run."""

        asked = 0

        def __call__(self) -> datetime:
            self.asked += 1
            if self.asked == 2:
                raise ZeroDivisionError("here")
            return super().__call__()

    with use(sample_desk, port, clock) as app, App(app.config, clock=Stumbling(clock())) as broken:
        ticker = Ticker(broken, on_report=lambda _: None, on_fault=faults.append)
        ticker.tick()
        ticker.tick()
    (fault,) = faults
    assert "ZeroDivisionError: here" in fault
