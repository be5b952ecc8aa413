"""What servers do when they do not say yes: every message still has one outcome, and nothing is sent blindly."""

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digest.errors import PolicyRefused, Refused, TransportError, Unavailable
from digest.models import DeliveryState
from digest.transports.sendgrid import SendGridTransport
from digest.transports.smtp import SmtpTransport
from tests.contract.test_transports import Account, make_batch
from tests.doubles.certificates import make_certificate
from tests.doubles.sendgrid_api import SendGridDouble
from tests.doubles.smtp_script import SmtpScript
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
    assert account.outcomes[2].state is DeliveryState.DEFERRED  # the reader has done nothing wrong
    assert ("attempt", 3) not in account.said


@pytest.mark.parametrize("reply", ["550 5.1.8 who are you", "530 5.7.0 log in first", "552 5.3.4 too big for all"])
def test_what_is_said_of_the_sender_stops_the_batch_and_costs_no_reader(reply: str) -> None:
    account = Account()
    with SmtpScript({"MAIL": reply}) as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none")
        with pytest.raises(Refused, match=reply[4:9]):
            transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
    assert {number: outcome.state for number, outcome in account.outcomes.items()} == {1: DeliveryState.DEFERRED}


@pytest.mark.parametrize(
    ("verb", "reply", "state"),
    [
        ("MAIL", "drop", DeliveryState.DEFERRED),
        ("RCPT", "drop", DeliveryState.DEFERRED),
        ("DATA", "drop", DeliveryState.DEFERRED),
        (".", "drop", DeliveryState.UNKNOWN),
        ("MAIL", "299 odd", DeliveryState.DEFERRED),
        ("RCPT", "354 odd", DeliveryState.DEFERRED),
        ("DATA", "250 odd", DeliveryState.DEFERRED),
        (".", "354 odd", DeliveryState.UNKNOWN),
        (".", "nonsense", DeliveryState.UNKNOWN),
    ],
)
@pytest.mark.parametrize("offers", [(), ("PIPELINING",)], ids=["one by one", "pipelined"])
def test_a_message_is_unknown_only_when_its_content_has_left(
    verb: str, reply: str, state: DeliveryState, offers: Sequence[str]
) -> None:
    account = Account()
    with SmtpScript({verb: reply}, offers=offers) as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none", seconds=10)
        # The first is put off. That it happens again is no reader's fault: the rest may go elsewhere.
        with pytest.raises(Unavailable) if state is DeliveryState.DEFERRED else contextlib.nullcontext():
            transport.send(make_batch(2), account.on_attempt, account.on_outcome)
        transport.close()
        assert bool(server.contents) == (state is DeliveryState.UNKNOWN)
    expected = [state] if state is DeliveryState.DEFERRED else [state, state]
    assert [outcome.state for outcome in account.outcomes.values()] == expected
    assert all(outcome.raw for outcome in account.outcomes.values())


def test_an_international_domain_needs_no_smtputf8() -> None:
    batch = make_batch(1)
    (message,) = batch.messages
    account = Account()
    with SmtpServer() as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none")
        messages = (replace(message, email="jo@bücher.example"),)
        transport.send(replace(batch, messages=messages), account.on_attempt, account.on_outcome)
        transport.close()
        (received,) = server.messages
    assert received.recipient == "jo@xn--bcher-kva.example"
    assert b"<jo@xn--bcher-kva.example>" in received.content
    assert account.outcomes[1].state is DeliveryState.ACCEPTED


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody vouches for, and a server's side of it."""
    path, key = make_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    return path, context


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[Path, ssl.SSLContext]) -> None:
    with SmtpServer(tls=certificate[1]) as server:
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
    return SendGridTransport(**{"api_key": api.api_key, "host": api.url} | changes)


@pytest.mark.parametrize(
    ("answer", "state", "delivered"),
    [
        ("accept", DeliveryState.ACCEPTED, 3),
        (500, DeliveryState.UNKNOWN, 0),
        (502, DeliveryState.UNKNOWN, 0),
        (504, DeliveryState.UNKNOWN, 0),
        ("drop", DeliveryState.UNKNOWN, 0),
        ("accept-and-drop", DeliveryState.UNKNOWN, 3),
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


def test_an_answer_that_does_not_come_in_time_leaves_it_unknown() -> None:
    account = Account()
    with SendGridDouble(answer=lambda _: "stall") as api:
        transport = _sendgrid(api, read_seconds=0.5)
        transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
        assert api.delivered == []
    assert [outcome.state for outcome in account.outcomes.values()] == [DeliveryState.UNKNOWN] * 3


def _about(*places: int) -> dict[str, Any]:
    return {
        "errors": [{"field": f"personalizations.{place}.to.0.email", "message": "no valid address"} for place in places]
    }


def test_a_request_is_sent_again_without_the_readers_that_it_was_rejected_for() -> None:
    account = Account()
    answers = [(400, _about(1, 4)), "accept"]
    with SendGridDouble(answer=lambda number: answers[number]) as api:
        transport = _sendgrid(api)
        transport.send(make_batch(40), account.on_attempt, account.on_outcome)
        transport.close()
        assert len(api.delivered) == 38
    refused = {number for number, outcome in account.outcomes.items() if outcome.state is DeliveryState.REFUSED}
    assert refused == {2, 5}
    assert account.outcomes[2].raw == "400 no valid address"
    assert sum(outcome.state is DeliveryState.ACCEPTED for outcome in account.outcomes.values()) == 38


@pytest.mark.parametrize(
    "answer", [400, 413, (400, {"errors": "?"}), (404, []), (400, _about(99)), (400, _about(*range(40)))]
)
def test_a_rejection_that_is_not_about_single_readers_costs_none_of_them(answer: Any) -> None:
    account = Account()
    with SendGridDouble(answer=lambda _: answer) as api:
        transport = _sendgrid(api)
        with pytest.raises(Refused, match=r"40[04]|413"):
            transport.send(make_batch(40), account.on_attempt, account.on_outcome)
        transport.close()
    assert account.outcomes == {}


def test_a_request_that_was_too_large_goes_in_parts() -> None:
    account = Account()
    answers: list[str | int] = [413, "accept", 413, "accept", "accept"]
    with SendGridDouble(answer=lambda number: answers[number]) as api:
        transport = _sendgrid(api)
        transport.send(make_batch(8), account.on_attempt, account.on_outcome)
        transport.close()
        assert [len(request["personalizations"]) for request in api.requests] == [8, 4, 4, 2, 2]
        assert len(api.delivered) == 8
    assert {outcome.state for outcome in account.outcomes.values()} == {DeliveryState.ACCEPTED}


def test_what_was_rejected_and_may_not_go_again_is_certainly_not_sent() -> None:
    account = Account()

    def on_attempt(deliveries: Sequence[int]) -> None:
        if len(account.said) > 12:  # the second half
            raise InterruptedError
        account.on_attempt(deliveries)

    with SendGridDouble(answer=lambda number: 413 if number in {0, 1} else "accept") as api:
        transport = _sendgrid(api)
        with pytest.raises(InterruptedError):
            transport.send(make_batch(8), on_attempt, account.on_outcome)
        transport.close()
        assert [len(request["personalizations"]) for request in api.requests] == [8, 4, 2]
    # Of the request itself that may not leave, whoever forbids it knows.
    states = {number: outcome.state for number, outcome in account.outcomes.items()}
    assert states == dict.fromkeys((1, 2), DeliveryState.ACCEPTED) | dict.fromkeys(range(5, 9), DeliveryState.DEFERRED)


def test_a_tls_error_in_the_answer_is_not_taken_for_one_before_the_request(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server takes the whole request, and then breaks the encryption instead of answering.
    path, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    account = Account()
    taken: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            raw, _ = listener.accept()
            plain = raw.dup()
            with plain, context.wrap_socket(raw, server_side=True) as secure:
                head, _, body = secure.recv(65_536).partition(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.splitlines() if line.lower().startswith(b"content-length:")
                )
                while len(body) < length:
                    body += secure.recv(65_536)
                taken.append(body)
                plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        transport = SendGridTransport(api_key="SG.k", host=f"https://127.0.0.1:{listener.getsockname()[1]}")
        transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
        thread.join(10)
    assert taken
    assert {outcome.state for outcome in account.outcomes.values()} == {DeliveryState.UNKNOWN}


def test_a_certificate_that_nobody_vouches_for_gets_no_request(certificate: tuple[Path, ssl.SSLContext]) -> None:
    account = Account()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            raw, _ = listener.accept()
            with contextlib.suppress(OSError), certificate[1].wrap_socket(raw, server_side=True):
                pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        transport = SendGridTransport(api_key="SG.k", host=f"https://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Unavailable):
            transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
        thread.join(10)
    assert account.outcomes == {}


@pytest.mark.parametrize("answer", [429, 503])
def test_what_sendgrid_certainly_did_not_take_may_be_tried_again(answer: int) -> None:
    account = Account()
    with SendGridDouble(answer=lambda _: answer) as api:
        transport = _sendgrid(api)
        with pytest.raises(Unavailable, match="wait 60 seconds" if answer == 429 else "503"):
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
        transport = _sendgrid(api)
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


def test_a_reader_whose_links_are_too_long_is_refused_and_the_others_are_not() -> None:
    batch = make_batch(3)
    first, second, third = batch.messages
    messages = (first, replace(second, unsubscribe_url="https://news.test/" + "x" * 10_000), third)
    account = Account()
    with SendGridDouble() as api:
        transport = _sendgrid(api)
        transport.send(replace(batch, messages=messages), account.on_attempt, account.on_outcome)
        transport.close()
        assert len(api.delivered) == 2
    assert account.outcomes[2].state is DeliveryState.REFUSED
    assert "10,000" in account.outcomes[2].raw
    assert account.said.index(("attempt", 2)) < account.said.index(("outcome", 2))
    assert account.outcomes[1].state is account.outcomes[3].state is DeliveryState.ACCEPTED


@pytest.mark.parametrize(
    ("status", "field", "words", "error", "remedy"),
    [
        (401, None, "The provided authorization grant is invalid, expired, or revoked", Refused, "API_KEY"),
        (403, None, "access forbidden", Refused, "API_KEY"),
        (401, None, "Maximum credits exceeded", Unavailable, "credits"),
        (
            403,
            "from",
            "The from address does not match a verified Sender Identity.",
            PolicyRefused,
            "verify the sender",
        ),
        (403, None, "brief@news.test is not a verified sender", PolicyRefused, "verify the sender"),
        (403, None, "Your account is temporarily suspended", PolicyRefused, "support"),
    ],
)
def test_whom_sendgrid_does_not_let_in_is_said_with_a_remedy(
    status: int, field: str | None, words: str, error: type[TransportError], remedy: str
) -> None:
    account = Account()
    answer = (status, {"errors": [{"field": field, "message": words}]})
    with SendGridDouble(answer=lambda _: answer) as api:
        transport = _sendgrid(api)
        with pytest.raises(error, match=remedy) as caught:
            transport.send(make_batch(3), account.on_attempt, account.on_outcome)
        transport.close()
    assert type(caught.value) is error
    assert "@" not in str(caught.value)
    assert account.outcomes == {}


def test_what_was_accepted_before_a_limit_stays_so_and_the_rest_was_not_sent() -> None:
    account = Account()
    answers: list[str | int] = ["accept", 429]
    with SendGridDouble(answer=lambda number: answers[number]) as api:
        transport = _sendgrid(api)
        with pytest.raises(Unavailable) as caught:
            transport.send(make_batch(1500), account.on_attempt, account.on_outcome)
        transport.close()
        assert len(api.delivered) == 1000
    assert caught.value.wait_seconds == 60
    assert len(account.outcomes) == 1000


@pytest.mark.parametrize("sandbox", [False, True])
def test_in_the_sandbox_alone_200_is_accepted(sandbox: bool) -> None:
    account = Account()
    with SendGridDouble(answer=lambda _: 200) as api:
        transport = _sendgrid(api, sandbox=sandbox)
        transport.send(make_batch(2), account.on_attempt, account.on_outcome)
        transport.close()
    state = DeliveryState.ACCEPTED if sandbox else DeliveryState.UNKNOWN
    assert {outcome.state for outcome in account.outcomes.values()} == {state}
