"""Feeds of every dialect, and documents that only look like one."""

import gzip
import importlib.util
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from digest.errors import SourceError
from digest.models import Entry, Feed
from digest.sources.feed import parse_feed
from digest.sources.markup import plain_name, sanitise
from digest.sources.parsing import sniff

URL = "https://news.example.com/feeds/main.xml"
MONDAY = datetime(2025, 11, 24, 8, 15, tzinfo=UTC)


def parse(document: str | bytes, **options: Any) -> Feed:
    body = document.encode() if isinstance(document, str) else document
    return parse_feed(body, **{"url": URL} | options)


def rss(items: str, *, head: str = '<?xml version="1.0" encoding="UTF-8"?>', attributes: str = "") -> str:
    return f"{head}<rss version='2.0' {attributes}><channel><title>News</title>{items}</channel></rss>"


def item(inner: str, **options: Any) -> Entry:
    return parse(rss(f"<item>{inner}</item>", **options)).entries[0]


def test_rss_is_read() -> None:
    feed = parse(
        """<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
              xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
        <title>Harbour &amp; Town</title><link>https://news.example.com/</link><description>All of it</description>
        <language>en-GB</language>
        <item><title>A &amp;amp; B</title><link>https://news.example.com/1</link><guid isPermaLink="false">g1</guid>
          <pubDate>Mon, 24 Nov 2025 09:15:00 +0100</pubDate><dc:creator>Ann Bee</dc:creator>
          <category>World</category><category>Sea</category>
          <description>Short.</description><content:encoded><![CDATA[<p>Long &amp; good.</p>]]></content:encoded>
          <enclosure url="https://news.example.com/a.mp3" type="audio/mpeg" length="1"/></item>
        </channel></rss>"""
    )
    assert (feed.title, feed.link, feed.subtitle, feed.language) == (
        "Harbour & Town",
        "https://news.example.com/",
        "All of it",
        "en-GB",
    )
    assert feed.entries == (
        Entry(
            id="g1",
            title="A & B",
            link="https://news.example.com/1",
            published_at=MONDAY,
            author="Ann Bee",
            summary="Short.",
            content="<p>Long &amp; good.</p>",
            enclosures=("https://news.example.com/a.mp3",),
            tags=("World", "Sea"),
        ),
    )


def test_atom_is_read() -> None:
    feed = parse(
        """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en" xml:base="https://base.example.com/x/">
        <title type="html">News &amp;amp; more</title><link rel="self" href="feed"/><link href="/"/>
        <author><name>The Desk</name></author>
        <entry><id>urn:1</id><title>One</title><link rel="enclosure" href="a.mp3"/><link href="one"/>
          <published>2025-11-24T08:15:00Z</published><updated>2025-11-25T00:00:00Z</updated>
          <category term="sea" label="The sea"/><summary>a &lt; b</summary>
          <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml" xml:base="sub/"><p>Hi <a
          href="two">there</a></p></div></content></entry>
        <entry><id>urn:2</id><author><name>Ann</name><email>ann@example.com</email></author><author><name>Bob</name></author>
          <summary type="html">&lt;b&gt;bold&lt;/b&gt;</summary></entry></feed>"""
    )
    assert (feed.title, feed.link, feed.language) == ("News & more", "https://base.example.com/", "en")
    one, two = feed.entries
    assert (one.id, one.link, one.enclosures) == (
        "urn:1",
        "https://base.example.com/x/one",
        ("https://base.example.com/x/a.mp3",),
    )
    assert (one.published_at, one.updated_at) == (MONDAY, datetime(2025, 11, 25, tzinfo=UTC))
    assert one.content == '<div><p>Hi <a href="https://base.example.com/x/sub/two">there</a></p></div>'
    assert (one.summary, one.tags, one.author) == ("a &lt; b", ("sea", "The sea"), "The Desk")
    assert (two.author, two.summary) == ("Ann, Bob", "<b>bold</b>")


def test_rdf_is_read() -> None:
    feed = parse(
        """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
             xmlns:d="http://purl.org/dc/elements/1.1/">
        <channel rdf:about="https://news.example.com/rss"><title>News</title><link>https://news.example.com/</link></channel>
        <item rdf:about="https://news.example.com/1"><title>One</title><link>https://news.example.com/1</link>
          <d:date>2025-11-24T08:15:00Z</d:date><d:subject>Sea</d:subject></item></rdf:RDF>"""
    )
    assert feed.title == "News"
    assert feed.entries == (
        Entry(
            id="https://news.example.com/1",
            title="One",
            link="https://news.example.com/1",
            published_at=MONDAY,
            tags=("Sea",),
        ),
    )


@pytest.mark.parametrize("version", ["1", "1.1"])
def test_json_feed_is_read(version: str) -> None:
    author: dict[str, Any] = {"author": {"name": "Ann"}} if version == "1" else {"authors": [{"name": "Ann"}]}
    document = {
        "version": f"https://jsonfeed.org/version/{version}",
        "title": "News",
        "home_page_url": "/",
        "items": [
            {
                "id": 7,
                "url": "one",
                "title": "One &amp; two",
                "content_html": "<p onclick='x()'>Hi</p>",
                "content_text": "unused",
                "summary": "a < b",
                "date_published": "2025-11-24T08:15:00Z",
                "tags": ["Sea"],
                "attachments": [{"url": "a.mp3"}],
                **author,
            },
            {"id": "8", "content_text": "1 < 2"},
        ],
    }
    feed = parse(json.dumps(document))
    assert (feed.title, feed.link) == ("News", "https://news.example.com/")
    assert feed.entries[0] == Entry(
        id="7",
        title="One & two",
        link="https://news.example.com/feeds/one",
        published_at=MONDAY,
        author="Ann",
        summary="a &lt; b",
        content="<p>Hi</p>",
        enclosures=("https://news.example.com/feeds/a.mp3",),
        tags=("Sea",),
    )
    assert feed.entries[1].content == "1 &lt; 2"


def test_a_gzipped_feed_is_recognised_by_its_content() -> None:
    assert parse(gzip.compress(rss("<item><title>A</title></item>").encode())).entries[0].title == "A"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_declared_encodings_are_honoured(encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    assert parse(rss("<item><title>Größe</title></item>", head=head).encode(encoding)).entries[0].title == "Größe"


def test_the_http_charset_comes_before_the_declaration() -> None:
    body = rss("<item><title>Größe</title></item>").encode("iso-8859-2")
    assert parse(body, content_type="text/xml; charset=ISO-8859-2").entries[0].title == "Größe"


@pytest.mark.parametrize(
    "head", ['<?xml version="1.0" encoding="UTF-16"?>', '<?xml version="1.0" encoding="nonsense"?>', ""]
)
def test_a_wrong_label_is_passed_over(head: str) -> None:
    assert item("<title>Größe</title>", head=head).title == "Größe"


def test_one_bad_byte_does_not_spoil_the_other_characters() -> None:
    body = rss("<item><title>Größe Q</title></item>").encode().replace(b"Q", b"\x93Q\x94")
    assert parse(body).entries[0].title == "Größe “Q”"


def test_windows_characters_without_any_label_are_read() -> None:
    assert parse(rss("<item><title>“Größe” – 5 €</title></item>", head="").encode("cp1252")).entries[0].title == (
        "“Größe” – 5 €"
    )


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("AT&T & B", "AT&T & B"),
        ("caf&eacute;&nbsp;&copy; &bogus;", "café © &bogus;"),
        ("don&#146;t", "don’t"),
        ("a&#xD800;b &#55357;&#56832;", "ab 😀"),
        ("a\x00b\x1fc", "abc"),
        ("<![CDATA[Tom &amp; Jerry & <b>co</b>]]>", "Tom & Jerry & co"),
        ("&lt;![CDATA[Twice]]&gt;", "Twice"),
        ("&lt;b&gt;Bold&lt;/b&gt; H&lt;sub&gt;2&lt;/sub&gt;O", "Bold H2O"),
        ("a &lt; b", "a < b"),
        ("List&lt;String&gt;", "List<String>"),
        ("One<br/>Two", "One Two"),
        ("\n One\n  two ", "One two"),
        ("&amp;lt;script&amp;gt;x()&amp;lt;/script&amp;gt;Hi", "Hi"),
    ],
)
def test_a_title_is_its_visible_text(written: str, title: str) -> None:
    document = rss(f"<item><title>{written}</title><link>https://x.example/</link></item>")
    assert " ".join((parse(document).entries[0].title or "").split()) == title


def test_a_title_has_an_end() -> None:
    assert len(item(f"<title>{'x' * 5_000_000}</title>").title or "") <= 1_000


def test_links_are_absolute_and_lead_to_the_web() -> None:
    assert item("<link>b.html</link>").link == "https://news.example.com/feeds/b.html"
    assert item("<link>http://x.example/?a=1&b=2&copy=3</link>").link == "http://x.example/?a=1&b=2&copy=3"
    assert item("<link><![CDATA[http://x.example/?a=1&amp;b=2]]></link>").link == "http://x.example/?a=1&b=2"
    for bad in ("javascript:alert(1)", "data:text/html,x", "http://[::1", "http://"):
        assert item(f"<link>{bad}</link>").link is None


def test_a_permanent_guid_is_the_link_where_there_is_none() -> None:
    assert item("<guid>https://x.example/1</guid>").link == "https://x.example/1"
    assert item('<guid isPermaLink="false">https://x.example/1</guid>').link is None
    assert item("<guid>https://x.example/1</guid><link>https://x.example/2</link>").link == "https://x.example/2"


def test_an_address_is_an_author_only_where_there_is_no_name() -> None:
    assert item("<author>bob@example.com (Bob Sea)</author>").author == "Bob Sea"
    assert item("<author>Bob &lt;bob@example.com&gt;</author>").author == "Bob"
    assert item("<author>bob@example.com</author><dc:creator>Bob</dc:creator>").author == "Bob"
    assert item("<author>bob@example.com</author>").author == "bob@example.com"


def test_prefixes_that_nobody_declared_are_understood() -> None:
    entry = item("<dc:creator>Z</dc:creator><content:encoded>&lt;p&gt;hi&lt;/p&gt;</content:encoded>")
    assert (entry.author, entry.content) == ("Z", "<p>hi</p>")


def test_elements_of_unknown_namespaces_are_not_taken_for_ours() -> None:
    assert item('<x:title xmlns:x="urn:x">Wrong</x:title><title>Right</title>').title == "Right"


def test_base64_content_is_read() -> None:
    feed = parse(
        '<feed version="0.3" xmlns="http://purl.org/atom/ns#"><entry>'
        '<summary mode="base64">PGI+SGk8L2I+</summary></entry></feed>'
    )
    assert feed.entries[0].summary == "<b>Hi</b>"


def test_media_of_groups_are_enclosures() -> None:
    entry = item(
        '<m:group><m:content url="https://x.example/v.mp4"/><m:description>About</m:description></m:group>',
        attributes='xmlns:m="http://search.yahoo.com/mrss/"',
    )
    assert (entry.enclosures, entry.summary) == (("https://x.example/v.mp4",), "About")


@pytest.mark.parametrize(
    "inner",
    [
        '<m:content url="https://x.example/v.mp4" type="video/mp4"/><m:content url="/a.jpg" medium="image"/>',
        '<enclosure url="https://x.example/a.jpg" type="image/jpeg" length="1"/>',
        '<m:group><m:thumbnail url="https://x.example/a.jpg"/></m:group>',
    ],
)
def test_a_picture_is_what_says_that_it_is_one(inner: str) -> None:
    entry = item(inner, attributes='xmlns:m="http://search.yahoo.com/mrss/"')
    assert (entry.image or "").endswith("/a.jpg")
    assert item('<enclosure url="https://x.example/a.mp3" type="audio/mpeg"/>').image is None


def test_html_that_is_not_escaped_does_not_lose_the_items_after_it() -> None:
    items = "<item><title>A</title><description>x<br>y <p>z</description></item><item><title>B</title></item>"
    feed = parse(rss(items))
    assert [entry.title for entry in feed.entries] == ["A", "B"]
    assert feed.entries[0].summary == "x<br>y <p>z</p>"


def test_a_feed_that_was_cut_off_gives_what_there_is() -> None:
    whole = rss(
        "<item><title>A</title><description><![CDATA[<p>x</p>]]></description></item><item><title>B</title></item>"
    )
    assert parse(whole[: whole.index("<p>x") + 4]).entries[0].summary == "<p>x</p>"
    assert [entry.title for entry in parse(whole[:-12]).entries] == ["A", "B"]


@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        ("</link>", "<&a;/link>"),
        ("</link>", "\x81/link>"),
        ("</link>", "<link"),
        ("</item>", "<&x/item>"),
        ("<guid>", "<</p>guid>"),
        ("<channel>", "<channel"),
        ("<rss ", "<rss <b "),
        ("<rss ", "<r<ss "),
        ("<rss ", "</p><rs"),
        ("<title>", "</item>"),
    ],
)
def test_one_broken_tag_costs_no_more_than_its_own_item(whole: str, broken: str) -> None:
    items = "".join(
        f"<item><title>T{n}</title><link>https://x.example/{n}</link><guid>{n}</guid><description><![CDATA[In RSS, an "
        f"<item> is one.]]></description></item>"
        for n in range(5)
    )
    document = rss(items)
    feed = parse(document.replace(whole, broken, 1))
    titles = [entry.title for entry in feed.entries]
    assert titles[-4:] == ["T1", "T2", "T3", "T4"]
    assert len(titles) == 5
    assert "<item>" not in (feed.entries[-1].content or "") + (feed.entries[-1].summary or "")


def test_entries_in_a_namespace_that_nobody_knows_are_read_when_there_are_no_others() -> None:
    document = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.example/rss/">'
        "<channel><title>News</title></channel><item><title>A</title></item></rdf:RDF>"
    )
    assert [entry.title for entry in parse(document).entries] == ["A"]


def test_null_bytes_are_dropped() -> None:
    document = rss("<item><title>A\0B</title></item>")
    for text in ("\0" + document, document[0] + "\0" + document[1:], document):
        assert [entry.title for entry in parse(text).entries] == ["AB"]


def test_a_line_break_within_a_json_string_is_taken() -> None:
    feed = parse(
        '{"version": "https://jsonfeed.org/version/1.1", "title": "T", "items": [{"id": "1", "title": "A\nB"}]}'
    )
    assert [entry.title for entry in feed.entries] == ["A B"]


def test_one_bad_byte_after_a_byte_order_mark_is_read_by_itself() -> None:
    assert (
        parse(b"\xef\xbb\xbf" + rss("<item><title>A</title></item>").encode().replace(b"A", b"\xc3\xa9\xe9"))
        .entries[0]
        .title
        == "éé"
    )


def test_a_body_is_enough_for_an_item_that_stands_after_a_broken_one() -> None:
    items = "<item><title>A</title><link</item><item><description>Only a body</description></item>"
    assert [(entry.title, entry.summary) for entry in parse(rss(items)).entries][-1] == (None, "Only a body")


def test_warnings_that_a_server_printed_first_are_passed_over() -> None:
    page = "<br />\n<b>Warning</b>: foo on line <b>3</b><br />\n" + rss("<item><title>A</title></item>")
    assert parse(page).entries[0].title == "A"


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("", "it is empty"),
        ("  \n\n", "it is empty"),
        ("hello", "it is plain text, not a feed"),
        ("<!doctype html><html><body><rss></rss></body></html>", "it is a web page, not a feed"),
        ("<html><head><title>Just a moment</title></head></html>", "it is a web page, not a feed"),
        ('<opml version="2.0"><body/></opml>', "its root is <opml>"),
        ("[1, 2]", "not a JSON Feed"),
        ('{"a": 1}', "not a JSON Feed"),
        ('{"a": ', "cannot be read"),
        ('{"items": ' + "[" * 100_000, "too deeply"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], "cut off"),
    ],
)
def test_what_is_no_feed_is_one_clear_error(document: str | bytes, fault: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(document)
    assert caught.value.subject == URL
    assert fault in str(caught.value)


def test_a_feed_without_entries_is_a_feed() -> None:
    assert parse(rss("")) == Feed(title="News")


def test_entities_neither_grow_nor_read_files() -> None:
    levels = "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    bomb = f'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">{levels}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    title = item("<title>[&i;&f;]</title>", head=bomb).title or ""
    assert len(title) < 100
    assert "root" not in title
    quadratic = f'<!DOCTYPE r [<!ENTITY a "{"a" * 500}">]>'
    assert len(item(f"<description>{'&a;' * 100_000}</description>", head=quadratic).summary or "") < 1_100_000


def test_entities_that_a_document_declares_as_plain_text_are_read() -> None:
    head = '<!DOCTYPE rss [<!ENTITY nbsp "&#160;"><!ENTITY desk "The Desk">]>'
    assert item("<title>&desk;&nbsp;says</title>", head=head).title == "The Desk says"


@pytest.mark.parametrize("piece", ["<div>", "<a b=", "<!--", "<script>", "&#x", "<![CDATA[", "<item>", "<b", "<td><i>"])
def test_hostile_repetition_costs_no_more_than_its_length(piece: str) -> None:
    feed = parse(rss(f"<item><title>x</title><description><![CDATA[{piece * 100_000}]]></description></item>"))
    assert len(feed.entries) == 1
    parse(rss("<item><title>" + piece * 50_000))


@pytest.mark.parametrize(
    "markup",
    [
        "<script>x()</script>",
        "<img src=x onerror=x()>",
        '<a href="javascript:x()">a</a>',
        '<a href=" java\nscript:x()">a</a>',
        "<svg><script>x()</script></svg>",
        "<iframe src='https://x.example'></iframe>",
        "<style>p{background:url(javascript:x())}</style>",
        "<p style='background:url(javascript:x())'>p</p>",
        "<form action='https://x.example'><input></form>",
        "<object data='x'></object><embed src='x'>",
        "<meta http-equiv=refresh content='0;url=javascript:x()'>",
        "<base href='https://x.example'>",
        "<math><mtext><table><mglyph><style><img src=x onerror=x()>",
        "<noscript><p title='</noscript><img src=x onerror=x()>'>",
    ],
)
def test_nothing_executable_comes_out(markup: str) -> None:
    clean = (sanitise(markup, URL) or "").lower()
    for sign in (
        "<script",
        "onerror",
        "javascript",
        "<iframe",
        "<style",
        "style=",
        "<form",
        "<object",
        "<embed",
        "<meta",
        "<base",
    ):
        assert sign not in clean.replace("&lt;", "")
        assert sign not in (plain_name(markup) or "")


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (rss(""), "feed"),
        ('<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"/>', "feed"),
        ('{"version": "https://jsonfeed.org/version/1", "title": "x", "items": []}', "feed"),
        ("<!DOCTYPE html><p>Hello", "html"),
        ("<div>Hello</div>", "html"),
        ("A headline\nOne sentence: 1 < 2.", "text"),
        ("See <b>this</b> in plain text.", "text"),
        ('{"a": 1}', "text"),
        ("", "text"),
    ],
)
def test_the_kind_of_a_document_is_told_by_its_content(document: str, kind: str) -> None:
    assert sniff(document.encode()) == kind
    assert sniff(gzip.compress(document.encode())) == kind


# How many documents of the developer set must be right. One peer expects a decoding error ("simula��es"), and one real
# title is expected without its "&".
GROUPS = {"cases": 14, "hazards": 14, "unsafe": 2, "peers": 19, "real": 17}


@pytest.mark.parametrize("group", GROUPS)
def test_the_developer_set_is_read_as_it_expects(group: str, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("scoring_feeds", shared / "scoring" / "feeds.py")
    assert spec is not None
    assert spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    folder = shared / "data" / "feeds"
    expected = {p: e for p, e in json.loads((folder / "expected.json").read_text()).items() if e["group"] == group}
    found = {path: predict((folder / path).read_bytes(), wanted) for path, wanted in expected.items()}
    score = scorer.score(expected, found, show=20)
    assert score["groups"][group][0] >= GROUPS[group], capsys.readouterr().out


def predict(body: bytes, wanted: dict[str, Any]) -> dict[str, Any]:
    try:
        feed = parse_feed(body, url=wanted.get("url") or "", content_type=wanted.get("content_type"))
    except SourceError as error:
        return {"error": str(error)}
    entries = [
        asdict(entry) | {"published": iso(entry.published_at), "updated": iso(entry.updated_at)}
        for entry in feed.entries
    ]
    return {"feed": asdict(feed), "entries": json.loads(json.dumps(entries, default=str))}


def iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def test_line_breaks_in_a_link_are_no_part_of_it() -> None:
    from digest.sources.markup import absolute

    assert absolute("http:\n//news.example/a\tb") == "http://news.example/ab"
    assert absolute("java\nscript:alert(1)", "https://news.example/") is None
