"""A reader's whole way in a browser, with and without scripts: from the form to the archive."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from digest.models import SubscriberState
from tests.acceptance.looks import MEASURE
from tests.acceptance.pages import Pages, html_of, serving_pages

ADA = "ada@rehearsal.test"


@pytest.fixture(params=["en", "ar"])
def pages(request: pytest.FixtureRequest, own_folder: Path) -> Iterator[Pages]:
    """A newsletter in a language from left to right, and in one from right to left."""
    with serving_pages(own_folder, language=request.param) as served:
        yield served


def open_page(browser: Browser, *, scripts: bool = True) -> Page:
    return browser.new_context(java_script_enabled=scripts, viewport={"width": 1000, "height": 800}).new_page()


def look_at(page: Page) -> None:
    """Whether it can be read and used by everybody: narrow, dark, and by a checker of accessibility."""
    # A click may come back while the next page is still on its way.
    page.wait_for_function("() => document.documentElement && document.readyState === 'complete'")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (320, 1000):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
        texts = [found for found in page.evaluate(MEASURE) if found["contrast"] < 4.5 or found["size"] < 14]
        assert texts == [], page.url
    found = Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}]
    assert serious == [], page.url
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, input[type=email], .choice label')]"
        ".filter((e) => e.getBoundingClientRect().height < 40).map((e) => e.outerHTML)"
    )
    assert small == [], page.url
    page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_reader_subscribes_confirms_chooses_pauses_leaves_and_reads_the_archive(
    browser: Browser, pages: Pages, scripts: bool
) -> None:
    address = f"{'with' if scripts else 'without'}@rehearsal.test"
    page = open_page(browser, scripts=scripts)

    def look() -> None:
        if scripts:
            look_at(page)

    page.goto(f"{pages.url}/morning/subscribe")
    look()
    page.fill("#email", "no address")
    page.check("#topic-1")
    page.click("button")
    assert page.input_value("#email") == "no address"
    assert page.is_checked("#topic-1")
    look()
    page.fill("#email", address)
    page.click("button")
    assert page.locator("form").count() == 0
    look()

    (mail,) = pages.answer()
    shown = open_page(browser)
    shown.set_content(html_of(mail))
    look_at(shown)
    shown.close()
    page.goto(pages.links_of(mail)[0])
    look()
    assert pages.state_of(address) is None
    page.click("button")
    assert pages.state_of(address) is SubscriberState.ACTIVE
    look()
    page.click("main a")
    look()
    assert page.is_checked("#topic-1")
    page.uncheck("#topic-1")
    page.select_option("#timezone", "Asia/Bahrain")
    page.click("form >> nth=0 >> button")
    assert page.locator("[role=status]").count() == 1
    reader = pages.find(address)
    assert reader and (reader.topics, reader.timezone) == ((), "Asia/Bahrain")

    with ThreadPoolExecutor() as elsewhere:  # this thread has Playwright's loop
        elsewhere.submit(pages.app.run).result()
    edition = next(mail for mail in reversed(pages.mails()) if mail["To"] == address)
    links = [link for link in re.findall(r'href="([^"]+)"', html_of(edition)) if link.startswith(pages.url)]
    leave, preferences, web_view = links
    page.goto(preferences)
    look()
    page.click("button")
    look()
    (fresh,) = pages.answer()
    page.goto(pages.links_of(fresh)[0])
    page.check("#pause-until")
    page.fill("[name=until]", "2026-03-20")
    page.click("form >> nth=0 >> button")
    look()
    paused = pages.find(address)
    assert paused and paused.paused_until and paused.paused_until.isoformat() == "2026-03-20T00:00:00+00:00"

    page.goto(leave)
    look()
    assert page.get_attribute("main a", "href") == preferences.removeprefix(pages.url)
    page.click("button")
    assert pages.state_of(address) is SubscriberState.UNSUBSCRIBED
    look()
    page.goto(web_view)
    assert page.locator("h1").count() >= 1
    assert address not in page.content()
    page.context.close()


def test_the_form_is_filled_in_by_keyboard_alone(browser: Browser, pages: Pages) -> None:
    page = open_page(browser)
    page.goto(f"{pages.url}/morning/subscribe")
    for _ in range(3):  # the newsletter's name, which leads home, may stand before it
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "email":
            break
    assert page.evaluate("document.activeElement.id") == "email"
    page.keyboard.type("keys@rehearsal.test")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_function("!document.querySelector('form')")
    assert len(pages.answer()) == 1
    page.context.close()


def test_a_form_on_another_site_is_refused_by_what_the_browser_says_of_it(browser: Browser, pages: Pages) -> None:
    page = open_page(browser)
    # The attacker fetched a key of their own.
    form = f'<form method="post" action="{pages.url}/morning/subscribe"><input name="key" value="{pages.form_key()}">'
    page.route("http://evil.test/", lambda route: route.fulfill(content_type="text/html", body="<p>x</p>"))
    page.goto("http://evil.test/")
    page.set_content(f'{form}<input name="email" value="victim@rehearsal.test"><button>x</button></form>')
    with page.expect_response("**/morning/subscribe") as answered:
        page.click("button")
    assert answered.value.status == 403
    assert pages.answer() == []
    page.context.close()
