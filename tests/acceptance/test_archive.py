"""The archive, the web view of each edition, the feeds, and what is said of the newsletter, as strangers see them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import feedparser
import pytest
from axe_playwright_python.sync_playwright import Axe
from lxml import html as lxml_html
from playwright.sync_api import Browser

from digest.app import App
from digest.models import Correction, EditionState
from digest.sources.parsing import parse_feed
from tests.acceptance.conftest import NEWSLETTER
from tests.acceptance.public_site import DAY, NOON, ask, keep_edition, open_app, serving_app
from tests.golden import editions as golden

ARABIC = NEWSLETTER.replace('"Morning Brief"\n', '"موجز الصباح"\n', 1) + 'language = "ar"\n'
YESTERDAY = DAY - timedelta(days=1)
_NOTE = "The harbour has three piers, not two."


@dataclass
class Public:
    """A newsletter that is served."""

    app: App
    url: str

    def correct(self, day: object = DAY) -> None:
        """Say what was wrong in an edition that went out."""
        stored = self.app.store.editions.find("morning", "daily", day)  # type: ignore[arg-type]
        assert stored and stored.edition
        told = Correction(edition=stored.date, made_at=NOON, text=_NOTE)
        self.app.store.editions.amend(stored.id, replace(stored.edition, corrected=(told,)), now=NOON)

    def withdraw(self) -> None:
        """Take the edition of the day back."""
        stored = self.app.store.editions.find("morning", "daily", DAY)
        assert stored
        self.app.store.editions.set_state(
            stored.id, EditionState.WITHDRAWN, "It was wrong.", now=NOON, only_from=list(EditionState)
        )


@pytest.fixture
def public(own_folder: Path) -> Iterator[Public]:
    """A newsletter with two editions that went out."""
    with open_app(own_folder) as app, serving_app(app) as url:
        keep_edition(app, YESTERDAY)
        keep_edition(app)
        yield Public(app, url)


def links_of(page: str) -> dict[str, str]:
    """Where a page leads, by what its links say."""
    return {
        " ".join(link.text_content().split()): link.get("href")
        for link in lxml_html.fromstring(page).xpath("//a[@href]")
    }


def test_the_home_page_lists_every_edition_with_what_it_led_with_newest_first(public: Public) -> None:
    page = ask(f"{public.url}/morning/")
    assert page.status == 200
    found = re.findall(r'<h2><a href="([^"]+)"', page.text)
    assert found == [f"/morning/{DAY}", f"/morning/{YESTERDAY}"]
    headline = golden.ENGLISH.items[0].headline
    assert headline in lxml_html.fromstring(page.text).text_content()
    assert links_of(page.text)["Subscribe"] == "/morning/subscribe"
    for address in found:
        assert ask(public.url + address).status == 200


def test_the_bare_address_leads_to_the_newsletter_whatever_host_is_named(public: Public) -> None:
    for path in ("/", "/morning"):
        answer = ask(public.url + path, Host="evil.example")
        assert (answer.status, answer.headers["location"]) == (307, "/morning/")
    assert "evil.example" not in ask(f"{public.url}/morning/", Host="evil.example").text


def test_many_editions_are_shown_a_page_at_a_time(public: Public) -> None:
    for days in range(2, 25):
        keep_edition(public.app, DAY - timedelta(days=days))
    first = ask(f"{public.url}/morning/").text
    assert links_of(first)["Older editions"] == "/morning/?page=2"
    assert "Newer editions" not in links_of(first)
    second = ask(f"{public.url}/morning/?page=2").text
    assert links_of(second)["Newer editions"] == "/morning/"
    assert "Older editions" not in links_of(second)
    shown = re.findall(r'<h2><a href="([^"]+)"', first + second)
    assert shown == [f"/morning/{DAY - timedelta(days=days)}" for days in range(25)]
    for page in ("3", "0", "-1", "x", "9" * 40, "%D9%A1", ""):
        assert ask(f"{public.url}/morning/?page={page}").status == 404, page


def test_an_empty_archive_says_so_and_invites(tmp_path: Path) -> None:
    with open_app(tmp_path) as app, serving_app(app) as url:
        page = ask(f"{url}/morning/")
        assert page.status == 200
        assert "No edition has gone out yet" in page.text
        assert parse_feed(ask(f"{url}/morning/feed.atom").body).entries == ()
        assert json.loads(ask(f"{url}/morning/feed.json").body)["items"] == []


@pytest.mark.parametrize("state", [EditionState.DRAFT, EditionState.HELD, EditionState.READY, EditionState.MISSED])
def test_what_has_not_gone_out_is_shown_nowhere(public: Public, state: EditionState) -> None:
    tomorrow = DAY + timedelta(days=1)
    keep_edition(public.app, tomorrow, state=state, subject="Under embargo")
    for path in ("", "feed.atom", "feed.json", f"{DAY}"):
        answer = ask(f"{public.url}/morning/{path}")
        assert answer.status == 200
        assert str(tomorrow) not in answer.text
        assert "Under embargo" not in answer.text
    assert ask(f"{public.url}/morning/{tomorrow}").status == 404


@pytest.mark.parametrize("state", [EditionState.SENDING, EditionState.STOPPED])
def test_what_went_out_in_part_is_shown(public: Public, state: EditionState) -> None:
    tomorrow = DAY + timedelta(days=1)
    keep_edition(public.app, tomorrow, state=state)
    assert str(tomorrow) in ask(f"{public.url}/morning/").text
    assert ask(f"{public.url}/morning/{tomorrow}").status == 200


def test_an_edition_is_shown_in_each_of_its_variants_and_leads_on_in_the_same(public: Public) -> None:
    keep_edition(public.app, DAY + timedelta(days=1), variants=("all", "world+science@fr"))
    keep_edition(public.app, DAY + timedelta(days=2), variants=("all", "world+science@fr"))
    keep_edition(public.app, DAY + timedelta(days=3))
    middle = ask(f"{public.url}/morning/{DAY + timedelta(days=2)}?variant=world%2Bscience%40fr")
    assert middle.status == 200
    links = links_of(middle.text)
    assert links["Édition précédente"] == f"/morning/{DAY + timedelta(days=1)}?variant=world%2Bscience%40fr"
    assert links["Édition suivante"] == f"/morning/{DAY + timedelta(days=3)}"
    canonical = re.search(r'<link rel="canonical" href="([^"]+)"', middle.text)
    assert canonical and canonical[1] == f"https://news.test/morning/{DAY + timedelta(days=2)}"
    assert ask(f"{public.url}/morning/{DAY}?variant=nope").status == 404


def test_the_web_view_is_nobodys_own(public: Public) -> None:
    stored = keep_edition(public.app, DAY + timedelta(days=1))
    rendition = public.app.store.archive.rendition(stored.id, "all")
    assert rendition
    html = rendition.html.replace("</body>", '<a href="__DIGEST_UNSUBSCRIBE__/preferences">Choose</a></body>')
    public.app.store.editions.add_renditions(stored.id, [replace(rendition, variant="own", html=html)])
    page = ask(f"{public.url}/morning/{stored.date}?variant=own").text
    assert "__DIGEST" not in page
    links = links_of(page)
    assert links["Unsubscribe"] == "/morning/unsubscribe"
    assert links["Choose"] == "/morning/subscribe"
    assert links["Get Morning Brief in your mailbox"] == "/morning/subscribe"
    assert links["Previous edition"] == f"/morning/{DAY}"


def test_weekly_and_special_editions_have_addresses_of_their_own(public: Public) -> None:
    keep_edition(public.app, cadence="weekly", subject="The week")
    keep_edition(public.app, cadence="special", subject="An extra")
    shown = re.findall(r'<h2><a href="([^"]+)"', ask(f"{public.url}/morning/").text)
    assert shown[:3] == [f"/morning/{DAY}/special", f"/morning/{DAY}/weekly", f"/morning/{DAY}"]
    for address, subject in ((f"{DAY}/special", "An extra"), (f"{DAY}/weekly", "The week")):
        assert f"<title>{subject}</title>" in ask(f"{public.url}/morning/{address}").text
    ids = [entry.id for entry in parse_feed(ask(f"{public.url}/morning/feed.atom").body).entries]
    assert len(ids) == len(set(ids)) == 4


def test_a_corrected_edition_says_so_and_its_feed_entry_is_updated(public: Public) -> None:
    before = feedparser.parse(ask(f"{public.url}/morning/feed.atom").body)
    public.correct()
    assert _NOTE in ask(f"{public.url}/morning/{DAY}").text
    after = feedparser.parse(ask(f"{public.url}/morning/feed.atom").body)
    assert [one.id for one in before.entries] == [one.id for one in after.entries]
    assert before.entries[0].published == after.entries[0].published
    assert before.entries[0].updated < after.entries[0].updated == "2026-11-24T12:00:00Z"
    assert _NOTE in after.entries[0].content[0].value
    assert before.entries[1] == after.entries[1]


def test_a_withdrawn_edition_is_gone_everywhere(public: Public) -> None:
    public.withdraw()
    answer = ask(f"{public.url}/morning/{DAY}")
    assert answer.status == 410
    assert "It was wrong." in answer.text
    assert answer.headers["cache-control"] == "no-store"
    for path in ("", "feed.atom", "feed.json", f"{YESTERDAY}"):
        assert f"/morning/{DAY}" not in ask(f"{public.url}/morning/{path}").text, path


@pytest.mark.parametrize("name", ["feed.atom", "feed.json"])
def test_feeds_are_read_by_our_own_parser_and_carry_headlines_summaries_and_links(public: Public, name: str) -> None:
    answer = ask(f"{public.url}/morning/{name}")
    feed = parse_feed(answer.body, url="https://news.test/", content_type=answer.headers["content-type"])
    assert feed.title == "Morning Brief"
    assert [entry.link for entry in feed.entries] == [
        f"https://news.test/morning/{DAY}",
        f"https://news.test/morning/{YESTERDAY}",
    ]
    content = lxml_html.fromstring(feed.entries[0].content or "")
    said = " ".join(content.text_content().split())
    for item in golden.ENGLISH.items:
        assert item.headline in said
        assert item.summary is None or item.summary.text in said
        assert not item.link or item.link in content.xpath("//a/@href")
    assert "__DIGEST" not in answer.text


def test_the_atom_feed_is_well_formed_to_a_stranger(public: Public) -> None:
    parsed = feedparser.parse(ask(f"{public.url}/morning/feed.atom").body)
    assert not parsed.bozo
    assert parsed.version == "atom10"
    assert parsed.feed.id == parsed.feed.link == "https://news.test/morning/"
    assert parsed.feed.author == "Morning Brief"
    assert {"rel": "self", "type": "application/atom+xml", "href": "https://news.test/morning/feed.atom"} in [
        dict(link) for link in parsed.feed.links
    ]
    assert [one.id for one in parsed.entries] == [
        f"tag:news.test,{DAY}:morning/daily",
        f"tag:news.test,{YESTERDAY}:morning/daily",
    ]
    assert parsed.feed.updated == parsed.entries[0].updated


def test_words_that_xml_cannot_hold_break_no_feed(public: Public) -> None:
    story = golden.item("A \x00bell\x07 & <b>bold</b> ]]>\ufffe", "It \x1b[31mrang.")
    section = replace(golden.ENGLISH.sections[0], items=(story,))
    keep_edition(public.app, DAY + timedelta(days=1), sections=(section,), subject="A \x0b<subject> &amp; \x1f")
    parsed = feedparser.parse(ask(f"{public.url}/morning/feed.atom").body)
    assert not parsed.bozo
    assert len(parsed.entries) == 3
    assert len(json.loads(ask(f"{public.url}/morning/feed.json").body)["items"]) == 3
    assert "<b>bold" not in ask(f"{public.url}/morning/").text


@pytest.mark.parametrize("path", ["", f"{DAY}", "feed.atom", "feed.json", "privacy"])
def test_what_is_known_already_is_not_sent_again(public: Public, path: str) -> None:
    url = f"{public.url}/morning/{path}"
    first = ask(url)
    assert first.headers["cache-control"].startswith("public, max-age=")
    tag = first.headers["etag"]
    for known in (tag, f'W/{tag}, "other"', f'"other", {tag}', "*"):
        again = ask(url, If_None_Match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert "content-security-policy" in again.headers
    assert ask(url, If_None_Match='"other"').body == first.body
    head = ask(url, method="HEAD")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", tag)
    if path.startswith("feed"):
        since = first.headers["last-modified"]
        assert ask(url, If_Modified_Since=since).status == 304
        assert ask(url, If_Modified_Since="Tue, 24 Nov 2020 00:00:00 GMT").status == 200
        assert ask(url, If_Modified_Since="yesterday").status == 200
        assert ask(url, If_Modified_Since=since, If_None_Match='"other"').status == 200
    public.correct()
    assert ask(url, If_None_Match=tag).status == (304 if path in ("", "privacy") else 200)


def test_pages_advertise_the_feeds_and_searchers_may_show_them_but_nobodys_own(public: Public) -> None:
    for path in ("", f"{DAY}", "privacy"):
        answer = ask(f"{public.url}/morning/{path}")
        found = lxml_html.fromstring(answer.body).xpath("//link[@rel='alternate']")
        assert [(one.get("type"), one.get("href")) for one in found] == [
            ("application/atom+xml", "/morning/feed.atom"),
            ("application/feed+json", "/morning/feed.json"),
        ]
        assert "noindex" not in answer.text + str(answer.headers)
    token = public.app.links.sign("0" * 32)
    own = ask(f"{public.url}/morning/unsubscribe/{token}")
    assert own.headers["x-robots-tag"] == "noindex, nofollow"
    assert own.headers["cache-control"] == "no-store"
    robots = ask(f"{public.url}/robots.txt").text.splitlines()
    assert {"Disallow: /morning/unsubscribe/", "Disallow: /morning/preferences/"} <= set(robots)
    assert "Disallow: /morning/" not in robots
    icon = ask(f"{public.url}/favicon.ico")
    assert (icon.status, icon.body) == (204, b"")


@pytest.mark.parametrize(
    ("tables", "said", "unsaid"),
    [
        ((), ["editor@news.test", "Neither is counted"], ["SendGrid"]),
        (('[transport]\nkind = "sendgrid"\n',), ["SendGrid"], []),
        (("[counting]\nopens = true\n",), ["Opens are counted", "Clicks are not counted"], ["Neither"]),
        (("[counting]\nclicks = true\n",), ["Clicks on links are counted"], ["Neither"]),
        (("[counting]\nopens = true\nclicks = true\n",), ["clicks by the links", "fingerprint of the network"], []),
        (('[web]\nprivacy = "Officer <privacy@news.test>"\n',), ["mailto:privacy@news.test"], ["editor@news.test"]),
        (('[web]\nprivacy = "https://news.test/dpo"\n',), ['href="https://news.test/dpo"'], ["mailto:"]),
        (('[web]\nprivacy = "Room 4, <b>first</b> floor"\n',), ["Room 4, &lt;b&gt;first"], ["mailto:", "<b>first"]),
    ],
)
def test_the_privacy_text_is_true_of_how_the_program_is_set_up(
    tmp_path: Path, tables: tuple[str, ...], said: list[str], unsaid: list[str]
) -> None:
    with open_app(tmp_path, *tables) as app, serving_app(app) as url:
        page = ask(f"{url}/morning/privacy")
        assert page.status == 200
        for words in said:
            assert words in page.text
        for words in unsaid:
            assert words not in page.text


def test_a_newsletter_under_a_path_of_a_proxy_keeps_its_links_there(tmp_path: Path) -> None:
    newsletter = NEWSLETTER.replace('"https://news.test"', '"https://site.test/letters"')
    with open_app(tmp_path, newsletter=newsletter) as app, serving_app(app) as url:
        keep_edition(app)
        page = ask(f"{url}/morning/").text
        assert f'href="/letters/morning/{DAY}"' in page
        assert 'href="/letters/morning/subscribe"' in page
        assert "https://site.test/letters/morning/feed.atom" in ask(f"{url}/morning/feed.atom").text
        edition = ask(f"{url}/morning/{DAY}").text
        assert f'<link rel="canonical" href="https://site.test/letters/morning/{DAY}">' in edition


def test_an_edition_of_a_template_without_a_head_or_a_body_leads_on_all_the_same(public: Public) -> None:
    stored = public.app.store.editions.find("morning", "daily", DAY)
    assert stored
    rendition = public.app.store.archive.rendition(stored.id, "all")
    assert rendition
    bare = [replace(rendition, variant="bare", html="<p>Only this</p>")]
    public.app.store.editions.add_renditions(stored.id, bare)
    page = ask(f"{public.url}/morning/{DAY}?variant=bare").text
    assert {"All editions", "Previous edition"} <= links_of(page).keys()
    assert page.count("<p>Only this</p>") == 1


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize(
    ("newsletter", "like", "theme"),
    [(NEWSLETTER, golden.ENGLISH, "plain"), (ARABIC, golden.ARABIC, "magazine")],
    ids=["english", "arabic"],
)
def test_readers_walk_from_page_to_page_on_any_screen(
    tmp_path: Path, browser: Browser, newsletter: str, like: object, theme: str, scripts: bool
) -> None:
    table = f'[theme]\nname = "{theme}"\nimages = false\n'
    with open_app(tmp_path, table, newsletter=newsletter) as app, serving_app(app) as url:
        for days in range(22):
            keep_edition(app, DAY - timedelta(days=days), like=like)  # type: ignore[arg-type]
        Public(app, url).correct(YESTERDAY)
        scheme = "dark" if scripts else "light"
        context = browser.new_context(
            viewport={"width": 320, "height": 700}, java_script_enabled=scripts, color_scheme=scheme
        )
        page = context.new_page()
        fetched: list[str] = []
        page.on("request", lambda request: fetched.append(urlsplit(request.url).netloc))
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text))
        page.goto(f"{url}/")
        walk = [
            (f"a[href='/morning/{YESTERDAY}']", f"/morning/{YESTERDAY}"),
            ("a[rel=prev]", f"/morning/{YESTERDAY - timedelta(days=1)}"),
            ("a[rel=next]", f"/morning/{YESTERDAY}"),
            ("nav a >> nth=0", "/morning/"),
            ("a[href='/morning/?page=2']", "/morning/?page=2"),
            ("footer a[href='/morning/privacy']", "/morning/privacy"),
            ("header a", "/morning/"),
        ]
        for selector, address in [("", "/morning/"), *walk]:
            if selector:
                page.click(selector)
            assert page.url == url + address
            assert page.locator("h1").count() == 1
            if scripts:
                assert page.evaluate("document.documentElement.scrollWidth") <= 320, address
                found = Axe().run(page).response["violations"]
                serious = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
                assert not serious, (address, found)
        assert set(fetched) == {urlsplit(url).netloc}
        assert not faults
        context.close()


def test_a_day_that_is_none_is_nowhere(public: Public) -> None:
    for path in ("2026-13-45", "0000-00-00", "2026-11-24/monthly", "2026-11-24/", "%00", "..%2f..%2fetc"):
        answer = ask(f"{public.url}/morning/{path}")
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), path
        assert "/morning/" in links_of(answer.text).values()


def test_feeds_say_when_they_changed(public: Public) -> None:
    before = ask(f"{public.url}/morning/feed.json")
    assert before.headers["last-modified"] == "Tue, 24 Nov 2026 07:05:00 GMT"
    assert before.headers["access-control-allow-origin"] == "*"
    public.withdraw()
    after = ask(f"{public.url}/morning/feed.json")
    assert after.headers["last-modified"] == datetime(2026, 11, 24, 12, tzinfo=UTC).strftime(
        "%a, %d %b %Y %H:%M:%S GMT"
    )
