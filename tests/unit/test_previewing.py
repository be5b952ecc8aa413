"""The preview's own reading of a mail: clients imitated, findings beside their lines."""

import re

import pytest

from digest.models import Finding
from digest.ports import Preview
from digest.transports.sendgrid import SendGridTransport
from digest.web.imitating import CLIP, imitate
from digest.web.preview import annotate, read_parts
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


def test_words_like_those_of_styles_are_left_alone() -> None:
    html = '<p>Opacity: how banks hide fees</p><p>next <a href="https://x.org/a">Story</a></p>'
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
