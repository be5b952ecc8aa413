"""Whatever SendGrid's end does, or does not do, a request ends in time and every reader has one outcome."""

import itertools
import json
import logging
import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from digest.errors import Refused, TransportError, Unavailable
from digest.models import Batch, DeliveryState, ProviderList
from digest.transports.sendgrid import SendGridTransport
from digest.transports.sendgrid_lists import SendGridLists
from tests.contract.test_transports import Account, make_batch
from tests.doubles.certificates import make_certificate
from tests.doubles.http_script import HttpScript, Line
from tests.doubles.sendgrid_api import SendGridDouble

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = "SG.hush-hush"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: abc\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def transport_to(url: str, **changes: object) -> Iterator[SendGridTransport]:
    """Whoever waits has long patience for each byte, and little for all of them."""
    patience = {"connect_seconds": 2.0, "read_seconds": 30.0, "total_seconds": 2.0}
    transport = SendGridTransport(**{"api_key": KEY, "host": url, **patience, **changes})  # type: ignore[arg-type]
    try:
        yield transport
    finally:
        transport.close()


def hand_over(transport: SendGridTransport, batch: Batch | None = None) -> tuple[Account, TransportError | None]:
    """Send, in a thread: one that never ended would otherwise be waited for for ever."""
    account = Account()
    faults: list[TransportError] = []

    def send() -> None:
        try:
            transport.send(batch or make_batch(3), account.on_attempt, account.on_outcome)
        except TransportError as error:
            faults.append(error)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it still waits"
    return account, faults[0] if faults else None


def states(account: Account) -> set[DeliveryState]:
    return {outcome.state for outcome in account.outcomes.values()}


def _after_the_request(words: Callable[[], Iterator[bytes]]) -> Callable[[Line], None]:
    def deal(line: Line) -> None:
        if line.read_request():
            line.trickle(words())

    return deal


def _letters(text: bytes, then: bytes = b"x") -> Iterator[bytes]:
    yield from (text[n : n + 1] for n in range(len(text)))
    yield from itertools.repeat(then)


STALLS: dict[str, Callable[[Line], None]] = {
    "no answer": lambda line: (line.read_request(), line.stall())[1],
    "nothing is read": lambda line: line.stall(),
    "a status, letter by letter": _after_the_request(lambda: _letters(b"HTTP/1.1 202 Accepted")),
    "headers, letter by letter": _after_the_request(
        lambda: itertools.chain([b"HTTP/1.1 202 Accepted\r\n"], _letters(b"X-Message-Id: "))
    ),
    "headers without an end": _after_the_request(lambda: _letters(b"HTTP/1.1 202 Accepted\r\n", b"X: y\r\n")),
    "an answer that is about to come": _after_the_request(lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
}


@pytest.mark.parametrize("stall", sorted(STALLS))
@pytest.mark.parametrize("is_huge", [False, True], ids=["small", "10 MB"])
def test_an_answer_that_never_ends_is_unknown_in_time(stall: str, is_huge: bool) -> None:
    batch = make_batch(3)
    if is_huge:
        rendition = replace(batch.rendition, html=batch.rendition.html + "ж" * 5_000_000)
        batch = replace(batch, rendition=rendition)
    with HttpScript(STALLS[stall]) as server, transport_to(server.url) as transport:
        account, fault = hand_over(transport, batch)
    assert fault is None
    assert states(account) == {DeliveryState.UNKNOWN}
    assert len(account.outcomes) == 3


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1000", b"Content-Length: 1000\r\nConnection: close", b"Connection: close", b"X-Message-Id: abc"],
)
def test_a_body_that_never_ends_takes_nothing_back_of_the_status_before_it(head: bytes) -> None:
    def words() -> Iterator[bytes]:
        return itertools.chain([b"HTTP/1.1 202 Accepted\r\n" + head + b"\r\n\r\n"], itertools.repeat(b"x"))

    # On a busy machine, too, the status has to come before the patience ends.
    with HttpScript(_after_the_request(words)) as server, transport_to(server.url, total_seconds=6.0) as transport:
        account, fault = hand_over(transport)
        assert fault is None
        assert states(account) == {DeliveryState.ACCEPTED}
        # What is left of that answer must not be taken for the next one.
        again, _ = hand_over(transport)
        assert states(again) == {DeliveryState.ACCEPTED}
        assert server.connections == 2


def test_a_connection_that_is_never_accepted_is_given_up_and_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        for _ in range(3):  # the queue is full: whoever knocks now gets no answer
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(("127.0.0.1", port))
        with transport_to(f"http://127.0.0.1:{port}") as transport:
            account, fault = hand_over(transport)
    assert isinstance(fault, Unavailable)
    assert account.outcomes == {}


@pytest.mark.parametrize("words", [[], _letters(b"\x16\x03\x03\x40\x00")], ids=["silent", "a byte now and then"])
def test_a_tls_handshake_that_never_ends_is_given_up_and_nothing_was_sent(words: Iterator[bytes]) -> None:
    def deal(line: Line) -> None:
        line.connection.recv(1)
        line.trickle(words)
        line.stall()

    with HttpScript(deal) as server, transport_to(server.url.replace("http:", "https:")) as transport:
        account, fault = hand_over(transport)
    assert isinstance(fault, Unavailable)
    assert account.outcomes == {}


def test_a_name_that_nobody_knows_sends_nothing() -> None:
    with transport_to("https://sendgrid.invalid", connect_seconds=10.0, total_seconds=10.0) as transport:
        account, fault = hand_over(transport)
    assert isinstance(fault, Unavailable)
    assert account.outcomes == {}


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "half a status": b"HTTP/1.1 20",
    "no HTTP": b"220 mail.test ESMTP\r\n\r\n",
    "half a header": b"HTTP/1.1 202 Accepted\r\nX-Mess",
    "a header of 70 kB": b"HTTP/1.1 202 Accepted\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    "a thousand headers": b"HTTP/1.1 202 Accepted\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "a status of letters": b"HTTP/1.1 two Accepted\r\n\r\n",
    "another success": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "see other": b"HTTP/1.1 303 See Other\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "found": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "too late": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "nothing that was ever given": b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", sorted(BROKEN))
def test_a_broken_answer_and_one_that_sendgrid_never_gives_are_unknown(answer: str) -> None:
    def deal(line: Line) -> None:
        if line.read_request():
            line.say(BROKEN[answer])

    with HttpScript(deal) as server, transport_to(server.url, total_seconds=10.0) as transport:
        account, fault = hand_over(transport)
    assert fault is None
    assert states(account) == {DeliveryState.UNKNOWN}


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(status: int) -> None:
    with HttpScript(lambda line: line.stall()) as elsewhere:

        def deal(line: Line) -> None:
            line.read_request()
            line.say(f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode())

        with HttpScript(deal) as server, transport_to(server.url, total_seconds=10.0) as transport:
            account, fault = hand_over(transport)
        assert elsewhere.connections == 0
    assert isinstance(fault, Refused)
    assert "host" in str(fault)
    assert account.outcomes == {}


def test_who_answers_before_the_end_and_hangs_up_is_heard_all_the_same() -> None:
    def deal(line: Line) -> None:
        line.read_request()
        line.say(b"HTTP/1.1 503 Unavailable\r\nRetry-After: 120\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    with HttpScript(deal) as server, transport_to(server.url, total_seconds=10.0) as transport:
        account, fault = hand_over(transport)
    assert isinstance(fault, Unavailable)
    assert fault.wait_seconds == 120
    assert account.outcomes == {}


def test_a_kept_connection_that_the_other_side_closed_costs_nobody_anything() -> None:
    closed = threading.Event()

    def deal(line: Line) -> None:
        line.read_request()
        line.say(ACCEPTED)
        line.connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with HttpScript(deal) as server, transport_to(server.url, total_seconds=10.0) as transport:
        for _ in range(3):
            closed.clear()
            account, fault = hand_over(transport)
            assert fault is None
            assert states(account) == {DeliveryState.ACCEPTED}
            assert closed.wait(10)
        assert server.connections == 3


def test_several_threads_share_a_transport_and_its_connections() -> None:
    accounts: list[Account] = []
    with SendGridDouble() as api, transport_to(api.url, api_key=api.api_key, total_seconds=20.0) as transport:

        def work() -> None:
            for _ in range(3):
                account = Account()
                transport.send(make_batch(20), account.on_attempt, account.on_outcome)
                accounts.append(account)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert api.connections <= 3
        assert len(api.delivered) == 180
    assert len(accounts) == 9
    assert all(states(account) == {DeliveryState.ACCEPTED} for account in accounts)
    # An answer that went to another thread would name another request.
    ids = [outcome.provider_id for account in accounts for outcome in account.outcomes.values()]
    assert len(set(ids)) == 9


def test_one_connection_over_tls_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    def deal(line: Line) -> None:
        while line.read_request():
            line.say(ACCEPTED)

    with HttpScript(deal, tls=context) as server, transport_to(server.url, total_seconds=10.0) as transport:
        for _ in range(3):
            account, fault = hand_over(transport)
            assert fault is None
            assert {outcome.provider_id for outcome in account.outcomes.values()} == {"abc"}
        assert server.connections == 1


ECHOES: dict[str, Callable[[bytes], bytes]] = {
    "refused": lambda said: b"HTTP/1.1 400 Bad Request\r\n\r\n" + said,
    "refused, as errors": lambda said: (
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + json.dumps({"errors": [{"message": said[:190].decode()}]}).encode()
    ),
    "forbidden": lambda said: b"HTTP/1.1 403 Forbidden\r\n\r\n" + said,
    "late": lambda said: b"HTTP/1.1 503 Unavailable\r\n\r\n" + said,
    "failed": lambda said: (
        b"HTTP/1.1 500 Failed\r\n\r\n"
        + json.dumps({"errors": [{"message": said[said.index(b"Bearer") :][:80].decode()}]}).encode()
    ),
    "as a status": lambda said: said,
    "as a header": lambda said: b"HTTP/1.1 202 Accepted\r\nX-Odd: " + said.replace(b"\r\n", b" ") + b"\r\n\r\n",
}


@pytest.mark.parametrize("echo", sorted(ECHOES))
def test_a_server_that_repeats_the_request_gets_neither_key_nor_address_into_logs_or_faults(
    echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    def deal(line: Line) -> None:
        line.say(ECHOES[echo](line.read_request()))

    with caplog.at_level(logging.DEBUG):
        # Some loggers are quieter than the root, until somebody turns them up.
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] in ("sendgrid", "python_http_client", "urllib3", "http", "digest"):
                caplog.set_level(logging.DEBUG, name)
        with HttpScript(deal) as server, transport_to(server.url, total_seconds=10.0) as transport:
            account, fault = hand_over(transport)
            shown = [f"{transport!r}", caplog.text]
    if fault is not None:
        shown.append(f"{fault}{fault!r}{''.join(traceback.format_exception(fault))}")
    shown += [outcome.raw for outcome in account.outcomes.values()]
    assert KEY not in "".join(shown)
    assert "@rehearsal.test" not in "".join(shown)


@pytest.mark.parametrize("key", ["SG.one\r\nX-Evil: two", "SG.ключ", "", " "])
def test_a_key_that_no_header_may_hold_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(Refused, match="DIGEST_SENDGRID_API_KEY") as caught:
        SendGridTransport(api_key=key)
    assert not key.strip() or key not in f"{caught.value}{caught.value!r}"


def test_addresses_in_paths_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), SendGridDouble() as api:
        lists = SendGridLists(api_key=api.api_key, host=api.url, clock=lambda: NOW)
        lists.remove(ProviderList.LEFT, ["jo@rehearsal.test"])
        lists.close()
    assert "rehearsal" not in caplog.text
