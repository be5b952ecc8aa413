"""The preview's own reading of a mail: clients imitated, findings beside their lines."""

import re

import pytest

from digest.models import Finding
from digest.ports import Preview
from digest.transports.sendgrid import SendGridTransport
from digest.web.imitating import CLIP, count_pictures, imitate, lead_out
from digest.web.reading import annotate, annotate_headers, read_parts, remarks_on
from tests.contract.test_transports import make_batch
from tests.golden.editions import ENGLISH
from tests.golden.regenerate import render_all

HTML = render_all()["english"].html


def test_a_mode_that_is_not_known_shows_the_mail_as_it_is() -> None:
    assert imitate(HTML, "") == imitate(HTML, "unheard-of") == HTML


def test_word_gets_what_is_written_for_it_and_nothing_of_what_is_not() -> None:
    html = (
        "<head><style>p{color:red}</style><!--[if mso]><xml><o:PixelsPerInch>96</o:PixelsPerInch></xml><![endif]-->"
        "</head><body><!--[if mso]><table><tr><td>ghost<![endif]-->"
        '<!--[if !mso]><!--><a style="border-radius:4px;max-width:600px;color:#000">button</a><!--<![endif]-->'
        '<!--[if mso]><v:roundrect href="https://x.test/" fillcolor="#0b6157"><center>shape</center></v:roundrect>'
        "<![endif]--></body>"
    )
    shown = imitate(html, "outlook")
    assert "ghost" in shown and "shape" in shown and 'href="https://x.test/"' in shown
    assert "96" not in shown
    assert "button" not in shown and "<style" not in shown and "v:roundrect" not in shown


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("mso", True),
        ("gte mso 9", True),
        ("(mso)|(IE)", True),
        ("mso | IE", True),
        ("(gte mso 9)&(lt mso 17)", True),
        ("lt mso 12", False),
        ("!(IE)", True),
        ("IE", False),
        ("!mso", False),
        ("(mso", False),
        ("what ever", False),
    ],
)
def test_words_comments_come_true_when_their_condition_does(condition: str, holds: bool) -> None:
    shown = imitate(f"<p>a</p><!--[if {condition}]><p>ghost</p><![endif]--><p>b</p>", "outlook")
    assert shown == ("<p>a</p><p>ghost</p><p>b</p>" if holds else "<p>a</p><p>b</p>")


@pytest.mark.parametrize(
    ("opening", "end"),
    [
        ("<!--[if !mso]><!-->", "<!--<![endif]-->"),
        ("<!--[if !mso]><!-- -->", "<!--<![endif]-->"),
        ("<!--[if !mso]> <!-- -->", "<!-- <![endif]-->"),
        ("<!--[if !mso]>-->", "<!--<![endif]-->"),
        ("<![if !mso]>", "<![endif]>"),
    ],
)
def test_what_is_for_all_but_word_is_taken_away_in_each_spelling(opening: str, end: str) -> None:
    assert imitate(f"<p>a</p>{opening}<p>b</p>{end}<p>c</p>", "outlook") == "<p>a</p><p>c</p>"


@pytest.mark.parametrize(
    "declaration",
    [
        "background-image:url(data:image/png;base64,AA==)",
        "background:url('https://x.test/a;b.png') red",
        "display:flex",
        "flex:1 1 auto",
        "float:left",
        "opacity:.5",
        "border-top-left-radius:4px",
    ],
)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_word_passes_over_a_declaration_and_keeps_those_beside_it(declaration: str, quote: str) -> None:
    written = declaration.replace("'", "&#39;")
    html = f"<p style={quote}color:red;{written};font-size:20px{quote}>x</p>"
    assert imitate(html, "outlook") == '<p style="color:red;font-size:20px">x</p>'


def test_a_style_that_word_knows_stays_to_the_letter() -> None:
    html = """<p style='font-family:"Segoe UI"; background-color: red'>x</p><p style="font:1em &quot;A&quot;">y</p>"""
    assert imitate(html, "outlook") == html


def test_a_shape_has_its_fixed_size_so_that_a_long_label_is_seen_not_to_fit() -> None:
    shape = "<v:roundrect href='https://x.test/?a=1&amp;b=2' style='height:44px;v-text-anchor:middle;width:300px'>"
    shown = imitate(f"<!--[if mso]>{shape}<center>label</center></v:roundrect><![endif]-->", "outlook")
    for said in ("width:300px", "height:44px", "overflow:hidden", 'href="https://x.test/?a=1&amp;b=2"', "label"):
        assert said in shown


def test_links_lead_out_of_the_frame_and_those_to_a_part_of_the_mail_stay() -> None:
    shown = lead_out(
        '<html><head><title>x</title></head><a href="https://x.test/" target="_top">out</a><a href="#end">down</a>'
    )
    assert '<head><base target="_blank"><title>' in shown
    assert '<a href="https://x.test/">out</a>' in shown
    assert '<a target="_self" href="#end">down</a>' in shown
    assert lead_out("<p>target=x</p>") == '<p>target=x</p><base target="_blank">'


def test_pictures_from_other_hosts_are_counted_and_those_within_are_not() -> None:
    html = (
        '<img alt="x" src="https://x.test/a.png"><img src="data:image/png;base64,AA"><img src=\'http://x.test/b.png\'>'
        '<td style="background-image:url(&quot;https://x.test/c.png&quot;)"><td background="//x.test/d.png">'
        '<a href="https://x.test/">x</a>'
    )
    assert count_pictures(html) == 4


def test_words_like_those_of_styles_are_left_alone() -> None:
    html = '<p>Opacity: how banks hide fees; style="float:left"</p><p>next <a href="https://x.org/a">Story</a></p>'
    assert imitate(html, "outlook") == html


def test_what_word_does_not_know_is_taken_from_our_own_mail_and_its_words_stay() -> None:
    shown = imitate(HTML, "outlook")
    assert not re.search(r"border-radius|max-width|<style", shown)
    assert "Morning Brief" in shown


@pytest.mark.parametrize("length", [CLIP - 10, CLIP])
def test_a_mail_within_the_limit_is_not_clipped(length: int) -> None:
    assert imitate("x" * length, "clipped") == "x" * length


def test_a_longer_mail_is_cut_by_bytes_and_says_so() -> None:
    shown = imitate("é" * CLIP, "clipped")
    assert shown.startswith("é" * (CLIP // 2)) and "[Message clipped]" in shown
    assert len(shown.split("<hr>")[0].encode()) <= CLIP


def test_of_a_providers_request_the_parts_are_the_renditions_and_there_are_no_headers() -> None:
    batch = make_batch(1)
    transport = SendGridTransport(api_key="SG.key")
    shown = Preview(
        edition=ENGLISH,
        rendition=batch.rendition,
        unsubscribe_url="https://news.test/x",
        payload=transport.render(batch)[0],
        transport=transport.name,
        findings=(),
        stored=False,
    )
    transport.close()
    assert read_parts(shown) == ([], batch.rendition.html, batch.rendition.text)


def test_a_finding_stands_beside_the_line_it_speaks_of() -> None:
    findings = [
        Finding(rule="image-alt", severity="warn", message="No words.", where="HTML, line 2, <img>"),
        Finding(rule="text", severity="warn", message="Not here.", where="text, line 2"),
        Finding(rule="size", severity="warn", message="Nowhere.", where="HTML"),
        Finding(rule="bare", severity="warn", message="Nowhere either."),
    ]
    lines = list(annotate("<p>\n<img>\n</p>", findings))
    assert [(number, line) for number, line, _ in lines] == [(1, "<p>"), (2, "<img>"), (3, "</p>")]
    assert [[finding.rule for finding in said] for _, _, said in lines] == [[], ["image-alt"], []]


def test_a_finding_on_the_text_stands_beside_its_line_there_and_one_on_the_whole_above_it() -> None:
    on_line = Finding(rule="token-left", severity="fail", message="Left.", where="text, line 2")
    on_whole = Finding(rule="text-part", severity="warn", message="Short.", where="text")
    findings = [
        on_line,
        on_whole,
        Finding(rule="image-alt", severity="warn", message="No.", where="HTML, line 2, <img>"),
    ]
    lines = list(annotate("one\u2028still one\r\ntwo\r\n", findings, "text"))
    assert lines == [(1, "one\u2028still one", []), (2, "two", [on_line])]
    assert remarks_on("text", findings) == [on_whole]


def test_a_finding_on_a_header_stands_beside_it_and_one_on_a_missing_header_above_them() -> None:
    shouts = Finding(rule="spam-subject", severity="warn", message="It shouts.", where="Subject")
    token = Finding(rule="token-left", severity="fail", message="Left.", where="Subject, line 1")
    missing = Finding(rule="header-list-id", severity="warn", message="Missing.", where="List-ID")
    findings = [shouts, token, missing, Finding(rule="text-part", severity="warn", message="Short.", where="text")]
    rows, rest = annotate_headers([("From", "a@b.test"), ("Subject", "NEWS!!")], findings)
    assert rows == [("From", "a@b.test", []), ("Subject", "NEWS!!", [shouts, token])]
    assert rest == [missing]
    assert annotate_headers([], findings) == ([], [shouts, token, missing])
