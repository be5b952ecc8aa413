"""Mails as entries."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.extract import read_page
from digest.sources.mbox import is_mail, parse_mail

WORDS = "The council voted on Monday to close the old bridge for two weeks, for repairs that are due in the spring."
ONE = f"""From: "The Wire" <wire@rehearsal.test>
Subject: =?utf-8?q?Br=C3=BCcke?= closes
Date: Mon, 02 Mar 2026 08:00:00 +0100
Message-ID: <1@rehearsal.test>
Archived-At: <https://wire.example/1>

{WORDS}
>From then on it is closed to all who come by, and to those who only look at it from afar.
""".encode()
TWO = f"""From: wire@rehearsal.test
Subject: Two
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

plain
--b
Content-Type: text/html; charset=no-such-charset

<html><body><p>{WORDS}</p><script>alert(1)</script></body></html>
--b--
""".encode()
MAILBOX = b"From wire Mon Mar  2 07:00:00 2026\n" + ONE + b"\nFrom wire Mon Mar  2 08:00:00 2026\n" + TWO


def test_a_mailbox_gives_an_entry_for_each_message() -> None:
    one, two = parse_mail(MAILBOX, read_page).entries
    assert (one.id, one.title, one.author, one.link) == (
        "<1@rehearsal.test>",
        "Brücke closes",
        "The Wire",
        "https://wire.example/1",
    )
    assert one.published_at == datetime(2026, 3, 2, 7, tzinfo=UTC)
    assert (one.text or "").splitlines()[1].startswith("From then on")
    assert (two.title, two.author, two.text) == ("Two", "wire@rehearsal.test", WORDS)


def test_one_message_is_recognised_too() -> None:
    assert is_mail(ONE)
    assert len(parse_mail(ONE, read_page).entries) == 1


@pytest.mark.parametrize(
    "document", [b"From the start it was clear.\nIt was.", b"<rss/>", b"", b"Subject: only\n\nx", b"A title: and words"]
)
def test_what_is_no_mail_is_not_taken_for_one(document: bytes) -> None:
    assert not is_mail(document)


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_broken_mails_are_read_or_named(body: bytes, header: bytes) -> None:
    raw = b"From: a@b.example\nSubject: " + header + b"\nDate: " + header + b"\n\n" + body
    try:
        entries = parse_mail(raw, read_page).entries
    except SourceError:
        return
    assert all(entry.link is None or entry.link.startswith("http") for entry in entries)
