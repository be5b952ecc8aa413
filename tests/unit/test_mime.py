"""The bytes of a message, for names, links and texts that nobody chose with e-mail in mind."""

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digest.models import UNSUBSCRIBE_TOKEN, Message
from digest.transports import mime
from tests.contract.test_transports import LETTERHEAD, RENDITION, make_batch

MESSAGE = Message(
    delivery=1,
    send_key="0" * 32,
    email="jo@rehearsal.test",
    name=None,
    unsubscribe_url="https://news.test/morning/unsubscribe/" + "k" * 32 + "." + "s" * 43,
)


def parse(content: bytes) -> EmailMessage:
    """As a mail program reads it."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


@given(st.text(max_size=300))
@example("Jo")
@example("x" * 99)
@example("ضوء " * 40)
@example("Jörg Müller-Lüdenscheidt von und zu Donaudampfschifffahrtsgesellschaft " * 3)
@example("a\r\nBcc: evil@mail.org")
def test_any_name_gives_one_header_that_is_read_back_as_one_address(name: str) -> None:
    content = mime.build(RENDITION, LETTERHEAD).address(replace(MESSAGE, name=name))
    head = content.partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert head.isascii()
    message = parse(content)
    (address,) = message["To"].addresses
    assert address.addr_spec == "jo@rehearsal.test"
    assert message["Bcc"] is None


@pytest.mark.parametrize("name", ["Jo Reader", "Jörg", "ضوء القمر", "O'Brien, Jo"])
def test_a_name_of_usual_length_is_kept_whole(name: str) -> None:
    message = parse(mime.build(RENDITION, LETTERHEAD).address(replace(MESSAGE, name=name)))
    assert message["To"].addresses[0].display_name == name


def test_a_name_cannot_hide_another_one_in_an_encoded_word() -> None:
    message = parse(mime.build(RENDITION, LETTERHEAD).address(replace(MESSAGE, name="=?utf-8?q?Your_bank?=")))
    assert "Your bank" not in message["To"]


@given(st.text(max_size=200), st.text(max_size=200))
@example("x" * 75, "x" * 75)
@example("=" * 80, "ö" * 80)
@example("x" * 74 + " ", "\t" * 80)
def test_the_link_stands_whole_among_any_words_and_no_line_is_too_long(before: str, after: str) -> None:
    def clean(text: str) -> str:
        return "".join(c for c in text if c.isprintable() or c in "\t ").replace("\r", "")

    html = f"<p>{clean(before)}{UNSUBSCRIBE_TOKEN}{clean(after)}</p>\n"
    content = mime.build(replace(RENDITION, html=html), LETTERHEAD).address(MESSAGE)
    _, _, body = content.partition(b"\r\n\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 76
    part = parse(content).get_body(("html",))
    assert part
    assert part.get_content().replace("\r\n", "\n") == html.replace(UNSUBSCRIBE_TOKEN, MESSAGE.unsubscribe_url)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("jo@news.test", "jo@news.test"),
        ("jo@bücher.example", "jo@xn--bcher-kva.example"),
        ("jo@BÜCHER.example", "jo@xn--bcher-kva.example"),
        ("jö@bücher.example", "jö@bücher.example"),
        ("jo@\u200d.example", "jo@\u200d.example"),
    ],
)
def test_an_international_domain_is_written_in_ascii_where_it_can_be(address: str, expected: str) -> None:
    assert mime.ascii_address(address) == expected


@pytest.mark.parametrize("length", range(60, 100, 3))
def test_a_subject_of_any_length_begins_on_its_own_line(length: int) -> None:
    batch = make_batch(1)
    subject = ("Council says " * 20)[:length].strip()
    raw = mime.build(replace(batch.rendition, subject=subject), batch.letterhead).address(batch.messages[0])
    lines = raw.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert any(line.startswith(b"Subject: Council") for line in lines)
    assert max(map(len, lines)) <= 998
    assert email.message_from_bytes(raw, policy=email.policy.default)["Subject"] == subject


def test_the_name_of_a_list_cannot_look_like_its_identity() -> None:
    batch = make_batch(1)
    letterhead = replace(batch.letterhead, list_name="Notes (x), <other.example>")
    raw = mime.build(batch.rendition, letterhead).address(batch.messages[0])
    (line,) = [line for line in raw.split(b"\r\n") if line.startswith(b"List-ID:")]
    assert line.startswith(b'List-ID: "') and line.endswith(f'" <{letterhead.list_id}>'.encode())


@pytest.mark.parametrize("field", ["From", "Reply-To"])
@pytest.mark.parametrize(
    ("domain", "ascii_domain"),
    [("bücher.example", "xn--bcher-kva.example"), ("straße.example", "xn--strae-oqa.example")],
)
def test_a_sender_of_an_international_domain_is_written_in_ascii(field: str, domain: str, ascii_domain: str) -> None:
    letterhead = replace(LETTERHEAD, sender=f"Bücher <b@{domain}>", reply_to=f"Bücher <b@{domain}>")
    template = mime.build(RENDITION, letterhead)
    said = parse(template.address(make_batch(1).messages[0]))[field]
    assert [(one.display_name, one.addr_spec) for one in said.addresses] == [("Bücher", f"b@{ascii_domain}")]
    assert f"<b@{ascii_domain}>".encode() in template.head
    assert template.sender_domain == ascii_domain


def test_an_inbox_of_an_international_domain_asks_no_server_for_more_than_ascii() -> None:
    own = mime.own_headers(make_batch(1).messages[0], "news.test", inbox="in@bücher.example")
    assert own.isascii()
    assert b"<mailto:in+unsubscribe@xn--bcher-kva.example?subject=" in own
