"""What is found in a page: title, author, the article without what surrounds it; and what is no article at all."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import ExtractError
from digest.extract import read_page
from digest.extract.boilerplate import clean_paragraphs
from digest.extract.metadata import choose_title

STORY = [
    "The council of Selwick voted on Monday evening to close the old bridge over the harbour for two weeks in spring.",
    "Engineers had found cracks in two of the five arches, and said that traffic could not go on during the repairs.",
    "Ferries will run every ten minutes from six in the morning until midnight while the work is going on, it said.",
    "The mayor thanked the people of the lower town for their patience and promised that shops would stay open.",
]


DATED = '<meta property="article:published_time" content="2026-03-02T07:00:00Z">'
LINKED = '<script type="application/ld+json">{}</script>'


def make_page(*, head: str = "", before: str = "", after: str = "", title: str = "Bridge closes") -> str:
    """A page with the story, and what is put around it."""
    paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in STORY)
    return (
        f"<!doctype html><html lang='en'><head><title>{title}</title>{head}</head><body><main><article>"
        f"<h1>Bridge closes for two weeks</h1>{before}{paragraphs}{after}</article></main></body></html>"
    )


def read(page: str, url: str = "https://www.harbourtimes.example/2026/03/bridge") -> object:
    """The page's article."""
    return read_page(page.encode(), url)


@pytest.mark.parametrize(
    ("said", "seen", "sites", "title"),
    [
        (["Bridge closes | Harbour Times"], ["Bridge closes"], {"harbour times"}, "Bridge closes"),
        (["A bridge - a story - Harbour Times"], [], {"harbour times"}, "A bridge - a story"),
        (["Harbour Times » Archive » Bridge closes for weeks"], [], {"harbour times"}, "Bridge closes for weeks"),
        (["“Bridge” closes - Times"], ["'Bridge' closes", "Also"], {"times"}, "“Bridge” closes"),
        (["Bridge - Times"], ["Bridge closes today"], {"times"}, "Bridge"),
        ([], ["Bridge closes"], set(), "Bridge closes"),
        (["Harbour Times"], ["Bridge closes"], {"harbour times"}, "Bridge closes"),
        ([], [], set(), None),
    ],
)
def test_the_title_is_what_readers_see_without_the_name_of_the_site(
    said: list[str], seen: list[str], sites: set[str], title: str | None
) -> None:
    assert choose_title(said, seen, frozenset(sites))[0] == title


def test_a_title_that_nobody_sees_gives_way_to_the_heading() -> None:
    said, heading = ["Cheap flights and hotels"], "What the flood left behind"
    assert choose_title(said, [heading], frozenset(), alone=heading)[0] == heading


@pytest.mark.parametrize(
    ("head", "before", "author"),
    [
        (LINKED.format('{"@type": "NewsArticle", "author": {"name": "Jo Reader"}}'), "", "Jo Reader"),
        (LINKED.format('[{"@graph": [{"@type": "Article", "author": ["Jo", {"name": "Ann Lee"}]}]}]'), "", "Ann Lee"),
        ("", '<a rel="author" href="/jo">By Jo Reader</a>', "Jo Reader"),
        ("", '<div class="post--author">Posted on March 2, 2026 by Amelie Onslow</div>', "Amelie Onslow"),
        ("", '<span class="byline">Von Jörg Müller | 2. März 2026</span>', "Jörg Müller"),
        ('<meta name="author" content="Jo Reader">', "", "Jo Reader"),
    ],
)
def test_the_author_is_the_person_whom_the_page_names(head: str, before: str, author: str) -> None:
    assert read(make_page(head=head, before=before)).author == author


@pytest.mark.parametrize(
    "before",
    [
        '<div class="comments"><span class="author">Angry Reader</span></div>',
        '<form><label class="author">Name (required)</label></form>',
    ],
)
def test_who_comments_or_stands_beside_is_no_author(before: str) -> None:
    assert read(make_page(before=before)).author is None


@pytest.mark.parametrize(
    "line",
    [
        "Bridge closes for two weeks",
        "Bridge closes for two weeks | Harbour Times",
        "Updated: Tue., March 3, 2026",
        "Read more: Ferries are late again",
        "Lesen Sie auch: Die Fähre kommt",
        "Like this story? Share it with a friend!",
        "Subscribe to our newsletter and never miss a thing",
        "We use cookies to improve what we do",
        "(Photo: Jo Reader)",
        "jo@harbourtimes.example",
    ],
)
def test_what_is_no_part_of_an_article_is_left_out(line: str) -> None:
    assert clean_paragraphs([line, *STORY], ["Bridge closes for two weeks"]) == STORY


@pytest.mark.parametrize(
    "line",
    [
        "Read more than one book a year, the minister told the pupils, and you will be surprised by what you learn "
        "from it and from those who wrote it down for you, in times that were harder than ours.",
        "More from him was not to be had on Monday, and nobody in the room had really expected that there would be "
        "much to hear about the bridge, about its arches, or about the money that is still missing.",
        "On 3 March 2026 the council voted to close the bridge.",
        "Image rights are a matter for courts.",
    ],
)
def test_sentences_that_begin_alike_are_kept(line: str) -> None:
    assert line in clean_paragraphs([line, *STORY], ["Bridge closes"])


def test_blocks_that_a_template_names_as_something_else_are_left_out_unless_they_hold_the_article() -> None:
    teaser = '<div class="related-stories"><p>Another story that is told somewhere else on this site.</p></div>'
    assert "somewhere else" not in read(make_page(after=teaser)).text
    inside = (
        make_page()
        .replace("<article>", '<article><div class="promo-content">')
        .replace("</article>", "</div></article>")
    )
    assert read(inside).text.count("\n") == len(STORY) - 1


@pytest.mark.parametrize(
    ("title", "body", "fault"),
    [
        ("Just a moment...", "Enable JavaScript and cookies to continue. Checking your browser.", "challenge"),
        ("404 Not Found", "Sorry, the page you are looking for does not exist any more on this server.", "error page"),
        (
            "Seite nicht gefunden",
            "Die gesuchte Seite wurde nicht gefunden. Bitte prüfen Sie die Adresse.",
            "error page",
        ),
        (
            "Harbour Times",
            "We and our partners use cookies to keep data. With your consent we use cookies for ads and to measure. "
            "You may accept all cookies, reject them, or manage your privacy settings in the dialogue at any time.",
            "consent",
        ),
        (
            "Bridge closes",
            f"{STORY[0]} {STORY[1]} Subscribe to continue reading. Already a subscriber? Log in to continue.",
            "paid for",
        ),
    ],
)
def test_a_wall_is_no_article_and_is_named(title: str, body: str, fault: str) -> None:
    page = f"<html><head><title>{title}</title></head><body><article><p>{body}</p></article></body></html>"
    with pytest.raises(ExtractError, match=fault):
        read(page)


def test_an_article_that_is_to_be_paid_for_and_only_begun_is_a_wall_and_a_whole_one_is_none() -> None:
    paid = '<script type="application/ld+json">{"@type": "NewsArticle", "isAccessibleForFree": "False"}</script>'
    begun = f"<html><head>{paid}</head><body><article><p>{STORY[0]}</p><p>{STORY[1]}</p></article></body></html>"
    with pytest.raises(ExtractError, match="paid for"):
        read(begun)
    assert read(make_page(head=paid, after=f"<p>{STORY[0]}</p><p>{' '.join(STORY)}</p>")).text


def test_an_article_about_cookies_walls_and_errors_is_an_article() -> None:
    about = (
        "<p>Consent to cookies was the subject: accept or reject, and page not found, said the court in 404 pages.</p>"
    )
    assert "404 pages" in read(make_page(after=about * 2 + "".join(f"<p>{line}</p>" for line in reversed(STORY)))).text


def test_the_canonical_address_and_the_language_are_read() -> None:
    head = '<link rel="canonical" href="https://www.harbourtimes.example/bridge">'
    page = read(make_page(head=head))
    assert (page.link, page.language) == ("https://www.harbourtimes.example/bridge", "en")


@given(st.text(max_size=400), st.text(max_size=200))
def test_no_page_makes_reading_fail_in_an_unknown_way(body: str, script: str) -> None:
    page = f'<html><head><script type="application/ld+json">{script}</script></head><body><p>{body}</p></body></html>'
    with contextlib.suppress(ExtractError):
        assert read_page(page.encode("utf-8", errors="surrogatepass")).text


@pytest.mark.parametrize(
    ("head", "line", "day"),
    [
        ("", "<p>(21. November 2022) The council has voted.</p>", "2022-11-21"),
        (DATED, "<p>(21. November 2022) The council has voted.</p>", "2026-03-02"),
    ],
)
def test_the_date_that_an_article_begins_with_counts_where_nothing_is_said_for_machines(
    head: str, line: str, day: str
) -> None:
    beside = "<aside><span>29.11.2022</span></aside>"
    page = read(make_page(head=head, before=line, after=beside))
    assert page.date
    assert page.date.date().isoformat() == day
