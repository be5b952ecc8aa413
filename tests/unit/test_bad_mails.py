"""Deliberately bad mails: each gets its finding, pointed at, and nothing of a good mail's is lost."""

import pytest

from digest.models import UNSUBSCRIBE_TOKEN, Finding
from digest.preflight import inspect, inspect_document
from digest.preflight.clients import as_of
from digest.preflight.legibility import measure_contrast
from tests.golden.editions import EDITIONS
from tests.golden.regenerate import THEMES, render_all

WORDS = "The council has decided, after a long evening, what is to be done about the old bridge. " * 4
GOOD = f"""\
<!DOCTYPE html>
<html lang="en" dir="ltr">
<head><title>Morning</title><style>
@media (prefers-color-scheme: dark) {{ .paper {{ background-color: #15201e !important; color: #e6ecea !important; }} }}
</style></head>
<body style="margin:0;background-color:#ffffff;color:#14201e;font-size:16px">
<div class="paper" style="background-color:#ffffff;color:#14201e">
<h1>Morning</h1>
<h2>World</h2>
<h3>The old bridge closes</h3>
<p>{WORDS}</p>
<!-- here -->
<p><a href="{UNSUBSCRIBE_TOKEN}" style="color:inherit">Unsubscribe</a></p>
</div>
</body>
</html>
"""
LEAVE = "https://ledger.org/unsubscribe/1"
# With every header that a mail to many should have, and both parts.
SENT = f"""\
From: Morning <brief@ledger.org>
To: Ada <ada@readers.org>
Subject: The old bridge closes
Date: Tue, 24 Nov 2026 07:00:00 +0300
Message-ID: <1.2@ledger.org>
List-ID: Morning <morning.ledger.org>
List-Unsubscribe: <{LEAVE}>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

{WORDS}
Unsubscribe: {LEAVE}
--b
Content-Type: text/html; charset=utf-8

{GOOD.replace(UNSUBSCRIBE_TOKEN, LEAVE)}
--b--
"""
HERE = GOOD[: GOOD.index("<!-- here -->")].count("\n") + 1


def judge(html: str, subject: str = "The old bridge closes") -> list[Finding]:
    return inspect(html, WORDS + UNSUBSCRIBE_TOKEN, subject=subject)


def with_(body: str) -> str:
    return GOOD.replace("<!-- here -->", body)


def test_the_mail_that_they_are_made_of_is_good() -> None:
    assert judge(GOOD) == []


BAD = {
    "flex boxes": ('<div style="display:flex"><p>a</p></div>', "client-css-display-flex", "fail"),
    "a picture of vectors": ('<img src="https://x.org/a.svg" alt="A">', "client-image-svg", "fail"),
    "a size that is reckoned": ('<p style="width:calc(100% - 2px)">a</p>', "client-css-unit-calc", "fail"),
    "grey on white": ('<p style="color:#b8b8b8">Pale words</p>', "contrast-light", "fail"),
    "words that vanish in the dark": ('<p style="color:#14201e">Dark words</p>', "contrast-dark", "fail"),
    "tiny words": ('<p style="font-size:10px">Small print</p>', "text-size", "warn"),
    "tiny words in points": ('<p style="font-size:8pt">Small print</p>', "text-size", "warn"),
    "in a share of a share": (
        '<p style="font-size:90%"><b style="font-size:.9em">Small</b></p>',
        "text-size",
        "warn",
    ),
    "in rem": ('<p style="font-size:0.7rem">Small print</p>', "text-size", "warn"),
    "in a shorthand": ('<p style="font:bold 11px/1.4 serif">Small print</p>', "text-size", "warn"),
    "in an attribute": ('<font size="1">Small print</font>', "text-size", "warn"),
    "an old grey on white": ('<font color="b8b8b8">Pale words</font>', "contrast-light", "fail"),
    "a black that covers little": ('<p style="color:rgba(0,0,0,.25)">Pale words</p>', "contrast-light", "fail"),
    "a ground that covers little": (
        '<p style="background-color:rgba(0,0,0,.1);color:#ffffff">Pale words</p>',
        "contrast-light",
        "fail",
    ),
    "words behind a veil": ('<p style="opacity:.2">Pale words</p>', "contrast-light", "fail"),
    "words behind two": ('<p style="opacity:.6"><b style="opacity:40%">Pale</b></p>', "contrast-light", "fail"),
    "a link in disguise": ('<p><a href="https://evil.org/">bank.org</a></p>', "spam-link", "warn"),
    "a shortened link": ('<p><a href="https://bit.ly/x">Read on</a></p>', "spam-link", "warn"),
    "hidden words": (f'<div style="display: none">{WORDS * 2}</div>', "spam-hidden", "warn"),
    "a text to be replaced": ("<p>Lorem ipsum dolor sit amet</p>", "placeholder-text", "warn"),
    "a picture without words": ('<img src="https://x.org/a.png">', "image-alt", "warn"),
    "a script": ("<script>alert(1)</script>", "forbidden-element", "fail"),
    "a picture from nowhere": ('<img alt="A">', "image-source", "fail"),
    "a picture of an empty address": ('<img src=" " alt="A">', "image-source", "fail"),
    "a picture beside the page": ('<img src="a.png" alt="A">', "image-source", "fail"),
    "a picture of this disk": ('<img src="file:///a.png" alt="A">', "image-source", "fail"),
    "a picture of no host": ('<img src="https:///a.png" alt="A">', "image-source", "fail"),
    "a picture by http": ('<img src="http://x.org/a.png" alt="A">', "image-source", "warn"),
    "a picture that watches": ('<img src="https://x.org/a" alt="" width="1" height="1">', "image-tracking", "warn"),
    "a styled one": ('<img src="https://x.org/a" alt="" style="width:1px;height:0">', "image-tracking", "warn"),
    "a script in an attribute": ('<p onclick="x()">a</p>', "active-content", "fail"),
    "a style that acts": ('<p style="width:expression(1)">a</p>', "active-content", "fail"),
    "another": ('<p style="behavior:url(x)">a</p>', "active-content", "fail"),
    "a document that leaves": ('<meta http-equiv="Refresh" content="0;url=https://x.org/">', "active-content", "fail"),
    "a button": ("<button>Press</button>", "forbidden-element", "fail"),
    "a field": ('<input name="a">', "forbidden-element", "fail"),
    "a language that is none": ('<p lang="english">a</p>', "language", "warn"),
    "a direction that is none": ('<p dir="right">a</p>', "direction", "warn"),
    "a language the wrong way": ('<p lang="ar" dir="ltr">a</p>', "direction", "warn"),
    "a story twice": ("<h3>The Old-Bridge  closes!</h3>", "duplicate-headline", "warn"),
    "a level that is skipped": ("<h5>Deep</h5>", "heading", "info"),
    "an empty link": ('<p><a href="">Read on</a></p>', "link-empty", "fail"),
}


@pytest.mark.parametrize(("body", "rule", "severity"), BAD.values(), ids=BAD)
def test_a_bad_mail_gets_its_finding_and_is_pointed_at(body: str, rule: str, severity: str) -> None:
    found = [finding for finding in judge(with_(body)) if finding.rule == rule]
    assert {finding.severity for finding in found} == {severity}
    assert [finding for finding in found if finding.where and f"line {HERE}" in finding.where] or rule == "spam-hidden"


@pytest.mark.parametrize(
    ("subject", "is_bad"),
    [
        ("OLD BRIDGE CLOSES TODAY", True),
        ("Re: your account", True),
        ("Fwd: the bridge", True),
        ("Act now!!", True),
        ("Win $$$ today", True),
        ("NATO and the EU agree", False),
        ("AI", False),
        ("Really? Yes! The bridge closes", False),
        ("Return of the ferry", False),
        ("إغلاق الجسر القديم", False),
    ],
)
def test_a_subject_that_shouts_or_pretends_is_a_warning(subject: str, is_bad: bool) -> None:
    assert ("spam-subject" in {finding.rule for finding in judge(GOOD, subject)}) is is_bad


@pytest.mark.parametrize(
    "words",
    [
        "Get it F R E E today",
        "V-I-A-G-R-A",
        "Click here, it is 100% guaranteed",
        "Act now! Risk-free.",
        "V1agra: buy now",
    ],
)
def test_phrases_that_filters_know_are_a_warning_together(words: str) -> None:
    [found] = [one for one in judge(with_(f"<p>{words}</p>")) if one.rule == "spam-words"]
    assert (found.severity, found.where) == ("warn", f"HTML, line {HERE}")


@pytest.mark.parametrize(
    "words",
    [
        "Click here for the ferries' times",
        "The patents on Viagra, Cialis and Levitra have run out",
        "Plan B or C D, by J R R Tolkien, for the U.S.A. and the U.N.",
        "Critics say that ministers must act now",
    ],
)
def test_one_such_phrase_in_an_article_is_none(words: str) -> None:
    assert "spam-words" not in {finding.rule for finding in judge(with_(f"<p>{words}</p>"))}


def test_such_phrases_of_the_text_part_are_pointed_at_there() -> None:
    findings = inspect(GOOD, f"{WORDS}\n\nAct now\nF R E E\n{UNSUBSCRIBE_TOKEN}", subject="100% free")
    where = {one.where for one in findings if one.rule == "spam-words"}
    assert where == {"text, line 4", "text, line 3"}


def test_a_mail_of_pictures_is_a_warning() -> None:
    html = GOOD.replace(WORDS, "").replace("<!-- here -->", '<img src="https://x.org/a.png" alt="All of it">')
    assert "spam-image-only" in {finding.rule for finding in judge(html)}


@pytest.mark.parametrize(
    "link",
    [
        '<a href="https://www.ledger.org/a">ledger.org</a>',
        '<a href="https://news.ledger.org/a">ledger.org</a>',
        '<a href="https://ledger.org/a">Read more at The Ledger</a>',
        '<a href="https://ledger.org/a">U.S. economy grows</a>',
        '<a href="https://ledger.org/a">Ante todo: lo que sabemos</a>',
    ],
)
def test_a_link_that_leads_where_it_says_is_no_finding(link: str) -> None:
    assert judge(with_(f"<p>{link.replace('<a', '<a style=color:inherit')}</p>")) == []


@pytest.mark.parametrize(
    "body",
    [
        '<p style="font-size:10.5pt">a</p>',
        '<p style="font-size:2em"><b style="font-size:50%">a</b></p>',
        '<p style="font-size:87.5%">a</p>',
        '<p style="opacity:.95">a</p>',
        '<p style="opacity:0">a</p>',
        '<p style="background-color:transparent">a</p>',
        '<p style="color:rgba(20,32,30,.9)">a</p>',
    ],
)
def test_what_can_be_read_is_no_finding_however_it_is_written(body: str) -> None:
    found = {finding.rule for finding in judge(with_(body))}
    assert not found & {"text-size", "contrast-light"}


def test_a_feature_is_named_once_with_the_clients_that_lack_it() -> None:
    [found] = [one for one in judge(with_('<p style="display:flex">a</p>\n' * 3)) if "flex" in one.rule]
    assert found.clients and found.clients[0] in found.message and "below one another" in found.message
    assert as_of() >= "2026"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", EDITIONS)
def test_our_own_themes_have_no_finding_but_remarks(theme: str, name: str) -> None:
    mail = render_all(theme)[name]
    findings = inspect(mail.html, mail.text, subject=mail.subject)
    assert [finding for finding in findings if finding.severity != "info"] == []


@pytest.mark.parametrize(
    "body",
    [
        '<p style="color: oklch(0.5 0.2 20)">a</p>',
        '<p style="background: color(display-p3 1 0 0)">a</p>',
        "<style>x|p{color:red!important} ::: {color:red!important}</style>",
    ],
)
def test_styles_that_nobody_can_judge_end_nothing(body: str) -> None:
    assert "contrast-light" not in {finding.rule for finding in judge(with_(body))}


@pytest.mark.parametrize("charset", ["undefined", "utf-8\0x", "no-such"])
def test_a_charset_that_is_none_ends_nothing(charset: str) -> None:
    raw = f"From: a@b.org\nContent-Type: text/html; charset={charset}\n\n{GOOD}".encode()
    assert inspect_document(raw)[1] > 800


def judge_message(raw: str | bytes) -> list[Finding]:
    return inspect_document(raw.encode() if isinstance(raw, str) else raw)[0]


def attach(name: str) -> str:
    """The message with a file beside it."""
    inner = SENT[SENT.index("Content-Type") :]
    outer = SENT[: SENT.index("Content-Type")] + "Content-Type: multipart/mixed; boundary=a\n\n--a\n" + inner
    disposition = f'Content-Disposition: attachment; filename="{name}"'
    return f"{outer}\n--a\nContent-Type: application/octet-stream\n{disposition}\n\nMZ\n--a--\n"


def turned_round() -> str:
    """The message with its HTML before its text."""
    (head, text, html), end = SENT.split("--b\n"), "--b--\n"
    return f"{head}--b\n{html.removesuffix(end)}--b\n{text}{end}"


def test_the_message_that_they_are_made_of_is_good() -> None:
    assert judge_message(SENT) == []


BAD_MESSAGES = {
    "two senders": (f"From: Eve <eve@x.org>\n{SENT}", "header-duplicate", "fail", "From"),
    "two subjects": (f"subject: Another\n{SENT}", "header-duplicate", "fail", "Subject"),
    "two dates": (f"Date: Tue, 24 Nov 2026 08:00:00 +0300\n{SENT}", "header-duplicate", "fail", "Date"),
    "bare UTF-8": (SENT.replace("Subject: The", "Subject: Thé"), "header-bytes", "warn", "Subject"),
    "bare Latin-1": (SENT.replace("Ada <", "Adé <").encode("latin-1"), "header-bytes", "fail", "To"),
    "bare bytes in a folded line": (
        SENT.replace("Subject: The", "Subject: A\n Thé"),
        "header-bytes",
        "warn",
        "Subject",
    ),
    "to nobody": (SENT.replace("To: Ada <ada@readers.org>\n", ""), "header-to", "warn", "To"),
    "no version of MIME": (SENT.replace("MIME-Version: 1.0\n", ""), "header-mime-version", "fail", "MIME-Version"),
    "a way out by http": (SENT.replace("<https:", "<http:"), "header-list-unsubscribe", "warn", "List-Unsubscribe"),
    "a way out to no host": (
        SENT.replace(f"<{LEAVE}>", "<https:///u>"),
        "header-list-unsubscribe",
        "fail",
        "List-Unsubscribe",
    ),
    "an endless line": (SENT.replace("<h2>", f"<h2 title='{'x' * 998}'>"), "line-length", "fail", "message, line 28"),
    "the HTML first": (turned_round(), "part-order", "fail", "HTML"),
    "a program": (attach("invoice.pdf.EXE"), "attachment", "fail", "attachment"),
    "a script beside": (attach("read.js"), "attachment", "fail", "attachment"),
    "an HTML in no charset": (SENT.replace("html; charset=utf-8", "html; charset=utf8mb4"), "charset", "fail", "HTML"),
    "a text in no charset": (SENT.replace("plain; charset=utf-8", "plain; charset=x-no"), "charset", "fail", "text"),
    "another charset": (SENT.replace("World", "Wörld").encode("latin-1"), "charset", "fail", "HTML"),
}


@pytest.mark.parametrize(("raw", "rule", "severity", "where"), BAD_MESSAGES.values(), ids=BAD_MESSAGES)
def test_a_bad_message_gets_its_finding_once(raw: str | bytes, rule: str, severity: str, where: str) -> None:
    [found] = [finding for finding in judge_message(raw) if finding.rule == rule]
    assert (found.severity, found.where) == (severity, where)


@pytest.mark.parametrize("name", ["report.pdf", "calendar.ics", "picture.jpg", "example.com.pdf"])
def test_what_may_be_attached_is_no_finding(name: str) -> None:
    assert judge_message(attach(name)) == []


@pytest.mark.parametrize("tag", ["en", "pt-BR", "zh-Hant-TW", "es-419", "sl-rozaj", "de-1996", "en-x-own", "ar-Latn"])
def test_a_language_tag_of_any_shape_is_no_finding(tag: str) -> None:
    assert judge(with_(f'<p lang="{tag}" dir="ltr">a</p>')) == []


@pytest.mark.parametrize(("name", "is_there"), [("map@ledger.org", True), ("chart@ledger.org", False)])
def test_a_picture_of_a_part_needs_that_part(name: str, is_there: bool) -> None:
    raw = attach("map.png").replace("Content-Disposition", "Content-ID: <map@ledger.org>\nContent-Disposition")
    found = {finding.rule for finding in judge_message(raw.replace("<!-- here -->", f'<img src="cid:{name}" alt="A">'))}
    assert ("image-source" in found) is not is_there


def test_a_picture_of_a_part_is_not_judged_without_a_message() -> None:
    assert judge(with_('<img src="cid:map" alt="A">')) == []


def test_a_line_as_long_as_is_allowed_is_no_finding() -> None:
    assert judge_message(SENT.replace("World", "<i></i>" * 140 + "x" * 9)) == []


def test_words_alone_need_no_version_of_mime() -> None:
    raw = SENT.split("MIME-Version")[0] + f"\n{WORDS}\n"
    assert "header-mime-version" not in {finding.rule for finding in judge_message(raw)}


def test_contrast_is_reckoned_as_the_guidelines_do() -> None:
    assert measure_contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert measure_contrast((1, 1, 1), (1, 1, 1)) == 1
    assert measure_contrast((0x77 / 255,) * 3, (1, 1, 1)) == pytest.approx(4.48, abs=0.01)


def test_links_are_tried_where_that_is_asked_for_and_never_the_way_out() -> None:
    html = with_(
        '<p><a href="https://a.org/ok">a</a> <a href="https://a.org/gone">b</a> <a href="https://a.org/shy">c</a>'
        ' <a href="https://a.org/gone">d</a> <a href="mailto:x@a.org">e</a> <a href="https://news.example.com/">f</a>'
        ' <a href="https://lost.org/">g</a> <a href="https://a.org/unsubscribe/1">h</a></p>'
    )
    tried: list[str] = []

    def try_links(urls: list[str]) -> dict[str, tuple[int | None, str] | None]:
        tried.extend(urls)
        return {
            "https://a.org/ok": None,
            "https://a.org/gone": (404, "404 Not Found"),
            "https://a.org/shy": (403, "403 Forbidden"),
            "https://lost.org/": (None, "the name is not known"),
        }

    findings, _ = inspect_document(html.encode(), try_links)
    assert tried == ["https://a.org/ok", "https://a.org/gone", "https://a.org/shy", "https://lost.org/"]
    told = [(one.rule, one.severity, one.message.split()[0]) for one in findings if one.rule.startswith("link-")]
    assert told == [
        ("link-dead", "warn", "https://a.org/gone"),
        ("link-dead", "warn", "https://lost.org/"),
        ("link-refused", "info", "https://a.org/shy"),
    ]
