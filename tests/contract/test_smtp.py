"""What an SMTP server may do, and what becomes of each message."""

import contextlib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from digest.adapters import make_transport
from digest.config.delivering import SmtpTable
from digest.config.schema import Secrets
from digest.errors import ConfigError, PolicyRefused, Refused, Unavailable
from digest.models import DeliveryState, Letterhead
from digest.transports.smtp import SmtpTransport
from tests.contract.test_transports import LETTERHEAD, Account, make_batch
from tests.doubles.certificates import make_certificate
from tests.doubles.smtp_script import SmtpScript

ACCEPTED, DEFERRED, REFUSED, UNKNOWN = (
    DeliveryState.ACCEPTED,
    DeliveryState.DEFERRED,
    DeliveryState.REFUSED,
    DeliveryState.UNKNOWN,
)
WAYS = [pytest.param((), id="one by one"), pytest.param(("PIPELINING",), id="pipelined")]


@contextlib.contextmanager
def connected(server: SmtpScript, **options: object) -> Iterator[SmtpTransport]:
    """A transport to that server."""
    transport = SmtpTransport(**{"host": "127.0.0.1", "port": server.port, "tls": "none", "seconds": 10.0} | options)  # type: ignore[arg-type]
    try:
        yield transport
    finally:
        transport.close()


def send(server: SmtpScript, readers: int, **options: object) -> Account:
    """That many messages."""
    account = Account()
    with connected(server, **options) as transport:
        transport.send(make_batch(readers), account.on_attempt, account.on_outcome)
    return account


def states(account: Account) -> list[DeliveryState]:
    return [account.outcomes[number].state for number in sorted(account.outcomes)]


def verbs(server: SmtpScript) -> list[str]:
    return [command.split(" ")[0].upper() for command in server.commands]


# Pipelining


def test_where_it_is_offered_the_envelope_leaves_at_once() -> None:
    with SmtpScript({}, offers=["PIPELINING"], holds_back=True) as server:
        assert states(send(server, 3)) == [ACCEPTED] * 3
    assert server.connections == 1
    assert len(server.contents) == 3


def test_where_it_is_not_offered_each_command_waits_for_its_answer() -> None:
    with SmtpScript({"MAIL": "451 4.3.0 later"}) as server, contextlib.suppress(Unavailable):
        send(server, 1)
    assert "RCPT" not in verbs(server)


@pytest.mark.parametrize("data", ["354 go on", "554 5.5.1 no valid recipients", "503 5.5.1 need RCPT"])
@pytest.mark.parametrize("offers", WAYS)
@pytest.mark.parametrize(
    ("verb", "replies", "expected"),
    [
        ("RCPT", ["550 5.1.1 no such user", "250 ok"], [REFUSED, ACCEPTED, ACCEPTED]),
        ("RCPT", ["250 ok", "450 4.2.1 greylisted", "250 ok"], [ACCEPTED, DEFERRED, ACCEPTED]),
        ("MAIL", ["451 4.3.2 busy", "250 ok"], [DEFERRED, ACCEPTED, ACCEPTED]),
    ],
)
def test_a_refusal_before_the_content_is_of_one_message_whatever_data_answers(
    verb: str, replies: Sequence[str], expected: list[DeliveryState], offers: Sequence[str], data: str
) -> None:
    # DATA is asked for all three when they are pipelined, else only for those whose envelope was taken.
    place = next(number for number, state in enumerate(expected) if state is not ACCEPTED)
    answers = ["354 go on", "354 go on", "354 go on"]
    if offers:
        answers[place] = data
    with SmtpScript({verb: replies, "DATA": answers, ".": "250 ok"}, offers=offers) as server:
        account = send(server, 3)
    assert states(account) == expected
    whole = [content for content in server.contents if content]
    assert len(whole) == 2  # the one that was refused has no content, at most the dot
    assert server.connections == 1
    refused = account.outcomes[place + 1].raw
    assert refused == next(reply for reply in replies if not reply.startswith("250"))


@pytest.mark.parametrize("offers", WAYS)
def test_what_a_refusal_left_behind_is_cleared_before_the_next_message(offers: Sequence[str]) -> None:
    with SmtpScript({"RCPT": ["550 5.1.1 no", "250 ok"], "DATA": "354 go on"}, offers=offers) as server:
        send(server, 3)
    assert verbs(server).count("RSET") == 1
    assert verbs(server).index("RSET") < len(verbs(server)) - 1 - verbs(server)[::-1].index("MAIL")


@pytest.mark.parametrize("offers", WAYS)
@pytest.mark.parametrize("reply", ["502 5.5.1 what?", "drop", "421 4.3.2 closing"])
def test_a_server_that_does_not_clear_it_gets_the_next_message_on_a_new_connection(
    reply: str, offers: Sequence[str]
) -> None:
    with SmtpScript({"RCPT": ["550 5.1.1 no", "250 ok"], "RSET": reply}, offers=offers) as server:
        assert states(send(server, 2)) == [REFUSED, ACCEPTED]
    assert server.connections == 2


@pytest.mark.parametrize("offers", WAYS)
def test_an_answer_too_many_is_not_taken_for_the_next_one(offers: Sequence[str]) -> None:
    account = Account()
    with (
        SmtpScript({"DATA": "354 go on\r\n250 2.0.0 queued already"}, offers=offers) as server,
        connected(server) as transport,
        pytest.raises(Unavailable),
    ):
        transport.send(make_batch(2), account.on_attempt, account.on_outcome)
    assert states(account) == [DEFERRED]
    assert server.contents == []


def test_an_answer_behind_the_last_one_does_not_count_for_the_next_message() -> None:
    with SmtpScript({".": ["250 ok\r\n250 and more", "550 5.6.0 no"]}, offers=["PIPELINING"]) as server:
        assert states(send(server, 2)) == [ACCEPTED, REFUSED]
    assert server.connections == 2


# What replies look like


@pytest.mark.parametrize(
    ("reply", "state", "words"),
    [
        ("550-5.1.1 no such\r\n550 5.1.1 user here", REFUSED, "550 5.1.1 no such user here"),
        ("550-5.1.1 one\r\n450 5.1.1 two", None, ""),
        ("550 5.1.1 \x1b[2Jno\x07 \xff", REFUSED, "550 5.1.1 [2Jno ÿ"),
        ("550 " + "x" * 3000, REFUSED, ("550 " + "x" * 3000)[:500]),
        ("550", REFUSED, "550"),
        ("\r\n250 ok", None, ""),
        ("550x", None, ""),
        ("x" * 200_000, None, ""),
        ("550-no\r\n" * 5000 + "550 no", None, ""),
    ],
    ids=["lines", "codes that differ", "cursor", "long", "bare", "empty line", "no space", "no end", "many lines"],
)
@pytest.mark.parametrize("offers", WAYS)
def test_any_reply_is_read_with_a_limit(
    reply: str, state: DeliveryState | None, words: str, offers: Sequence[str]
) -> None:
    with SmtpScript({"RCPT": [reply, "250 ok"]}, offers=offers) as server:
        account = send(server, 2)
    assert states(account) == [state or DEFERRED, ACCEPTED]
    if state:
        assert account.outcomes[1].raw == words


# Servers that end the conversation


@pytest.mark.parametrize("offers", WAYS)
def test_a_server_that_takes_so_many_messages_on_a_connection_gets_the_rest_on_new_ones(offers: Sequence[str]) -> None:
    with SmtpScript({}, offers=offers, most_messages=2) as server:
        account = send(server, 5)
    assert states(account) == [ACCEPTED] * 5
    assert account.said.count(("attempt", 3)) == 1
    assert len(server.contents) == 5
    assert server.connections == 3


@pytest.mark.parametrize("offers", WAYS)
def test_a_connection_that_was_closed_while_idle_is_opened_again_before_anything_is_marked(
    offers: Sequence[str],
) -> None:
    account = Account()
    with SmtpScript({}, offers=offers) as server, connected(server) as transport:
        transport.send(make_batch(1), account.on_attempt, account.on_outcome)
        server.hang_up()
        transport.send(make_batch(2), account.on_attempt, account.on_outcome)
        assert server.connections == 2
        assert len(server.contents) == 3
    assert states(account) == [ACCEPTED] * 2


@pytest.mark.parametrize("offers", WAYS)
def test_a_connection_that_ended_while_a_message_waited_for_its_turn_costs_it_nothing(offers: Sequence[str]) -> None:
    now = [0.0]
    account = Account()
    with SmtpScript({}, offers=offers) as server, connected(server, monotonic=lambda: now[0]) as transport:

        def wait_and_mark(deliveries: Sequence[int]) -> None:
            account.on_attempt(deliveries)
            now[0] += 60
            server.hang_up()

        transport.send(make_batch(2), wait_and_mark, account.on_outcome)
    assert states(account) == [ACCEPTED, ACCEPTED]
    assert len(server.contents) == 2


def test_after_a_long_rest_the_server_is_asked_whether_it_is_there() -> None:
    now = [0.0]
    account = Account()
    with SmtpScript({"NOOP": ["250 ok", "drop"]}) as server, connected(server, monotonic=lambda: now[0]) as transport:
        for _ in range(3):
            transport.send(make_batch(1), account.on_attempt, account.on_outcome)
            now[0] += 3600
        assert verbs(server).count("NOOP") == 2
        assert server.connections == 2
        assert len(server.contents) == 3


@pytest.mark.parametrize("offers", WAYS)
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_421_before_the_content_leaves_nothing_unknown_and_the_rest_may_go_elsewhere(
    verb: str, offers: Sequence[str]
) -> None:
    account = Account()
    with (
        SmtpScript({verb: "421 4.3.2 shutting down"}, offers=offers) as server,
        connected(server) as transport,
        pytest.raises(Unavailable, match=r"421 4\.3\.2"),
    ):
        transport.send(make_batch(9), account.on_attempt, account.on_outcome)
    assert states(account) == [DEFERRED]
    assert ("attempt", 3) not in account.said
    assert server.contents == []


def test_a_421_in_place_of_the_acceptance_says_that_it_was_not_taken() -> None:
    with SmtpScript({".": ["421 4.3.0 disk full", "250 ok"]}) as server:
        account = send(server, 2)
    assert states(account) == [DEFERRED, ACCEPTED]


def test_a_server_that_says_why_and_hangs_up_before_it_has_seen_everything_is_understood() -> None:
    batch = make_batch(2)
    # More than the buffers between two sockets hold: the end of it certainly did not leave.
    large = replace(batch, rendition=replace(batch.rendition, text=batch.rendition.text + "x" * 70 * 300_000))
    account = Account()
    with (
        SmtpScript({"content": "552 5.3.4 too big"}) as server,
        connected(server) as transport,
        contextlib.suppress(Unavailable),
    ):
        transport.send(large, account.on_attempt, account.on_outcome)
    assert set(states(account)) <= {REFUSED, DEFERRED}  # by whether the reply outran the reset
    assert UNKNOWN not in states(account)


@pytest.mark.parametrize(
    ("verb", "state"), [("MAIL", DEFERRED), ("RCPT", DEFERRED), ("DATA", DEFERRED), (".", UNKNOWN)]
)
@pytest.mark.parametrize("how", ["stall", "drip"])
def test_a_server_that_drips_is_left_at_the_deadline(verb: str, state: DeliveryState, how: str) -> None:
    account = Account()
    with (
        SmtpScript({verb: [how, "250 ok" if verb != "DATA" else "354 go on"]}, offers=["PIPELINING"]) as server,
        connected(server, deadline=1.5) as transport,
    ):
        transport.send(make_batch(1), account.on_attempt, account.on_outcome)
    assert states(account) == [state]
    assert "too long" in account.outcomes[1].raw or "timed out" in account.outcomes[1].raw


@pytest.mark.parametrize("how", ["stall", "drip"])
@pytest.mark.parametrize("verb", ["greeting", "EHLO"])
def test_a_server_that_drips_while_connecting_is_left_as_well(verb: str, how: str) -> None:
    account = Account()
    with SmtpScript({verb: how}) as server, connected(server, deadline=1.5) as transport, pytest.raises(Unavailable):
        transport.send(make_batch(1), account.on_attempt, account.on_outcome)
    assert account.said == []


# What is said before any message


@pytest.mark.parametrize(
    ("verb", "reply", "error"),
    [
        ("greeting", "421 4.3.2 too busy", Unavailable),
        ("greeting", "554 no mail service here", Unavailable),
        ("greeting", "554 5.7.1 your address is listed", PolicyRefused),
        ("greeting", "250 odd", Unavailable),
        ("greeting", "drop", Unavailable),
        ("EHLO", "drop", Unavailable),
        ("EHLO", "421 4.3.2 too busy", Unavailable),
    ],
)
def test_a_session_that_is_turned_away_offers_no_mail(verb: str, reply: str, error: type[Exception]) -> None:
    account = Account()
    with SmtpScript({verb: reply}) as server, connected(server) as transport, pytest.raises(error):
        transport.send(make_batch(2), account.on_attempt, account.on_outcome)
    assert account.said == []


def test_a_login_that_cannot_be_checked_now_is_tried_later() -> None:
    with (
        SmtpScript({"AUTH": "454 4.7.0 try later"}, offers=["AUTH PLAIN"]) as server,
        connected(server, username="u", password="p") as transport,
        pytest.raises(Unavailable, match="454"),
    ):
        transport.check()


@pytest.mark.parametrize(
    ("offers", "words"), [(["AUTH XOAUTH2"], "no way to log in"), ([], "takes no login"), (["AUTH PLAIN"], "ASCII")]
)
def test_a_login_that_cannot_work_is_refused_and_not_named(offers: Sequence[str], words: str) -> None:
    password = "pässwort" if words == "ASCII" else "hush"
    with (
        SmtpScript({}, offers=offers) as server,
        connected(server, username="u", password=password) as transport,
        pytest.raises(Refused, match=words) as caught,
    ):
        transport.check()
    assert password not in f"{caught.value}{caught.value.__cause__}{transport!r}"


@pytest.mark.parametrize("host", ["mail.example.com", "192.0.2.1", "localhost.example.com"])
def test_a_password_never_travels_in_the_clear(host: str) -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
        SmtpTransport(host=host, port=587, tls="none", username="u", password="p")
    SmtpTransport(host=host, port=587, tls="starttls", username="u", password="p")


def test_a_configuration_that_would_send_it_so_is_told_of_at_the_start() -> None:
    table = SmtpTable(kind="smtp", host="mail.example.com", tls="none", username="u")
    with pytest.raises(ConfigError, match="unencrypted"):
        make_transport(table, Secrets(smtp_password=SecretStr("p")))


@pytest.mark.parametrize("host", ["localhost", "smtp.localhost", "127.0.0.9", "::1"])
def test_on_this_machine_it_may(host: str) -> None:
    transport = SmtpTransport(host=host, port=587, tls="none", username="u", password="p")
    assert repr(transport) == f"SmtpTransport(host={host!r}, port=587, tls='none')"


# About all readers, or one


@pytest.mark.parametrize("offers", WAYS)
@pytest.mark.parametrize(
    ("verb", "reply", "error", "remedy"),
    [
        ("MAIL", "550 5.7.1 not from you", PolicyRefused, "operator"),
        ("MAIL", "530 5.7.0 log in first", Refused, "username"),
        ("MAIL", "552 5.3.4 too large", Refused, "smaller"),
        ("MAIL", "550 5.1.8 no such domain", Refused, "sender"),
        ("MAIL", "554 no", Refused, "554"),
        ("RCPT", "530 5.7.0 log in first", Refused, "username"),
        ("DATA", "554 5.7.1 no mass mail", PolicyRefused, "operator"),
        (".", "550 5.7.26 not authenticated", PolicyRefused, "operator"),
    ],
)
def test_a_refusal_of_the_sender_stops_everything_and_refuses_nobody(
    verb: str, reply: str, error: type[Refused], remedy: str, offers: Sequence[str]
) -> None:
    account = Account()
    with (
        SmtpScript({verb: reply}, offers=offers) as server,
        connected(server) as transport,
        pytest.raises(Refused, match=remedy) as caught,
    ):
        transport.send(make_batch(2), account.on_attempt, account.on_outcome)
    assert type(caught.value) is error
    assert states(account) == [DEFERRED]


@pytest.mark.parametrize(
    ("verb", "reply"),
    [(".", "550 5.7.1 <reader1@rehearsal.test>: not wanted"), ("RCPT", "421 4.3.2 reader1@rehearsal.test")],
)
def test_a_fault_names_no_reader(verb: str, reply: str) -> None:
    account = Account()
    with (
        SmtpScript({verb: reply}) as server,
        connected(server) as transport,
        pytest.raises((Refused, Unavailable)) as caught,
    ):
        transport.send(make_batch(2), account.on_attempt, account.on_outcome)
    assert reply[:9] in str(caught.value)
    assert "@" not in str(caught.value)
    assert account.outcomes[1].raw == reply  # in the ledger, where the reader stands anyway


@pytest.mark.parametrize(
    ("verb", "reply"),
    [
        ("RCPT", "550 5.1.1 no such user"),
        ("RCPT", "550 5.7.1 this mailbox takes no lists"),
        ("RCPT", "552 5.2.2 mailbox full"),
        (".", "552 5.2.3 larger than this mailbox takes"),
        (".", "552 5.3.4 larger than we take"),
        (".", "554 4.7.1 a status of another class than the reply"),
        ("DATA", "554 transaction failed"),
    ],
)
def test_a_refusal_of_a_reader_is_kept_in_the_servers_words(verb: str, reply: str) -> None:
    with SmtpScript({verb: [reply, "354 go on" if verb == "DATA" else "250 ok"]}) as server:
        account = send(server, 2)
    assert states(account) == [REFUSED, ACCEPTED]
    assert account.outcomes[1].raw == reply


def test_what_is_larger_than_the_server_takes_is_not_even_marked() -> None:
    account = Account()
    with (
        SmtpScript({}, offers=["SIZE 1000"]) as server,
        connected(server) as transport,
        pytest.raises(Refused, match=r"the server takes 1,000 .*smaller"),
    ):
        transport.send(make_batch(2), account.on_attempt, account.on_outcome)
    assert account.said == []
    assert "MAIL" not in verbs(server)


@pytest.mark.parametrize("offer", ["SIZE", "SIZE 0", "SIZE lots", "SIZE 9000000"])
def test_the_size_is_declared_where_the_server_wants_to_know(offer: str) -> None:
    with SmtpScript({}, offers=[offer]) as server, connected(server) as transport:
        (rendered,) = transport.render(make_batch(1))
        assert states(send(server, 1)) == [ACCEPTED]
    assert f"MAIL FROM:<brief@news.test> SIZE={len(rendered)}" in server.commands


# Addresses


@pytest.mark.parametrize("email", ["a@b> x", "a@b\r\nRSET", "a b@x.test", "a@b\x00c", "<>", "x", "a@b\u2028c"])
def test_an_address_cannot_add_a_command(email: str) -> None:
    batch = make_batch(2)
    messages = (replace(batch.messages[0], email=email), batch.messages[1])
    account = Account()
    with SmtpScript({}, offers=["SMTPUTF8", "8BITMIME"]) as server, connected(server) as transport:
        transport.send(replace(batch, messages=messages), account.on_attempt, account.on_outcome)
    assert states(account) == [REFUSED, ACCEPTED]
    assert len([command for command in server.commands if command.startswith("RCPT")]) == 1


@pytest.mark.parametrize(
    ("offers", "state"),
    [(["SMTPUTF8", "8BITMIME"], ACCEPTED), (["SMTPUTF8"], REFUSED), (["8BITMIME"], REFUSED), ([], REFUSED)],
)
def test_an_international_address_goes_where_it_is_taken(offers: Sequence[str], state: DeliveryState) -> None:
    batch = make_batch(1)
    messages = (replace(batch.messages[0], email="jörg@bücher.example"),)
    account = Account()
    with SmtpScript({}, offers=offers) as server, connected(server) as transport:
        transport.send(replace(batch, messages=messages), account.on_attempt, account.on_outcome)
    assert states(account) == [state]
    mails = [command for command in server.commands if command.startswith("MAIL")]
    assert mails == (["MAIL FROM:<brief@news.test> BODY=8BITMIME SMTPUTF8"] if state is ACCEPTED else [])


def test_smtputf8_is_not_asked_for_where_it_is_not_needed() -> None:
    with SmtpScript({}, offers=["SMTPUTF8", "8BITMIME"]) as server:
        send(server, 1)
    assert "MAIL FROM:<brief@news.test>" in server.commands


@pytest.mark.parametrize(
    ("letterhead", "sender"),
    [
        (replace(LETTERHEAD, sender="Brief <brief@bücher.example>"), "brief@xn--bcher-kva.example"),
        (replace(LETTERHEAD, inbox="b@news.test"), f"b+{1:032x}@news.test"),
    ],
)
def test_the_envelope_names_who_hears_of_failures(letterhead: Letterhead, sender: str) -> None:
    account = Account()
    with SmtpScript({}) as server, connected(server) as transport:
        transport.send(replace(make_batch(1), letterhead=letterhead), account.on_attempt, account.on_outcome)
    assert f"MAIL FROM:<{sender}>" in server.commands


# Encryption


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """For 127.0.0.1 and localhost."""
    path, key = make_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    return path, context


@pytest.mark.parametrize("offers", WAYS)
@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_with_a_certificate_that_is_trusted_everything_goes_encrypted(
    tls: str, offers: Sequence[str], certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    answers = ["250 ok", "drop", "250 ok"]
    if offers:
        answers.insert(1, "554 5.5.1 no valid recipients")  # to the dot alone
    with SmtpScript(
        {"RCPT": ["250 ok", "550 5.1.1 no", "250 ok"], ".": answers},
        offers=offers,
        tls=certificate[1],
        is_encrypted=tls == "tls",
        most_messages=3,
    ) as server:
        account = send(server, 4, tls=tls)
    assert states(account) == [ACCEPTED, REFUSED, UNKNOWN, ACCEPTED]
    assert len([content for content in server.contents if content]) == 3
    assert verbs(server).count("STARTTLS") == (server.connections if tls == "starttls" else 0)


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_a_certificate_that_nobody_vouches_for_is_told_of_and_nothing_is_sent(
    tls: str, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    with (
        SmtpScript({}, tls=certificate[1], is_encrypted=tls == "tls") as server,
        connected(server, tls=tls) as transport,
        pytest.raises(Unavailable, match=r"self.signed.*SSL_CERT_FILE"),
    ):
        transport.check()
    assert "MAIL" not in verbs(server)


def test_a_certificate_for_another_name_is_told_of(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with (
        SmtpScript({}, tls=certificate[1], host="127.0.0.2") as server,
        connected(server, host="127.0.0.2", tls="starttls") as transport,
        pytest.raises(Unavailable, match=r"IP address mismatch.*host"),
    ):
        transport.check()


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ({"STARTTLS": "454 4.7.0 not now"}, Unavailable),
        ({"STARTTLS": "drop"}, Unavailable),
        ({"STARTTLS": "220 go\r\n250 said in the clear"}, Unavailable),
    ],
)
def test_an_encryption_that_does_not_come_about_is_not_done_without(
    replies: dict[str, str],
    error: type[Exception],
    certificate: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with (
        SmtpScript(replies, tls=certificate[1]) as server,
        connected(server, tls="starttls") as transport,
        pytest.raises(error),
    ):
        transport.check()
    assert "MAIL" not in verbs(server)


def test_starttls_that_is_not_offered_is_refused() -> None:
    with SmtpScript({}) as server, connected(server, tls="starttls") as transport, pytest.raises(Refused, match="tls"):
        transport.check()
    assert verbs(server) == ["EHLO", "QUIT"][: len(verbs(server))]
