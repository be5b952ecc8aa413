"""What servers do when they do not say yes: every message still has one outcome, and nothing is sent blindly."""

import logging
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from digest.errors import Refused, Unavailable
from digest.models import DeliveryState
from digest.transports.sendgrid import SendGridTransport
from digest.transports.smtp import SmtpTransport
from tests.contract.test_transports import Account, make_batch
from tests.doubles.sendgrid_api import SendGridDouble
from tests.doubles.smtp_server import SmtpServer

SECOND = "reader2@rehearsal.test"


def _only_second(reply: str, otherwise: str) -> Callable[[str], str]:
    return lambda address: reply if address == SECOND else otherwise


def _send_over_smtp(server: SmtpServer) -> Account:
    account = Account()
    transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none", seconds=10)
    transport.send(make_batch(3), account.on_attempt, account.on_outcome)
    transport.close()
    return account


@pytest.mark.parametrize(
    ("rcpt", "data", "state", "arrived"),
    [
        ("550 5.1.1 no such user", "250 ok", DeliveryState.REFUSED, 2),
        ("451 4.7.1 greylisted", "250 ok", DeliveryState.DEFERRED, 2),
        ("250 ok", "552 5.3.4 too big", DeliveryState.REFUSED, 2),
        ("250 ok", "451 4.3.0 try later", DeliveryState.DEFERRED, 2),
        ("421 4.3.2 closing", "250 ok", DeliveryState.DEFERRED, 2),
        ("250 ok", "drop", DeliveryState.UNKNOWN, 3),
    ],
)
def test_one_readers_trouble_is_that_readers_alone(rcpt: str, data: str, state: DeliveryState, arrived: int) -> None:
    with SmtpServer(on_rcpt=_only_second(rcpt, "250 ok"), on_data=_only_second(data, "250 ok")) as server:
        account = _send_over_smtp(server)
        assert len(server.messages) == arrived
    assert account.outcomes[1].state is account.outcomes[3].state is DeliveryState.ACCEPTED
    assert account.outcomes[2].state is state
    assert account.outcomes[2].raw


def test_a_policy_refusal_stops_the_batch_and_the_rest_is_untouched() -> None:
    account = Account()
    with SmtpServer(on_data=_only_second("550 5.7.1 looks like spam", "250 ok")) as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none")
        with pytest.raises(Refused, match="spam"):
            transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
    assert account.outcomes[2].state is DeliveryState.REFUSED
    assert ("attempt", 3) not in account.said


def test_one_connection_is_kept_for_all_messages() -> None:
    with SmtpServer() as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none")
        for _ in range(2):
            account = Account()
            transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
        assert server.connections == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_wrong_password_is_refused_without_naming_it() -> None:
    with SmtpServer(login=("brief", "right")) as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none", username="brief", password="wr0ng")
        with pytest.raises(Refused, match="login") as caught:
            transport.check()
        assert "wr0ng" not in f"{caught.value} {transport!r}"
        right = SmtpTransport(host="127.0.0.1", port=server.port, tls="none", username="brief", password="right")
        assert "logged in" in right.check()
        right.close()


def test_a_server_without_starttls_is_not_talked_to_in_the_clear() -> None:
    with SmtpServer() as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="starttls")
        with pytest.raises(Refused, match="tls"):
            transport.check()


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with SmtpServer(tls=context) as server:
        account = Account()
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="starttls", seconds=10)
        with pytest.raises(Unavailable):
            transport.send(make_batch(1), account.on_attempt, account.on_outcome)
        assert server.messages == []
    assert account.said == []


def test_an_address_outside_ascii_is_refused_where_the_server_does_not_take_it() -> None:
    batch = make_batch(1)
    (message,) = batch.messages
    with SmtpServer() as server:
        account = Account()
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none")
        transport.send(
            replace(batch, messages=(replace(message, email="jörg@rehearsal.test"),)),
            account.on_attempt,
            account.on_outcome,
        )
        transport.close()
    assert account.outcomes[1].state is DeliveryState.REFUSED
    assert "SMTPUTF8" in account.outcomes[1].raw


def _sendgrid(api: SendGridDouble, **changes: object) -> SendGridTransport:
    return SendGridTransport(**{"api_key": api.api_key, "host": api.url, "read_seconds": 1.0} | changes)


@pytest.mark.parametrize(
    ("answer", "state", "delivered"),
    [
        ("accept", DeliveryState.ACCEPTED, 3),
        (400, DeliveryState.REFUSED, 0),
        (413, DeliveryState.REFUSED, 0),
        (500, DeliveryState.UNKNOWN, 0),
        (502, DeliveryState.UNKNOWN, 0),
        (504, DeliveryState.UNKNOWN, 0),
        ("drop", DeliveryState.UNKNOWN, 0),
        ("accept-and-drop", DeliveryState.UNKNOWN, 3),
        ("stall", DeliveryState.UNKNOWN, 0),
    ],
)
def test_each_answer_of_sendgrid_has_its_meaning(answer: str | int, state: DeliveryState, delivered: int) -> None:
    account = Account()
    with SendGridDouble(answer=lambda _: answer) as api:
        transport = _sendgrid(api)
        transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
        assert len(api.delivered) == delivered
    assert {outcome.state for outcome in account.outcomes.values()} == {state}
    assert len(account.outcomes) == 3


@pytest.mark.parametrize("answer", [429, 503])
def test_what_sendgrid_certainly_did_not_take_may_be_tried_again(answer: int) -> None:
    account = Account()
    with SendGridDouble(answer=lambda _: answer) as api:
        transport = _sendgrid(api)
        with pytest.raises(Unavailable, match="1900000000" if answer == 429 else "503"):
            transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
    assert account.outcomes == {}


def test_a_bad_key_is_refused_and_not_named(caplog: pytest.LogCaptureFixture) -> None:
    account = Account()
    with caplog.at_level(logging.DEBUG), SendGridDouble() as api:
        transport = _sendgrid(api, api_key="SG.wrong-key")
        with pytest.raises(Refused, match="DIGEST_SENDGRID_API_KEY") as caught:
            transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
    assert "SG.wrong-key" not in f"{caught.value}{transport!r}{caplog.text}"
    assert account.outcomes == {}


def test_neither_key_nor_addresses_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    account = Account()
    with caplog.at_level(logging.DEBUG), SendGridDouble() as api:
        transport = _sendgrid(api)
        transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
        assert api.api_key not in caplog.text
    assert "@rehearsal.test" not in caplog.text


def test_many_readers_are_split_into_requests_of_a_thousand_over_one_connection() -> None:
    account = Account()
    with SendGridDouble() as api:
        transport = _sendgrid(api, read_seconds=30.0)
        transport.send(make_batch(2500), account.on_attempt, account.on_outcome)
        transport.close()
        assert [len(request["personalizations"]) for request in api.requests] == [1000, 1000, 500]
        assert api.connections == 1
    assert len(account.outcomes) == 2500


def test_an_address_never_stands_twice_in_a_request() -> None:
    batch = make_batch(2)
    twins = tuple(
        replace(message, email=spelling)
        for message, spelling in zip(batch.messages, ("a@x.test", "A@x.test"), strict=True)
    )
    account = Account()
    with SendGridDouble() as api:
        transport = _sendgrid(api)
        transport.send(replace(batch, messages=twins), account.on_attempt, account.on_outcome)
        transport.close()
        assert len(api.requests) == 2
    assert {outcome.state for outcome in account.outcomes.values()} == {DeliveryState.ACCEPTED}
