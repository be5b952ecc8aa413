"""What strangers hand to the doors that are not feeds: links, posted events, tables of readers, mails that come back.

Whatever it is, the answer is a value, or an error of ours that can be stored and printed. As test_fuzz: `make test`
spends some seconds on it, `make fuzz` half a million of each.
"""

import json
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st

from digest.audience.importing import read_chunks
from digest.audience.links import Links, Purpose
from digest.audience.mailbox import sort_mail
from digest.audience.receiving import read_events
from digest.audience.rows import Terms
from digest.audience.tables import open_table
from digest.errors import BadToken, ConfigError
from digest.models import EventKind, SubscriberState
from digest.web.operating import read_secret
from tests.unit.returned_mails import ORIGINAL, TERMS, postfix
from tests.unit.spoiling import EDITS, assert_storable, spoil

NOW = datetime(2026, 11, 27, tzinfo=UTC)
LINKS = Links(base_url="https://news.test", newsletter="morning", keys=["old", "new"])
KEY = "0123456789abcdef" * 2
PURPOSES = get_args(Purpose)
SAID = {
    "email": "a@far.test",
    "event": "bounce",
    "timestamp": 1764230400,
    "sg_event_id": "x",
    "status": "5.1.1",
    "send_key": KEY,
    "reason": "550 no",
}
_WORDS = r"""{ } [ ] : , " \ \u0000 \ud800 null true 1e999 -0 NaN 99999999999999999999 = == @ ;
=?utf-8?q?=00?= =?utf-8?b?/?= "a,"" '=cmd() =HYPERLINK("x") 2026-13-45 active unsubscribed Europe/Nowhere --x --x--"""
_LINES = (
    "Content-Type: multipart/report; boundary=x",
    "Content-Transfer-Encoding: base64",
    "Content-Type: message/delivery-status",
    "Final-Recipient: rfc822;",
    "Status: 9.9.9",
    "Content-Type: text/plain; charset=cp65001",
)
_BYTES = (b"\r\n\r\n", b"\r\n", b"\r", b"\n", b"\t", b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80")
PIECES = [*(word.encode() for word in _WORDS.split()), *(f"{line}\r\n".encode() for line in _LINES), *_BYTES]


@given(st.text(max_size=200), st.sampled_from(PURPOSES))
@example(f"{KEY}.{'A' * 43}", "unsubscribe")
def test_no_text_but_what_was_signed_is_a_link(text: str, purpose: Purpose) -> None:
    try:
        LINKS.verify(text, purpose)
    except BadToken as error:
        assert_storable(str(error))
    else:
        raise AssertionError(text)


@given(st.integers(0, 80), st.characters(), st.sampled_from(PURPOSES))
def test_no_signed_link_stands_an_altered_letter_or_another_purpose(place: int, letter: str, purpose: Purpose) -> None:
    token = LINKS.sign(KEY)
    at = place % len(token)
    altered = token[:at] + letter + token[at + 1 :]
    try:
        value = LINKS.verify(altered, purpose)
    except BadToken:
        return
    assert (altered, purpose, value) == (token, "unsubscribe", KEY)


@given(st.text(max_size=300))
def test_any_header_gives_a_secret_or_none(header: str) -> None:
    assert isinstance(read_secret(header), str)


@given(st.lists(st.integers(0, 3), max_size=4), EDITS)
def test_any_posted_body_is_events_or_a_clear_refusal(kinds: list[int], edits: list[tuple[str, int, int]]) -> None:
    names = ("bounce", "delivered", "spamreport", "nonsense")
    body = json.dumps(
        [SAID | {"event": names[kind], "sg_event_id": f"x{at}"} for at, kind in enumerate(kinds)]
    ).encode()
    events, fault = [], "the body "
    try:
        events = read_events(spoil(body, edits, PIECES), now=NOW)
    except ValueError as error:
        fault = str(error)
    assert fault.startswith("the body ")
    for event in events:
        assert isinstance(event.kind, EventKind)
        assert event.occurred_at.tzinfo is not None
        assert event.event_id
        assert_storable(asdict(event))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*SAID, "x"]), inner, max_size=5),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_any_json_is_events_too(members: list[object]) -> None:
    for event in read_events(json.dumps(members).encode(), now=NOW):
        assert_storable(asdict(event))


TABLE = (
    "email,name,topics,language,timezone,frequency,state,consent_at\r\n"
    'jo@far.test,"Jo, the ""first""",world,de,Europe/Berlin,daily,active,2026-01-02T08:00:00Z\r\n'
    "flo@far.test,Flo,,,,weekly,unsubscribed,\r\n"
)


@given(st.sampled_from(["utf-8", "utf-16", "cp1252"]), EDITS)
def test_any_file_is_imported_or_refused_in_words(encoding: str, edits: list[tuple[str, int, int]]) -> None:
    terms = Terms(consent=None, topics=["world"], now=NOW)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readers.csv"
        path.write_bytes(spoil(TABLE.encode(encoding), edits, PIECES))
        try:
            with open_table(path, mapping={}) as table:
                for chunk in read_chunks(table, terms, size=2):
                    for email, name, choices in chunk.readers:
                        assert_storable([email, name])
                        assert choices.state is not SubscriberState.ACTIVE or choices.consent_at, "nobody agreed to it"
                    for told in chunk.told:
                        assert_storable(told.said)
        except ConfigError as error:
            assert_storable(str(error))


@given(st.sampled_from([postfix(), ORIGINAL.encode(), b""]), EDITS)
def test_any_mail_is_sorted_and_none_ends_the_reading(mail: bytes, edits: list[tuple[str, int, int]]) -> None:
    found = sort_mail(spoil(mail, edits, PIECES), TERMS, received_at=NOW)
    if found.event is not None:
        assert found.event.occurred_at == NOW, "what a mail says of its date is anybody's"
        assert found.event.email is None
        assert_storable(asdict(found.event))
    assert found.reader in (None, KEY)
