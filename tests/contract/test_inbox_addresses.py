"""With an inbox, a message's envelope names its delivery, and a mail leads out as well as the link does."""

import email
import email.policy
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from digest.audience.links import Links
from digest.audience.mailbox import MailKind, Terms, sort_mail
from digest.config import load_config
from digest.errors import ConfigError
from digest.models import Batch
from digest.preflight import inspect_built
from digest.transports import mime
from digest.transports.outbox import OutboxTransport
from digest.transports.sendgrid import SendGridTransport
from digest.transports.smtp import SmtpTransport
from tests.contract.test_transports import LETTERHEAD, Account, make_batch
from tests.doubles.sendgrid_api import SendGridDouble, judge
from tests.doubles.smtp_server import SmtpServer

INBOX = "bounces@news.test"


def with_inbox(readers: int = 3, **changes: object) -> Batch:
    return make_batch(readers, letterhead=replace(LETTERHEAD, inbox=INBOX, **changes))  # type: ignore[arg-type]


def send(batch: Batch) -> SmtpServer:
    account = Account()
    with SmtpServer() as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none")
        transport.send(batch, account.on_attempt, account.on_outcome)
        transport.close()
    return server


def test_the_envelope_of_each_message_names_its_delivery() -> None:
    batch = with_inbox()
    sent = send(batch).messages
    assert [one.sender for one in sent] == [f"bounces+{message.send_key}@news.test" for message in batch.messages]


def test_without_an_inbox_and_for_mail_of_no_list_the_sender_stands_in_the_envelope() -> None:
    for batch in (make_batch(2), with_inbox(2, is_bulk=False)):
        server = send(batch)
        assert {one.sender for one in server.messages} == {"brief@news.test"}
        assert all(b"mailto:" not in one.content for one in server.messages)


def test_the_way_out_is_one_line_with_the_link_first_and_a_mail_behind_it(tmp_path: Path) -> None:
    batch = with_inbox(1)
    (message,) = batch.messages
    token = message.unsubscribe_url.rpartition("/")[2]
    wanted = f"<{message.unsubscribe_url}>, <mailto:bounces+unsubscribe@news.test?subject=unsubscribe%20{token}>"
    raws = [send(batch).contents()[0]]
    raws += OutboxTransport(path=tmp_path / "outbox").render(batch)
    for raw in raws:
        assert f"\r\nList-Unsubscribe: {wanted}\r\n".encode() in raw
    with SendGridDouble() as api:
        transport = SendGridTransport(api_key=api.api_key, host=api.url)
        account = Account()
        transport.send(batch, account.on_attempt, account.on_outcome)
        (body,) = transport.render(batch)
        transport.close()
    assert judge(body) is None
    assert json.loads(body)["personalizations"][0]["headers"]["List-Unsubscribe"] == wanted
    assert api.delivered[0].message["List-Unsubscribe"] == wanted


def test_what_is_previewed_is_what_is_sent() -> None:
    batch = with_inbox(2)
    transport = SmtpTransport(host="127.0.0.1", port=1, tls="none")
    assert transport.render(batch) == send(batch).contents()


def test_preflight_has_nothing_against_it_and_the_longest_stays_within_a_line() -> None:
    # As long as the configuration allows each part to be.
    base = f"https://{'a' * 60}.{'b' * 60}.test/".ljust(400, "c")
    inbox = f"{'l' * 31}@{'.'.join(['d' * 55] * 3)}.{'e' * 50}.test"
    links = Links(base_url=base, newsletter="s" * 64, keys=["k"])
    batch = make_batch(1, letterhead=replace(LETTERHEAD, inbox=inbox))
    (message,) = batch.messages
    raw = mime.build(batch.rendition, batch.letterhead).address(
        replace(message, unsubscribe_url=links.unsubscribe_url("0" * 32))
    )
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert len(mime.envelope_sender(message, batch.letterhead).partition("@")[0]) <= 64
    rules = {finding.rule for finding in inspect_built(raw, rehearsal=False)}
    assert not {rule for rule in rules if rule.startswith(("header", "line"))}


def test_the_mail_that_the_link_writes_lets_its_reader_leave() -> None:
    links = Links(base_url="https://news.test", newsletter="morning", keys=["k"])
    batch = with_inbox(1)
    (message,) = batch.messages
    raw = mime.build(batch.rendition, batch.letterhead).address(
        replace(message, unsubscribe_url=links.unsubscribe_url("f" * 32))
    )
    got = email.message_from_bytes(raw, policy=email.policy.default)
    address, _, query = got["List-Unsubscribe"].partition("<mailto:")[2].rstrip(">").partition("?subject=")
    asking = f"To: {address}\nSubject: {query.replace('%20', ' ')}\n\n".encode()
    terms = Terms(inbox=INBOX, sender_domain="news.test", verify=links.verify)
    found = sort_mail(asking, terms, received_at=datetime(2026, 3, 2, tzinfo=UTC))
    assert (found.kind, found.reader) == (MailKind.LEAVE, "f" * 32)


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [("bounces@news.test", "bounces@news.test"), ("b+n@gmx.de", "b+n@gmx.de"), ("b@brücke.de", "b@xn--brcke-lva.de")],
)
def test_the_configured_address_stands_in_envelopes_as_servers_take_it(
    tmp_path: Path, address: str, mailbox: str
) -> None:
    assert _configure(tmp_path, f'kind = "maildir"\naddress = "{address}"') == mailbox
    assert _configure(tmp_path, f'address = "{address}"') is None  # kind = "none"


@pytest.mark.parametrize(
    "address", ["x" * 32 + "@news.test", "Bounces <bounces@news.test>", '\\"a b\\"@news.test', "büro@news.test"]
)
def test_an_address_that_takes_no_suffix_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _configure(tmp_path, f'kind = "maildir"\naddress = "{address}"')
    assert "suffixes" in str(caught.value) or "address" in str(caught.value)


def _configure(tmp_path: Path, inbox: str) -> str | None:
    path = tmp_path / "config.toml"
    newsletter = '[newsletter]\nname = "M"\nslug = "m"\nsender = "b@news.test"\n'
    path.write_text(f"{newsletter}[inbox]\n{inbox}\n", encoding="utf-8")
    return load_config(path, {}).inbox.mailbox
