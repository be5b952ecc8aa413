"""What every source keeps to: entries with what they were published with, a cursor, and one kind of error."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from digest.errors import SourceError
from digest.extract import read_page
from digest.models import Collected
from digest.protocols import Source
from digest.sources.feed import FeedSource
from digest.sources.file import FileSource
from tests.doubles.http_server import Seen, by_path, reply, say, serve
from tests.doubles.network import open_fetcher as fetcher
from tests.doubles.network import run

T = TypeVar("T")

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
YESTERDAY = "Sun, 01 Mar 2026 08:00:00 GMT"
FEED = b"""<rss version="2.0"><channel><title>The Wire</title><language>en</language>
<item><title>One</title><link>https://news.example/1</link><guid>g1</guid><description>First.</description>
<pubDate>Sun, 01 Mar 2026 08:00:00 GMT</pubDate></item>
<item><title>Two</title><link>https://news.example/2?x=1</link><guid>g2</guid>
<pubDate>Sat, 28 Feb 2026 08:00:00 GMT</pubDate></item></channel></rss>"""
TEXT = "A Bridge Closes\nThe council voted on Monday to close the old bridge for two weeks, for repairs that are due."

Make = Callable[[bytes, Path], Any]  # a document → an async context manager that gives a source of it


@asynccontextmanager
async def feed_source(document: bytes, _: Path) -> AsyncIterator[Source]:
    async with serve(say(reply(document))) as server, fetcher() as fetch:
        yield FeedSource(id="wire", url=server.url("/feed?key=abc"), fetch=fetch, clock=lambda: NOW)


@asynccontextmanager
async def file_source(document: bytes, folder: Path) -> AsyncIterator[Source]:
    (folder / "document").write_bytes(document)
    yield make_file_source(folder / "document")


@asynccontextmanager
async def folder_source(document: bytes, folder: Path) -> AsyncIterator[Source]:
    (folder / "documents").mkdir()
    (folder / "documents" / "one").write_bytes(document)
    yield make_file_source(folder / "documents")


def make_file_source(path: Path, **options: Any) -> FileSource:
    return FileSource(id="wire", path=path, now=lambda: NOW, read_page=read_page, **options)


def collect(make: Make, document: bytes, folder: Path) -> Collected:
    async def work() -> Collected:
        async with make(document, folder) as source:
            collected: Collected = await source.collect({})
            return collected

    return run(work())


every_source = pytest.mark.parametrize("make", [feed_source, file_source, folder_source])


@every_source
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_entries_arrive_as_they_were_published(make: Make, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    collected = collect(make, pack(FEED), tmp_path)
    assert (collected.title, collected.language, collected.unchanged) == ("The Wire", "en", False)
    assert [(entry.id, entry.title, entry.link) for entry in collected.entries] == [
        ("g1", "One", "https://news.example/1"),
        ("g2", "Two", "https://news.example/2?x=1"),
    ]
    assert collected.entries[0].published_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert (collected.entries[0].summary, collected.entries[0].language) == ("First.", "en")


@every_source
def test_the_cursor_may_be_handed_back(make: Make, tmp_path: Path) -> None:
    async def work() -> tuple[Collected, Collected]:
        async with make(FEED, tmp_path) as source:
            first = await source.collect({})
            return first, await source.collect(first.cursor)

    first, again = run(work())
    assert again.unchanged or again.entries == first.entries


@every_source
@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<rss version='2.0'><channel><title>Empty</title></channel></rss>",
        gzip.compress(FEED, mtime=0)[:-9],
        b"\0\1\2",
    ],
)
def test_what_brings_nothing_is_a_source_error_with_its_name(make: Make, document: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        collect(make, document, tmp_path)
    assert caught.value.subject == "wire"
    assert "abc" not in str(caught.value)


# -- feed ------------------------------------------------------------------------------------------------------------


def test_a_feed_that_did_not_change_is_not_taken_again() -> None:
    async def answer(seen: Seen) -> AsyncIterator[bytes]:
        known = seen.headers.get("if-none-match") == '"v1"' and seen.headers.get("if-modified-since") == YESTERDAY
        yield b"HTTP/1.1 304 Not Modified\r\n\r\n" if known else reply(FEED, ETag='"v1"', Last_Modified=YESTERDAY)

    async def work() -> None:
        async with serve(answer) as server, fetcher() as fetch:
            source = FeedSource(id="wire", url=server.url(), fetch=fetch, clock=lambda: NOW)
            first = await source.collect({})
            again = await source.collect(first.cursor)
            assert (first.cursor["etag"], first.cursor["last_modified"]) == ('"v1"', YESTERDAY)
        assert again == Collected(unchanged=True, cursor=first.cursor)

    run(work())


def test_the_headers_of_the_operator_are_sent() -> None:
    async def work() -> None:
        async with serve(say(reply(FEED))) as server, fetcher() as fetch:
            source = FeedSource(
                id="wire", url=server.url(), fetch=fetch, clock=lambda: NOW, headers={"Authorization": "Bearer abc"}
            )
            await source.collect({})
        assert server.seen[0].headers["authorization"] == "Bearer abc"
        assert "rss" in server.seen[0].headers["accept"]
        assert "abc" not in repr(source)

    run(work())


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (reply(status=404), "it answers 404"),
        (reply(status=304), "nothing changed since a visit that never was"),
        (reply(b"<!doctype html><title>Hello</title>"), "it is a web page, not a feed"),
        (reply(b""), "it is empty"),
        (reply(b"<rss><channel/></rss>"), "the feed has no entries"),
        (reply(status=302, Location="http://169.254.169.254/"), "not a public address"),
    ],
)
def test_a_feed_that_fails_says_why(answer: bytes, fault: str) -> None:
    async def work() -> None:
        async with serve(by_path(feed=answer)) as server, fetcher() as fetch:
            with pytest.raises(SourceError, match=f"^wire: .*{fault}"):
                await FeedSource(id="wire", url=server.url("/feed"), fetch=fetch, clock=lambda: NOW).collect({})

    run(work())


def test_every_real_feed_of_the_developer_set_arrives(shared: Path) -> None:
    files = sorted((shared / "data" / "feeds" / "real").iterdir())

    async def work() -> list[Collected]:
        answers = {file.name: reply(file.read_bytes()) for file in files}
        async with serve(by_path(**answers)) as server, fetcher() as fetch:
            sources = [
                FeedSource(id=file.name, url=server.url(f"/{file.name}"), fetch=fetch, clock=lambda: NOW)
                for file in files
            ]
            return list(await asyncio.gather(*(source.collect({}) for source in sources)))

    for collected in run(work()):
        assert collected.entries
        assert all(entry.id and entry.link for entry in collected.entries)


# -- file ------------------------------------------------------------------------------------------------------------


def test_a_folder_of_feeds_texts_and_pages_is_told_apart_by_content(tmp_path: Path) -> None:
    page = f"""<html><head><link href="https://news.example/b?a=1&amp;b=2" rel="canonical">
    <meta property="article:published_time" content="2026-02-27"></head>
    <body><article><h1>Page</h1>{"<p>The council voted on Monday to close the old bridge.</p>" * 7}</article>"""
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.txt").write_bytes(FEED)
    (tmp_path / "b.xml").write_text(TEXT)
    (tmp_path / "inner" / "c.json").write_bytes(gzip.compress(page.encode()))
    (tmp_path / ".hidden").write_text(TEXT)
    entries = run(make_file_source(tmp_path).collect({})).entries
    assert [entry.title for entry in entries[:3]] == ["One", "Two", "A Bridge Closes"]
    text, web = entries[2:]
    assert (text.text, text.link, text.published_at) == (TEXT.partition("\n")[2], None, None)
    assert (web.link, web.published_at) == ("https://news.example/b?a=1&b=2", datetime(2026, 2, 27, tzinfo=UTC))
    assert text.id != web.id
    assert run(make_file_source(tmp_path).collect({})).entries == entries


def test_one_document_that_cannot_be_read_does_not_hide_the_others_and_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\1\2")
    (tmp_path / "b").write_bytes(FEED)
    collected = run(make_file_source(tmp_path).collect({}))
    assert len(collected.entries) == 2
    (fault,) = collected.faults
    assert str(tmp_path / "a") in fault


def test_a_path_that_is_not_there_and_an_empty_folder_are_clear_errors(tmp_path: Path) -> None:
    for path, fault in ((tmp_path / "nowhere", "does not exist"), (tmp_path, "is empty")):
        with pytest.raises(SourceError, match=fault) as caught:
            run(make_file_source(path).collect({}))
        assert caught.value.remedy


def test_relative_dates_end_now_keep_their_distance_and_name_the_day(tmp_path: Path) -> None:
    (tmp_path / "feed").write_bytes(FEED)
    moved = run(make_file_source(tmp_path / "feed", relative_dates=True).collect({})).entries
    dates = [entry.published_at for entry in moved if entry.published_at]
    assert NOW - timedelta(hours=1) < max(dates) <= NOW
    assert dates[0] - dates[1] == timedelta(days=1)
    assert [entry.id for entry in moved] == ["g1#2026-03-02", "g2#2026-03-02"]
    assert [entry.link for entry in moved] == [
        "https://news.example/1?day=2026-03-02",
        "https://news.example/2?x=1&day=2026-03-02",
    ]


def test_relative_dates_of_the_future_are_brought_back(tmp_path: Path) -> None:
    (tmp_path / "feed").write_bytes(FEED.replace(b"01 Mar 2026", b"01 Mar 2096"))
    newest = run(make_file_source(tmp_path / "feed", relative_dates=True).collect({})).entries[0].published_at
    assert newest is not None
    assert NOW - timedelta(hours=1) < newest <= NOW
