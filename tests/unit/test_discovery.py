"""Which feeds a web page advertises, and which of them to follow."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.sources.discovery import choose_feed, find_feeds

URL = "https://news.example.com/blog/"


def find(document: str) -> list[str]:
    return [link.removeprefix("https://news.example.com") for link in find_feeds(document.encode(), url=URL)]


def head(inner: str, body: str = "") -> str:
    return f"<!DOCTYPE html><html><head><title>News</title>{inner}</head><body>{body}</body></html>"


def link(kind: str = "application/rss+xml", href: str = "/feed.xml", rel: str = "alternate", more: str = "") -> str:
    return f'<link rel="{rel}" type="{kind}" href="{href}" {more}>'


@pytest.mark.parametrize(
    "written",
    [
        link(),
        link("application/atom+xml"),
        link("application/rdf+xml"),
        link("application/feed+json"),
        link(" Application/RSS+XML; charset=utf-8 "),
        link(rel="ALTERNATE home"),
        link(rel="feed", kind=""),
        link(href="\n https://news.example.com/feed.xml#x "),
        link(href="//news.example.com/feed.xml"),
        link("text/xml", more='title="RSS"'),
        link("application/xml"),
        "<link rel=alternate type=application/rss+xml href=/feed.xml>",
        "<LINK REL='alternate' TYPE='application/rss+xml' HREF='/feed.xml'/>",
        '<base href="https://news.example.com/x/">' + link(href="../feed.xml"),
        '<link rel="alternate" href="/feed.xml">',
        link() + link() + link(href="/feed.xml#top"),
    ],
)
def test_an_advertised_feed_is_found_once(written: str) -> None:
    assert find(head(written)) == ["/feed.xml"]
    assert find(head("", written)) == ["/feed.xml"]


@pytest.mark.parametrize(
    "written",
    [
        link("application/json+oembed", "/oembed?url=x"),
        link("text/xml+oembed", "/oembed?format=xml"),
        link("application/json", "/wp-json/wp/v2/posts/1"),
        link("application/json", "/data.json"),
        link("text/xml", "/about.xml"),
        link("text/html", "/de/", more='hreflang="de"'),
        '<link rel="alternate" hreflang="de" href="/de/feed">',
        link("application/opensearchdescription+xml", "/search.xml", "search"),
        link("application/rsd+xml", "/rsd.xml", "EditURI"),
        link(rel="alternate stylesheet"),
        link(rel="self"),
        link(href=""),
        link(href="javascript:alert(1)"),
        link(href="feed://news.example.com/feed.xml"),
        f"<!-- {link()} -->",
        f"<script>var x = '{link()}'</script>",
    ],
)
def test_what_only_resembles_one_is_not_taken(written: str) -> None:
    assert find(head(written)) == []


def test_feeds_come_in_the_pages_order_with_those_of_comments() -> None:
    document = head(
        link(href="/?feed=rss2&amp;cat=1")
        + link("application/atom+xml", "/comments/feed/")
        + link("application/feed+json", "f.json"),
        link(href="/late?a=1&copy=2") + '<a href="/other.rss">RSS</a>',
    )
    assert find(document) == ["/?feed=rss2&cat=1", "/comments/feed/", "/blog/f.json", "/late?a=1&copy=2"]


def test_without_advertisements_the_links_that_name_a_feed_are_taken_those_of_the_site_first() -> None:
    document = head(
        "",
        """<a href="https://feeds.example.net/news.rss">Elsewhere</a><a href="/rss.xml">Subscribe</a>
        <a href="/out?f=2">RSS feed</a>
        <a href="/feed/">x</a><a href="/in.php?x=1"><img alt="RSS"></a><a href="/?feed=atom">y</a>
        <a href="/rss.xml">again</a>""",
    )
    assert find(document) == [
        "/rss.xml",
        "/out?f=2",
        "/feed/",
        "/in.php?x=1",
        "/?feed=atom",
        "https://feeds.example.net/news.rss",
    ]


@pytest.mark.parametrize(
    "written",
    [
        '<a href="/feedback">Feedback</a>',
        '<a href="/2025/11/feed-the-hungry">Feed the hungry</a>',
        '<a href="/2025/11/atom">Atom bomb test</a>',
        '<a href="/help/rss">What is RSS?</a>',
        '<a href="/sitemap.xml">Sitemap</a>',
        '<a href="https://feedly.com/i/subscription/feed/https://news.example.com/rss">Feedly</a>',
        '<a href="javascript:rss()">RSS</a>',
        '<a href="/a.pdf">Report</a>',
    ],
)
def test_links_that_lead_elsewhere_are_no_feeds(written: str) -> None:
    assert find(head("", written)) in ([], ["/help/rss"], ["/2025/11/atom"])


@pytest.mark.parametrize(
    ("links", "chosen"),
    [
        (link(href="/comments/feed/") + link(href="/feed/"), "/feed/"),
        (link(href="/c", more='title="News » Comments Feed"') + link(href="/f", more='title="News » Feed"'), "/f"),
        (link(href="/k", more='title="Kommentare als RSS"') + link(href="/f"), "/f"),
        (link(href="/category/sea/feed/") + link(href="/feed/"), "/feed/"),
        (link(href="/tag/sea/feed/"), "/tag/sea/feed/"),
        (link(href="/?feed=comments-rss2"), None),
        ("", None),
    ],
)
def test_the_feed_to_follow_is_that_of_the_articles(links: str, chosen: str | None) -> None:
    found = choose_feed(head(links).encode(), url=URL)
    assert found == (chosen and f"https://news.example.com{chosen}")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "empty"),
        (b"{}", "JSON"),
        (b"Not found", "plain text"),
        (b"\0\1\2", "no text|plain text"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'/>", "a feed itself"),
        (b"<" + b" " * 10_000_001, "larger than"),
    ],
)
def test_what_is_no_web_page_is_refused_for_its_reason(body: bytes, fault: str) -> None:
    with pytest.raises(SourceError, match=fault):
        find_feeds(body, url=URL)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                b"<link rel=alternate type=application/rss+xml href=",
                b"<a href=",
                b"/feed",
                b">RSS</a>",
                b">",
                b"'",
                b'"',
                b"//[",
                b"javascript:x",
                b"<base href=data:x>",
                b"&#0;",
                b"\xff",
                b"http://[::1",
                b"%zz",
                b"<html",
                b"#",
                b"http://a.example:99999/feed",
            ]
        )
    ).map(b"".join)
)
def test_any_bytes_give_links_to_the_web_or_a_source_error(body: bytes) -> None:
    try:
        found = find_feeds(body, url=URL)
        choose_feed(body, url=URL)
    except SourceError:
        return
    assert all(each.startswith(("http://", "https://")) for each in found)
