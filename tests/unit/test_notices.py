"""The mails that answer what was asked for on a page."""

import re
from datetime import timedelta

import pytest

from digest.models import Rendition
from digest.preflight import inspect
from digest.render import Brand
from digest.render.naming import name_language, name_zones
from tests.golden.regenerate import THEMES, make_renderer

URL = "https://news.example.com/morning/confirm/" + "0" * 32 + "." + "s" * 43


def render(kind: str = "confirm", *, theme: str = "plain", language: str = "en", **changes: object) -> Rendition:
    given = {"name": "Morning Brief", "url": URL, "topics": ["World", "Sport"], "lasts": timedelta(days=7)} | changes
    return make_renderer(brand=Brand(theme=theme)).render_notice(kind, language=language, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["confirm", "known", "preferences"])
@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "ar"])
def test_a_notice_has_one_link_and_all_of_its_words(kind: str, language: str) -> None:
    notice = render(kind, language=language)
    visible = re.sub(r"<!--\[if mso\]>.*?<!\[endif\]-->", "", notice.html, flags=re.DOTALL)
    assert re.findall(r'href="([^"]+)"', visible) == [URL]
    assert re.findall(r"https?://\S+", notice.text) == [URL]
    assert "{" not in notice.subject + notice.text
    assert ("World" in notice.text) == (kind == "confirm")
    faults = {
        finding.rule
        for finding in inspect(notice.html, notice.text, subject=notice.subject)
        if finding.severity == "fail"
    }
    assert faults == {"unsubscribe-link"}  # it is of no list


@pytest.mark.parametrize("theme", THEMES)
def test_every_theme_dresses_a_notice(theme: str) -> None:
    notice = render(theme=theme, language="ar", name="نشرة الصباح")
    assert 'dir="rtl"' in notice.html
    assert "<style data-premailer" not in notice.html
    assert 'class="button"' in notice.html


def test_how_long_it_works_is_said_in_days_or_hours() -> None:
    for lasts, words in (
        (timedelta(days=7), "works for 7 days"),
        (timedelta(hours=24), "works for 24 hours"),
        (timedelta(minutes=20), "works for 1 hour."),
        (timedelta(days=365), "works for 365 days"),
    ):
        assert words in render(lasts=lasts).text


def test_a_newsletter_of_any_name_has_a_sound_notice() -> None:
    notice = render(name="<b>{{ 7 * 7 }}</b>\r\nBcc: x " + "n" * 300)
    assert "<b>" not in notice.html
    assert "\n" not in notice.subject and len(notice.subject) <= 120


def test_zones_are_named_by_city_in_the_readers_language() -> None:
    known = {"Asia/Kolkata", "Europe/Berlin", "Atlantic/Azores", "Etc/UTC", "UTC"}
    arabic = dict(name_zones("ar", {"region_atlantic": "المحيط الأطلسي"}, known))
    assert arabic["آسيا"] == (("Asia/Kolkata", "كالكتا"),)
    assert [zone for zone, _ in arabic["المحيط الأطلسي"]] == ["Atlantic/Azores"]
    assert [region for region, _ in name_zones("de", {}, known)] == ["Asien", "Europa", "atlantic"]
    assert [name_language(tag) for tag in ("de", "ar", "pt-BR", "x", "../..")] == [
        "Deutsch",
        "العربية",
        "Português (Brasil)",
        "x",
        "../..",
    ]
