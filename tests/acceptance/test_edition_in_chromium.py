"""The edition and the pages as a browser shows them. Skipped by name where Chromium is missing."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from digest.models import Finding, Section
from tests.golden.editions import ENGLISH, edition, item
from tests.golden.regenerate import THEMES, make_renderer, render_all

MAILS = [f"{name} {theme}" for name in ("english", "arabic") for theme in THEMES]

# Each visible text with its size in pixels and its contrast (WCAG 2.2 §1.4.3) to what lies behind it.
_MEASURE = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => {
    const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const [r, g, b] = rgba(color).map((v) => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (rgba(color)[3] === 255) return color;
    }
    return getComputedStyle(document.documentElement).colorScheme === 'dark' ? 'black' : 'white';
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest('style')) continue;
    const style = getComputedStyle(element);
    const [light, dark] = [luminance(style.color), luminance(behind(element))].sort((a, b) => b - a);
    found.push({text, size: parseFloat(style.fontSize), contrast: (light + .05) / (dark + .05)});
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
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

    texts = page.evaluate(_MEASURE)

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
    assert [found for found in page.evaluate(_MEASURE) if found["contrast"] < 4.5 or found["size"] < 14] == []


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
    assert [found for found in page.evaluate(_MEASURE) if found["contrast"] < 4.5 or found["size"] < 14] == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    assert page.evaluate("document.activeElement.getBoundingClientRect().height") >= 44


@pytest.fixture(scope="module")
def preview_url() -> Iterator[str]:
    """The preview page beside its mail, served on loopback."""
    renderer = make_renderer()
    rendition = renderer.render(ENGLISH, "all")
    preview = renderer.render_page(
        "web/preview.html",
        language="en",
        edition=ENGLISH,
        stored=False,
        subject=rendition.subject,
        text=rendition.text,
        html_bytes=len(rendition.html.encode()),
        payload_bytes=40_000,
        headers=[("From", "Morning Brief <brief@example.com>"), ("List-Unsubscribe", f"<https://x.test/{'y' * 200}>")],
        verdict="warn",
        findings=[Finding(rule="heading", severity="warn", message="The mail has no h1.", where="HTML")],
    )
    served = {"/": preview, "/html": rendition.html}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_preview_shows_the_mail_at_each_width_and_in_each_scheme_without_a_script(browser, preview_url):
    # "null" leaves the scheme to the page: an emulated one would also rule the frame.
    context = browser.new_context(color_scheme="null", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(preview_url)
    assert page.locator("script").count() == 0
    mail = page.frames[1]

    def choose(label: str) -> None:
        page.get_by_label(label, exact=True).check(force=True)

    for label, width in (("375", 375), ("700", 700)):
        choose(label)
        page.wait_for_function("w => document.querySelector('iframe').clientWidth === w", arg=width)
    choose("Dark")
    mail.wait_for_function("matchMedia('(prefers-color-scheme: dark)').matches")
    choose("Light")
    mail.wait_for_function("!matchMedia('(prefers-color-scheme: dark)').matches")
    choose("Text")
    assert page.get_by_role("region", name="The text part").is_visible()
    assert not page.locator("iframe").is_visible()
    choose("Headers")
    assert page.get_by_text("Morning Brief <brief@example.com>").is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_preview_is_legible_and_never_scrolls_sideways(page, preview_url, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(preview_url)

    for view in ("Headers", "Text", "Mail"):
        page.get_by_label(view, exact=True).check(force=True)
        assert width_of(page) <= width
        texts = page.evaluate(_MEASURE)
        assert [found for found in texts if found["contrast"] < 4.5 or found["size"] < 14] == []
