"""A sender that is killed in the middle: nobody is mailed twice, and nobody is lost unnamed."""

import json
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.conftest import Desk
from tests.doubles.sendgrid_api import SendGridDouble
from tests.doubles.smtp_server import SmtpServer

READERS = 30


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Sample sources, and readers enough to be killed among."""
    made = Desk(tmp_path)
    assert made.digest("init").code == 0
    table = tmp_path / "readers.csv"
    table.write_text("email\n" + "".join(f"reader{number}@rehearsal.test\n" for number in range(READERS)))
    assert made.digest("subscribers", "import", str(table), "--consent", "yes").code == 0
    return made


def _use(desk: Desk, transport: str) -> None:
    config = desk.folder / "config.toml"
    outbox = 'kind = "outbox"                       # outbox'
    text = config.read_text()
    assert outbox in text
    text = (
        text.replace(outbox, f"{transport}\n#")
        .replace('path = "outbox"\n', "")
        .replace('rate = "50/s"', 'rate = "1000/s"')
    )
    config.write_text(text)


def _kill_when(desk: Desk, reached: threading.Event, **environment: str) -> None:
    """Start a run, and kill it without warning when the server says that it has gone far enough."""
    process = desk.start("run", **environment)
    assert reached.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def _report(desk: Desk, **environment: str) -> dict[str, int]:
    """What the next run makes of it."""
    (report,) = desk.digest("run", "--json", **environment).rows
    return report["deliveries"]


@pytest.mark.parametrize("step", ["rcpt", "data"])
@pytest.mark.parametrize("number", [1, 17, 30])
def test_killed_among_smtp_messages(desk: Desk, step: str, number: int) -> None:
    reached = threading.Event()
    asked = Counter[str]()

    def pause(kind: str, reply: str) -> str:
        asked[kind] += 1
        if kind == step and asked[kind] == number:
            reached.set()
        return reply

    with SmtpServer(on_rcpt=lambda _: pause("rcpt", "250 ok"), on_data=lambda _: pause("data", "250 ok")) as server:
        _use(desk, f'kind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"')
        _kill_when(desk, reached)
        deliveries = _report(desk)
    got = Counter(message.recipient for message in server.messages)  # the server has ended: nothing is under way
    assert set(got.values()) <= {1}
    assert deliveries.get("unknown", 0) <= 1
    assert deliveries.get("accepted", 0) + deliveries.get("unknown", 0) == READERS
    missing = [row["email"] for row in desk.digest("editions", "show", "--missing", "--json").rows]
    assert {f"reader{n}@rehearsal.test" for n in range(READERS)} <= set(got) | set(missing)


@pytest.mark.parametrize("taken", [True, False])
def test_killed_while_sendgrid_has_the_request(desk: Desk, taken: bool) -> None:
    def answer(number: int) -> str:
        if number == 0:
            return "accept-and-stall" if taken else "stall"
        return "accept"

    with SendGridDouble(answer=answer) as api:
        _use(desk, f'kind = "sendgrid"\nhost = "{api.url}"')
        _kill_when(desk, api.stalling, DIGEST_SENDGRID_API_KEY=api.api_key)
        deliveries = _report(desk, DIGEST_SENDGRID_API_KEY=api.api_key)
        assert len(api.requests) == 1
        assert len(api.delivered) == (READERS if taken else 0)
    assert deliveries == {"unknown": READERS}
    assert len(desk.digest("editions", "show", "--missing", "--json").rows) == READERS


def test_two_senders_at_once_share_the_work_and_mail_nobody_twice(desk: Desk) -> None:
    with SmtpServer() as server:
        _use(desk, f'kind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"')
        desk.digest("run", "--no-send")
        senders = [desk.start("run", "--json") for _ in range(3)]
        reports = [json.loads(sender.communicate(timeout=90)[0]) for sender in senders]
        got = Counter(message.recipient for message in server.messages)
    assert len(got) == READERS
    assert set(got.values()) == {1}
    # Each waited for the others' leases, so each can say how it ended.
    assert [(report["status"], report["state"]) for report in reports] == [("done", "sent")] * 3
