"""Preflight: what should not go out unattended."""

import gzip
import re
from email.message import EmailMessage

import pytest

from digest.models import UNSUBSCRIBE_TOKEN, Finding
from digest.preflight import inspect, inspect_built, inspect_document, verdict
from digest.transports import mime
from tests.contract.test_transports import make_batch
from tests.golden.regenerate import render_all

LINK = "https://news.test/morning/unsubscribe/abc"
HEADERS = {
    "From": "Morning Brief <brief@news.test>",
    "To": "Ada <ada@readers.test>",
    "Date": "Tue, 24 Nov 2026 07:00:00 +0300",
    "Message-ID": "<1.2@news.test>",
    "List-ID": "Morning Brief <morning.news.test>",
    "List-Unsubscribe": f"<mailto:leave@news.test>, <{LINK}>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}
TEXT = f"Morning\n\nA headline, and the words of its summary.\n\nUnsubscribe:\n{LINK}\n"


def mail(body: str = "", *, root: str = 'lang="en" dir="ltr"', leave: str = LINK) -> str:
    """A small mail without a fault, and with `body` in it."""
    return (
        f"<!DOCTYPE html>\n<html {root}>\n<head><title>Morning</title></head>\n<body>\n<h1>Morning</h1>\n"
        f'<h2>World</h2>\n<h3>A headline</h3>\n<p>Words.</p>\n{body}\n<p><a href="{leave}">Unsubscribe</a></p>\n'
        "</body>\n</html>\n"
    )


def rules(findings: list[Finding], *severities: str) -> set[str]:
    """The rules found, of these severities."""
    return {finding.rule for finding in findings if finding.severity in (severities or ("fail", "warn"))}


def one(findings: list[Finding], rule: str) -> Finding:
    """The only finding by that rule."""
    (finding,) = [finding for finding in findings if finding.rule == rule]
    return finding


def as_message(html: str | None, text: str | None = TEXT, **headers: str) -> bytes:
    message = EmailMessage()
    for name, value in (HEADERS | {"Subject": "A headline"} | headers).items():
        if value:
            message[name] = value
    message.set_content(text or "")
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message.as_bytes()


@pytest.mark.parametrize("name", ["english", "arabic"])
def test_our_own_edition_is_ok_and_example_names_are_remarks(name):
    rendition = render_all()[name]

    findings = inspect(rendition.html, rendition.text, subject=rendition.subject)

    assert verdict(findings) == "ok"
    assert rules(findings, "info") == {"reserved-name"}


def test_our_own_edition_is_ok_once_it_is_addressed():
    rendition = render_all()["english"]

    findings = inspect(
        rendition.html.replace(UNSUBSCRIBE_TOKEN, LINK),
        rendition.text.replace(UNSUBSCRIBE_TOKEN, LINK),
        headers=HEADERS,
        subject=rendition.subject,
        rehearsal=False,
    )

    assert verdict(findings) == "ok"


def test_a_small_mail_without_fault_has_no_findings():
    assert rules(inspect(mail(), TEXT, headers=HEADERS, subject="A headline")) == set()


@pytest.mark.parametrize(("size", "severity"), [(79_999, None), (80_000, "warn"), (99_999, "warn"), (100_000, "fail")])
def test_size_is_judged_in_bytes_of_utf_8(size, severity):
    empty = len(mail("<!---->").encode())
    filler = "é" * ((size - empty) // 2) + "x" * ((size - empty) % 2)
    html = mail(f"<!--{filler}-->")
    assert len(html.encode()) == size

    findings = inspect(html, None)

    assert [finding.severity for finding in findings if finding.rule == "size"] == ([severity] if severity else [])


TOKENS = (
    "{{ name }}",
    "{% if x %}",
    "*|FNAME|*",
    "%%first_name%%",
    "{{{raw}}}",
    "[[name]]",
    "[[ data:first_name ]]",
    "${x}",
    "${user.name}",
    "<%= name %>",
    "<% if x %>",
    "%recipient.name%",
    "%recipient%",
    "%tag_unsubscribe_url%",
    "##name##",
    "[FNAME]",
    "[FIRST_NAME]",
    "[EMAIL_ADDRESS]",
    "%7B%7Bname%7D%7D",
    "%7b%7b%20id%20%7d%7d",
)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("part", ["html", "text", "subject"])
def test_a_placeholder_that_nobody_filled_in_is_found_and_fails_where_no_story_may_hold_it(part, token):
    parts = {"html": mail(), "text": TEXT, "subject": "Hello"}
    parts[part] = mail(f"<p>Dear {token}</p>") if part == "html" else f"{parts[part]} {token}"

    finding = one(inspect(parts["html"], parts["text"], subject=parts["subject"]), "token-left")

    assert finding.severity == ("fail" if token.startswith(("{{", "{%", "*|", "%%")) else "warn")
    assert finding.where is not None
    assert "line" in finding.where


def test_the_readers_link_is_a_placeholder_in_a_rendition_and_a_fault_in_a_message():
    html, text = mail(leave=UNSUBSCRIBE_TOKEN), TEXT.replace(LINK, UNSUBSCRIBE_TOKEN)

    assert rules(inspect(html, text)) == set()
    assert "token-left" in rules(inspect(html, text, headers=HEADERS), "fail")


def test_ordinary_percentages_and_braces_are_no_placeholders():
    body = "<style>@media print { p { margin: 0 }}</style><p>100% of 5 %, and a {set} | of * things %</p>"

    assert "token-left" not in rules(inspect(mail(body), None))


@pytest.mark.parametrize(
    "words",
    [
        "It costs $5 {about 4 euros}, or ${5}, of the sets {1,2} and {a, b}.",
        "Shares rose 5%, then 10%. Of 3%.of.4% nothing is known.",
        "“[He] said [NAME REDACTED] and [WARNING] and [EU NAMES] were here [1].",
        "## A heading of Markdown ##  and #hashtags ##",
        "a[[1]] and [[ -f x ]] are code; so is 5 <% 3",
        "https://x.org/?q=%C3.a%20b&r=%7B%22a%22%3A1%7D and https://x.org/%7Bid%7D",
    ],
)
def test_ordinary_news_and_code_are_no_placeholders(words):
    assert "token-left" not in rules(inspect(mail(f"<p>{words}</p>"), TEXT + words, subject=words[:60]))


@pytest.mark.parametrize("token", ["{name}", "{ first_name }", "{FIRSTNAME}", "{user.email}", "{city}", "[NAME]"])
def test_single_braces_around_a_name_are_a_warning_where_they_are_seen(token):
    finding = one(inspect(mail(f"\n<p>Dear {token},</p>"), TEXT), "token-left")

    assert (finding.severity, finding.where) == ("warn", "HTML, line 10")
    assert one(inspect(mail(), f"Dear {token}\n{TEXT}"), "token-left").where == "text, line 1"
    assert "token-left" not in rules(inspect(mail(f"<style>.x{token}</style><!--{token}-->"), TEXT))


def test_a_text_to_be_replaced_is_said_once_for_each_story_and_word():
    story = '<p><img src="https://x.org/a.png" alt="{0}"></p>\n<h3><a href="https://x.org/" title="{0}">{0}</a></h3>\n'
    body = story.format("Lorem ipsum") + "<p>Lorem ipsum. LOREM IPSUM.</p>" + story.format("Lorem ipsum or XXXXX")

    findings = inspect(mail(body), f"Lorem ipsum\n\nFIXME\n{TEXT}", subject="Lorem ipsum")

    found = [finding.message.split("”")[0][1:] for finding in findings if finding.rule == "placeholder-text"]
    assert found == ["Lorem ipsum", "Lorem ipsum", "XXXXX", "FIXME"]


def test_each_part_needs_a_way_out():
    html, text = mail().replace("Unsubscribe", "Bye").replace(LINK, "https://news.test/"), "Morning, and words."

    findings = [finding for finding in inspect(html, text, headers=HEADERS) if finding.rule == "unsubscribe-link"]

    assert [(finding.severity, finding.where) for finding in findings] == [("fail", "HTML"), ("fail", "text")]


@pytest.mark.parametrize(
    "word", ["Unsubscribe", "Se désabonner", "Cancelar la suscripción", "Abbestellen", "إلغاء الاشتراك"]
)
def test_a_way_out_is_known_by_its_word_in_every_language_we_speak(word):
    html = mail().replace("Unsubscribe", word).replace(LINK, "https://news.test/x")

    assert rules(inspect(html, f"Words.\n\n{word}: https://news.test/x")) == set()


def test_a_text_part_must_be_there_and_say_what_the_html_says():
    long = mail("<p>" + "Many words are said here. " * 60 + "</p>")

    assert one(inspect(mail(), " \n"), "text-part").severity == "fail"
    assert one(inspect(long, TEXT), "text-part").severity == "warn"
    assert "text-part" not in rules(inspect(long, TEXT + "Many words are said here. " * 40))
    assert "text-part" not in rules(inspect(mail(), None))


def test_a_mail_without_html_is_a_warning_and_without_anything_fails():
    assert one(inspect("", TEXT), "html-part").severity == "warn"
    assert one(inspect("", ""), "html-part").severity == "fail"


@pytest.mark.parametrize(
    ("link", "rule"),
    [
        ('<a href="">x</a>', "link-empty"),
        ('<a href="#">x</a>', "link-empty"),
        ("<a>x</a>", "link-empty"),
        ('<a href="https://">x</a>', "link-empty"),
        ('<a href="javascript:x()">x</a>', "link-scheme"),
        ('<a href="ftp://x.org/">x</a>', "link-scheme"),
        ('<a href="/relative">x</a>', "link-scheme"),
        ('<a href="http://[broken">x</a>', "link-scheme"),
        ('<a href="https://exa mple.com/">x</a>', "link-malformed"),
        ('<a href="https://exa%20mple.com/">x</a>', "link-malformed"),
        ('<a href="https://x..com/">x</a>', "link-malformed"),
        ('<a href="https://.x.org/">x</a>', "link-malformed"),
        ('<a href="https://x.org:99999/">x</a>', "link-malformed"),
        ('<a href="https://x.org:port/">x</a>', "link-malformed"),
        ('<a href="mailto:">x</a>', "link-empty"),
        ('<a href="tel:+">x</a>', "link-empty"),
    ],
)
def test_a_link_that_leads_nowhere_fails_and_is_pointed_at(link, rule):
    finding = one(inspect(mail(f"\n<p>{link}</p>"), None), rule)

    assert finding.severity == "fail"
    assert finding.where == "HTML, line 10, <a>"


@pytest.mark.parametrize(
    ("link", "rule"),
    [("https://x.org/100%-sure", "link-malformed"), ("https://x.org/%zz", "link-malformed"), ("#lost", "link-target")],
)
def test_a_link_that_may_fail_in_some_clients_is_a_warning(link, rule):
    assert one(inspect(mail(f'<p><a href="{link}">x</a></p>'), None), rule).severity == "warn"


def test_the_areas_of_a_picture_are_links():
    findings = inspect(mail('\n<map name="m"><area href="javascript:x()" alt="Read"><area nohref></map>'), None)

    assert one(findings, "link-scheme").where == "HTML, line 10, <area>"


def test_a_link_to_a_bare_address_is_a_warning():
    assert "spam-link" in rules(inspect(mail('<a href="http://203.0.113.7/x">x</a>'), None), "warn")
    assert "spam-link" in rules(inspect(mail('<a href="http://[2001:db8::1]/x">x</a>'), None), "warn")
    assert "spam-link" not in rules(inspect(mail('<a href="http://127.0.0.1:8000/x">x</a>'), None))


ARTICLE = '<h3><a href="https://x.org/how-to-unsubscribe-from-spam">How to unsubscribe from spam</a></h3>'


@pytest.mark.parametrize(
    "article", [ARTICLE, ARTICLE.replace("h3", "p"), '<h3><a href="https://x.org/1">Unsubscribe, they say</a></h3>']
)
def test_an_article_on_leaving_is_no_way_out(article):
    html = mail(article).replace("Unsubscribe</a>", "Bye</a>").replace(LINK, "https://x.org/2")
    text = "How to unsubscribe from spam\n\n  Ledger\n  https://x.org/how-to-unsubscribe-from-spam\n"

    found = [finding.where for finding in inspect(html, text, headers=HEADERS) if finding.rule == "unsubscribe-link"]

    assert found == ["HTML", "text"]


@pytest.mark.parametrize(
    "words",
    [
        "You get this as you asked for it. To stop it,\nunsubscribe here: https://x.org/1",
        "Unsubscribe:\n\nhttps://x.org/1",
        "[Unsubscribe](https://x.org/1)",
        "https://x.org/1 (unsubscribe)",
        "Leave: https://x.org/unsubscribe?id=1",
        "Unsubscribe by a mail to leave@x.org",
    ],
)
def test_a_way_out_of_the_text_is_known_by_the_words_beside_it(words):
    assert "unsubscribe-link" not in rules(inspect(mail(), f"Words.\n\n{words}\n", headers=HEADERS))


@pytest.mark.parametrize(
    ("host", "is_bad"), [("evil.org", True), ("nottest.org", True), ("click.news.test", False), ("news.test", False)]
)
def test_a_way_out_to_another_site_than_the_headers_name_is_a_warning(host, is_bad):
    html = mail(leave=f"https://{host}/u")

    assert ("unsubscribe-host" in rules(inspect(html, TEXT, headers=HEADERS), "warn")) is is_bad
    assert "unsubscribe-host" not in rules(inspect(html, TEXT))
    assert "unsubscribe-host" not in rules(inspect(mail(ARTICLE), TEXT, headers=HEADERS))


@pytest.mark.parametrize(
    "link",
    [
        "mailto:a@news.org",
        "tel:+123",
        "https://x.org/",
        "HTTP://x.org/",
        "#top",
        "#here",
        "https://x.org/%7B%7D",
        "https://x.org.:443/",
    ],
)
def test_a_link_that_leads_somewhere_is_no_finding(link):
    assert rules(inspect(mail(f'<p id="here"><a href="{link}">x</a></p>'), None), "fail", "warn") == set()


@pytest.mark.parametrize(
    "host", ["example.com", "www.example.org", "x.example", "x.test", "localhost:8000", "127.0.0.1", "[::1]"]
)
def test_names_that_exist_on_paper_only_are_a_remark(host):
    html = mail(f'<p><a href="http://{host}/">x</a></p>', leave="https://real-news.org/unsubscribe")

    assert one(inspect(html, None), "reserved-name").severity == "info"


@pytest.mark.parametrize("host", ["contest.org", "myexample.com", "latest.net"])
def test_names_that_only_resemble_them_are_not(host):
    html = mail(f'<p><a href="http://{host}/">x</a></p>', leave="https://real-news.org/unsubscribe")

    assert inspect(html, None) == []


@pytest.mark.parametrize(
    ("body", "rule", "severity"),
    [
        ('<img src="https://x.org/a.png">', "image-alt", "warn"),
        ("<h1>Again</h1><p>Words.</p>", "heading", "warn"),
        ("<script>x()</script>", "forbidden-element", "fail"),
        ('<form action="/"><input></form>', "forbidden-element", "fail"),
        ('<iframe src="https://x.org/"></iframe>', "forbidden-element", "fail"),
        ('<link rel="stylesheet" href="https://x.org/a.css">', "forbidden-element", "warn"),
        ("<h3>a  HEADLINE</h3>", "duplicate-headline", "warn"),
        ("<h2>Nothing here</h2><h2>Words</h2><p>are here.</p>", "empty-section", "warn"),
        ("<h2>Nothing here</h2><h1>Again</h1><p>Words.</p>", "empty-section", "warn"),
    ],
)
def test_what_readers_or_clients_stumble_over_is_found_and_pointed_at(body, rule, severity):
    finding = one(inspect(mail(f"\n{body}"), None), rule)

    assert finding.severity == severity
    assert re.fullmatch(r"HTML, line 10, <\w+>", finding.where or "")


def test_an_empty_alternative_text_is_one():
    findings = inspect(mail('<img src="https://x.org/a.png" alt="">', leave="https://n.org/unsubscribe"), None)

    assert "image-alt" not in rules(findings)


def test_a_section_with_a_picture_or_a_list_is_not_empty():
    body = '<h2>One</h2><img src="https://x.org/a.png" alt="A"><h2>Two</h2><ul><li>said</li></ul><h2>Three</h2>said'

    assert "empty-section" not in rules(inspect(mail(body), None))


def test_a_last_section_without_anything_is_empty():
    html = mail().replace("</body>", "<h2>Nothing <b>here</b></h2>\n&nbsp;</body>")

    assert "Nothing here" in one(inspect(html, None), "empty-section").message


def test_a_document_says_its_language_and_direction():
    assert rules(inspect(mail(root=""), None)) == {"language"}
    assert one(inspect(mail(root='lang="en"'), None), "direction").severity == "info"
    assert one(inspect(mail(root='lang="ar"'), None), "direction").severity == "warn"


def test_a_mail_without_h1_is_a_warning():
    assert "heading" in rules(inspect(mail().replace("h1", "p"), None), "warn")


@pytest.mark.parametrize(
    ("subject", "rule"), [("", "subject-empty"), (" ", "subject-empty"), ("x" * 151, "subject-length")]
)
def test_a_subject_is_there_and_not_endless(subject, rule):
    assert rule in rules(inspect(mail(), TEXT, subject=subject))


@pytest.mark.parametrize(
    ("header", "value", "rule"),
    [
        ("From", "", "header-from"),
        ("From", "nobody", "header-from"),
        ("To", "", "header-to"),
        ("Date", "", "header-date"),
        ("Date", "yesterday", "header-date"),
        ("Message-ID", "", "header-message-id"),
        ("Message-ID", "1@x", "header-message-id"),
        ("List-ID", "", "header-list-id"),
        ("List-ID", "morning", "header-list-id"),
        ("List-Unsubscribe", "", "header-list-unsubscribe"),
        ("List-Unsubscribe", "https://x.org/u", "header-list-unsubscribe"),
        ("List-Unsubscribe", "=?utf-8?q?=3Chttps=3A//x=2Eorg=3E?=", "header-list-unsubscribe"),
        ("List-Unsubscribe", "<mailto:leave@x.org>", "header-list-unsubscribe"),
        ("List-Unsubscribe", "<https:///u>", "header-list-unsubscribe"),
        ("List-Unsubscribe-Post", "", "header-list-unsubscribe-post"),
        ("List-Unsubscribe-Post", "yes", "header-list-unsubscribe-post"),
    ],
)
def test_a_header_that_is_missing_or_wrong_is_found_and_named(header, value, rule):
    finding = one(inspect(mail(), TEXT, headers=HEADERS | {header: value}), rule)

    assert finding.where == header


def test_headers_are_known_whatever_their_letters():
    assert rules(inspect(mail(), TEXT, headers={name.upper(): value for name, value in HEADERS.items()})) == set()


def test_an_insecure_way_out_fails_except_in_a_rehearsal():
    headers = HEADERS | {"List-Unsubscribe": "<http://127.0.0.1:8000/u>"}
    html, text = mail(leave="http://127.0.0.1:8000/u"), "Words. Unsubscribe: http://127.0.0.1:8000/u"

    assert verdict(inspect(html, text, headers=headers, rehearsal=True)) == "ok"
    assert "header-list-unsubscribe" in rules(inspect(html, text, headers=headers, rehearsal=False), "fail")


def test_an_insecure_way_out_to_elsewhere_is_a_warning_even_in_a_rehearsal():
    raw = as_message(mail(), **{"List-Unsubscribe": "<http://news.test/u>"})

    assert one(inspect_document(raw)[0], "header-list-unsubscribe").severity == "warn"


def test_a_way_out_that_does_not_answer_fails_except_in_a_rehearsal():
    assert verdict(inspect(mail(), TEXT, rehearsal=True, unsubscribe_checked="no answer")) == "ok"
    findings = inspect(mail(), TEXT, rehearsal=False, unsubscribe_checked="no answer")
    assert findings[0].rule == "unsubscribe-answer"
    assert "no answer" in findings[0].message
    assert verdict(findings) == "fail"


def test_the_worst_finding_comes_first_and_is_the_verdict():
    findings = inspect(mail('<img src="x"><a href="">x</a>', root='lang="en"'), None)
    order = [finding.severity for finding in findings]

    assert order == sorted(order, key=("fail", "warn", "info").index)
    assert verdict(findings) == "fail"
    assert verdict([finding for finding in findings if finding.severity != "fail"]) == "warn"
    assert verdict([]) == "ok"


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_a_document_is_known_by_its_content(wrap):
    html = mail()

    assert inspect_document(wrap(html.encode())) == (inspect(html, None), len(html.encode()))
    findings, size = inspect_document(wrap(as_message(mail())))
    assert rules(findings) == set()
    assert size == len(mail().encode())


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_message_is_read_whatever_its_encodings(newline):
    html = mail("<p>" + "Grüße, صباح الخير. " * 40 + "</p>", root='lang="de" dir="ltr"')
    raw = as_message(html, "Grüße, صباح الخير. " * 40 + TEXT, Subject="Grüße aus dem Süden")

    findings, size = inspect_document(raw.replace(b"\n", newline))

    assert rules(findings) == set()
    assert abs(size - len(html.encode())) <= html.count("\n")


def test_a_message_is_judged_by_its_subject_parts_and_headers():
    message = as_message(None, "Words.", Subject="Dear *|NAME|*")

    findings, size = inspect_document(message)

    assert size == 0
    assert {"html-part", "unsubscribe-link", "token-left"} <= rules(findings)
    assert "text-part" in rules(inspect_document(as_message(mail(), ""))[0], "fail")
    assert "header-list-unsubscribe" in rules(inspect_document(as_message(mail(), **{"List-Unsubscribe": ""}))[0])


def test_a_folded_header_is_read_as_one_line():
    raw = as_message(mail()).replace(b"<mailto:leave@news.test>, ", b"<mailto:leave@news.test>,\n ")

    assert rules(inspect_document(raw)[0]) == set()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"   \n",
        b"just words\nand more of them",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        gzip.compress(b"<p>x</p>")[:-9],
        b"\x1f\x8bnot gzip",
        gzip.compress(b"<html>" + bytes(60_000_000)),
    ],
    ids=["empty", "blank", "words", "picture", "cut off", "damaged", "bomb"],
)
def test_what_is_no_mail_is_a_finding_and_never_an_exception(raw):
    findings, size = inspect_document(raw)

    assert rules(findings, "fail") == {"unreadable"}
    assert size == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"<html><body>\xff\xfe caf\xe9",
        b'<meta charset="windows-1256"><p>\xe3\xd1\xcd\xc8\xc7</p>',
        b'<meta charset="no-such-charset"><p>x',
        b"<p>" * 5000,
        b"<!DOCTYPE html>",
        b"Subject: =?no-such?q?x?=\nContent-Type: text/html; charset=nonsense\n\n<p>\xff",
        b"Subject: x\nContent-Type: multipart/mixed; boundary=never\n\nnothing",
        b"A: b\n",
        b"From: a@b.org\n\n" + b"a" * 200_000,
    ],
)
def test_awkward_documents_are_judged_without_an_exception(raw):
    findings, _ = inspect_document(raw)

    assert verdict(findings) == "fail"


def test_a_message_as_it_would_be_sent_is_judged_by_what_its_rendition_does_not_show() -> None:
    batch = make_batch(1)
    raw = mime.build(batch.rendition, batch.letterhead).address(batch.messages[0])
    assert verdict(inspect_built(raw, rehearsal=False)) == "ok"
    unfilled = raw.replace(b"\r\n\r\n", b"\r\n\r\n" + UNSUBSCRIBE_TOKEN.encode(), 1)
    assert [finding.rule for finding in inspect_built(unfilled, rehearsal=False)] == ["token-left"]
    without = re.sub(rb"List-Unsubscribe-Post[^\n]*\n", b"", raw)
    assert [finding.rule for finding in inspect_built(without, rehearsal=False)] == ["header-list-unsubscribe-post"]
