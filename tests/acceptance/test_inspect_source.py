"""digest inspect source: the addresses in sitemaps and web pages, one object a document."""

import gzip
import json

import pytest

from tests.acceptance.conftest import Desk

SITEMAP = b"""<urlset><url><loc>/a</loc><lastmod>2025-11-24</lastmod></url></urlset>"""
PAGE = b"""<html><body><nav><a href="/">Home</a></nav><main><article><h2>
<a href="/2025/11/one">One story of the day</a></h2>
</article></main></body></html>"""
URLS = {
    "urls": [{"loc": "https://news.example.com/a", "date": "2025-11-24T00:00:00+00:00", "title": None}],
    "sitemaps": [],
}


@pytest.fixture
def documents(desk: Desk) -> Desk:
    """A desk with a document of each kind, and of none."""
    head = b"<head><link rel='alternate' type='application/rss+xml' href='/feed'></head>"
    for name, body in {
        "sitemap.xml": SITEMAP,
        "sitemap.bin": gzip.compress(SITEMAP),
        "robots.txt": b"User-agent: *\nSitemap: https://news.example.com/s.xml\n",
        "page.html": PAGE,
        "feeds.html": PAGE.replace(b"<body>", head + b"<body>"),
        "broken": b'{"error": "not today"}',
        "empty": b"",
    }.items():
        (desk.folder / name).write_bytes(body)
    return desk


def test_a_document_without_a_kind_is_recognised_by_its_content(documents: Desk) -> None:
    names = ["sitemap.xml", "sitemap.bin", "robots.txt", "page.html", "feeds.html"]
    done = documents.digest("inspect", "source", "--json", "--url", "https://news.example.com/x", *names)
    assert done.code == 0, done.err
    assert done.rows == [
        {"path": "sitemap.xml"} | URLS,
        {"path": "sitemap.bin"} | URLS,
        {"path": "robots.txt", "urls": [], "sitemaps": ["https://news.example.com/s.xml"]},
        {"path": "page.html", "links": ["https://news.example.com/2025/11/one"]},
        {"path": "feeds.html", "feeds": ["https://news.example.com/feed"]},
    ]


def test_the_kind_may_be_named_for_all_or_for_each(documents: Desk) -> None:
    done = documents.digest(
        "inspect", "source", "--json", "--kind", "listing", "--url", "https://news.example.com/", "feeds.html"
    )
    assert done.rows == [{"path": "feeds.html", "links": ["https://news.example.com/2025/11/one"]}]
    lines = [
        {"path": "feeds.html", "kind": "listing", "url": "https://paper.example.org/"},
        {"path": "page.html", "kind": "discovery", "url": "https://paper.example.org/"},
        {"path": "page.html", "kind": "sitemap"},
        {"path": "page.html", "kind": "picture"},
    ]
    (documents.folder / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = documents.digest("inspect", "source", "--json", "--manifest", "m.jsonl")
    assert done.code == 3
    assert done.rows[:2] == [
        {"path": "feeds.html", "links": ["https://paper.example.org/2025/11/one"]},
        {"path": "page.html", "feeds": []},
    ]
    assert "a web page, not a sitemap" in done.rows[2]["error"]
    assert 'the kind "picture"' in done.rows[3]["error"]


def test_a_bad_document_is_named_and_stops_no_other(documents: Desk) -> None:
    done = documents.digest("inspect", "source", "--json", "broken", "missing", "empty", "robots.txt")
    assert done.code == 3
    assert [row["path"] for row in done.rows] == ["broken", "missing", "empty", "robots.txt"]
    assert ["error" in row for row in done.rows] == [True, True, True, False]


def test_an_unknown_kind_on_the_command_line_is_a_mistake(documents: Desk) -> None:
    assert documents.digest("inspect", "source", "--kind", "picture", "page.html").code == 2
