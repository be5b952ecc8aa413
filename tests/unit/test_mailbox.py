"""What a mail in the inbox is: servers' reports, complaints, automatic replies, requests to leave, and people."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digest.audience.links import Links
from digest.audience.mailbox import MailKind, Sorted, sort_mail
from digest.models import Event, EventKind, RejectReason
from tests.unit.returned_mails import (
    ORIGINAL,
    QMAIL,
    READER,
    SEND_KEY,
    TERMS,
    TOKEN,
    VERP,
    complaint,
    exchange,
    exim,
    gmail,
    international,
    junk_report,
    letter,
    postfix,
    prose,
    relabelled,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def sort(raw: bytes) -> Sorted:
    return sort_mail(raw, TERMS, received_at=NOW)


def event_of(raw: bytes) -> Event:
    found = sort(raw)
    assert found.event is not None, found
    return found.event


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (postfix(), EventKind.BOUNCED, "5.1.1"),
        (exim(), EventKind.BOUNCED, "5.1.1"),  # of 5.0.0 the server's own words say more
        (exchange(), EventKind.BOUNCED, "5.1.10"),
        (international(), EventKind.BOUNCED, "5.1.1"),
        (gmail(), EventKind.DEFERRED, "4.4.1"),
        (postfix(status="4.2.2", code="452 4.2.2 full"), EventKind.BOUNCED, "4.2.2"),
        (postfix(status="5.7.1", code="550 5.7.1 policy"), EventKind.BOUNCED, "5.7.1"),
        (postfix(status="2.0.0", action="delivered", code="250 ok"), EventKind.DELIVERED, "2.0.0"),
        (postfix(status="2.0.0", action="relayed", code="250 ok"), EventKind.DELIVERED, "2.0.0"),
        (postfix(status="4.4.7", action="delayed", code="host 192.0.2.5 is down"), EventKind.DEFERRED, "4.4.7"),
        (postfix(status="", action="", code="552 5.2.2 full"), EventKind.BOUNCED, "5.2.2"),
        (postfix(status="5.1.1 (bad destination mailbox address)"), EventKind.BOUNCED, "5.1.1"),
    ],
)
def test_a_delivery_status_is_read_whoever_wrote_it(raw: bytes, kind: EventKind, status: str) -> None:
    found = sort(raw)
    assert found.kind is MailKind.BOUNCE
    assert found.event is not None
    assert (found.event.kind, found.event.status) == (kind, status)
    assert found.event.send_key == SEND_KEY
    assert found.event.email is None  # addresses in mails are anybody's
    assert found.event.occurred_at == NOW and found.event.provider == "mailbox"


@pytest.mark.parametrize(
    "raw", [postfix(code="550 5.1.1 no\x1b[2J such\x9b2J user"), prose("550 5.1.1 no\x1b[2J such user")]
)
def test_what_a_server_answered_moves_no_cursor(raw: bytes) -> None:
    answer = event_of(raw).answer
    assert answer is not None and answer.isprintable() and "550 5.1.1 no" in answer


def test_what_the_server_answered_and_why_are_kept() -> None:
    event = event_of(postfix())
    assert event.answer == "550 5.1.1 <reader@far.test>: Recipient address rejected: User unknown"
    assert event.reject_reason is RejectReason.INVALID
    assert "Reporting-MTA: dns; mx.news.test" in event.raw
    assert event_of(postfix(status="5.7.1", code="550 5.7.1 no")).reject_reason is RejectReason.BLOCKED


def test_it_is_matched_by_the_envelope_before_what_came_back_and_by_that_before_the_readers_link() -> None:
    other = "ab" * 16
    assert event_of(postfix(original=ORIGINAL.replace(SEND_KEY, other))).send_key == SEND_KEY
    bare = postfix(to="bounces@news.test", original=ORIGINAL.replace(f"Return-Path: <{VERP}>\n", ""))
    assert event_of(bare).send_key == SEND_KEY
    found = sort(relabelled())
    assert found.event is not None
    assert (found.event.send_key, found.reader) == (None, READER)


@pytest.mark.parametrize("raw", [postfix, complaint])
def test_a_report_that_carries_nothing_of_ours_names_nobody_and_stays_for_people(raw: object) -> None:
    forged = ORIGINAL.replace(TOKEN, TOKEN[:-1] + ("A" if TOKEN[-1] != "A" else "B"))
    forged = forged.replace(SEND_KEY, "not-ours").replace(VERP, "x@y.test")
    found = sort(raw(to="bounces@news.test", original=forged))  # type: ignore[operator]
    assert found == Sorted(kind=MailKind.PERSON, is_unmatched=True)


def test_of_several_recipients_of_one_mail_the_luckiest_counts() -> None:
    block = b"Final-Recipient: rfc822; other@far.test\nAction: %b\nStatus: %b\n\n"
    place = b"Final-Recipient: rfc822; reader@far.test"
    delivered = postfix().replace(place, block % (b"delivered", b"2.0.0") + place)
    assert event_of(delivered).kind is EventKind.DELIVERED
    both = postfix().replace(place, block % (b"failed", b"4.2.2") + place)
    assert (event_of(both).kind, event_of(both).status) == (EventKind.BOUNCED, "4.2.2")


def test_the_same_mail_is_the_same_event_and_another_mail_another() -> None:
    assert event_of(postfix()).event_id == event_of(b"X-Seen: 2\n" + postfix()).event_id
    later = postfix().replace(b"20260302070005.4A1B", b"20260303070005.4A1B")
    assert event_of(later).event_id != event_of(postfix()).event_id
    nameless = postfix().replace(b"Message-Id: <20260302070005.4A1B@mx.news.test>\n", b"")
    assert event_of(nameless).event_id == event_of(nameless).event_id != event_of(nameless + b"\n").event_id


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (prose(QMAIL), EventKind.BOUNCED, "5.1.1"),
        (prose("reader@far.test\n    mailbox is full: retry timeout exceeded\n"
               "    SMTP error: host said: 452 4.2.2 full",
               extra="X-Failed-Recipients: reader@far.test\n"), EventKind.BOUNCED, "4.2.2"),
        (prose("The following address had permanent fatal errors:\n<reader@far.test>\nreason: 553 nobody"),
         EventKind.BOUNCED, None),
        (prose("We could not bring it to them. Sorry.", extra="X-Failed-Recipients: reader@far.test\n"),
         EventKind.BOUNCED, None),
    ],
)  # fmt: skip
def test_prose_is_a_bounce_whose_codes_alone_say_how_hard_it_is(
    raw: bytes, kind: EventKind, status: str | None
) -> None:
    event = event_of(raw)
    assert (event.kind, event.status, event.send_key, event.is_hard) == (kind, status, SEND_KEY, False)


def test_prose_is_matched_by_the_mail_below_it_where_the_envelope_was_lost() -> None:
    found = sort(prose(QMAIL, to="bounces@news.test"))
    assert found.event is not None and (found.event.send_key or found.reader) in {SEND_KEY, READER}


def test_codes_in_the_mail_that_came_back_are_not_the_servers() -> None:
    words = QMAIL.replace("550 5.1.1 no mailbox", "no mailbox") + "\nOur story of today: error 5.1.1 explained\n"
    assert event_of(prose(words)).status is None


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("abuse", EventKind.COMPLAINED),
        ("fraud", EventKind.COMPLAINED),
        ("Abuse", EventKind.COMPLAINED),
        ("opt-out", EventKind.UNSUBSCRIBED),
        ("not-spam", None),
        ("auth-failure", None),
        ("virus", None),
        ("dmarc", None),
    ],
)
def test_a_complaint_is_held_against_nobody_who_did_not_complain(kind: str, event: EventKind | None) -> None:
    found = sort(complaint(kind=kind))
    assert found.kind is MailKind.COMPLAINT
    assert (found.event.kind if found.event else None) is event
    if found.event:
        assert found.event.send_key == SEND_KEY


def test_a_complaint_that_hides_whose_mail_it_was_is_matched_by_their_own_link() -> None:
    hidden = ORIGINAL.replace(SEND_KEY, "redacted").replace("reader@far.test", "redacted@far.test")
    found = sort(complaint(original=hidden))
    assert found.event is not None and found.event.kind is EventKind.COMPLAINED
    assert found.reader == READER


def test_a_junk_report_of_microsofts_is_a_complaint() -> None:
    found = sort(junk_report())
    assert found.kind is MailKind.COMPLAINT
    assert found.event is not None and found.event.kind is EventKind.COMPLAINED
    assert found.event.send_key == SEND_KEY


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: auto-replied (vacation)\n",
        "Auto-Submitted: auto-generated\n",
        "Precedence: auto_reply\n",
        "Precedence: bulk\n",
        "X-Autoreply: yes\n",
        "X-Autorespond: yes\n",
        "X-Auto-Response-Suppress: All\n",
        "Return-Path: <>\n",
    ],
)
def test_an_automatic_reply_to_a_message_is_known_by_its_headers(headers: str) -> None:
    found = sort(letter("About your mail", headers=headers, to=VERP))
    assert found.kind is MailKind.AUTO
    assert found.event is not None
    assert (found.event.kind, found.event.send_key) == (EventKind.AUTORESPONDED, SEND_KEY)


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: The harbour bridge closes",
        "Re: Out of Office",
        "Out of the office until Monday",
        "Abwesenheitsnotiz: Die Hafenbrücke",
        "Automatische Antwort: x",
        "Réponse automatique : x",
        "Absence du bureau",
        "Respuesta automática: x",
        "Fuera de la oficina",
        "رد تلقائي: x",
        "自動返信：x",
        f"=?utf-8?b?{b64encode('Respuesta automática: x'.encode()).decode()}?=",
    ],
)
def test_the_last_resort_is_how_out_of_office_answers_begin(subject: str) -> None:
    found = sort(letter(subject))
    assert (found.kind, found.event) == (MailKind.AUTO, None)


@pytest.mark.parametrize(
    "raw",
    [
        letter("Out of office supplies, and other questions"),
        letter("Automatic replying is a story that you should do"),
        letter("A letter", headers="Auto-Submitted: no\n"),
        letter("Re: The harbour bridge closes", headers=f"In-Reply-To: <{SEND_KEY}@news.test>\n"),
        # The inbox may be a person's own, to which lists and notices come that are no answers to us.
        letter("[list] News", headers="Precedence: list\nList-Id: <x.y.test>\n"),
        letter("A build failed", headers="Auto-Submitted: auto-generated\n"),
        letter("Meeting", headers="X-Auto-Response-Suppress: DR, OOF\n"),
        letter("", ""),
        b"",
        b"\x00\xff\xfe no mail at all",
    ],
)
def test_what_a_person_may_have_to_read_stays_for_people(raw: bytes) -> None:
    found = sort(raw)
    assert (found.kind, found.event, found.asks_to_leave) == (MailKind.PERSON, None, False)


def _folded(text: str) -> str:
    return f"=?utf-8?q?unsubscribe?=\n =?utf-8?q?_{text[:40]}?=\n =?utf-8?q?{text[40:].replace('_', '=5F')}?="


@pytest.mark.parametrize(
    "subject",
    [
        f"unsubscribe {TOKEN}",
        f"Unsubscribe  {TOKEN} ",
        f"Re: unsubscribe {TOKEN}",
        f"AW: unsubscribe {TOKEN}",
        f"unsubscribe%20{TOKEN}",
        f"unsubscribe+{TOKEN}",
        f"unsubscribe\n {TOKEN}",
        f"unsubscribe\r\n\t{TOKEN}",
        _folded(TOKEN),
        f"=?us-ascii?b?{b64encode(f'unsubscribe {TOKEN}'.encode()).decode()}?=",
    ],
)
@pytest.mark.parametrize("headers", ["", "Auto-Submitted: auto-generated\nPrecedence: bulk\n"])
def test_the_mailto_link_leads_out_whatever_a_mail_program_made_of_it(subject: str, headers: str) -> None:
    found = sort(letter(subject, "", headers=headers, to="bounces+unsubscribe@news.test", sender="other@far.test"))
    assert found == Sorted(kind=MailKind.LEAVE, reader=READER)


@pytest.mark.parametrize(
    "subject",
    [
        "unsubscribe",
        f"unsubscribe {TOKEN[:-1]}",
        f"unsubscribe {TOKEN}x",
        f"unsubscribe {TOKEN[:-1]}{'A' if TOKEN[-1] != 'A' else 'B'}",
        f"unsubscribe {READER}.{'A' * 43}",
        "unsubscribe " + Links(base_url="https://n.test", newsletter="evening", keys=["a key for tests"]).sign(READER),
        f"unsubscribe {TOKEN.upper()}",
    ],
)
def test_without_the_very_token_nobody_leaves_and_a_person_is_told(subject: str) -> None:
    found = sort(letter(subject, "", to="bounces+unsubscribe@news.test"))
    assert (found.kind, found.reader, found.asks_to_leave) == (MailKind.PERSON, None, True)


@pytest.mark.parametrize(
    ("subject", "body", "asks"),
    [
        ("Re: The harbour bridge", "Please unsubscribe me.\n\nOn Monday Jo wrote:\n> words", True),
        ("Abmelden", "", True),
        ("Désinscription", "", True),
        ("Re: x", "Quiero darme de baja", True),
        ("x", "أرجو إلغاء الاشتراك", True),
        ("Re: The harbour bridge", "Nice story!\n\n> to unsubscribe, open this link", False),
        ("Lovely", "I read it each day. " * 30 + "Never will I unsubscribe.", False),
    ],
)
def test_who_asks_to_leave_in_words_is_counted(subject: str, body: str, asks: bool) -> None:
    found = sort(letter(subject, body))
    assert (found.kind, found.reader, found.asks_to_leave) == (MailKind.PERSON, None, asks)


def test_a_receipt_for_reading_is_an_automatic_reply() -> None:
    raw = postfix().replace(b"message/delivery-status", b"message/disposition-notification")
    assert sort(raw).kind is MailKind.AUTO


def test_a_long_mail_is_read_from_its_beginning() -> None:
    event = event_of(postfix(original=ORIGINAL + "more words\n" * 400_000))
    assert (event.status, event.send_key) == ("5.1.1", SEND_KEY)


def _nested(depth: int) -> bytes:
    return b"From: mailer-daemon@x.test\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level) for level in range(depth)
    )


@pytest.mark.parametrize(
    "raw",
    [
        _nested(5000),
        _nested(400),
        b"From: x\nContent-Type: message/rfc822\n\n" * 20_000,
        b"a: b\n" * 400_000,
        b"From: x\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 300_000,
        b'From: x\nContent-Type: text/plain; a="' + b";" * 1_000_000,
        b"From: x\nContent-Type: message/delivery-status\n\n" + b"\n" * 200_000,
        b"From: mailer-daemon@x.test\n\n" + b"-" * 1_000_000,
        b"From: mailer-daemon@x.test\nContent-Type: text/plain; charset=punycode\n\n" + b"a" * 300_000,
        b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\n\nx",
        b"Subject: =?utf-7?q?+2AA-?=\nAuto-Submitted: auto-replied\nTo: " + VERP.encode() + b"\n\nx",
    ],
)
def test_what_is_built_to_be_a_burden_is_none(raw: bytes) -> None:
    found = sort(raw)
    assert found.kind in {MailKind.PERSON, MailKind.AUTO}
    if found.event:
        found.event.raw.encode("utf-8")


SAMPLES = [
    postfix(),
    exim(),
    exchange(),
    gmail(),
    prose(QMAIL),
    complaint(),
    junk_report(),
    letter(f"unsubscribe {TOKEN}"),
]


@settings(max_examples=150)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=12), st.integers(0, 40)), max_size=6),
)
@example(SAMPLES[0], [(0, b"\x00", 3000)])
def test_no_damage_to_a_mail_stops_the_sorting(raw: bytes, cuts: list[tuple[int, bytes, int]]) -> None:
    for place, put, taken in cuts:
        raw = raw[:place] + put + raw[place + taken :]
    found = sort(raw)
    if found.event:
        assert found.event.send_key or found.reader
        (found.event.raw + (found.event.answer or "")).encode("utf-8")


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_any_bytes_are_somebodys_mail(raw: bytes) -> None:
    assert sort(raw).event is None
