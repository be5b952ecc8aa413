"""Index pages of many makes: their articles come out, and nothing that stands around them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.sources.listing import ArticleLink, find_article_links

URL = "https://news.example.com/"
SITE = "https://news.example.com"

HEADER = """<header class="site-header"><a href="/" class="logo">The Harbour News of Sable Town</a>
<nav><ul><li><a href="/world/">World</a></li><li><a href="/business/">Business</a></li><li><a href="/sport">Sport</a>
</li><li><a href="/about-us">About us</a></li><li><a href="/login">Log in</a></li>
<li><a href="/2025/11/20/election-special-report-live">Election special</a></li></ul></nav>
<form action="/search"><a href="/search?q=x">Search</a></form></header>"""
SIDEBAR = """<aside class="sidebar"><h3>Most read</h3><ol>
<li><a href="/2025/10/01/the-most-read-story-of-all">The most read story of all of last month</a></li>
<li><a href="/2025/10/02/the-second-most-read-story">The second most read story of last month</a></li></ol>
<div class="tag-cloud"><a href="/tag/harbour-walls">harbour walls</a></div></aside>"""
FOOTER = """<div class="pagination"><a href="/page/2">2</a><a href="/page/2" rel="next">Older posts</a></div>
<footer><a href="/privacy-policy">Privacy policy</a>
        <a href="/terms-and-conditions-of-use">Terms and conditions of use</a>
<a href="https://www.facebook.com/harbour/posts/our-latest-story-here">Follow us on the social network</a>
<a href="mailto:desk@news.example.com">Write to the desk of this paper</a>
        <a href="javascript:void(0)">Cookie settings for this site</a>
<a href="/careers/join-our-newsroom-team">Join our newsroom team today</a></footer>"""


def page(main: str, *, head: str = "", around: bool = True) -> str:
    body = f"{HEADER}<main>{main}</main>{SIDEBAR}{FOOTER}" if around else main
    return f"<!DOCTYPE html><html lang='en'><head><title>News</title>{head}</head><body>{body}</body></html>"


def find(document: str, url: str = URL, **options: str) -> tuple[ArticleLink, ...]:
    return find_article_links(document.encode(), url=url, **options)


def links(document: str, url: str = URL, **options: str) -> list[str]:
    return [found.link.removeprefix(SITE) for found in find(document, url, **options)]


def titles(document: str, url: str = URL) -> list[str | None]:
    return [found.title for found in find(document, url)]


def card(path: str, title: str, *, date: str = "2025-11-24") -> str:
    return (
        f'<article class="card"><a class="picture" href="{path}"><img src="/i.jpg" alt=""></a>'
        f'<span class="kicker"><a href="/world/middle-east">Middle East</a></span><h2><a href="{path}">{title}</a></h2>'
        f'<p class="byline">By <a href="/author/ann-bee">Ann Bee</a></p><time datetime="{date}">24 Nov</time>'
        f'<p>What it says, in some words.</p><a class="more" href="{path}">Read more</a>'
        f'<a href="{path}#comments">3 comments</a></article>'
    )


PAGES: dict[str, tuple[str, list[str]]] = {
    "cards with pictures, bylines, categories and comments": (
        card("/2025/11/24/first-story", "First story of the day") + card("/2025/11/24/second", "Second story"),
        ["/2025/11/24/first-story", "/2025/11/24/second"],
    ),
    "slugs without a date": (
        card("/harbour-walls-to-be-rebuilt", "Harbour walls to be rebuilt") + card("/ferry-sinks", "Ferry sinks"),
        ["/harbour-walls-to-be-rebuilt", "/ferry-sinks"],
    ),
    "slugs of one word in cards": (
        card("/world/earthquake", "Earthquake shakes the northern islands")
        + card("/sport/final", "Final goes to penalties at last"),
        ["/world/earthquake", "/sport/final"],
    ),
    "nothing but numbers": (
        card("/n/77", "Council votes for the bridge") + card("/n/78", "Bridge closes for two weeks"),
        ["/n/77", "/n/78"],
    ),
    "numbers in the query": (
        card("/article.php?id=77", "Council votes for the bridge") + card("/?p=78", "Bridge closes for two weeks"),
        ["/article.php?id=77", "/?p=78"],
    ),
    "names ending in html": (
        card("/world/a1.html", "Council votes for the bridge") + card("/world/ferry.html", "Ferry is late again"),
        ["/world/a1.html", "/world/ferry.html"],
    ),
    "a plain list": (
        """<h1>Latest</h1><ul><li><a href="/posts/hello-world">Hello world</a></li>
        <li><a href="/posts/why-we-moved-to-the-coast">Why we moved to the coast</a></li>
        <li><a href="/posts/second">On the second try</a></li></ul>""",
        ["/posts/hello-world", "/posts/why-we-moved-to-the-coast", "/posts/second"],
    ),
    "a list with days before the headlines": (
        """<ul class="archive"><li><time>2025-11-24</time> <a href="/sunrise">Sunrise</a></li>
        <li><time>2025-11-23</time> <a href="/slow-food">Slow food</a></li>
        <li><time>2025-11-22</time> <a href="/on-walking-in-the-rain">On walking in the rain</a></li></ul>""",
        ["/sunrise", "/slow-food", "/on-walking-in-the-rain"],
    ),
    "sections with headings that are links": (
        """<section><h2><a href="/world/us-and-canada">US and Canada</a></h2><ul>
        <li><a href="/world/2025/11/24/snow-falls-in-the-north">Snow falls in the north of the country</a></li>
        <li><a href="/world/2025/11/24/rain-falls-in-the-south">Rain falls in the south of the country</a></li></ul>
        </section>
        <section><h2><a href="/business">Business</a></h2><ul>
        <li><a href="/business/2025/11/24/grain-exchange-stops">Grain exchange stops for three hours</a></li></ul>
        <a href="/business">See all business stories</a></section>""",
        [
            "/world/2025/11/24/snow-falls-in-the-north",
            "/world/2025/11/24/rain-falls-in-the-south",
            "/business/2025/11/24/grain-exchange-stops",
        ],
    ),
    "headings of sections between the cards": (
        '<h2><a href="/world-news">World news</a></h2>'
        + card("/2025/11/24/first-story", "First story of the day")
        + '<h2><a href="/life-and-style">Life and style</a></h2>'
        + card("/second-story", "Second story"),
        ["/2025/11/24/first-story", "/second-story"],
    ),
    "authors in a list": (
        """<ul><li><a href="/first-story">First story of the day</a> by <a href="/ann-bee">Ann Bee</a></li>
        <li><a href="/second-story">Second story of the day</a> by <a href="/cee-dee">Cee Dee</a></li></ul>""",
        ["/first-story", "/second-story"],
    ),
    "a short name after the day": (
        """<ul><li><a href="/2025/11/one">One</a></li><li><a href="/2025/11/24/two">Two</a></li>
        <li><a href="/2025-11-24/">Monday, 24 November 2025</a></li></ul>""",
        ["/2025/11/one", "/2025/11/24/two"],
    ),
    "the whole card is the link": (
        """<div class="grid"><a class="tile" href="/stories/one-small-step"><h3>One small step</h3>
        <p>Some words.</p></a>
        <a class="tile" href="/stories/a-giant-leap"><h3>A giant leap</h3><p>Some words.</p></a></div>""",
        ["/stories/one-small-step", "/stories/a-giant-leap"],
    ),
    "the link lies over the card": (
        """<div class="card"><a class="over" href="/news/one-small-step-for-us"></a><h3>One small step for us</h3></div>
        <div class="card"><a class="over" href="/news/a-giant-leap-for-all"></a><h3>A giant leap for all</h3></div>""",
        ["/news/one-small-step-for-us", "/news/a-giant-leap-for-all"],
    ),
    "headlines without links above a link that says more": (
        """<div class="post"><h2>One small step for us</h2><p>Words.</p>
        <a href="/2025/11/one-small-step">Read more</a></div>
        <div class="post"><h2>A giant leap for all</h2><p>Words.</p>
        <a href="/2025/11/a-giant-leap">Read more</a></div>""",
        ["/2025/11/one-small-step", "/2025/11/a-giant-leap"],
    ),
    "advertisements": (
        card("/2025/11/24/first-story", "First story of the day")
        + """<div class="ad-slot"><a href="/2025/11/24/buy-this-fine-thing-now">Buy this fine thing now</a></div>
        <article><span class="label">Sponsored</span><h2>
        <a href="/2025/11/24/a-word-from-the-bank">A word from the bank</a></h2></article>
        <article><h2>
        <a rel="sponsored nofollow" href="/2025/11/24/win-a-car-with-us">Win a car with us today</a></h2></article>
        <article><h2>
        <a href="https://ads.example.net/2025/11/24/win-a-car">Win a car with them today</a></h2></article>"""
        + card("/2025/11/24/second-story", "Second story of the day"),
        ["/2025/11/24/first-story", "/2025/11/24/second-story"],
    ),
    "hidden links": (
        card("/2025/11/24/first-story", "First story of the day")
        + """<div style="display: none"><h2>
        <a href="/2025/11/24/nobody-sees-this-story">Nobody sees this story</a></h2></div>
        <div hidden><h2><a href="/2025/11/24/nobody-sees-that-story">Nobody sees that story</a></h2></div>
        <!-- <h2><a href="/2025/11/24/a-comment-in-the-source">A comment in the source</a></h2> -->""",
        ["/2025/11/24/first-story"],
    ),
    "links in sentences": (
        card("/2025/11/24/first-story", "First story of the day")
        + """<p>Welcome to the paper. Please do read
        <a href="/guide-to-reading-this-paper">our guide to reading this paper</a>
        before you write to us, and have a good day.</p>""",
        ["/2025/11/24/first-story"],
    ),
    "an earlier report within a card": (
        """<article><h2><a href="/2025/11/24/first-story">First story of the day</a></h2>
        <p>It follows what was said on Monday.</p>
        <a href="/2025/10/01/what-was-said-on-that-monday">What was said on that Monday</a></article>
        <article><h2><a href="/2025/11/24/second-story">Second story of the day</a></h2></article>""",
        ["/2025/11/24/first-story", "/2025/11/24/second-story"],
    ),
    "a block of what others read, without a side column": (
        card("/2025/11/24/first-story", "First story of the day")
        + """<section><h2>Most popular</h2><ol><li>
        <a href="/2025/09/01/a-story-that-all-have-read">A story that all have read</a></li>
        </ol></section><div class="related-stories">
        <a href="/2025/09/02/another-old-story">Another old story of ours</a></div>""",
        ["/2025/11/24/first-story"],
    ),
    "archives, tags, authors and files": (
        card("/2025/11/24/first-story", "First story of the day")
        + """<ul><li><a href="/2025/11/">November of this good year</a></li><li>
        <a href="/2025/11/24/">All of the 24th of November</a></li>
        <li><a href="/tag/long-tag-of-many-words">All on a long tag of words</a></li><li>
        <a href="/topics/climate-and-the-sea">Climate and the sea today</a></li>
        <li><a href="/by/ann-bee-of-the-desk">All that Ann Bee has written</a></li><li>
        <a href="/files/report-of-the-year-2025.pdf">Report of the year as a file</a></li>
        <li><a href="/category/food-and-drink-at-home">Food and drink at home here</a></li><li>
        <a href="/feed.xml">Our feed of all the news</a></li></ul>""",
        ["/2025/11/24/first-story"],
    ),
    "share buttons and other ways to the same page": (
        """<article><h2><a href="/2025/11/24/first-story">First story of the day</a></h2>
        <a href="/2025/11/24/first-story?share=twitter">Share on the bird</a>
        <a href="/2025/11/24/first-story/print">Print this story</a>
        <a href="/2025/11/24/first-story/#respond">Leave a comment</a>
        <a href="/2025/11/24/first-story/feed/">Comments feed</a></article>""",
        ["/2025/11/24/first-story"],
    ),
    "tracking parameters stay, and make no second article": (
        """<article><a href="/2025/11/24/first-story?utm_source=picture"><img alt=""></a>
        <h2><a href="/2025/11/24/first-story?utm_source=title">First story of the day</a></h2></article>""",
        ["/2025/11/24/first-story?utm_source=picture"],
    ),
    "Arabic": (
        """<article><h2>
        <a href="/%D8%A3%D8%AE%D8%A8%D8%A7%D8%B1/%D8%A7%D9%84-%D9%81%D8%AA%D8%AD">الميناء يفتح أبوابه من جديد</a></h2>
        <a href="/أخبار/الميناء-يفتح">اقرأ المزيد</a></article>
        <article><h2>
        <a href="/أخبار/الجسر-يغلق-أسبوعين">الجسر يغلق أسبوعين</a></h2></article>""",
        [
            "/%D8%A3%D8%AE%D8%A8%D8%A7%D8%B1/%D8%A7%D9%84-%D9%81%D8%AA%D8%AD",
            "/أخبار/الجسر-يغلق-أسبوعين",
        ],
    ),
    "Japanese": (
        """<ul class="newsList"><li><a href="/articles/AS12345.html">港の壁が再建されることになりました</a></li>
        <li><a href="/articles/AS12346.html">橋が二週間閉鎖される見通し</a></li>
        <li><a href="/articles/">もっと見る</a></li></ul>""",
        ["/articles/AS12345.html", "/articles/AS12346.html"],
    ),
    "German, with a lead story in a hero": (
        """<div class="hero-banner"><h1>
        <a href="/politik/rat-stimmt-fuer-die-bruecke-a-123456">Rat stimmt für die Brücke</a></h1></div>
        <div class="teaser"><h3><a href="/politik/bruecke-gesperrt-123457">Brücke gesperrt</a></h3>
        <a href="/politik/bruecke-gesperrt-123457">Weiterlesen</a></div>
        <div class="teaser"><h3><a href="/wetter/">Wetter</a></h3></div>
        <a href="/impressum">Impressum und alle Angaben dazu</a>""",
        ["/politik/rat-stimmt-fuer-die-bruecke-a-123456", "/politik/bruecke-gesperrt-123457"],
    ),
    "a heading inside a header inside an article": (
        """<article><header><h2><a href="/2025/11/24/first-story">First story of the day</a></h2></header>
        <footer><a href="/2025/11/24/a-footnote-that-is-no-story">A footnote that is no story</a></footer></article>""",
        ["/2025/11/24/first-story"],
    ),
    "classes that a weblog gives its posts": (
        """<article class="post type-post category-ads tag-newsletter hentry"><h2 class="entry-title">
        <a href="/2025/11/first-story/"
        rel="bookmark">First story of the day</a></h2><div class="entry-meta">
        <a href="/2025/11/first-story/">November 24, 2025</a>
        by <a href="/author/ann/">Ann</a></div></article>""",
        ["/2025/11/first-story/"],
    ),
    "a table": (
        """<table><tr><td>24 Nov</td><td>
        <a href="/press/2025-11-24-harbour-opens">Harbour opens to ships again</a></td></tr>
        <tr><td>23 Nov</td><td>
        <a href="/press/2025-11-23-bridge-closes">Bridge closes for two weeks</a></td></tr></table>""",
        ["/press/2025-11-24-harbour-opens", "/press/2025-11-23-bridge-closes"],
    ),
    "subdomains and absolute links": (
        """<h3><a href="https://sport.example.com/2025/11/24/final-goes-to-penalties">Final goes to penalties</a></h3>
        <h3><a href="//www.example.com/2025/11/24/ferries-sail-again-today">Ferries sail again today</a></h3>
        <h3><a href="https://news.example.org/2025/11/24/another-paper-altogether">Another paper altogether</a></h3>""",
        [
            "https://sport.example.com/2025/11/24/final-goes-to-penalties",
            "https://www.example.com/2025/11/24/ferries-sail-again-today",
        ],
    ),
    "opaque names": (
        """<div class="story"><h3><a href="/news/articles/c4gx9lm2zv7o">Harbour opens to ships again</a></h3></div>
        <div class="story"><h3><a href="/news/articles/cx2k7yl3rr5o">Bridge closes for two weeks</a></h3></div>""",
        ["/news/articles/c4gx9lm2zv7o", "/news/articles/cx2k7yl3rr5o"],
    ),
    "calls to subscribe, support and search": (
        card("/2025/11/24/first-story", "First story of the day")
        + """<div><h3><a href="/subscribe-to-our-newsletter">Subscribe to our daily newsletter</a></h3></div>
        <div><h3><a href="/support-our-journalism">Support our journalism from today</a></h3></div>
        <div class="cookie-banner"><a href="/how-we-use-your-cookies-here">How we use your cookies here</a></div>
        <ul class="breadcrumb"><li><a href="/a-long-section-name-here">A long section name here</a></li></ul>
        <a href="#top">Back to the top of it</a><a href="">Nothing at all to see here</a>
        <a href="tel:+123">Call the desk of this paper</a>""",
        ["/2025/11/24/first-story"],
    ),
    "divisions without any sign but the headlines": (
        """<div><div><a href="/2025/nov/24/harbour-opens-to-ships">Harbour opens to ships again</a></div>
        <div><a href="/2025/nov/24/bridge-closes-for-weeks">Bridge closes for two weeks</a></div></div>""",
        ["/2025/nov/24/harbour-opens-to-ships", "/2025/nov/24/bridge-closes-for-weeks"],
    ),
    "nothing": ("<p>We have no news today.</p>", []),
}


@pytest.mark.parametrize(("main", "expected"), PAGES.values(), ids=PAGES.keys())
def test_the_articles_of_a_page_are_found_and_nothing_else(main: str, expected: list[str]) -> None:
    assert links(page(main)) == expected
    assert links(page(f"<form id='aspnetForm'>{main}<h1>News</h1></form>", around=False)) == expected


def test_the_picture_the_headline_and_read_more_are_one_link_with_the_headlines_words() -> None:
    (found,) = find(page(card("/2025/11/24/first-story", "First <em>story</em> &amp; more")))
    assert found == ArticleLink(
        link=f"{SITE}/2025/11/24/first-story", title="First story & more", date=datetime(2025, 11, 24, tzinfo=UTC)
    )


def test_the_day_is_beside_the_link_or_in_the_address() -> None:
    document = page(
        """<ul><li><a href="/2025/11/23/first-story-of-all">First story of all</a></li>
        <li><a href="/posts/second-story-of-all">Second story of all</a>
        <span class="post-date">24. November 2025</span></li>
        <li><a href="/posts/third-story-of-all">Third story of all</a></li></ul>"""
    )
    days = [found.date and found.date.day for found in find(document)]
    assert days == [23, 24, None]


def test_titles_come_from_headings_links_and_pictures() -> None:
    document = page(
        """<div class="card"><a href="/2025/11/one-of-them"></a><h3>In the card's heading</h3></div>
        <div class="card"><a href="/2025/11/two-of-them">In the link itself</a>
        <a href="/2025/11/two-of-them">More</a></div>
        <div class="card"><a href="/2025/11/three-of-them"><img alt="In the picture's words"></a></div>"""
    )
    assert titles(document) == ["In the card's heading", "In the link itself", "In the picture's words"]


def test_links_are_relative_to_the_base_that_the_page_names() -> None:
    main = '<h2><a href="2025/11/first-story#more">First story of the day</a></h2>'
    document = page(main, head='<base target="_top"><base href="/en/"><base href="/fr/">')
    assert links(document) == ["/en/2025/11/first-story"]


def test_a_page_from_nowhere_says_itself_where_it_is_from() -> None:
    main = '<h2><a href="/2025/11/first-story">First story of the day</a></h2>'
    document = page(main, head='<link rel="canonical" href="https://news.example.com/">')
    assert links(document, url="") == links(document, url="http://[::1") == ["/2025/11/first-story"]


def test_the_site_ends_where_the_registered_domain_does() -> None:
    document = page(
        """<h2><a href="https://sport.paper.co.uk/2025/11/24/ours">Ours from another desk</a></h2>
        <h2><a href="https://rival.co.uk/2025/11/24/theirs">Theirs from a rival</a></h2>"""
    )
    assert links(document, "https://www.paper.co.uk/") == ["https://sport.paper.co.uk/2025/11/24/ours"]
    weblog = page('<h2><a href="https://b.blogspot.com/2025/11/24/theirs">Theirs from a rival</a></h2>')
    assert links(weblog, "https://a.blogspot.com/") == []


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("li > a.title", ["/x", "https://other.example.org/y"]),
        ("ul.list li", ["/x", "https://other.example.org/y"]),
        ("ul.list", ["/x", "https://other.example.org/y"]),
        ("nav a, .none", ["/world/", "/about"]),
        ("ul.list b", ["/x"]),
        ("h6", []),
    ],
)
def test_what_the_operator_chooses_is_taken_wherever_it_leads(selector: str, expected: list[str]) -> None:
    document = page(
        """<nav><a href="/world/">World</a><a href="/about">About</a><a href="mailto:x@example.com">Mail</a></nav>
        <ul class="list"><li><a class="title" href="/x#a"><b>X</b></a> by <a href="/author/ann">Ann</a></li>
        <li><a class="title" href="https://other.example.org/y">Y</a>
        <a href="https://other.example.org/y#comments">3</a></li></ul>""",
        around=False,
    )
    assert links(document, selector=selector) == expected


@pytest.mark.parametrize("selector", ["article[", "a::before", "", ">", "a:nth-child(x)"])
def test_a_wrong_selector_is_refused_with_a_remedy(selector: str) -> None:
    with pytest.raises(SourceError) as caught:
        find(page(""), selector=selector)
    assert "selector" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"error": "no"}', "JSON"),
        (b"Service unavailable", "plain text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no text"),
        (b"<rss version='2.0'><channel/></rss>", "a feed itself"),
        (b"<urlset><url><loc>https://a.example/</loc></url></urlset>", "a sitemap"),
        (b"\x1f\x8b\x08broken", "gzip"),
    ],
)
def test_what_is_no_web_page_is_refused_for_its_reason(body: bytes, fault: str) -> None:
    with pytest.raises(SourceError, match=fault):
        find_article_links(body, url=URL)


def test_the_charset_is_the_headers_the_pages_or_utf_8() -> None:
    main = '<meta charset="windows-1251"><h2><a href="/2025/11/port-otkryt">Порт снова открыт сегодня</a></h2>'
    assert find_article_links(main.encode("cp1251"), url=URL)[0].title == "Порт снова открыт сегодня"
    koi = main.encode("koi8-r")
    found = find_article_links(koi, url=URL, content_type="text/html; charset=koi8-r")
    assert found[0].title == "Порт снова открыт сегодня"


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                b"<a href=",
                b"/2025/11/a-b-c",
                b">Some words of a title</a>",
                b"<h2>",
                b"</h2>",
                b"<li>",
                b"<article>",
                b"javascript:x",
                b"'",
                b'"',
                b"<base href=data:x>",
                b"//[",
                b"&#0;",
                b"\xff",
                b"<nav",
                b"</article>",
                b"<p>",
                b"http://[::1",
                b"%zz",
                b"#",
            ]
        )
    ).map(b"".join),
    st.sampled_from([None, "a", "article, li"]),
)
def test_any_bytes_give_links_to_the_web_or_a_source_error(body: bytes, selector: str | None) -> None:
    try:
        found = find_article_links(body, url=URL, selector=selector)
    except SourceError:
        return
    assert all(each.link.startswith(("http://", "https://")) for each in found)
    assert len({each.link for each in found}) == len(found)
