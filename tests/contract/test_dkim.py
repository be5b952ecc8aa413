"""DKIM: what is signed, that it survives the way, and keys that cannot be used."""

import base64
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dkim
import dns.resolver
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.adapters import make_transport
from digest.config.delivering import Dkim, SmtpTable
from digest.config.schema import Secrets
from digest.errors import ConfigError, Refused
from digest.models import UNSUBSCRIBE_TOKEN, DeliveryState
from digest.transports import mime
from digest.transports.dkim_signing import NoAnswerError, Signer, look_up_record
from digest.transports.smtp import SmtpTransport
from tests.contract.test_transports import LETTERHEAD, RENDITION, Account, make_batch
from tests.doubles.dns_server import DnsServer
from tests.doubles.smtp_script import SmtpScript
from tests.doubles.smtp_server import SmtpServer

KINDS = {
    "rsa": ["genrsa", "-traditional", "2048"],
    "rsa8": ["genrsa", "2048"],
    "ed25519": ["genpkey", "-algorithm", "ed25519"],
}


def make_key(path: Path, *command: str) -> Path:
    """A private key that its owner alone can read."""
    made = subprocess.run(["openssl", *command], check=True, capture_output=True).stdout
    path.touch(mode=0o600)
    path.write_bytes(made)
    return path


@pytest.fixture(scope="module", params=sorted(KINDS))
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Of a domain, with a key of each kind."""
    key = make_key(tmp_path_factory.mktemp("dkim") / "key.pem", *KINDS[request.param])
    return Signer(domain="News.test", selector="s2026", key=key)


class _Verified(dkim.DKIM):
    """dkimpy's verifying; Ed25519 is checked here, since dkimpy would need another package for it."""

    public: str

    def verify_sig(self, sig, include_headers, sig_header, dnsfunc):  # type: ignore[no-untyped-def]
        if "k=ed25519" not in self.public:
            return super().verify_sig(sig, include_headers, sig_header, dnsfunc)
        raw = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public.partition("p=")[2]))

        class Key:
            def verify(self, digest: bytes, signature: bytes) -> None:
                raw.verify(signature, digest)

        self.pk, self.keysize, self.ktag, self.seqtlsrpt = Key(), 256, b"ed25519", False
        return self.verify_sig_process(sig, include_headers, sig_header, dnsfunc)


def verify(content: bytes, signer: Signer) -> bool:
    """As a receiver does who finds the signer's record in the DNS."""

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:
        return signer.record.encode() if name == b"s2026._domainkey.news.test." else None

    verifying = _Verified(content)
    verifying.public = signer.record
    return bool(verifying.verify(dnsfunc=look_up))


def signed_headers(content: bytes) -> list[str]:
    head = content.partition(b"\r\n\r\n")[0].decode()
    found = re.search(r"\bh=([^;]*);", head)
    assert found
    return re.sub(r"\s", "", found[1]).split(":")


def test_what_arrives_is_what_was_rendered_and_its_signature_holds(signer: Signer) -> None:
    account = Account()
    with SmtpServer() as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none", signer=signer)
        batch = make_batch(4)
        transport.send(batch, account.on_attempt, account.on_outcome)
        transport.close()
        assert {outcome.state for outcome in account.outcomes.values()} == {DeliveryState.ACCEPTED}
        assert server.contents() == transport.render(batch) == transport.render(batch)
        assert all(verify(content, signer) for content in server.contents())


def test_what_is_signed_covers_every_header_that_matters_and_the_way_out(signer: Signer) -> None:
    (content,) = SmtpTransport(host="x.test", port=25, signer=signer).render(make_batch(1))
    names = signed_headers(content)
    assert set(names) == {
        *("from", "to", "subject", "date", "message-id", "reply-to", "mime-version", "content-type"),
        *("list-id", "list-unsubscribe", "list-unsubscribe-post"),
    }
    assert names.count("from") == names.count("subject") == 2
    assert b" t=" not in content.partition(b"\r\nTo:")[0]
    assert max(map(len, content.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"List-Unsubscribe: <https", b"List-Unsubscribe: <http"),
        lambda content: content.replace(b"One-Click", b"One-Clock"),
        lambda content: content.replace(b"reader1@rehearsal", b"reader2@rehearsal"),
        lambda content: content.replace(b"Subject:", b"Subject: new\r\nSubject:"),
        lambda content: b"From: other@news.test\r\n" + content,
        lambda content: content.replace(b"A line", b"a line"),
        lambda content: content.replace(b"/unsubscribe/0", b"/unsubscribe/1"),
    ],
    ids=["way out", "one click", "reader", "second subject", "second sender", "body", "link"],
)
def test_what_is_changed_on_the_way_breaks_it(signer: Signer, change: Callable[[bytes], bytes]) -> None:
    (content,) = SmtpTransport(host="x.test", port=25, signer=signer).render(make_batch(1))
    assert verify(content, signer)
    assert change(content) != content
    assert not _holds(change(content), signer)


def _holds(content: bytes, signer: Signer) -> bool:
    try:
        return verify(content, signer)
    except Exception:  # noqa: BLE001 - what is broken may not even be read
        return False


def test_spaces_and_folds_that_relays_change_do_not_break_it(signer: Signer) -> None:
    (content,) = SmtpTransport(host="x.test", port=25, signer=signer).render(make_batch(1))
    head, _, body = content.partition(b"\r\n\r\n")
    refolded = (
        head.replace(b"; ", b";\r\n\t")
        .replace(b"List-ID: ", b"list-id:\r\n   ")
        .replace(b"; boundary", b";   boundary")
    )
    assert verify(refolded + b"\r\n\r\n" + body + b"\r\n\r\n", signer)


def test_a_mail_to_one_person_is_signed_as_well(signer: Signer) -> None:
    batch = make_batch(1, letterhead=replace(LETTERHEAD, is_bulk=False, reply_to=None))
    one = replace(batch, rendition=replace(RENDITION, html="<p>.x</p>", text=".x\n"))
    (content,) = SmtpTransport(host="x.test", port=25, signer=signer).render(one)
    assert verify(content, signer)
    assert "list-unsubscribe" not in signed_headers(content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(words=st.text(max_size=120), subject=st.text(max_size=150), name=st.text(max_size=120))
def test_whatever_is_written_it_arrives_as_rendered_and_signed(
    signer: Signer, words: str, subject: str, name: str
) -> None:
    def printable(text: str) -> str:
        return "".join(letter for letter in text if letter.isprintable() or letter in "\t ")

    html = f"<p>{printable(words)}\n.{UNSUBSCRIBE_TOKEN}\n..{printable(words)}</p>  \n\n"
    batch = make_batch(1, letterhead=replace(LETTERHEAD, inbox="bounces@news.test"))
    (message,) = batch.messages
    batch = replace(
        batch,
        rendition=replace(RENDITION, html=html, subject=printable(subject) or "x"),
        messages=(replace(message, name=name, unsubscribe_url="https://news.test/" + "." * 200),),
    )
    template = mime.build(batch.rendition, batch.letterhead)
    sign = signer.prepare(template)
    content = template.address(batch.messages[0], sign)
    assert verify(content, signer)
    filled = mime.Wire(template, sign).fill(batch.messages[0])
    assert filled.size == len(content)
    assert filled.content.endswith(b"\r\n.\r\n")
    lines = filled.content[:-3].split(b"\r\n")
    assert b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines) == content


@pytest.mark.parametrize(
    ("make", "mode", "fault"),
    [
        (None, 0o600, "cannot be read"),
        (["genrsa", "2048"], 0o644, r"every user.*chmod 600"),
        (["genrsa", "-aes128", "-passout", "pass:x", "2048"], 0o600, "password"),
        (["version"], 0o600, "no private key"),
        (["genpkey", "-algorithm", "x25519"], 0o600, "neither"),
    ],
    ids=["missing", "open", "locked", "no key", "another kind"],
)
def test_a_key_that_cannot_be_used_is_told_of_at_the_start(
    make: list[str] | None, mode: int, fault: str, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    if make:
        make_key(key, *make).chmod(mode)
    table = SmtpTable(kind="smtp", host="x.test", dkim=Dkim(domain="news.test", selector="s", key=key))
    with pytest.raises(ConfigError, match=fault) as caught:
        make_transport(table, Secrets())
    assert "key.pem" in str(caught.value)


@pytest.mark.parametrize(
    ("domain", "selector"),
    [("news.test; x=1", "s"), ("news.test", "s\r\nBcc: x"), ("", "s"), ("news.test", "-"), ("a..b", "s")],
)
def test_a_name_that_cannot_be_in_the_dns_is_refused(domain: str, selector: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DNS"):
        Signer(domain=domain, selector=selector, key=make_key(tmp_path / "key.pem", *KINDS["ed25519"]))


def test_a_configured_key_signs_what_is_sent(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key.pem", *KINDS["ed25519"])
    account = Account()
    with SmtpScript({}) as server:
        table = SmtpTable(
            kind="smtp", host="127.0.0.1", port=server.port, tls="none",
            dkim=Dkim(domain="bücher.example", selector="s", key=key),
        )  # fmt: skip
        transport = make_transport(table, Secrets())
        transport.send(make_batch(1), account.on_attempt, account.on_outcome)
        transport.close()
    assert server.contents[0].startswith(
        b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=xn--bcher-kva"
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda record: record, None),
        (lambda record: record.replace("v=DKIM1; ", "").replace("p=", "s=email; p = ").replace("A", "A ", 1), None),
        (lambda record: None, "no key"),
        (lambda record: record.replace("p=", "p=AAAA"), "another key"),
        (lambda record: "v=DKIM1; p=", "another key"),
        (lambda record: "v=spf1 -all", "another key"),
    ],
    ids=["as it is", "spelled otherwise", "none", "another", "withdrawn", "no such record"],
)
def test_checking_tells_whether_receivers_will_find_the_key(
    change: Callable[[str], str | None], fault: str | None, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key.pem", *KINDS["rsa8"])
    record = Signer(domain="news.test", selector="s2026", key=key).record
    asked: list[str] = []

    def look_up(name: str) -> str | None:
        asked.append(name)
        return change(record)

    signer = Signer(domain="news.test", selector="s2026", key=key, look_up=look_up)
    with SmtpScript({}) as server:
        transport = SmtpTransport(host="127.0.0.1", port=server.port, tls="none", signer=signer)
        if fault:
            with pytest.raises(Refused, match=fault) as caught:
                transport.check()
            assert caught.value.remedy is not None and record in caught.value.remedy
        else:
            assert transport.check().endswith("signed for news.test, and its key is in the DNS")
        transport.close()
    assert asked == ["s2026._domainkey.news.test"]


def test_a_dns_that_does_not_answer_is_no_fault_of_the_key(tmp_path: Path) -> None:
    def look_up(name: str) -> str | None:
        raise NoAnswerError

    key = make_key(tmp_path / "key.pem", *KINDS["ed25519"])
    assert "does not answer" in Signer(domain="news.test", selector="s", key=key, look_up=look_up).check()


def test_the_dns_is_asked_for_a_record_in_parts_and_what_it_does_not_know_is_no_record() -> None:
    records = {("there.test", "TXT"): ["v=spf1 -all", 'v=DKIM1; k=rsa; p=AA" "BB']}
    with DnsServer(records) as server:
        assert look_up_record("there.test", ask_at(server)) == "v=DKIM1; k=rsa; p=AABB"
        assert look_up_record("missing.test", ask_at(server)) is None
    with DnsServer({}, is_dead=True) as server, pytest.raises(NoAnswerError):
        look_up_record("broken.test", ask_at(server))


def ask_at(server: DnsServer) -> dns.resolver.Resolver:
    """Who asks that server alone."""
    resolver = dns.resolver.Resolver(configure=False)
    host, _, port = server.address.partition(":")
    resolver.nameservers, resolver.port = [host], int(port)
    return resolver
