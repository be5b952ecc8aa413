"""Every transport keeps the same promises: marked before it leaves, accounted for once, one message a reader."""

import email
import email.policy
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from digest.errors import TransportError, Unavailable
from digest.models import UNSUBSCRIBE_TOKEN, Batch, DeliveryState, Letterhead, Message, Outcome, Rendition
from digest.protocols import Transport
from digest.transports.outbox import OutboxTransport
from digest.transports.sendgrid import SendGridTransport
from digest.transports.smtp import SmtpTransport
from tests.doubles.sendgrid_api import SendGridDouble
from tests.doubles.smtp_server import SmtpServer

LETTERHEAD = Letterhead(
    sender="Morning Brief <brief@news.test>",
    reply_to="editor@news.test",
    list_id="morning.news.test",
    list_name="Morning Brief",
    dated_at=datetime(2026, 3, 2, 7, 0, tzinfo=UTC),
)
RENDITION = Rendition(
    variant="all",
    subject="جسر الميناء يُغلق أسبوعين – what it means",
    html="<html><body><h1>Brücke & Hafen</h1><p>.A line with a dot.</p>"
    f'<a href="{UNSUBSCRIBE_TOKEN}">Leave</a></body></html>',
    text=f"Brücke\n\n.A line that starts with a dot\nLeave: {UNSUBSCRIBE_TOKEN}\n",
)


def make_batch(readers: int = 3, **changes: object) -> Batch:
    """A batch for that many readers."""
    messages = tuple(
        Message(
            delivery=number,
            send_key=f"{number:032x}",
            email=f"reader{number}@rehearsal.test",
            name=["Jo Reader", 'Jörg, "der" Müller', "قارئ\r\nBcc: evil@mail.org", None][number % 4],
            unsubscribe_url=f"https://news.test/morning/unsubscribe/{number:032x}.{'s' * 42}{number}",
        )
        for number in range(1, readers + 1)
    )
    return replace(Batch(rendition=RENDITION, letterhead=LETTERHEAD, messages=messages), **changes)


@dataclass
class Bench:
    """A transport, and what arrived at its other end."""

    transport: Transport
    arrived: Callable[[], dict[str, list[EmailMessage]]]


def _by_recipient(raws: Sequence[bytes]) -> dict[str, list[EmailMessage]]:
    found: dict[str, list[EmailMessage]] = {}
    for raw in raws:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        found.setdefault(message["To"].addresses[0].addr_spec, []).append(message)
    return found


@pytest.fixture(params=["outbox", "smtp", "sendgrid"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        if request.param == "outbox":
            transport: Transport = OutboxTransport(path=tmp_path / "outbox")
            yield Bench(
                transport, lambda: _by_recipient([p.read_bytes() for p in (tmp_path / "outbox" / "new").glob("*")])
            )
        elif request.param == "smtp":
            server = stack.enter_context(SmtpServer())
            transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none")
            yield Bench(transport, lambda: _by_recipient(server.contents()))
        else:
            api = stack.enter_context(SendGridDouble())
            transport = SendGridTransport(api_key=api.api_key, host=api.url)
            yield Bench(transport, lambda: _by_recipient([delivered.message.as_bytes() for delivered in api.delivered]))
        transport.close()
        transport.close()


class Account:
    """What a transport said of its messages, in order."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []
        self.outcomes: dict[int, Outcome] = {}

    def on_attempt(self, deliveries: Sequence[int]) -> None:
        self.said += [("attempt", delivery) for delivery in deliveries]

    def on_outcome(self, outcomes: Sequence[Outcome]) -> None:
        self.said += [("outcome", outcome.delivery) for outcome in outcomes]
        self.outcomes |= {outcome.delivery: outcome for outcome in outcomes}


def test_every_message_is_accounted_for_once_and_marked_before_its_outcome(bench: Bench) -> None:
    account = Account()
    bench.transport.send(make_batch(5), account.on_attempt, account.on_outcome)
    assert Counter(account.said) == Counter({(kind, n): 1 for kind in ("attempt", "outcome") for n in range(1, 6)})
    for number in range(1, 6):
        assert account.said.index(("attempt", number)) < account.said.index(("outcome", number))
    assert {outcome.state for outcome in account.outcomes.values()} == {DeliveryState.ACCEPTED}


def test_each_reader_gets_one_message_with_both_parts_all_headers_and_an_own_way_out(bench: Bench) -> None:
    batch = make_batch(4)
    account = Account()
    bench.transport.send(batch, account.on_attempt, account.on_outcome)
    arrived = bench.arrived()
    assert set(arrived) == {message.email for message in batch.messages}
    for message in batch.messages:
        (got,) = arrived[message.email]
        text, html = got.get_body(("plain",)), got.get_body(("html",))
        assert text
        assert html
        assert got["Subject"] == RENDITION.subject
        assert got["List-Unsubscribe"] == f"<{message.unsubscribe_url}>"
        assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert got["List-ID"] == "Morning Brief <morning.news.test>"
        assert got["Message-ID"] == f"<{message.send_key}@news.test>"
        assert got["Auto-Submitted"] == "auto-generated"
        assert got["Date"].datetime == LETTERHEAD.dated_at
        assert got["From"].addresses[0].addr_spec == "brief@news.test"
        assert got["Bcc"] is None
        expected = RENDITION.text.replace(UNSUBSCRIBE_TOKEN, message.unsubscribe_url)
        assert text.get_content().replace("\r\n", "\n") == expected
        assert html.get_content().replace("\r\n", "\n").rstrip() == RENDITION.html.replace(
            UNSUBSCRIBE_TOKEN, message.unsubscribe_url
        )


def test_what_cannot_be_marked_is_not_sent(bench: Bench) -> None:
    class FencedError(Exception):
        pass

    def refuse(deliveries: Sequence[int]) -> None:
        raise FencedError

    with pytest.raises(FencedError):
        bench.transport.send(make_batch(), refuse, lambda outcomes: None)
    assert bench.arrived() == {}


def test_rendering_sends_nothing_and_gives_the_same_bytes_each_time(bench: Bench) -> None:
    batch = make_batch(2)
    first = bench.transport.render(batch)
    assert first == bench.transport.render(batch)
    assert bench.arrived() == {}
    assert UNSUBSCRIBE_TOKEN.encode() not in first[0] or bench.transport.name == "sendgrid"


def test_what_is_rendered_for_sendgrid_is_the_very_request() -> None:
    account = Account()
    with SendGridDouble() as api:
        transport = SendGridTransport(api_key=api.api_key, host=api.url)
        transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        assert transport.render(make_batch(3)) == api.bodies
        transport.close()


def test_check_finds_the_other_end(bench: Bench) -> None:
    assert bench.transport.check()


def test_a_second_batch_goes_the_same_way(bench: Bench) -> None:
    account = Account()
    bench.transport.send(make_batch(2), account.on_attempt, account.on_outcome)
    later = make_batch(4)
    bench.transport.send(replace(later, messages=later.messages[2:]), account.on_attempt, account.on_outcome)
    assert sorted(account.outcomes) == [1, 2, 3, 4]
    assert len(bench.arrived()) == 4


@pytest.mark.parametrize("kind", ["outbox", "smtp", "sendgrid"])
def test_where_nobody_answers_nothing_was_sent(kind: str, tmp_path: Path) -> None:
    transport: Transport
    if kind == "outbox":
        (tmp_path / "outbox").write_text("in the way")
        transport = OutboxTransport(path=tmp_path / "outbox")
    elif kind == "smtp":
        transport = SmtpTransport(host="127.0.0.1", port=9, tls="none", seconds=2)
    else:
        transport = SendGridTransport(api_key="SG.hush", host="http://127.0.0.1:9", connect_seconds=2)
    account = Account()
    with pytest.raises(Unavailable) as caught:
        transport.send(make_batch(), account.on_attempt, account.on_outcome)
    assert account.outcomes == {}
    assert "SG.hush" not in f"{caught.value}{caught.value!r}{transport!r}"
    with pytest.raises(TransportError):
        transport.check()


def test_the_same_delivery_lies_in_the_outbox_once_however_often_it_is_sent(tmp_path: Path) -> None:
    transport = OutboxTransport(path=tmp_path / "outbox")
    account = Account()
    for _ in range(2):
        transport.send(make_batch(3), account.on_attempt, account.on_outcome)
    assert len(list((tmp_path / "outbox" / "new").iterdir())) == 3


def test_sendgrid_bodies_hold_no_key_and_what_they_say_is_what_the_service_takes() -> None:
    transport = SendGridTransport(api_key="SG.hush", sandbox=True)
    (body,) = transport.render(make_batch(3))
    assert b"SG.hush" not in body
    request = json.loads(body)
    assert request["mail_settings"] == {"sandbox_mode": {"enable": True}}
    assert [part["type"] for part in request["content"]] == ["text/plain", "text/html"]
    assert {p["custom_args"]["send_key"] for p in request["personalizations"]} == {f"{n:032x}" for n in (1, 2, 3)}
    tracking = request["tracking_settings"]
    assert not any(setting["enable"] for setting in tracking.values())
