"""From entries to articles, and from a page to its text."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from digest.engine import LocalEngine
from digest.errors import ExtractError, SourceError
from digest.extract import Extracted, extract, read_page, read_text
from digest.models import Article, Entry, Page, SourceProfile, StoredEntry
from digest.protocols import Response
from tests.unit.builders import NOON

SINCE = NOON - timedelta(days=1)


PARAGRAPHS = [
    "The council voted on Monday to close the old bridge for two weeks, after engineers had found cracks in a pillar.",
    "Repairs will cost 4.5 million and begin in May, the mayor said, and buses will cross the river further south.",
    "Shopkeepers fear for their spring sales. Some of them asked for a ferry, which the harbour office may run.",
]
PAGE = f"""<!doctype html><html lang="en"><head><title>Bridge closes | Harbour Times</title>
<meta property="og:title" content="Bridge closes for two weeks"><meta name="author" content="Ann Bee">
<meta property="article:published_time" content="2026-03-01T08:00:00Z">
<meta property="og:image" content="https://news.example/bridge.jpg"></head>
<body><nav><a href="/">Home</a> <a href="/sea">Sea</a></nav><article><h1>Bridge closes for two weeks</h1>
{"".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)}</article>
<footer><p>All rights reserved. Harbour Times.</p></footer></body></html>""".encode()


def test_the_article_of_a_page_is_found() -> None:
    page = read_page(PAGE, "https://news.example/bridge")
    assert page.text.splitlines()[-3:] == PARAGRAPHS
    assert "rights reserved" not in page.text
    assert page.title == "Bridge closes for two weeks"
    assert page.author == "Ann Bee"
    assert page.date == datetime(2026, 3, 1, tzinfo=UTC)
    assert page.image == "https://news.example/bridge.jpg"


def test_a_gzipped_page_is_recognised_by_its_content() -> None:
    assert read_page(gzip.compress(PAGE)).text == read_page(PAGE).text


def test_the_character_set_that_a_page_declares_is_honoured() -> None:
    page = PAGE.decode().replace("<title>", '<meta charset="windows-1251"><title>').replace("old", "старый")
    assert "старый" in read_page(page.encode("cp1251")).text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"<html><body></body></html>",
        b"%PDF-1.7 binary",
        b"\x89PNG\r\n\x1a\n",
        b"\0\1\2\3" * 100,
        b"\x1f\x8bnonsense",
        gzip.compress(PAGE, mtime=0)[:-20],
        gzip.compress(bytes(20_000_000), mtime=0),
        b"A headline without anything below it",
    ],
)
def test_what_holds_no_article_is_one_clear_error(body: bytes) -> None:
    with pytest.raises(ExtractError):
        read_page(body, "https://news.example/")


def test_a_plain_text_loses_everything_but_its_prose() -> None:
    text = "\n".join(
        ["Bridge Closes for Two Weeks", "HT | Harbour", "Email : desk@example.com", PARAGRAPHS[0], "What Comes Next"]
        + [*PARAGRAPHS[1:], "Related Posts"]
    )
    assert read_text(text) == Page(title="Bridge Closes for Two Weeks", text="\n".join(PARAGRAPHS))
    assert read_page(text.encode()) == read_text(text)


@pytest.mark.parametrize(
    ("first", "title"),
    [
        ("Will the bridge close?", "Will the bridge close?"),
        ("HT | Harbour", None),
        ("Email : desk@example.com", None),
        ("The bridge is closed for two weeks, the council said.", None),
        (" ".join(["word"] * 40), None),
    ],
)
def test_the_first_line_is_a_title_only_when_it_reads_like_one(first: str, title: str | None) -> None:
    page = read_text("\n".join([first, *PARAGRAPHS]))
    assert page.title == title
    assert page.text.endswith("\n".join(PARAGRAPHS))


def test_lines_that_were_broken_at_a_width_are_joined() -> None:
    broken = "\n\n".join(f"{paragraph[:60].rstrip()}\n{paragraph[60:]}" for paragraph in PARAGRAPHS)
    assert read_text(f"Bridge Closes\n\n{broken}").text.replace(" ", "") == "\n".join(PARAGRAPHS).replace(" ", "")


def test_texts_of_other_encodings_are_read() -> None:
    text = "Überschrift\n" + PARAGRAPHS[0].replace("council", "Größe")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        assert read_page(text.encode(encoding)).title == "Überschrift"


def test_the_scraped_article_of_the_developer_set_is_clean(shared: Path) -> None:
    page = read_page((shared / "data" / "articles" / "000_ebc0fb74b416bdc1.txt").read_bytes())
    assert page.title
    assert len(page.text.splitlines()) == 8
    for furniture in (page.title, "TDT |", "Email", "Uncertain Path", "International Concerns", "Related Posts"):
        assert furniture not in page.text


def test_the_pages_of_the_developer_set_are_read(shared: Path) -> None:
    folder = shared / "data" / "articles"
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()][::10]
    pages = [read_page((folder / row["path"]).read_bytes(), row["url"]) for row in rows]
    assert all(len(page.text) > 200 and page.title and page.date for page in pages)


# -- entries → articles ----------------------------------------------------------------------------------------------


def stored(number: int = 1, *, page: Page | None = None, is_read: bool = False, **entry: Any) -> StoredEntry:
    fields: dict[str, Any] = {
        "title": "Bridge closes",
        "link": f"https://news.example/{number}",
        "published_at": NOON - timedelta(hours=2),
        "summary": "<p>Short <b>words</b>.</p><p>Two.</p>",
    }
    return StoredEntry(
        number=number,
        source_id="wire",
        outlet="The Wire",
        seen_at=NOON,
        entry=Entry(**fields | entry),
        page=page,
        is_read=is_read or page is not None,
    )


class Web:
    """Pages by address, and a note of what was asked for and kept."""

    def __init__(self, pages: dict[str, bytes] | None = None) -> None:
        self.pages = pages or {}
        self.asked: list[str] = []
        self.kept: dict[int, Page | None] = {}
        self.links: dict[str, int] = {}

    def fetch(self, links: Sequence[str]) -> list[Response | SourceError]:
        self.asked += links
        return [
            Response(url=link, status=200, headers={}, body=self.pages[link])
            if link in self.pages
            else SourceError(link, "it answers 404")
            for link in links
        ]

    def keep(self, number: int, page: Page | None) -> bool:
        self.kept[number] = page
        link = page.link if page else None
        return link is not None and self.links.setdefault(link, number) != number

    def extract(self, *entries: StoredEntry, **profile: Any) -> list[Article]:
        return self.extract_all(*entries, **profile).articles

    def extract_all(self, *entries: StoredEntry, **profile: Any) -> Extracted:
        profiles = {"wire": SourceProfile(id="wire", **profile)}
        topics = {"sea": "The Sea", "town": "Town"}
        return extract(entries, profiles, topics, self.fetch, LocalEngine().in_threads, self.keep, since=SINCE)


def test_the_page_behind_an_entry_becomes_its_text() -> None:
    web = Web({"https://news.example/1": PAGE})
    article = web.extract(stored())[0]
    assert article.text.splitlines()[-3:] == PARAGRAPHS
    assert (article.id, article.outlet, article.author, article.rights) == ("1", "The Wire", "Ann Bee", "extract")
    assert article.image == "https://news.example/bridge.jpg"
    kept = web.kept[1]
    assert kept is not None
    assert kept.text == article.text


def test_a_page_that_cannot_be_had_leaves_the_words_of_the_feed() -> None:
    web = Web()
    assert web.extract(stored())[0].text == "Short words.\nTwo."
    assert web.kept == {1: None}


def test_it_is_said_of_how_many_entries_the_page_was_read_and_why_not_of_the_others() -> None:
    web = Web({"https://news.example/1": PAGE, "https://news.example/2": b"<html><body></body></html>"})
    read = stored(5, page=Page(text="Read ahead."))
    extracted = web.extract_all(*(stored(number) for number in (1, 2, 3, 4)), read, stored(6, is_read=True))
    assert (extracted.wanted, extracted.read, len(extracted.articles)) == (6, 2, 6)
    assert extracted.faults == ("wire: it answers 404 (2 ×)", "wire: it holds no article (1 ×)")


def test_pages_that_are_not_wanted_are_not_counted() -> None:
    assert Web().extract_all(stored(), full_text=False).wanted == 0


def test_a_page_with_less_to_say_than_the_feed_is_not_used() -> None:
    web = Web({"https://news.example/1": PAGE})
    content = "".join(f"<p>{paragraph} {paragraph}</p>" for paragraph in PARAGRAPHS)
    assert web.extract(stored(content=content))[0].text.count(PARAGRAPHS[0]) == 2
    assert web.kept == {1: None}


@pytest.mark.parametrize(
    ("entry", "profile"),
    [
        (stored(page=Page(text="Read before.")), {}),
        (stored(is_read=True), {}),
        (stored(1, link=None), {}),
        (stored(), {"full_text": False}),
        (stored(), {"rights": "headline"}),
    ],
)
def test_pages_are_fetched_only_where_they_are_wanted(entry: StoredEntry, profile: dict[str, Any]) -> None:
    web = Web({"https://news.example/1": PAGE})
    web.extract(entry, **profile)
    assert (web.asked, web.kept) == ([], {})


def test_an_entry_that_carries_its_text_needs_no_page() -> None:
    web = Web()
    entry = stored()
    carried = StoredEntry(
        number=1,
        source_id="wire",
        outlet="w",
        seen_at=NOON,
        entry=Entry(title="T", text="All of it.", link="https://x.example"),
    )
    assert [article.text for article in web.extract(entry, carried, full_text=False)] == [
        "Short words.\nTwo.",
        "All of it.",
    ]
    assert web.asked == []


def test_a_page_that_two_entries_share_is_fetched_once_and_told_by_the_first() -> None:
    web = Web({"https://news.example/1": PAGE})
    assert [article.id for article in web.extract(stored(1), stored(2, link="https://news.example/1"))] == ["1"]
    assert web.asked == ["https://news.example/1"]
    assert set(web.kept) == {1, 2}


def test_headline_rights_leave_title_and_link() -> None:
    article = Web().extract(stored(page=Page(text="All of it.")), rights="headline")[0]
    assert (article.title, article.link, article.text) == ("Bridge closes", "https://news.example/1", "")


def test_an_entry_without_a_title_is_called_by_its_first_words() -> None:
    entries = [stored(1, title=None), stored(2, title=None, summary=None), stored(3, title=None, summary=PARAGRAPHS[0])]
    titles = [article.title for article in Web().extract(*entries, full_text=False)]
    assert titles == ["Short words. Two.", "The council voted on Monday to close the old bridge for two…"]


@pytest.mark.parametrize(
    ("tags", "topics"),
    [(("SEA",), ("sea",)), (("the  sea", "Town"), ("sea", "town")), (("other",), ("default",)), ((), ("default",))],
)
def test_the_tags_of_an_entry_name_its_topics_else_its_source_does(
    tags: tuple[str, ...], topics: tuple[str, ...]
) -> None:
    assert Web().extract(stored(tags=tags), topics=("default",))[0].topics == topics


def test_dates_are_never_invented_nor_in_the_future() -> None:
    entries = [
        stored(1),
        stored(2, published_at=None, updated_at=NOON - timedelta(hours=1)),
        stored(3, published_at=None),
        stored(4, published_at=NOON + timedelta(days=300)),
    ]
    dates = [article.published_at for article in Web().extract(*entries, full_text=False)]
    assert dates == [NOON - timedelta(hours=2), NOON - timedelta(hours=1), NOON, NOON]


def test_an_entry_of_a_source_that_is_no_longer_configured_gives_no_article() -> None:
    assert extract([stored()], {}, {}, Web().fetch, LocalEngine().in_threads, Web().keep, since=SINCE).articles == []
