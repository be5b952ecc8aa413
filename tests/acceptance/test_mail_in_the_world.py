"""The themes before judges of others' making: another inliner, a spam filter, an accessibility checker."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import css_inline
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from digest.models import Letterhead, Message
from digest.render import Brand
from digest.transports import mime
from tests.golden.editions import EDITIONS
from tests.golden.regenerate import THEMES, make_renderer, render_all

MAILS = [(theme, name) for theme in THEMES for name in EDITIONS]
# What themes set. Of each element of the one document and of the other, as a browser computes it.
_STYLES = """
() => [...document.body.querySelectorAll('*')].filter((e) => e.tagName !== 'STYLE').map((e) => {
  const style = getComputedStyle(e);
  return [e.tagName, ...['color', 'backgroundColor', 'fontFamily', 'fontSize', 'lineHeight', 'fontWeight', 'fontStyle',
    'letterSpacing', 'textTransform', 'textDecorationLine', 'textAlign', 'display', 'width', 'maxWidth',
    'marginTop', 'marginRight', 'marginBottom', 'marginLeft',
    'paddingTop', 'paddingRight', 'paddingBottom', 'paddingLeft',
    'borderTopWidth', 'borderBottomWidth', 'borderTopColor', 'borderBottomColor', 'borderTopLeftRadius'
  ].map((name) => style[name])];
})
"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One for all tests, each of which sets its scheme and all that it shows: a new one takes half a second."""
    context = browser.new_context(viewport={"width": 700, "height": 900})
    context.route("**/*", lambda route: route.abort())
    yield context.new_page()
    context.close()


def message_of(theme: str, name: str) -> bytes:
    """The mail as it is handed to a server."""
    letterhead = Letterhead(
        sender="Morning Brief <brief@news.example.com>",
        reply_to="editor@news.example.com",
        list_id="morning.news.example.com",
        list_name="Morning Brief",
        dated_at=datetime.now(UTC),
    )
    message = Message(
        delivery=1,
        send_key="k" * 32,
        email="reader@mail.example.org",
        name="A Reader",
        unsubscribe_url="https://news.example.com/morning/unsubscribe/" + "t" * 76,
    )
    return mime.build(render_all(theme)[name], letterhead).address(message)


@pytest.mark.parametrize(("theme", "name"), MAILS)
def test_another_inliner_gives_every_element_the_same_looks(page: Page, theme: str, name: str) -> None:
    renderer = make_renderer(brand=Brand(theme=theme))
    edition = EDITIONS[name]
    ours = renderer.render(edition, "all").html
    context = renderer._context(edition, "all") | {"unsubscribe_url": "__DIGEST_UNSUBSCRIBE__"}
    written = renderer._sandbox.render("email/edition.html", context)
    oracle = css_inline.CSSInliner(keep_style_tags=False, load_remote_stylesheets=False)
    theirs = oracle.inline(written.replace('data-premailer="ignore"', 'data-css-inline="ignore"'))
    page.emulate_media(color_scheme="light")
    looks = []
    for html in (ours, theirs):
        page.set_content(html)
        looks.append(page.evaluate(_STYLES))
    assert len(looks[0]) > 80
    assert [pair for pair in zip(*looks, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(("theme", "name"), MAILS)
def test_a_spam_filter_finds_next_to_nothing(theme: str, name: str, tmp_path: Path) -> None:
    program = shutil.which("spamassassin")
    if program is None:
        pytest.skip("needs spamassassin")
    done = subprocess.run(
        [program, "--local", "--test-mode", "--prefspath", str(tmp_path / "prefs")],
        input=message_of(theme, name),
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C"},
        capture_output=True,
        timeout=120,
    )
    report = done.stdout.decode(errors="replace")
    score = re.search(r"^X-Spam-Status: \w+, score=(-?[\d.]+)", report, re.MULTILINE)
    assert score, report + done.stderr.decode(errors="replace")
    assert float(score[1]) <= 0.5, report[-2000:]


@pytest.mark.parametrize(("theme", "name"), MAILS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_has_nothing_serious_to_say(page: Page, theme: str, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_content(render_all(theme)[name].html)
    found = Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}]
    assert serious == []
