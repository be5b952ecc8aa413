"""Broken and hostile documents without number: no exception but ours, and nothing executable comes out.

`make test` spends a few seconds on this, `make fuzz` a million documents. Seeds are feeds of every dialect;
each document is one of them after some cuts, insertions, copies and changed bytes.
"""

from contextlib import suppress
from dataclasses import asdict
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.models import Feed
from digest.sources.feed import parse_feed
from digest.sources.markup import plain_name, sanitise, scrub
from digest.sources.parsing import sniff
from tests.unit.spoiling import EDITS, assert_storable, spoil

URL = "https://news.example.com/feeds/main.xml"
SEEDS = [
    b"""<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
xmlns:media="http://search.yahoo.com/mrss/" xml:base="https://a.example/"><channel><title>News &amp; more</title>
<link>https://a.example/</link><description>About</description><item><title>A &lt;b&gt;bold&lt;/b&gt; one</title>
<link>/1?a=1&amp;b=2</link><guid isPermaLink="false">g1</guid><pubDate>Mon, 24 Nov 2025 08:15:00 GMT</pubDate>
<description>&lt;p&gt;Caf&eacute; &amp;lt;script&amp;gt;&lt;/p&gt;</description><author>ed@a.example (Ed)</author>
<content:encoded><![CDATA[<p>Text <img src="/i.png" alt="x"> <a href="/2">two</a></p>]]></content:encoded>
<enclosure url="/a.mp3"/><media:group><media:content url="https://a.example/v.mp4"/></media:group></item>
<item><title>Two</title></item></channel></rss>""",
    b"""<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title type="html">T &lt;i&gt;x&lt;/i&gt;</title>
<id>urn:f</id><entry><title>A</title><id>urn:1</id><updated>2025-11-24T00:00:00Z</updated><link rel="alternate"
href="/1"/><author><name>Jo</name></author><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>x<br/>
<a href="y">z</a></p></div></content><summary type="text">1 &lt; 2</summary></entry></feed>""",
    b"""<feed version="0.3" xmlns="http://purl.org/atom/ns#"><entry><title mode="base64">PGI+eDwvYj4=</title>
<content type="text/html" mode="escaped">&lt;p&gt;x</content>
<issued>2003-12-13T08:29:29-04:00</issued></entry></feed>""",
    b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>T</title></channel><item rdf:about="https://a.example/1">
<title>A</title><dc:date>2025-11-24</dc:date><dc:creator>Jo</dc:creator></item></rdf:RDF>""",
    b"""{"version": "https://jsonfeed.org/version/1.1", "title": "T", "items": [{"id": 1, "url": "/1", "title": "A<b>",
"content_html": "<p onclick=x()>y</p>", "date_published": "2025-11-24T00:00:00Z", "authors": [{"name": "Jo"}],
"attachments": [{"url": "/a.mp3"}], "tags": ["a"]}]}""",
    "<rss><channel><item><title>Größe naïve</title></item></channel></rss>".encode("utf-16"),
]
PIECES = [
    *(b"<item> </item> <entry> <title> </title> <description> </description> <content:encoded> </rss> </p>".split()),
    *(b"<![CDATA[ ]]> <!-- --> & &a; &lt; &#x3c; &#60; &amp;lt; &#xD800; &#x0; &#99999999999; &nbsp;".split()),
    *(b"\xff\xfe \xef\xbb\xbf \xe9 \xc2\x80 \xed\xa0\x80 \x1f\x8b { } [ ] \\u0000 \\ud800".split(b" ")),
    *(b"<script>x()</script> &lt;script&gt;x()&lt;/script&gt; javascript:x() <style> <svg/onload=x()>".split()),
    *(b"<iframe> <object> <form> <base> <meta> <noscript> <textarea> <math> <template>".split()),
    *(b"<", b">", b'"', b"'", b"\0"),
    b"&lt;img src=x onerror=x()&gt;",
    b"<a href=' java\nscript:x()'>",
    b"<a href='data:text/html,x'>",
    b"<math><mtext><table><mglyph><style><img src=x onerror=x()>",
    b'<!DOCTYPE x [<!ENTITY a "&#60;script>">]>',
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    b' xml:base="javascript:x()//"',
    b' type="xhtml"',
    b' mode="base64"',
    b' href="javascript:x()"',
    b"<xhtml:script xmlns:xhtml='http://www.w3.org/1999/xhtml'>x()</xhtml:script>",
]


class Executable(HTMLParser):
    """Finds what a browser, or a mail client that is none too careful, would run, load as a document or submit."""

    TAGS = frozenset(
        "script style iframe frame object embed applet form input button base meta link svg math template noscript"
        " textarea".split()
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.TAGS:
            self.found.append(tag)
        for name, value in attrs:
            scheme = "".join(char for char in value or "" if char > " ").partition(":")[0].lower()
            if name.startswith("on") or name in {"style", "srcdoc", "formaction", "action"}:
                self.found.append(name)
            is_address = ":" in (value or "") and name not in {"alt", "title"}
            if is_address and scheme in {"javascript", "vbscript", "data", "file"}:
                self.found.append(f"{name}={scheme}:")


def executable(markup: str | None) -> list[str]:
    """What in a piece of HTML would run."""
    finder = Executable()
    finder.feed(markup or "")
    finder.close()
    return finder.found


def assert_harmless(feed: Feed) -> None:
    """Markup has nothing executable, links lead to the web, and everything can be stored."""
    links = [feed.link]
    bodies = [feed.subtitle]
    for entry in feed.entries:
        links += [entry.link, *entry.enclosures]
        bodies += [entry.summary, entry.content]
    assert [link for link in links if link and not link.startswith(("http://", "https://"))] == []
    assert [found for body in bodies for found in executable(body)] == []
    assert_storable(asdict(feed))


def assert_feed_or_fault(body: bytes) -> None:
    """A document is a harmless feed, or a SourceError; and its kind can be told."""
    try:
        feed = parse_feed(body, url=URL)
    except SourceError:
        pass
    else:
        assert_harmless(feed)
    with suppress(ValueError):  # gzip, and broken
        assert sniff(body) in {"feed", "html", "text"}


def test_the_finder_finds() -> None:
    assert executable("<p>x</p><a href='https://a.example/' title='data: x'>y</a>&lt;script&gt;") == []
    for markup in ("<script>", "<p onclick=x>", "<a href=' java\nscript:x'>", "<img style='x'>", "<svg/onload=x()>"):
        assert executable(markup)


@given(st.sampled_from(SEEDS), EDITS)
def test_any_document_is_a_harmless_feed_or_a_source_error(seed: bytes, edits: list[tuple[str, int, int]]) -> None:
    assert_feed_or_fault(spoil(seed, edits, PIECES))


FRAGMENTS = st.sampled_from(
    [
        *(
            "<rss><channel><item>",
            "</item><item>",
            "<title>",
            "</title>",
            "<description>",
            "<![CDATA[",
            "]]>",
            "<feed>",
        ),
        *("<entry>", '<link href="', '"/>', "<content type='xhtml'>", "</content>", "&", "&#xD800;", "<pubDate>", "\0"),
        *("&amp;lt;script&gt;", "<img onerror=x ", "xml:base='http://[", "{", '"items":[', "]", "}", "é"),
        *("<!DOCTYPE a [", "<!ENTITY b 'c'>", "]>", "<x:y>"),
    ]
)


@given(
    st.lists(FRAGMENTS | st.text(max_size=5), max_size=30).map("".join), st.sampled_from(["utf-8", "utf-16", "latin-1"])
)
def test_any_composed_document_is_a_harmless_feed_or_a_source_error(document: str, encoding: str) -> None:
    assert_feed_or_fault(document.encode(encoding, errors="replace"))


@given(st.lists(st.sampled_from([piece.decode("latin-1") for piece in PIECES]) | st.text(max_size=8), max_size=12))
def test_any_markup_is_harmless(pieces: list[str]) -> None:
    markup = scrub("".join(pieces))
    once = sanitise(markup, URL)
    assert executable(once) == []
    assert executable(sanitise(once, URL)) == []
    # A name is text, and escaped wherever it is shown; that no known element stands in it is a second wall.
    assert Executable.TAGS.isdisjoint(executable(plain_name(markup)))
