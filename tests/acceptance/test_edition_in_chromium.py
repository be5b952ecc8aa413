"""The edition and the pages as a browser shows them. Skipped by name where Chromium is missing."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from digest.models import Section
from tests.acceptance.looks import MEASURE
from tests.golden.editions import edition, item
from tests.golden.regenerate import THEMES, make_renderer, render_all

MAILS = [f"{name} {theme}" for name in ("english", "arabic") for theme in THEMES]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One for all tests, each of which sets size, scheme and all that it shows: a new one takes half a second."""
    context = browser.new_context(color_scheme="light")
    # Nothing that is shown here may ask for anything elsewhere.
    context.route("**/*", lambda route: route.continue_() if "127.0.0.1" in route.request.url else route.abort())
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def mails() -> dict[str, str]:
    return {f"{name} {theme}": one.html for theme in THEMES for name, one in render_all(theme).items()}


def show(page: Page, html: str, width: int, scheme: str = "light") -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.set_content(html)


def width_of(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


@pytest.mark.parametrize("name", MAILS)
@pytest.mark.parametrize("width", [320, 375, 700, 1280])
def test_no_width_makes_the_mail_scroll_sideways(page, mails, name, width):
    show(page, mails[name], width)

    assert width_of(page) <= width


@pytest.mark.parametrize("width", [375, 700])
def test_endless_words_do_not_make_the_mail_scroll_sideways(page, width):
    endless = item("A" * 170, "B" * 900, outlet="C" * 60, link="https://ledger.example/" + "d" * 500)
    section = Section(id="w", title="W" * 80, items=(endless, endless))
    html = make_renderer().render(edition((section,)), "all").html

    show(page, html, width)

    assert width_of(page) <= width


@pytest.mark.parametrize("name", MAILS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 700])
def test_every_word_is_large_enough_and_stands_out_from_its_ground(page, mails, name, scheme, width):
    show(page, mails[name], width, scheme)

    texts = page.evaluate(MEASURE)

    assert len(texts) > 30
    assert [found for found in texts if found["size"] < 14] == []
    assert [found for found in texts if found["contrast"] < 4.5] == []


def test_the_dark_scheme_is_dark_on_every_ground(page, mails):
    grounds = """
    [...document.querySelectorAll('.body, .desk, .paper')].map((e) => getComputedStyle(e).backgroundColor)
    """
    show(page, mails["english plain"], 700, "light")
    light = page.evaluate(grounds)

    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(grounds)

    assert light == ["rgb(239, 242, 241)", "rgb(239, 242, 241)", "rgb(255, 255, 255)"]
    assert dark == ["rgb(13, 18, 17)", "rgb(13, 18, 17)", "rgb(21, 28, 26)"]


def test_a_client_without_style_sheets_still_shows_a_mail(page, mails):
    start, _, rest = mails["english plain"].partition("<style>")
    bare = start + rest.rpartition("</style>")[2]
    assert "<style" not in bare

    show(page, bare, 375)

    assert width_of(page) <= 375
    assert [found for found in page.evaluate(MEASURE) if found["contrast"] < 4.5 or found["size"] < 14] == []


def test_the_lead_is_the_largest_headline_and_narrow_screens_get_smaller_ones(page, mails):
    sizes = "[...document.querySelectorAll('h3')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    show(page, mails["english plain"], 700)
    wide = page.evaluate(sizes)
    page.set_viewport_size({"width": 375, "height": 900})
    narrow = page.evaluate(sizes)

    assert wide[0] > max(wide[1:])
    assert max(narrow[1:]) < narrow[0] < wide[0]


def test_a_story_is_laid_out_in_its_own_direction(page, mails):
    starts = """
    [...document.querySelectorAll('td > h3')].map((h) => {
      const words = document.createRange(), cell = h.parentElement.getBoundingClientRect();
      words.selectNodeContents(h);
      const box = words.getBoundingClientRect();
      return [h.parentElement.dir, box.left - cell.left < cell.right - box.right ? 'ltr' : 'rtl'];
    })
    """
    for name in MAILS:
        show(page, mails[name], 700)
        sides = page.evaluate(starts)
        assert {"ltr", "rtl"} == {said for said, _ in sides}
        assert [(said, seen) for said, seen in sides if said != seen] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_way_out_is_a_button_that_can_be_seen_and_reached(page, language, scheme):
    html = make_renderer().render_page(
        "web/unsubscribe.html", language=language, newsletter="Morning Brief", action="/unsubscribe/x"
    )
    show(page, html, 375, scheme)

    assert width_of(page) <= 375
    assert [found for found in page.evaluate(MEASURE) if found["contrast"] < 4.5 or found["size"] < 14] == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    assert page.evaluate("document.activeElement.getBoundingClientRect().height") >= 44
