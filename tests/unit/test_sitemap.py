"""Sitemaps, indexes, and what sites serve in their place."""

import gzip
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.sources.sitemap_parsing import LARGEST, MOST_URLS, Sitemap, SitemapLink, SitemapUrl, parse_sitemap

URL = "https://news.example.com/sitemaps/main.xml"
ONE = "https://a.example/1"
TWO = "https://a.example/2"
DAY = datetime(2025, 11, 24, tzinfo=UTC)
SPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def parse(document: str | bytes, url: str = URL, content_type: str | None = None) -> Sitemap:
    body = document.encode() if isinstance(document, str) else document
    return parse_sitemap(body, url=url, content_type=content_type)


def locs(document: str | bytes) -> list[str]:
    return [page.loc for page in parse(document).urls]


def urlset(inner: str, attributes: str = f'xmlns="{SPACE}"') -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset {attributes}>{inner}</urlset>'


def one(inner: str) -> SitemapUrl:
    (page,) = parse(urlset(f"<url><loc>https://a.example/1</loc>{inner}</url>")).urls
    return page


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (f'<urlset xmlns="{SPACE}">', "</urlset>"),
        ('<urlset xmlns="http://www.google.com/schemas/sitemap/0.84">', "</urlset>"),
        ("<urlset>", "</urlset>"),
        (f"<?xml-stylesheet href='x.xsl'?><!-- <url> --><!DOCTYPE urlset><urlset xmlns='{SPACE}'>", "</urlset>"),
        ("<br /><b>Warning</b>: in x.php\n<?xml version='1.0'?><urlset>", "</urlset>"),
        ("", ""),
    ],
)
def test_a_plain_sitemap_is_read(start: str, end: str) -> None:
    document = f"{start}<url><loc>{ONE}</loc><lastmod>2025-11-24</lastmod></url><url><loc>/2</loc></url>{end}"
    assert parse(document) == Sitemap(
        urls=(SitemapUrl(loc="https://a.example/1", date=DAY), SitemapUrl(loc="https://news.example.com/2"))
    )


def test_prefixes_and_capitals_do_not_matter() -> None:
    prefixed = f'<s:urlset xmlns:s="{SPACE}"><s:url><s:loc>https://a.example/1</s:loc></s:url></s:urlset>'
    assert locs(prefixed) == locs(prefixed.replace(f' xmlns:s="{SPACE}"', "")) == ["https://a.example/1"]
    assert locs("<URLSET><URL><LOC>https://a.example/1</LOC></URL></URLSET>") == ["https://a.example/1"]


def test_an_index_names_sitemaps_each_once() -> None:
    document = """<sitemapindex><sitemap><loc>a.xml</loc></sitemap><sitemap>
        <loc>/b.xml.gz</loc><lastmod>2025-11-24</lastmod>
    </sitemap><sitemap><loc>a.xml</loc><lastmod>2025-11-24</lastmod></sitemap></sitemapindex>"""
    assert parse(document) == Sitemap(
        sitemaps=(
            SitemapLink(loc="https://news.example.com/sitemaps/a.xml", date=DAY),
            SitemapLink(loc="https://news.example.com/b.xml.gz", date=DAY),
        )
    )


def test_a_document_may_be_both() -> None:
    pages, index = "<urlset><url><loc>/1</loc></url></urlset>", "<sitemap><loc>/s.xml</loc></sitemap>"
    for document in (f"<sitemapindex>{index}{pages}</sitemapindex>", f"{pages}<sitemapindex>{index}</sitemapindex>"):
        found = parse(document)
        assert [page.loc for page in found.urls] == ["https://news.example.com/1"]
        assert [link.loc for link in found.sitemaps] == ["https://news.example.com/s.xml"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_news_sitemap_gives_title_language_and_when_it_was_published(declared: bool) -> None:
    space = 'xmlns:n="http://www.google.com/schemas/sitemap-news/0.9"' if declared else ""
    (page,) = parse(
        urlset(
            """<url><loc>https://a.example/1</loc><lastmod>2025-11-25</lastmod><n:news><n:publication>
        <n:name>Paper</n:name>
            <n:language>de</n:language></n:publication>
        <n:publication_date>2025-11-24T01:00:00+01:00</n:publication_date>
            <n:title><![CDATA[A <b>bridge</b> &amp; more]]></n:title><n:keywords>a, b</n:keywords></n:news></url>""",
            f'xmlns="{SPACE}" {space}',
        )
    ).urls
    assert page == SitemapUrl(loc="https://a.example/1", date=DAY, title="A bridge & more", language="de")


def test_addresses_and_titles_of_pictures_films_and_translations_are_not_the_pages() -> None:
    pictures = """<image:image><image:loc>https://a.example/i.jpg</image:loc><image:title>No</image:title></image:image>
    <video:video><video:content_loc>https://a.example/v.mp4</video:content_loc>
        <video:loc>https://a.example/v</video:loc>
    <video:title>No</video:title><video:publication_date>2001-01-01</video:publication_date></video:video>
    <xhtml:link rel="alternate" hreflang="de" href="https://a.example/de"/><image>
        <loc>https://a.example/j.jpg</loc></image>"""
    spaces = 'xmlns:image="urn:i" xmlns:video="urn:v" xmlns:xhtml="urn:x"'
    for attributes in (f'xmlns="{SPACE}" {spaces}', ""):
        document = urlset(f"<url>{pictures}<loc>https://a.example/1</loc></url><url>{pictures}</url>", attributes)
        assert parse(document).urls == (SitemapUrl(loc="https://a.example/1"),)


def test_a_repeated_address_stands_once_and_takes_what_is_said_of_it_later() -> None:
    first, later = "<url><loc>https://a.example/1</loc>", "<lastmod>2025-11-24</lastmod></url>"
    document = urlset(f"{first}</url><url><loc>https://a.example/2</loc></url>{first}{later}")
    assert parse(document).urls == (
        SitemapUrl(loc="https://a.example/1", date=DAY),
        SitemapUrl(loc="https://a.example/2"),
    )


@pytest.mark.parametrize(
    ("written", "loc"),
    [
        ("\n  https://a.example/1\n ", "https://a.example/1"),
        ("<![CDATA[https://a.example/?a=1&b=2]]>", "https://a.example/?a=1&b=2"),
        ("https://a.example/?a=1&amp;b=2", "https://a.example/?a=1&b=2"),
        ("https://a.example/?a=1&b=2", "https://a.example/?a=1&b=2"),
        ("https://a.example/?a=1&amp;amp;b=2", "https://a.example/?a=1&b=2"),
        ("https://a.example/caf&eacute;", "https://a.example/café"),
        ("https://a.example/\n  x", "https://a.example/x"),
        ("//a.example/1", "https://a.example/1"),
        ("one.html", "https://news.example.com/sitemaps/one.html"),
    ],
)
def test_an_address_is_read_as_it_was_meant(written: str, loc: str) -> None:
    assert locs(urlset(f"<url><loc>{written}</loc></url>")) == [loc]


@pytest.mark.parametrize("written", ["", "javascript:alert(1)", "mailto:a@a.example", "ftp://a.example/", "http://"])
def test_what_does_not_lead_to_the_web_is_dropped(written: str) -> None:
    assert parse(urlset(f"<url><loc>{written}</loc><lastmod>2025-11-24</lastmod></url>")) == Sitemap()
    assert parse(f"<sitemapindex><sitemap><loc>{written}</loc></sitemap></sitemapindex>") == Sitemap()


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2025", datetime(2025, 1, 1, tzinfo=UTC)),
        ("2025-11", datetime(2025, 11, 1, tzinfo=UTC)),
        ("2025-11-24", DAY),
        ("2025-11-24T10:30", datetime(2025, 11, 24, 10, 30, tzinfo=UTC)),
        ("2025-11-24T10:30:00.5+02:00", datetime(2025, 11, 24, 8, 30, 0, 500_000, tzinfo=UTC)),
        (" 2025-11-24T00:00:00Z\n", DAY),
        ("yesterday", None),
        ("0000-00-00", None),
        ("0001-01-01T00:00:00Z", None),
        ("2025-13-45", None),
        ("9999-12-31", None),
        ("", None),
    ],
)
def test_a_date_of_any_precision_is_read_and_a_bad_one_is_none(written: str, date: datetime | None) -> None:
    assert one(f"<lastmod>{written}</lastmod>").date == date


def test_a_bad_publication_date_leaves_the_last_change() -> None:
    assert one("<news><publication_date>soon</publication_date></news><lastmod>2025-11-24</lastmod>").date == DAY


def test_of_a_broken_document_what_is_whole_is_taken() -> None:
    whole = "<urlset><url><loc>https://a.example/1</loc></url>"
    assert locs(f"{whole}<url><loc>https://a.example/cut-of") == ["https://a.example/1"]
    assert locs(f"{whole}<url><loc>{TWO}</loc><lastmod>20") == [ONE, TWO]
    assert locs(f"{whole}<url><loc>https://a.example/2</loc><url><loc>/3</loc></urlset>")[1:] == [
        "https://a.example/2",
        "https://news.example.com/3",
    ]
    assert locs(f"{whole}<url>1 < 2 & 3<loc>https://a.example/2</loc></url></urlset>")[1:] == ["https://a.example/2"]
    assert locs(f"{whole}<url><image:image></url><url><loc>{TWO}</loc></url>")[1:] == [TWO]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_character_sets_are_recognised(encoding: str) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?><urlset><url><loc>https://a.example/é</loc></url></urlset>'
    assert locs(document.encode(encoding)) == ["https://a.example/é"]
    assert locs(gzip.compress(document.encode(encoding))) == ["https://a.example/é"]


def test_the_headers_charset_counts_and_a_wrong_one_does_not() -> None:
    document = urlset("<url><loc>https://a.example/é</loc></url>")
    assert parse(document, content_type="text/xml; charset=us-ascii").urls[0].loc == "https://a.example/é"
    latin = document.replace("UTF-8", "nonsense").encode("latin-1")
    assert parse(latin).urls[0].loc == "https://a.example/é"


def test_a_text_has_an_address_a_line() -> None:
    text = "\ufeffhttps://a.example/1\r\n\r\n https://a.example/2 \nhttps://a.example/1\njavascript:alert(1)\n"
    assert locs(text) == ["https://a.example/1", "https://a.example/2"]


def test_robots_txt_names_sitemaps() -> None:
    text = """# <b>hello</b> https://a.example/
    User-agent: *\nDisallow: /x\nsitemap: https://a.example/s.xml # the one
    SITEMAP:/t.xml\nSitemap: https://a.example/s.xml\nSitemap:\n"""
    assert [link.loc for link in parse(text).sitemaps] == ["https://a.example/s.xml", "https://news.example.com/t.xml"]
    assert parse("User-agent: *\nDisallow:\n") == Sitemap()


def test_a_feed_may_stand_for_a_sitemap() -> None:
    rss = """<rss version="2.0"><channel><language>en</language><item><title>One &amp;amp; two</title><link>/1</link>
    <pubDate>Mon, 24 Nov 2025 00:00:00 GMT</pubDate></item><item><title>No link</title></item></channel></rss>"""
    page = SitemapUrl(loc="https://news.example.com/1", date=DAY, title="One & two", language="en")
    assert parse(rss).urls == (page,)
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="https://a.example/1"/><updated>2025-11-24</updated>
    </entry></feed>"""
    assert parse(atom).urls == (SitemapUrl(loc="https://a.example/1", date=DAY),)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "empty"),
        (b" \n\0", "empty"),
        (b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", "a web page"),
        (b"<p>Not found</p>", "a web page"),
        (b'{"urls": []}', "JSON"),
        (b"Not found, see https://a.example/ for more", "plain text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no text"),
        (b"<opml><body/></opml>", "root is <opml>"),
        (b"\x1f\x8b\x08\x00broken", "gzip"),
        (gzip.compress(b" " * (LARGEST + 1)), "larger than"),
        (b" " * (LARGEST + 1), "larger than"),
    ],
    ids=range(11),
)
def test_what_is_no_sitemap_is_refused_for_its_reason(body: bytes, fault: str) -> None:
    with pytest.raises(SourceError, match=fault) as caught:
        parse(body)
    assert caught.value.subject == URL


def test_an_empty_sitemap_is_one() -> None:
    assert parse(urlset("")) == Sitemap()
    assert parse("<sitemapindex/>") == Sitemap()


def test_entities_neither_grow_nor_fetch() -> None:
    steps = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
    document = f"""<!DOCTYPE urlset [<!ENTITY e0 "x">{steps}<!ENTITY f SYSTEM "file:///etc/passwd">]>
    <urlset><url><loc>https://a.example/&e0;</loc></url><url><loc>https://a.example/&e11;</loc></url><url>
    <loc>https://a.example/&f;</loc></url></urlset>"""
    found = locs(document)
    assert found[0] == "https://a.example/x"
    assert all(len(loc) < 100 and "root:" not in loc for loc in found)


def test_more_addresses_than_anybody_may_serve_are_passed_over() -> None:
    text = "\n".join(f"http://a.example/{number}" for number in range(MOST_URLS + 10))
    assert len(parse(text).urls) == MOST_URLS


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                b"<urlset>",
                b"<url>",
                b"</url>",
                b"<loc>",
                b"</loc>",
                b"https://a.example/",
                b"javascript:x",
                b"//[",
                b"&#0;",
                b"&x;",
                b"<![CDATA[",
                b"]]>",
                b"<!--",
                b"\xff",
                b"\n",
                b"Sitemap: ",
                b"<sitemap",
                b"<sitemapindex>",
                b"<!DOCTYPE x [",
                b"<rss>",
                b"]>",
            ]
        )
    ).map(b"".join)
)
def test_any_bytes_give_addresses_on_the_web_or_a_source_error(body: bytes) -> None:
    try:
        found = parse(body)
    except SourceError:
        return
    assert all(each.loc.startswith(("http://", "https://")) for each in (*found.urls, *found.sitemaps))
