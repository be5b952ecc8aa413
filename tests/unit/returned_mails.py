"""Mails that come back, in the shapes that servers and people give them. Everybody in them is made up."""

from digest.audience.links import Links
from digest.audience.mailbox import Terms

LINKS = Links(base_url="https://news.test", newsletter="morning", keys=["a key for tests"])
READER = "0123456789abcdef" * 2  # a subscriber's key
TOKEN = LINKS.sign(READER)
SEND_KEY = "5e" * 16
TERMS = Terms(inbox="bounces@news.test", sender_domain="news.test", verify=LINKS.verify)
VERP = f"bounces+{SEND_KEY}@news.test"

ORIGINAL = f"""\
Return-Path: <{VERP}>
To: reader@far.test
Message-ID: <{SEND_KEY}@news.test>
List-Unsubscribe: <https://news.test/morning/unsubscribe/{TOKEN}>,
 <mailto:bounces+unsubscribe@news.test?subject=unsubscribe%20{TOKEN}>
From: Morning Brief <brief@news.test>
Subject: The harbour bridge closes
MIME-Version: 1.0
Content-Type: text/plain

Words.
"""


def postfix(
    *,
    status: str = "5.1.1",
    action: str = "failed",
    code: str = "550 5.1.1 <reader@far.test>: Recipient address rejected: User unknown",
    to: str = VERP,
    original: str = ORIGINAL,
) -> bytes:
    """A delivery status as Postfix writes it."""
    return f"""\
Return-Path: <>
X-Original-To: {to}
Delivered-To: {to}
Received: by mx.news.test (Postfix) id 4A1B; Mon,  2 Mar 2026 07:00:05 +0000 (UTC)
Date: Mon,  2 Mar 2026 07:00:05 +0000 (UTC)
From: MAILER-DAEMON@mx.news.test (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {to}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4A1B.1772434805/mx.news.test"
Message-Id: <20260302070005.4A1B@mx.news.test>

This is a MIME-encapsulated message.

--4A1B.1772434805/mx.news.test
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

--4A1B.1772434805/mx.news.test
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.news.test
X-Postfix-Queue-ID: 4A1B
Arrival-Date: Mon,  2 Mar 2026 07:00:01 +0000 (UTC)

Final-Recipient: rfc822; reader@far.test
Original-Recipient: rfc822;reader@far.test
Action: {action}
Status: {status}
Remote-MTA: dns; mail.far.test
Diagnostic-Code: smtp; {code}

--4A1B.1772434805/mx.news.test
Content-Description: Undelivered Message
Content-Type: message/rfc822

{original}
--4A1B.1772434805/mx.news.test--
""".encode()


def exim() -> bytes:
    """Exim says 5.0.0 of everything, and the server's words beside it; it goes to the bare address here."""
    return f"""\
Return-path: <>
Envelope-to: bounces@news.test
X-Failed-Recipients: reader@far.test
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mx.news.test>
To: bounces@news.test
Content-Type: multipart/report; report-type=delivery-status; boundary=1772434805-eximdsn-1
MIME-Version: 1.0
Subject: Mail delivery failed: returning message to sender
Message-Id: <E1abc@mx.news.test>

--1772434805-eximdsn-1
Content-type: text/plain; charset=us-ascii

A message that you sent could not be delivered.

--1772434805-eximdsn-1
Content-type: message/delivery-status

Reporting-MTA: dns; mx.news.test

Action: failed
Final-Recipient: rfc822;reader@far.test
Status: 5.0.0
Remote-MTA: dns; mail.far.test
Diagnostic-Code: smtp; 550-5.1.1 The account does not exist at
 10.5.1.2, see 550 5.1.1

--1772434805-eximdsn-1
Content-type: text/rfc822-headers

To: reader@far.test
Message-ID: <{SEND_KEY}@news.test>
Subject: The harbour bridge closes

--1772434805-eximdsn-1--
""".encode()


def exchange() -> bytes:
    """Exchange encodes the report, and folds whatever it can."""
    return f"""\
From: <postmaster@far.test>
To: <bounces@news.test>
Date: Mon, 2 Mar 2026 07:00:05 +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="_91e2_"
Message-ID: <91e2@far.test>
Subject: Undeliverable: The harbour bridge closes
Auto-Submitted: auto-replied

--_91e2_
Content-Type: multipart/alternative; boundary="_inner_"

--_inner_
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

Delivery has failed to these recipients or groups: reader@far.test=20

--_inner_
Content-Type: text/html; charset="us-ascii"

<p>Delivery has failed</p>
--_inner_--

--_91e2_
Content-Type: message/delivery-status
Content-Transfer-Encoding: base64

UmVwb3J0aW5nLU1UQTogZG5zO214LmZhci50ZXN0CgpGaW5hbC1SZWNpcGllbnQ6IHJmYzgyMjty
ZWFkZXJAZmFyLnRlc3QKQWN0aW9uOiBmYWlsZWQKU3RhdHVzOiA1LjEuMTAKRGlhZ25vc3RpYy1D
b2RlOiBzbXRwOzU1MCA1LjEuMTAgUkVTT0xWRVIuQURSLlJlY2lwaWVudE5vdEZvdW5kCg==

--_91e2_
Content-Type: message/rfc822

Received: from mx.news.test by mx.far.test
To: <reader@far.test>
Message-ID:
 <{SEND_KEY}@news.test>
Subject: The harbour bridge closes

--_91e2_--
""".encode()


def relabelled() -> bytes:
    """A service in between wrote envelope and Message-ID anew: only the reader's own link is still ours."""
    original = ORIGINAL.replace(SEND_KEY, "another-id").replace(VERP, "0102@relay.test")
    return postfix(to="bounces@news.test", original=original)


def gmail() -> bytes:
    """A warning that it is still being tried, as Gmail puts it."""
    return f"""\
Delivered-To: {VERP}
Return-Path: <>
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: {VERP}
Auto-Submitted: auto-replied
Subject: Delivery Status Notification (Delay)
References: <{SEND_KEY}@news.test>
Message-ID: <65e2@mx.google.com>
MIME-Version: 1.0
Content-Type: multipart/report; boundary="000000000000d1"; report-type=delivery-status

--000000000000d1
Content-Type: multipart/related; boundary="000000000000d2"

--000000000000d2
Content-Type: text/html; charset="UTF-8"

<p>Message delivery incomplete</p>
--000000000000d2
Content-Type: image/png; name="icon.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--000000000000d2--
--000000000000d1
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.com
Arrival-Date: Mon, 02 Mar 2026 07:00:01 -0800 (PST)

Final-Recipient: rfc822; reader@far.test
Action: delayed
Status: 4.4.1
Diagnostic-Code: smtp; The recipient server did not accept our requests to connect.
Last-Attempt-Date: Mon, 02 Mar 2026 09:00:01 -0800 (PST)
Will-Retry-Until: Thu, 05 Mar 2026 07:00:01 -0800 (PST)

--000000000000d1
Content-Type: message/rfc822

To: reader@far.test

--000000000000d1--
""".encode()


def international() -> bytes:
    """RFC 6533: an address in UTF-8, reported in UTF-8."""
    return (
        postfix(code="550 5.1.1 nobody of that name")
        .replace(b"message/delivery-status", b"message/global-delivery-status")
        .replace(b"rfc822; reader@far.test", "utf-8; läserin@far.test".encode())
        .replace(b"Content-Type: message/rfc822", b"Content-Type: message/global-headers")
    )


def prose(words: str, *, sender: str = "MAILER-DAEMON@old.test", extra: str = "", to: str = VERP) -> bytes:
    """A bounce from before there was a form for it."""
    return f"""\
Return-Path: <>
From: {sender}
To: {to}
{extra}Subject: failure notice
Message-ID: <77@old.test>

{words}
""".encode()


QMAIL = f"""\
Hi. This is the qmail-send program at old.test.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<reader@far.test>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 no mailbox here by that name
Giving up on 192.0.2.7.

--- Below this line is a copy of the message.

{ORIGINAL}"""


def complaint(*, kind: str = "abuse", original: str = ORIGINAL, to: str = "bounces@news.test") -> bytes:
    """RFC 5965."""
    return f"""\
From: <feedback@far.test>
To: <{to}>
Subject: FW: The harbour bridge closes
Message-ID: <arf-1@far.test>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
     boundary="part1_13d"

--part1_13d
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.

--part1_13d
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Rcpt-To: <reader@far.test>
Arrival-Date: Mon, 2 Mar 2026 07:00:05 +0000

--part1_13d
Content-Type: message/rfc822
Content-Disposition: inline

{original}
--part1_13d--
""".encode()


def junk_report() -> bytes:
    """Microsoft's programme for complaints: the mail is attached, with the address in a header of its own."""
    return f"""\
From: <staff@hotmail.example>
To: <bounces@news.test>
Subject: complaint about message from 192.0.2.1
Message-ID: <jmr-1@hotmail.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="jmr"

--jmr
Content-Type: message/rfc822

X-HmXmrOriginalRecipient: reader@far.test
X-Mailer: anything
{ORIGINAL}
--jmr--
""".encode()


def letter(
    subject: str, body: str = "Hello.", *, headers: str = "", to: str = "bounces@news.test", sender: str = "r@far.test"
) -> bytes:
    """A mail that somebody, or somebody's program, wrote."""
    return f"""\
From: {sender}
To: {to}
Subject: {subject}
Message-ID: <letter@far.test>
{headers}Content-Type: text/plain; charset=utf-8

{body}
""".encode()
