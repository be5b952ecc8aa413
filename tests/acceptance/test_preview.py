"""The preview as an operator uses it: a real `digest preview`, in a real browser, before a real SMTP server."""

import email
import email.policy
import json
import re
import struct
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Page, Request

from digest.operate.pictures import find_chromium
from tests.acceptance.conftest import Answer, Desk
from tests.acceptance.looks import MEASURE
from tests.acceptance.serving import serving
from tests.doubles.smtp_server import SmtpServer

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date()
VIEWS = ("Compare", "Text", "Headers", "Source", "Stories", "Mail")


@pytest.fixture(scope="module")
def server() -> Iterator[SmtpServer]:
    with SmtpServer(on_rcpt=lambda address: "550 5.1.1 no such reader" if "nobody" in address else "250 ok") as server:
        yield server


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, server: SmtpServer) -> Desk:
    """A newsletter with an edition of yesterday, one of today, and a mail server."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    assert desk.digest("init").code == 0
    path = desk.folder / "config.toml"
    transport = f'kind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"\n'
    path.write_text(re.sub(r'kind = "outbox".*\npath = "outbox"\n', transport, path.read_text()))
    assert desk.digest("subscribers", "add", "ada@rehearsal.test", "--topics", "world").code == 0
    for day in ((str(YESTERDAY),), ()):
        done = desk.digest("run", "--no-send", *(("--on", *day) if day else ()))
        assert done.code == 0, done.err
    return desk


@pytest.fixture(scope="module")
def url(desk: Desk) -> Iterator[str]:
    with serving(desk, "preview", "--no-open") as url:
        yield url


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    """A page for all tests, one after the other: a new one takes half a second."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def page(window: Page) -> Iterator[Page]:
    window.set_viewport_size({"width": 1280, "height": 900})
    window.emulate_media(color_scheme="null")  # to leave it to the page: an emulated one would also rule the frame
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    window.context.on("request", note)
    yield window
    window.goto("about:blank")
    window.context.remove_listener("request", note)
    window.context.unroute_all()
    for opened in window.context.pages:
        if opened is not window:
            opened.close()
    assert [one for one in asked if not one.startswith(("http://127.0.0.1:", "about:"))] == []


def choose(page: Page, label: str) -> None:
    page.get_by_label(label, exact=True).check(force=True)


def open_mail(page: Page, address: str) -> Frame:
    """The frame with the mail, once it is there."""
    page.goto(address)
    page.frame_locator("iframe").first.locator("h1").wait_for()
    return page.frames[1]


def wait_until(page: Page, said: str) -> None:
    """Until an expression about the mail's document holds."""
    mail = "const mail = document.querySelector('iframe').contentDocument"
    page.wait_for_function(f"() => {{ {mail}; return mail && mail.body && ({said}) }}")


def serious_in(page: Page) -> list[tuple[str, str]]:
    """What an accessibility checker minds."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}]


def test_the_mail_is_shown_at_each_width_and_in_each_scheme(page: Page, url: str) -> None:
    mail = open_mail(page, url)
    for label, width in (("375", 375), ("700", 700)):
        choose(page, label)
        page.wait_for_function("w => document.querySelector('iframe').clientWidth === w", arg=width)
    page.get_by_label("Free width in pixels").fill("480")
    page.wait_for_function("() => document.querySelector('iframe').getBoundingClientRect().width === 480")
    choose(page, "Dark")
    mail.wait_for_function("() => matchMedia('(prefers-color-scheme: dark)').matches")
    choose(page, "Light")
    mail.wait_for_function("() => !matchMedia('(prefers-color-scheme: dark)').matches")
    # The mail is as high as it is, so that there is one place to scroll.
    assert page.evaluate("document.querySelector('iframe').clientHeight") > 2000


def test_the_mail_is_shown_as_clients_show_it(page: Page, url: str) -> None:
    open_mail(page, url)
    assert page.evaluate("document.querySelector('iframe').contentDocument.querySelectorAll('style').length") > 0
    for label, said in (
        ("Inverted", "getComputedStyle(mail.documentElement).filter.includes('invert')"),
        ("No styles", "mail.querySelectorAll('h1').length && !mail.querySelectorAll('style').length"),
        ("Outlook", "mail.querySelectorAll('h1').length && !mail.body.innerHTML.includes('border-radius')"),
        ("No pictures", "mail.location.search.includes('mode=images')"),
        ("Clipped", "mail.location.search.includes('mode=clipped')"),
        ("As sent", "mail.querySelectorAll('style').length > 0 && mail.location.search === ''"),
    ):
        choose(page, label)
        wait_until(page, said)


def test_a_link_of_the_mail_opens_beside_it_and_the_mail_stays(page: Page, url: str) -> None:
    # Nothing is fetched: the tab is asked for what the link names, and gets it from here.
    page.context.route("**/*", lambda route: route.continue_() if url in route.request.url else route.abort())
    mail = open_mail(page, url)
    mail.evaluate("document.querySelector('h3 a, h2 a').href = location.origin + '/text'")
    with page.context.expect_page() as opened:
        mail.locator("h3 a, h2 a").first.click()
    opened.value.wait_for_url("**/text")
    assert page.frames[1].locator("h1").count() == 1
    for way_out in ("Unsubscribe", "Preferences"):  # a look leads a reader neither out nor to their choices
        assert mail.get_by_text(way_out).first.get_attribute("href") == "#"
        mail.get_by_text(way_out).first.click()
        wait_until(page, "mail.querySelector('h1')")
    assert len(page.context.pages) == 2
    assert "<base" not in ask(f"{url}/raw")[1] and "&lt;base" not in ask(url)[1]


@pytest.mark.timeout(180)
def test_pictures_are_held_back_until_they_are_asked_for(
    page: Page, tmp_path: Path, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    fetched: list[str] = []

    def answer(path: str) -> Answer:
        fetched.append(path)
        return 200, {"Content-Type": "image/svg+xml"}, b'<svg xmlns="http://www.w3.org/2000/svg"/>'

    site = serve_web(answer)
    desk = Desk(tmp_path)
    assert desk.digest("init").code == 0
    template = desk.folder / "templates" / "email" / "base.html"
    template.write_text(template.read_text().replace("<h1", f'<img src="{site}/a.svg" alt="A"><h1', 1))
    part = desk.folder / "templates" / "email" / "edition.txt"
    part.write_text(f"TODO: a word\n{part.read_text()}")
    with serving(desk, "preview", "--no-open") as url:
        open_mail(page, url)
        held = page.locator(".mail .held")
        assert "One picture is held back" in held.inner_text()
        assert serious_in(page) == []
        choose(page, "Load pictures")
        wait_until(page, "mail.images.length && [...mail.images].every((one) => one.complete && one.naturalWidth)")
        assert not held.is_visible() and "pictures=load" in page.url
        assert fetched == ["/a.svg"]
        page.reload()
        wait_until(page, "mail.location.search.includes('pictures=load')")
        choose(page, "No pictures")
        wait_until(page, "mail.location.search.includes('mode=images')")
        page.get_by_label("Load pictures").uncheck(force=True)
        assert "pictures" not in page.url
        # What preflight says of the text stands under its line.
        choose(page, "Text")
        assert "stands where words should be" in page.locator("#T1 .said").inner_text()
        assert serious_in(page) == []


@pytest.mark.timeout(180)
def test_in_another_theme_ok_is_green_and_an_endless_headline_stays_on_its_sheet(page: Page, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.digest("init").code == 0
    config = desk.folder / "config.toml"
    config.write_text(config.read_text().replace('name = "plain"', 'name = "magazine"'))
    assert desk.digest("subscribers", "add", "ada@rehearsal.test").code == 0
    assert desk.digest("run", "--no-send").code == 0
    assert desk.digest("editions", "edit", "latest", "1", "--headline", "Endless" * 40).code == 0
    with serving(desk, "preview", "--no-open") as url:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            open_mail(page, url)
            page.evaluate("document.querySelector('.verdict').className = 'verdict ok'")
            red, green, blue = page.evaluate(
                "getComputedStyle(document.querySelector('.verdict')).color.match(/\\d+/g)"
            )
            assert int(green) > max(int(red), int(blue))
            assert [found for found in page.evaluate(MEASURE) if found["contrast"] < 4.5] == []
            # What says nothing takes no room.
            assert page.locator("#width-said").evaluate("(said) => said.getBoundingClientRect().width") == 0
            choose(page, "Stories")
            assert page.locator(".stories .sheet").evaluate("(sheet) => sheet.scrollWidth - sheet.clientWidth") <= 0
            choose(page, "Mail")


def test_parts_source_and_stories_are_there(page: Page, url: str) -> None:
    open_mail(page, url)
    choose(page, "Text")
    assert page.get_by_role("region", name="The text part").is_visible()
    assert not page.locator("iframe").first.is_visible()
    choose(page, "Headers")
    assert page.get_by_text("Morning Brief <brief@example.com>").is_visible()
    choose(page, "Source")
    assert page.locator("#L1 code").inner_text() == "<!DOCTYPE html>"
    assert page.locator("#T1 code").get_attribute("dir") == "auto"
    choose(page, "Stories")
    sentence = page.locator(".sentence").nth(1)
    origin = page.locator(".sentence + .origin").nth(1)
    assert not origin.is_visible()
    sentence.hover()
    assert origin.locator("mark").inner_text() == sentence.inner_text()
    page.mouse.move(0, 0)
    sentence.focus()
    assert origin.is_visible()


def test_the_edition_before_stands_beside_this_one(page: Page, url: str) -> None:
    open_mail(page, url)
    choose(page, "Compare")
    both = page.locator(".compare iframe")
    assert both.count() == 2
    for frame in (0, 1):
        page.frame_locator(".compare iframe").nth(frame).locator("h1").wait_for()
    dates = [page.frame_locator(".compare iframe").nth(one).locator("body").inner_text() for one in (0, 1)]
    assert f"{YESTERDAY.day}, {YESTERDAY.year}" in dates[1]
    assert f"{YESTERDAY.day}, {YESTERDAY.year}" not in dates[0]


def test_a_language_is_chosen_and_the_mail_runs_its_way(page: Page, url: str) -> None:
    open_mail(page, url)
    page.get_by_label("Language of a reader").select_option("ar")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/?language=ar*")
    wait_until(page, "mail.documentElement.dir === 'rtl' && mail.documentElement.lang === 'ar'")
    assert page.get_by_label("Language of a reader").input_value() == "ar"
    assert page.locator(".kicker").inner_text().endswith("all, in ar")
    assert serious_in(page) == []


def test_what_is_chosen_can_be_linked_to(page: Page, url: str) -> None:
    page.goto(f"{url}/#view=stories")
    page.get_by_text("Rest on a sentence").wait_for()
    open_mail(page, f"{url}/#width=free&px=444&as=stripped")
    wait_until(page, "!mail.querySelectorAll('style').length")
    assert page.evaluate("document.querySelector('iframe').getBoundingClientRect().width") == 444
    choose(page, "375")
    assert "width=375" in page.url
    page.reload()
    page.wait_for_function("() => document.querySelector('iframe').clientWidth === 375")


def test_a_reader_is_chosen_by_topics_or_by_address(page: Page, url: str) -> None:
    open_mail(page, url)
    everything = page.locator(".told").count()
    page.get_by_label("world", exact=True).check()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/?topics=world*")
    assert 0 < page.frame_locator("iframe").first.locator("h3").count() < everything
    page.get_by_label("world", exact=True).uncheck()
    page.get_by_label("Or as a subscriber gets it").fill("ada@rehearsal.test")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/?subscriber=*")
    choose(page, "Headers")
    assert page.get_by_text("ada@rehearsal.test", exact=True).is_visible()
    page.get_by_label("Or as a subscriber gets it").fill("nobody@rehearsal.test")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("heading", name="The edition cannot be shown").wait_for()
    assert "nobody@rehearsal.test" in page.locator("p").first.inner_text()
    assert serious_in(page) == []
    page.get_by_role("link", name="Show the whole edition").click()
    page.frame_locator("iframe").first.locator("h1").wait_for()
    assert page.locator(".told").count() == everything


@pytest.mark.timeout(180)
def test_a_changed_template_is_shown_where_the_page_was_scrolled_to(page: Page, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.digest("init").code == 0
    template = desk.folder / "templates" / "email" / "base.html"
    before = template.read_text()
    with serving(desk, "preview", "--no-open") as url:
        open_mail(page, url)
        assert page.get_by_text("Composed just now and kept nowhere.").is_visible()
        page.wait_for_function("() => document.documentElement.scrollHeight > 3000")
        page.evaluate("window.scrollTo(0, 1500)")
        template.write_text(before.replace("<body", '<body data-changed="once"', 1))
        wait_until(page, "mail.body.dataset.changed === 'once'")
        page.wait_for_function("() => window.scrollY === 1500")
        template.write_text(before + "{% if %}")
        page.get_by_role("heading", name="The edition cannot be shown").wait_for()
        assert "base.html" in page.locator("p").first.inner_text()
        template.write_text(before)
        page.frame_locator("iframe").first.locator("h1").wait_for()
        page.wait_for_function("() => window.scrollY === 1500")
        page.get_by_role("button", name="Compose it again").click()
        page.frame_locator("iframe").first.locator("h1").wait_for()
    assert desk.digest("editions", "list", "--json").rows == []


def test_a_test_message_goes_to_one_address(page: Page, url: str, desk: Desk, server: SmtpServer) -> None:
    open_mail(page, url)
    before = len(server.messages)
    page.get_by_label("By smtp, to").fill("me@rehearsal.test")
    page.get_by_role("button", name="Send").click()
    page.locator(".answer").wait_for()
    assert page.locator(".answer").inner_text().startswith("Accepted by smtp")
    [message] = server.messages[before:]
    assert message.recipient == "me@rehearsal.test"
    assert b"\r\nSubject: [Test] " in b"\r\n" + message.content
    page.get_by_label("By smtp, to").fill("nobody@rehearsal.test")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("no such reader").wait_for()
    assert len(server.messages) == before + 1
    assert {row["state"] for row in desk.digest("editions", "list", "--json").rows} == {"ready"}


def test_a_test_message_is_what_the_page_shows_and_each_is_another(url: str, desk: Desk, server: SmtpServer) -> None:
    before = len(server.messages)
    query = "?subscriber=ada%40rehearsal.test"
    key = re.search(r'name="key" value="([^"]+)"', ask(f"{url}/{query}")[1])
    for _ in range(2):
        ask(f"{url}/send-test{query}", body=f"key={key and key[1]}&address=me%40rehearsal.test".encode())
    first, second = (
        email.message_from_bytes(one.content, policy=email.policy.default) for one in server.messages[before:]
    )
    text = first.get_body(("plain",))
    assert text is not None and first["To"] == "me@rehearsal.test"
    shown = ask(f"{url}/text{query}")[1]
    assert text.get_content().splitlines()[:20] == shown.splitlines()[:20]
    assert first["Message-ID"] != second["Message-ID"]


def test_what_another_command_changes_is_shown(url: str, desk: Desk) -> None:
    version = ask(f"{url}/version")[1]
    assert ask(f"{url}/")[0] == 200
    assert ask(f"{url}/version")[1] == version  # a look changes nothing
    assert desk.digest("editions", "edit", "latest", "--subject", "Another subject").code == 0
    assert ask(f"{url}/version")[1] != version
    assert "Another subject" in ask(f"{url}/")[1]


def test_topics_without_a_story_are_said_to_have_none(url: str) -> None:
    status, page, _ = ask(f"{url}/?topics=gardening")
    assert status == 404
    assert "no story of this reader" in page and "world" in page and '<a href="/">' in page


def test_a_subscriber_who_is_not_there_is_not_found_and_what_is_broken_is_a_fault(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.digest("init").code == 0
    with serving(desk, "preview", "--no-open") as url:
        status, page, _ = ask(f"{url}/?subscriber=nobody%40rehearsal.test")
        assert status == 404
        assert "nobody@rehearsal.test" in page and '<a href="/">' in page and "looks again" in page
        (desk.folder / "config.toml").write_text("zzz = [")
        assert ask(f"{url}/?subscriber=nobody%40rehearsal.test")[0] == 500
        status, page, _ = ask(url)
        assert status == 500 and '<a href="/">' not in page


def test_a_broken_configuration_is_named_and_mended_on_the_spot(page: Page, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.digest("init").code == 0
    path = desk.folder / "config.toml"
    before = path.read_text()
    with serving(desk, "preview", "--no-open") as url:
        open_mail(page, url)
        path.write_text(before + "\nzzz = [")
        page.get_by_role("heading", name="The edition cannot be shown").wait_for()
        assert "config.toml" in page.locator("p").first.inner_text()
        path.write_text(
            before.replace('kind = "outbox"', 'kind = "smtp"\nhost = "127.0.0.1"').replace('path = "outbox"\n', "")
        )
        page.get_by_text("By smtp, to").wait_for()


def test_everything_is_reached_by_the_keyboard(page: Page, url: str) -> None:
    open_mail(page, url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "view-mail"
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('#view-compare').checked")
    reached: set[str] = set()

    def go_on(last: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            now = page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
            reached.add(now)
            if now == last:
                return
        raise AssertionError(f"{last} was not reached, but {reached}")

    go_on("Past the mail")
    page.keyboard.press("Enter")
    go_on("Send")
    assert {"width-700", "width-px", "scheme-light", "as-sent", "HTML", "Message"} <= reached
    assert {"subscriber", "Show", "address"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_every_view_is_legible_accessible_and_never_scrolls_sideways(
    page: Page, url: str, width: int, scheme: str
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    open_mail(page, url)
    for view in VIEWS:
        choose(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        texts = page.evaluate(MEASURE)
        assert [found for found in texts if found["contrast"] < 4.5 or found["size"] < 14] == [], view
        assert serious_in(page) == [], view


def ask(url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str, str]:
    """The status, what was answered, and the page's policy."""
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode(), answer.headers.get("Content-Security-Policy", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), ""


def test_the_bytes_are_those_that_would_be_sent(url: str, desk: Desk) -> None:
    out = desk.folder / "shown.eml"
    assert desk.digest("preview", "--out", str(out)).code == 0
    assert ask(f"{url}/raw")[1].encode() == out.read_bytes()


def test_the_mail_may_run_and_fetch_nothing(url: str) -> None:
    _, _, policy = ask(f"{url}/html")
    assert "default-src 'none'" in policy and "sandbox" in policy and "allow-scripts" not in policy
    assert "img-src data:;" in policy
    assert "img-src https: http: data:;" in ask(f"{url}/html?pictures=load")[2]
    for query in ("mode=images", "mode=images&pictures=load"):
        assert "img-src 'none'" in ask(f"{url}/html?{query}")[2]
    assert "script-src 'self'" in ask(url)[2]


def test_a_page_on_the_web_gets_nothing_and_sends_nothing(url: str, server: SmtpServer) -> None:
    before = len(server.messages)
    assert ask(url, headers={"Host": "evil.example"})[0] == 400
    assert ask(f"{url}/send-test", body=b"key=guess&address=me%40rehearsal.test")[0] == 403
    assert ask(f"{url}/send-test", body=b"address=me%40rehearsal.test")[0] == 403
    assert ask(f"{url}/compose", body=b"key=")[0] == 403
    assert ask(f"{url}/compose", body=b"key=%C3%A9")[0] == 403
    assert len(server.messages) == before


def test_a_message_is_written_and_preflights_verdict_is_said(desk: Desk) -> None:
    done = desk.digest("preview", "--out", "shown.html")
    assert done.code == 0
    assert done.out == "shown.html\n"
    assert re.search(r"^preflight: (ok|warn|fail), \d+ findings?$", done.err, re.MULTILINE)
    refused = desk.digest("preview", "--out", "shown.json")
    assert refused.code == 2
    assert "smtp" in refused.err and "--out shown.eml" in refused.err
    assert not (desk.folder / "shown.json").exists()


def test_of_a_provider_that_builds_the_message_the_request_is_written_and_no_message(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.digest("init").code == 0
    config = desk.folder / "config.toml"
    api = 'host = "http://127.0.0.1:9"'
    config.write_text(
        config.read_text().replace('kind = "outbox"', 'kind = "sendgrid"').replace('path = "outbox"', api)
    )
    refused = desk.digest("preview", "--out", "shown.eml", DIGEST_SENDGRID_API_KEY="SG.key")
    assert refused.code == 2
    assert "the provider builds the message" in refused.err and "--out shown.json" in refused.err
    assert not (desk.folder / "shown.eml").exists()
    done = desk.digest("preview", "--out", "shown.json", DIGEST_SENDGRID_API_KEY="SG.key")
    assert done.code == 0, done.err
    assert json.loads((desk.folder / "shown.json").read_bytes())["personalizations"]


def test_a_reader_is_chosen_on_the_command_line(desk: Desk, server: SmtpServer) -> None:
    for options in (("--topics", "world", "--language", "ar"), ("--subscriber", "ada@rehearsal.test"), ()):
        assert desk.digest("preview", "--out", "shown.txt", *options).code == 0
        before = len(server.messages)
        assert desk.digest("send-test", "me@rehearsal.test", *options).code == 0
        [sent] = server.messages[before:]
        message = email.message_from_bytes(sent.content, policy=email.policy.default)
        text = message.get_body(("plain",))
        assert text is not None and message["To"] == "me@rehearsal.test"
        shown = (desk.folder / "shown.txt").read_text().splitlines()
        assert text.get_content().splitlines()[:20] == shown[:20]
    for command in (("preview", "--out", "shown.txt"), ("send-test", "me@rehearsal.test")):
        unknown = desk.digest(*command, "--topics", "gardening")
        assert unknown.code == 2
        assert 'topic "gardening"' in unknown.err and "world" in unknown.err
        both = desk.digest(*command, "--subscriber", "ada@rehearsal.test", "--topics", "world")
        assert both.code == 2 and "of their own" in both.err


def test_the_page_starts_with_the_reader_of_the_command_line_and_leads_to_others(page: Page, desk: Desk) -> None:
    with serving(desk, "preview", "--no-open", "--topics", "world") as url:
        open_mail(page, url)
        assert page.get_by_label("world", exact=True).is_checked()
        page.get_by_label("world", exact=True).uncheck()
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**/?subscriber=")
        page.frame_locator("iframe").first.locator("h1").wait_for()
        assert not page.get_by_label("world", exact=True).is_checked()


def test_send_test_hands_over_one_message_and_records_nothing(desk: Desk, server: SmtpServer) -> None:
    before = len(server.messages)
    done = desk.digest("send-test", "me@rehearsal.test")
    assert (done.code, done.out.startswith("accepted by smtp")) == (0, True)
    assert [message.recipient for message in server.messages[before:]] == ["me@rehearsal.test"]
    assert desk.digest("send-test", "nobody@rehearsal.test").code == 1
    bad = desk.digest("send-test", "no address")
    assert bad.code == 2 and "no address" in bad.err
    assert len(server.messages) == before + 1
    assert desk.digest("subscribers", "list", "--json").rows[0]["email"] == "ada@rehearsal.test"
    assert {row["state"] for row in desk.digest("editions", "list", "--json").rows} == {"ready"}


def test_a_picture_is_as_high_as_the_mail(desk: Desk) -> None:
    if not find_chromium():
        pytest.skip("needs chromium")
    out = desk.folder / "shown.png"
    done = desk.digest("preview", "--out", str(out))
    assert done.code == 0, done.err
    start = out.read_bytes()[:24]
    width, height = struct.unpack(">II", start[16:24])
    assert start.startswith(b"\x89PNG") and width == 700 and height > 2000


def test_without_chromium_a_picture_is_refused_by_name(desk: Desk, tmp_path: Path) -> None:
    done = desk.digest("preview", "--out", str(desk.folder / "none.png"), PATH=str(tmp_path))
    assert done.code == 2
    assert "Chromium" in done.err and ".html" in done.err
    assert not (desk.folder / "none.png").exists()
