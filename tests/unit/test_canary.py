"""What a receiver says of a copy: only its own word, whoever else has written one, and only of our domain."""

import random

import pytest

from digest.audience.canary import is_aligned, judge, normalize_domain
from digest.audience.seeds import _read_listed
from digest.errors import Refused, Unavailable
from digest.models import DeliveryState, Outcome, Verdict
from digest.ports import CanaryMailbox
from digest.seeds import Seed, describe_seeds, is_copy, say_fault, take_outcome

ALL = frozenset({"dkim", "spf", "dmarc"})
OURS = "From: Morning Brief <brief@news.example.com>\nSubject: Today\n"

# What the great receivers write, in their manner.
SHAPES = {
    "gmail": (
        "mx.google.com",
        "Delivered-To: seed@gmail.example\n"
        "Received: by 2002:a05:6a10:b1 with SMTP id b1csp1;\n        Mon, 2 Mar 2026 07:01:02 -0800 (PST)\n"
        "ARC-Seal: i=1; a=rsa-sha256; t=1772434862; cv=none; d=google.com; s=arc-1; b=aa+/bb==\n"
        "ARC-Authentication-Results: i=1; mx.google.com; dkim=fail header.i=@news.example.com\n"
        "Return-Path: <bounces+1@news.example.com>\n"
        "Received: from out.example.com (out.example.com. [192.0.2.7])\n        by mx.google.com with ESMTPS id x1\n"
        "Received-SPF: pass (google.com: domain of bounces+1@news.example.com designates 192.0.2.7 as permitted)\n"
        "Authentication-Results: mx.google.com;\n"
        '       dkim=pass header.i=@news.example.com header.s=20260101 header.b="q/7+rT=0";\n'
        "       spf=pass (google.com: domain of bounces+1@news.example.com designates 192.0.2.7 as permitted sender)"
        " smtp.mailfrom=bounces+1@news.example.com;\n"
        "       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=news.example.com\n",
    ),
    "outlook, which gives no name": (
        None,
        "Received: from AB1.example (2603:10a6::1) by CD2.example with HTTPS; Mon, 2 Mar 2026 07:01:03 +0000\n"
        "Authentication-Results: spf=pass (sender IP is 192.0.2.7)\n smtp.mailfrom=news.example.com; dkim=pass"
        " (signature was verified)\n header.d=news.example.com;dmarc=pass action=none\n"
        " header.from=news.example.com;compauth=pass reason=100\n"
        "Received-SPF: Pass (protection.example: domain of news.example.com designates 192.0.2.7)\n",
    ),
    "yahoo, with a part left empty": (
        "atlas-1.v2-mail.omega.yahoo.com",
        "X-Apparently-To: seed@yahoo.example; Mon, 02 Mar 2026 07:01:02 +0000\n"
        "Authentication-Results: atlas-1.v2-mail.omega.yahoo.com;\n"
        " dkim=pass header.i=@news.example.com header.s=main;\n spf=pass smtp.mailfrom=news.example.com;\n"
        " dmarc=pass(p=REJECT) header.from=news.example.com;\n",
    ),
    "fastmail": (
        "mx4.messagingengine.com",
        "Return-Path: <b@news.example.com>\n"
        "Authentication-Results: mx4.messagingengine.com;\n    arc=none (no signatures found);\n"
        "    bimi=skipped (DMARC Policy is not at enforcement);\n"
        "    dkim=pass (2048-bit rsa key sha256) header.d=news.example.com header.i=@news.example.com header.b=aB+/=cd"
        " header.a=rsa-sha256 header.s=main x-bits=2048;\n"
        "    dmarc=pass policy.published-domain-policy=none policy.applied-disposition=none"
        " policy.evaluated-disposition=none (p=none,d=none,d.eval=none) policy.policy-from=p"
        " header.from=news.example.com;\n"
        "    iprev=pass smtp.remote-ip=2001:db8::7 (out.example.com);\n"
        "    spf=pass smtp.mailfrom=b@news.example.com smtp.helo=out.example.com;\n"
        "    x-aligned-from=pass (Address match); x-return-mx=pass header.domain=news.example.com (MX present)\n",
    ),
    "postfix, a field from each filter": (
        "mail.seed.example",
        "Delivered-To: seed@seed.example\n"
        "Authentication-Results: mail.seed.example; dmarc=pass (p=quarantine dis=none) header.from=news.example.com\n"
        "Authentication-Results: mail.seed.example; spf=pass smtp.mailfrom=news.example.com\n"
        "Received: from out.example.com by mail.seed.example (Postfix) with ESMTPS id 1\n"
        "Authentication-Results: mail.seed.example;\n\tdkim=pass (1024-bit key; unprotected) header.d=news.example.com"
        " header.i=@news.example.com header.a=rsa-sha256 header.s=m header.b=Ab1;\n\tdkim-atps=neutral\n",
    ),
    "version, quotes and odd spaces": (
        "mx.seed.example",
        'AUTHENTICATION-RESULTS: "MX.Seed.Example" 1 ;\n dkim = PASS reason="good (really)" header.d ='
        ' "News.Example.COM." ;\n\tSPF=pass smtp.mailfrom="odd; dkim=fail"@news.example.com;'
        "dmarc=pass (a \\) comment (within; one)) header.from=NEWS.example.com\n",
    ),
    "an address that the grammar forbids": (
        "mx.seed.example",
        "Authentication-Results: mx.seed.example; spf=pass smtp.client-ip=2001:db8::7 smtp.mailfrom=news.example.com;"
        " dkim=pass header.d=news.example.com; dmarc=pass header.from=news.example.com\n",
    ),
}


def look(head: str, *, receiver: str | None = None, require: frozenset[str] = ALL) -> Verdict:
    return judge(head.encode(), sender="brief@news.example.com", receiver=receiver, require=require)


def field(
    *, name: str = "mx.seed.example", dkim: str | None = None, spf: str | None = None, dmarc: str | None = None
) -> str:
    parts = [
        dkim if dkim is not None else "dkim=pass header.d=news.example.com",
        spf if spf is not None else "spf=pass smtp.mailfrom=b@news.example.com",
        dmarc if dmarc is not None else "dmarc=pass header.from=news.example.com",
    ]
    return f"Authentication-Results: {'; '.join([name, *(part for part in parts if part)])}\n"


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_great_receivers_write_is_understood(shape: str) -> None:
    name, head = SHAPES[shape]
    assert look(head + OURS) == Verdict(receiver=name)
    assert look(head.replace("\n", "\r\n") + OURS) == Verdict(receiver=name)


@pytest.mark.parametrize(
    ("head", "faults"),
    [
        (field(dkim="dkim=fail (body hash) header.d=news.example.com"), ["dkim=fail"]),
        (field(dkim="dkim=none"), ["dkim=none"]),
        (field(dkim=""), ["nothing said of dkim"]),
        (field(spf="spf=softfail smtp.mailfrom=news.example.com"), ["spf=softfail"]),
        (field(dmarc="dmarc=bestguesspass header.from=news.example.com"), ["dmarc=bestguesspass"]),
        (
            field(dkim="dkim=pass header.d=mailer.example"),
            ["dkim=pass, but for mailer.example, and From is of news.example.com"],
        ),
        (
            field(spf="spf=pass smtp.mailfrom=b+x=seed.example@mailer.example"),
            ["spf=pass, but for mailer.example, and From is of news.example.com"],
        ),
        (
            field(spf="spf=pass smtp.helo=news.example.com"),
            ["spf=pass, but for no domain, and From is of news.example.com"],
        ),
        (
            field(dmarc="dmarc=pass header.from=example.com"),
            ["dmarc=pass, but for example.com, and From is of news.example.com"],
        ),
        (field(dkim="dkim=fail header.d=a.example; dkim=temperror header.d=b.example"), ["dkim=fail/temperror"]),
        ("Authentication-Results: mx.seed.example; none\n", [f"nothing said of {m}" for m in ("dkim", "spf", "dmarc")]),
        (field(name="mx.seed.example 2"), [f"nothing said of {m}" for m in ("dkim", "spf", "dmarc")]),
        ("Received: x\n", ["no Authentication-Results of its receiver"]),
        ("", ["no Authentication-Results of its receiver"]),
    ],
    ids=str,
)
def test_what_did_not_pass_is_named(head: str, faults: list[str]) -> None:
    assert look(head + OURS).faults == tuple(faults)


@pytest.mark.parametrize(
    "dkim",
    [
        "dkim=fail header.d=mailer.example; dkim=pass header.d=news.example.com",
        "dkim=pass header.d=mailer.example; dkim=pass header.d=news.example.com",
        "dkim=pass header.d=example.com",
        "dkim=pass header.d=mail.example.com",
        "dkim=pass header.i=@e.news.example.com",
        "dkim/1=pass header.d=news.example.com",
    ],
)
def test_one_signature_that_is_ours_is_enough(dkim: str) -> None:
    assert look(field(dkim=dkim) + OURS).faults == ()


def test_only_what_is_required_is_asked() -> None:
    head = field(spf="spf=fail smtp.mailfrom=mailer.example", dmarc="")
    assert look(head, require=frozenset({"dkim"})).faults == ()
    assert look(head, require=frozenset({"dkim", "spf"})).faults == ("spf=fail",)


FORGED = field()
FAILED = field(dkim="dkim=fail", spf="spf=fail", dmarc="dmarc=fail")
FAULTS = ("dkim=fail", "spf=fail", "dmarc=fail")


@pytest.mark.parametrize(
    "head",
    [
        FAILED + OURS + FORGED,
        FAILED + FORGED + OURS,
        FAILED + "Received: from x\n" + FORGED + OURS,
        FAILED + "DKIM-Signature: v=1; d=news.example.com\n" + FORGED + OURS,
        FAILED.replace(";", "; (", 1).replace("(", "(dkim=pass header.d=news.example.com)") + OURS,
        "ARC-" + FORGED.replace(": ", ": i=1; ") + FAILED + OURS,
        "X-Original-" + FORGED + FAILED + OURS,
    ],
    ids=["in-the-message", "right-below", "below", "below-a-signature", "in-a-comment", "arc", "another-field"],
)
def test_a_word_that_is_not_the_receivers_counts_for_nothing(head: str) -> None:
    assert look(head).faults == FAULTS
    assert look(head, receiver="mx.seed.example").faults == FAULTS


def test_a_sender_who_writes_results_into_the_message_is_not_believed_where_the_receiver_says_nothing() -> None:
    assert look("Received: x\n" + OURS + FORGED).faults == ("no Authentication-Results of its receiver",)


def test_several_fields_of_one_receiver_count_together_until_somebody_elses() -> None:
    dkim, rest = field(spf="", dmarc=""), field(dkim="")
    assert look(dkim + rest + OURS).faults == ()
    between = field(name="relay.example")
    assert look(dkim + between + rest + OURS).faults == ("nothing said of spf", "nothing said of dmarc")


def test_the_receiver_that_was_named_counts_and_no_other_above_or_below() -> None:
    inner = field(name="inner.seed.example", dkim="dkim=fail")
    mx = field(name="mx.seed.example")
    assert look(inner + mx + OURS).faults == ("dkim=fail",)
    assert look(inner + mx + OURS, receiver="MX.seed.example") == Verdict(receiver="mx.seed.example")
    assert look(mx + OURS, receiver="other.example").faults == (
        "no Authentication-Results of other.example, only of mx.seed.example",
    )
    assert look(mx.replace("mx.seed", "mxseed") + OURS, receiver="seed.example").receiver is None


def test_a_receiver_whose_servers_have_many_names_is_named_by_the_domain_above_them() -> None:
    head = field(name="dmarc.cloud.example", dkim="", spf="") + field(name="dkim.cloud.example", dmarc="", spf="")
    head += field(name="spf.cloud.example", dkim="", dmarc="")
    assert look(head + OURS, receiver="cloud.example").faults == ()
    assert look(head + OURS).faults == ("nothing said of dkim", "nothing said of spf")


@pytest.mark.parametrize(
    ("domain", "sender", "aligned"),
    [
        ("news.example.com", "news.example.com", True),
        ("example.com", "news.example.com", True),
        ("a.b.example.com", "example.com", True),
        ("mail.example.com", "news.example.com", True),
        ("mail.example.co.uk", "news.example.co.uk", True),
        ("other.co.uk", "example.co.uk", False),
        ("co.uk", "example.co.uk", False),
        ("com", "example.com", False),
        ("badexample.com", "example.com", False),
        ("example.com.evil.example", "example.com", False),
        ("news.intern", "a.news.intern", True),
        ("intern", "news.intern", False),
        ("mail.intern", "news.intern", False),
        ("", "news.example.com", False),
    ],
)
def test_alignment_is_of_organizations(domain: str, sender: str, aligned: bool) -> None:
    assert is_aligned(domain, sender) is aligned


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Brief@News.Example.COM", "news.example.com"),
        ("@bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example.", "xn--bcher-kva.example"),
        ("none of that", ""),
        ("a..b", ""),
        ("ü" * 80 + ".example", ""),
    ],
)
def test_domains_are_compared_in_one_form(text: str, domain: str) -> None:
    assert normalize_domain(text) == domain


def test_no_field_however_broken_is_an_error_or_takes_long() -> None:
    chance = random.Random(7)
    letters = '()";\\= .@dkimspfpasdmarc=header.from=/<>\t\r\n:é'
    for _ in range(1500):
        noise = "".join(chance.choices(letters, k=chance.randrange(80)))
        assert look(f"Authentication-Results: mx.a; dkim={noise}; dmarc=pass {noise[::-1]}\n" + OURS).faults
    for long in ("(" * 100_000, "dkim=pass header.d=x; " * 10_000, '"' * 99_999, "dkim=pass " + "a.b=c " * 20_000):
        assert look(f"Authentication-Results: mx.a; {long}\n" + OURS).faults
    head = b"Authentication-Results: mx.\xff\xfe; dkim=\xc3\x28\n"
    assert judge(head, sender="a.test", receiver=None, require=ALL).faults


KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("head", "is_ours"),
    [
        (f"Message-ID: <{KEY}@news.test>\n", True),
        (f"Message-ID: <other@provider.test>\nList-Unsubscribe: <https://news.test/m/unsubscribe/{KEY}.sig>\n", True),
        (f"List-Unsubscribe: <https://news.test/{KEY[:20]}\r\n {KEY[20:]}.sig>\n", True),
        (f"Message-ID: <other@box.test>\nIn-Reply-To: <{KEY}@news.test>\nReferences: <{KEY}@news.test>\n", False),
        (f"Subject: {KEY}\n", False),
        ("", False),
    ],
    ids=["its-id", "an-id-of-the-provider", "folded", "an-answer", "a-subject", "nothing"],
)
def test_a_copy_is_known_by_its_own_name(head: str, is_ours: bool) -> None:
    assert is_copy(head.encode(), KEY) is is_ours


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (rb'(\HasNoChildren \Junk) "/" "[Gmail]/Spam"', '"[Gmail]/Spam"'),
        (rb'(\HasNoChildren \junk) "/" &BCEEPwQwBDw-', '"&BCEEPwQwBDw-"'),
        (rb'(\HasNoChildren) "." INBOX.Junk', '"INBOX.Junk"'),
        (rb'(\HasNoChildren) NIL "Junk Email"', '"Junk Email"'),
        (rb'() "/" "a \"b\"/Spam"', r'"a \"b\"/Spam"'),
        ((rb'(\Junk) "/" {4}', b"Spam"), '"Spam"'),
        (rb'(\Noselect \Junk) "/" "Spam"', None),
        (rb'(\HasNoChildren) "/" "Not Spam"', None),
        (rb'(\HasNoChildren) "/" INBOX', None),
        (None, None),
        (b"nonsense", None),
    ],
    ids=str,
)
def test_junk_folders_are_found_by_their_use_and_by_their_names(line: object, name: str | None) -> None:
    found = _read_listed(line)
    assert (found.name if found else None) == name


MAILBOX = CanaryMailbox(seeds=(), open=lambda: None, judge=lambda head: Verdict(receiver=None))  # type: ignore[arg-type,return-value]


def seed(**changes: object) -> Seed:
    return Seed(**{"email": "seed@box.test", "send_key": KEY, "mailbox": MAILBOX} | changes)  # type: ignore[arg-type]


def outcome(state: DeliveryState, raw: str = "") -> Outcome:
    return Outcome(delivery=0, state=state, raw=raw)


@pytest.mark.parametrize(
    ("said", "fault", "is_sent", "words"),
    [
        (outcome(DeliveryState.ACCEPTED), None, True, ""),
        (outcome(DeliveryState.UNKNOWN), None, True, ""),
        (None, None, True, ""),
        (outcome(DeliveryState.REFUSED, "550-5.7.1 <seed@box.test> no"), None, False, "was refused: 550 5.7.1"),
        (outcome(DeliveryState.REFUSED, "seed@box.test is bad"), None, False, "was refused: … is bad"),
        (None, Refused("smtp", "554 5.7.1 <brief@news.test> not wanted"), False, "was refused: 554 5.7.1"),
        (outcome(DeliveryState.DEFERRED, "451 later"), None, False, ""),
        (None, Unavailable("smtp", "no connection"), False, ""),
    ],
    ids=str,
)
def test_what_became_of_a_seeds_message_is_kept_without_an_address(
    said: Outcome | None, fault: Exception | None, is_sent: bool, words: str
) -> None:
    one = seed()
    take_outcome(one, said, fault)
    assert (one.is_sent, one.fault) == (is_sent, words)


def test_equal_findings_are_told_once_with_their_share() -> None:
    bad = Verdict(receiver="mx.a", faults=("dkim=fail",))
    seeds = [seed(verdict=bad), seed(fault="did not arrive"), seed(verdict=bad), seed(verdict=Verdict(receiver="b"))]
    assert describe_seeds(seeds) == ["2 of 4 seeds: dkim=fail (at mx.a)", "1 of 4 seeds: did not arrive"]
    assert "@" not in say_fault(Unavailable("smtp", "<jo@far.test> is away"))
