"""An edition that is refused for what it is stops, and the operator is told by whoever takes the mail."""

import json
from datetime import datetime
from functools import partial

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import EditionState
from digest.schedule import ensure_due
from tests.acceptance.conftest import Desk
from tests.doubles.clock import Clock
from tests.doubles.smtp_server import SmtpServer

OUTBOX = 'kind = "outbox"                       # outbox'
POLICY = "550 5.7.1 this mail is not wanted here"


def use(desk: Desk, server: SmtpServer, fallback: SmtpServer) -> None:
    """Send by one server, and by another where that one is away."""
    path = desk.folder / "config.toml"
    table = 'kind = "smtp"\nhost = "127.0.0.1"\nport = {}\ntls = "none"'
    ways = table.format(server.port)
    other = ", ".join(table.format(fallback.port).splitlines())
    text = path.read_text().replace(OUTBOX, f"{ways}\n#").replace('path = "outbox"\n', "")
    text = text.replace("fallback = []", f"fallback = [{{ {other} }}]")
    path.write_text(text.replace("to = []", 'to = ["desk@rehearsal.test"]'))


@pytest.fixture
def readers(sample_desk: Desk) -> Desk:
    """A desk with a few readers."""
    table = sample_desk.folder / "readers.csv"
    table.write_text("email\n" + "".join(f"reader{number}@rehearsal.test\n" for number in range(8)))
    assert sample_desk.digest("subscribers", "import", str(table), "--consent", "yes").code == 0
    return sample_desk


def test_a_policy_refusal_stops_the_edition_and_is_told(readers: Desk) -> None:
    refusing = {"on": True}

    def answer(address: str) -> str:
        return POLICY if refusing["on"] and not address.startswith("desk@") else "250 2.0.0 queued"

    with SmtpServer(on_data=answer) as first, SmtpServer() as second:
        use(readers, first, second)
        run = readers.digest("run", "--json")
        assert run.code == 3
        (report,) = run.rows
        assert report["state"] == "stopped"
        assert "policy: " in report["message"]
        assert POLICY in report["message"]
        assert second.messages == []  # nobody was tried elsewhere
        (alert,) = [message for message in first.messages if message.recipient == "desk@rehearsal.test"]
        assert b"has stopped" in alert.content
        readers.digest("run")
        assert sum(message.recipient == "desk@rehearsal.test" for message in first.messages) == 1

        refusing["on"] = False
        assert readers.digest("editions", "resume").code == 0
        done = json.loads(readers.digest("run", "--json").out.splitlines()[-1])
    assert done["state"] == "sent"
    assert done["deliveries"].keys() == {"accepted"}


def test_the_alert_goes_by_another_way_where_the_first_refuses_that_too(readers: Desk) -> None:
    with SmtpServer(on_data=lambda _: POLICY) as first, SmtpServer() as second:
        use(readers, first, second)
        assert readers.digest("run").code == 3
        assert [message.recipient for message in second.messages] == ["desk@rehearsal.test"]


@pytest.mark.parametrize("lost", ["nobody took it", "the run was killed"])
def test_an_alert_of_a_stop_that_did_not_go_is_sent_by_a_later_look_and_once(readers: Desk, lost: str) -> None:
    takes_alerts: list[bool] = []

    def answer(address: str) -> str:
        return "250 2.0.0 queued" if takes_alerts and address.startswith("desk@") else POLICY

    with SmtpServer(on_data=answer) as first, SmtpServer(on_data=answer) as second:
        use(readers, first, second)
        clock = Clock(datetime.fromisoformat("2026-03-02T07:01:00+00:00"))
        with App(load_config(readers.folder / "config.toml"), clock=clock, wait=clock.wait) as app:
            if lost == "nobody took it":
                assert ensure_due(app, clock())
            else:
                app.run(send=False)
                (stored,) = app.store.editions.newest("morning")
                change = partial(app.store.editions.set_state, stored.id, EditionState.STOPPED, "policy: no")
                clock.wait(5)
                assert change(now=clock(), only_from=[EditionState.READY])
            takes_alerts.append(True)
            assert ensure_due(app, clock()) is None
            clock.wait(301)
            assert ensure_due(app, clock())
            clock.wait(301)
            assert ensure_due(app, clock()) is None
        told = [message.recipient for server in (first, second) for message in server.messages]
    assert told.count("desk@rehearsal.test") == 1


def test_a_server_that_is_away_is_stood_in_for(readers: Desk) -> None:
    with SmtpServer() as second:
        with SmtpServer() as first:
            use(readers, first, second)
        run = readers.digest("run", "--json")
        assert run.code == 0
        assert len(second.messages) == run.rows[0]["deliveries"]["accepted"] > 1
        # Of two servers, the ledger says which it was.
        rows = readers.digest("editions", "show", "--deliveries", "--json").rows
        assert {row["transport"] for row in rows} == {f"smtp 127.0.0.1:{second.port}"}


def test_what_is_tried_again_by_hand_is_not_stopped_over_what_was_known_before(readers: Desk) -> None:
    answers = {f"reader{number}@rehearsal.test": "drop" for number in (2, 5)}
    answers["reader7@rehearsal.test"] = "550 5.1.1 no such user"
    with SmtpServer(on_data=lambda address: answers.get(address, "250 2.0.0 queued")) as first, SmtpServer() as second:
        use(readers, first, second)
        assert readers.digest("run", "--json").rows[0]["state"] == "sent"
        answers.clear()
        path = readers.folder / "config.toml"
        path.write_text(path.read_text().replace("after = 100", "after = 5"))
        assert readers.digest("editions", "retry").code == 0
        (report,) = readers.digest("run", "--json").rows
    assert report["state"] == "sent"
    assert (report["deliveries"]["unknown"], report["deliveries"].get("refused")) == (2, None)
