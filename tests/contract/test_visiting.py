"""Visiting one address again and again, over a real server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from digest.errors import SourceError
from digest.protocols import Request
from digest.sources.feed import FeedSource
from digest.sources.page import PageSource
from digest.sources.sitemap import SitemapSource
from digest.sources.visiting import Visited, Visitor, read_freshness
from tests.contract.test_sources import FEED
from tests.doubles.clock import Clock
from tests.doubles.http_server import Answer, HttpServer, Seen, by_path, reply, say, serve
from tests.doubles.network import open_fetcher as fetcher
from tests.doubles.network import run

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TOMORROW = "Tue, 03 Mar 2026 12:00:00 GMT"


def visit_again(answer: Answer, *pauses: timedelta, **options: Any) -> tuple[list[Visited], HttpServer]:
    """A first visit, and one after each pause with the cursor of the one before."""

    async def work() -> tuple[list[Visited], HttpServer]:
        clock = Clock(NOW)
        async with serve(answer) as server, fetcher() as fetch:
            visitor = Visitor(url=server.url("/a"), fetch=fetch, clock=clock, accept="*/*", limit=10_000, **options)
            visits = [await visitor.visit({})]
            for pause in pauses:
                clock.now += pause
                visits.append(await visitor.visit(visits[-1].cursor))
            return visits, server

    visited, server = run(work())
    return visited, server


HOUR = timedelta(hours=1)


def conditional(**headers: str) -> Answer:
    """A server that says 304 to every condition, for ever."""

    async def answer(seen: Seen) -> AsyncIterator[bytes]:
        is_conditional = "if-none-match" in seen.headers or "if-modified-since" in seen.headers
        yield b"HTTP/1.1 304 Not Modified\r\n\r\n" if is_conditional else reply(b"body", **headers)

    return answer


def test_a_304_that_never_ends_is_broken_after_some_days() -> None:
    visits, server = visit_again(conditional(ETag='"1"'), HOUR, HOUR, timedelta(days=4), HOUR)
    assert [visited.response is None for visited in visits] == [False, True, True, True, True]
    assert ["if-none-match" in seen.headers for seen in server.seen] == [False, True, True, False, True]


def test_the_same_bytes_are_unchanged_though_the_server_does_not_say_so() -> None:
    visits, _ = visit_again(say(reply(b"body")), HOUR)
    assert visits[0].response
    assert visits[1].response is None


def test_a_date_of_tomorrow_is_not_asked_with() -> None:
    _, server = visit_again(say(reply(b"body", Last_Modified=TOMORROW)), HOUR)
    assert "if-modified-since" not in server.seen[1].headers


def moved(*, status: int) -> Answer:
    """/a has moved to /b."""
    count = 0

    async def answer(seen: Seen) -> AsyncIterator[bytes]:
        nonlocal count
        count += 1
        if seen.path == "/a":
            yield reply(status=status, Location="/b")
        else:
            yield reply(b"b%d" % count)

    return answer


def paths(server: HttpServer) -> list[str]:
    return [seen.path for seen in server.seen]


def test_a_permanent_redirect_is_adopted_only_after_it_repeated() -> None:
    _, server = visit_again(moved(status=301), HOUR, HOUR, HOUR, HOUR)
    assert paths(server) == ["/a", "/b"] * 3 + ["/b", "/b"]


def test_a_temporary_redirect_is_never_adopted() -> None:
    _, server = visit_again(moved(status=302), HOUR, HOUR, HOUR, HOUR)
    assert paths(server) == ["/a", "/b"] * 5


GONE = reply(status=410)
PARKED = reply(b"<html><body>This domain is for sale.</body></html>")


@pytest.mark.parametrize("end", [GONE, PARKED])
def test_an_adopted_address_that_fails_gives_way_to_the_configured_one(end: bytes) -> None:
    async def work() -> None:
        count = 0

        async def answer(seen: Seen) -> AsyncIterator[bytes]:
            nonlocal count
            count += 1
            is_back = count >= 8
            if seen.path == "/a":
                yield reply(FEED) if is_back else reply(status=308, Location="/b")
            else:
                yield end if is_back else reply(FEED.replace(b"One", b"Number %d" % count))

        async with serve(answer) as server, fetcher() as fetch:
            source = FeedSource(id="wire", url=server.url("/a"), fetch=fetch, clock=Clock(NOW))
            cursor: Mapping[str, str] = {}
            for _ in range(6):
                collected = await source.collect(cursor)
                cursor = collected.cursor
            assert paths(server) == ["/a", "/b"] * 3 + ["/b", "/b", "/a", "/a"]
            assert "moved_to" not in cursor
            assert len(collected.entries) == 2 or collected.unchanged

    run(work())


def test_an_adopted_address_that_asks_to_wait_is_not_gone_around() -> None:
    async def work() -> None:
        answers = {"b": reply(status=429, Retry_After="60"), "a": reply(FEED)}
        async with serve(by_path(**answers)) as server, fetcher() as fetch:
            source = FeedSource(id="wire", url=server.url("/a"), fetch=fetch, clock=Clock(NOW))
            with pytest.raises(SourceError) as caught:
                await source.collect({"moved_to": server.url("/b"), "moved": "3"})
            assert (caught.value.subject, caught.value.wait_seconds) == ("wire", 60.0)
            assert paths(server) == ["/b"]

    run(work())


def test_secret_headers_do_not_go_to_the_site_that_a_feed_has_moved_to() -> None:
    async def work() -> None:
        async with serve(say(reply(b"there"))) as other:
            there = other.url("/b").replace("127.0.0.1", "localhost")
            async with serve(say(reply(status=301, Location=there))) as server, fetcher() as fetch:
                headers = {"Authorization": "Bearer abc"}
                visitor = Visitor(
                    url=server.url("/a"), fetch=fetch, clock=Clock(NOW), accept="*/*", limit=9, headers=headers
                )
                cursor: dict[str, str] = {}
                for _ in range(5):
                    cursor = (await visitor.visit(cursor)).cursor
            assert len(other.seen) == 5
            assert len(server.seen) == 3
            assert not any("authorization" in seen.headers for seen in other.seen)

    run(work())


@pytest.mark.parametrize(
    ("headers", "minutes"),
    [
        ({"cache-control": "public, max-age=600"}, 10),
        ({"cache-control": 'MAX-AGE="600"'}, 10),
        ({"cache-control": "max-age=600, no-cache"}, 0),
        ({"cache-control": "no-store"}, 0),
        ({"cache-control": "max-age=-1"}, 0),
        ({"cache-control": "max-age=99999999999999999999"}, 720),
        ({"expires": "Mon, 02 Mar 2026 13:00:00 GMT", "date": "Mon, 02 Mar 2026 12:00:00 GMT"}, 60),
        ({"expires": "0", "date": "Mon, 02 Mar 2026 12:00:00 GMT"}, 0),
        ({"expires": "Mon, 02 Mar 2026 13:00:00 GMT"}, 0),
        ({}, 0),
    ],
)
def test_an_answer_is_fresh_for_as_long_as_it_says(headers: dict[str, str], minutes: int) -> None:
    assert read_freshness(headers) == timedelta(minutes=minutes)


# -- what a server asks for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("120", 120.0), ("Mon, 02 Mar 2026 12:05:00 GMT", 300.0), ("soon", None), ("-5", None)],
)
def test_how_long_a_server_asks_to_wait_is_told(retry_after: str, seconds: float | None) -> None:
    async def work() -> None:
        refusal = reply(status=429, Retry_After=retry_after, Date="Mon, 02 Mar 2026 12:00:00 GMT")
        async with serve(say(refusal)) as server, fetcher() as fetch:
            with pytest.raises(SourceError) as caught:
                await fetch(Request(url=server.url()))
        assert (caught.value.status, caught.value.wait_seconds) == (429, seconds)

    run(work())


ROBOTS = b"User-agent: *\nDisallow: /private\n\nUser-agent: digest\nDisallow: /no*body$\n"


@pytest.mark.parametrize(
    ("robots", "path", "may"),
    [
        (reply(ROBOTS), "/private/1", True),  # the rules for us are others
        (reply(ROBOTS), "/no-some-body", False),
        (reply(ROBOTS), "/no-body-else", True),
        (reply(status=404), "/any", True),
        (reply(status=403), "/any", True),
        (reply(status=503), "/any", False),
        (reply(status=429), "/any", False),
        (reply(b"<html>no rules</html>"), "/any", True),
        (reply(b"\xff\xfe\0junk"), "/any", True),
        (reply(b"User-agent: *\nDisallow: /\n"), "/any", False),
    ],
)
def test_a_page_is_read_only_where_robots_txt_lets_us(robots: bytes, path: str, may: bool) -> None:
    async def work() -> None:
        answers = {"robots.txt": robots, path.strip("/"): reply(b"page")}
        async with serve(by_path(**answers)) as server, fetcher() as fetch:
            request = Request(url=server.url(path), obeys_robots=True)
            if may:
                assert (await fetch(request)).body == b"page"
            else:
                with pytest.raises(SourceError, match=r"robots\.txt"):
                    await fetch(request)
                assert path not in paths(server)

    run(work())


def test_robots_txt_is_asked_once_for_a_host_and_not_for_feeds() -> None:
    async def work() -> None:
        async with serve(say(reply(b""))) as server, fetcher() as fetch:
            await asyncio.gather(*(fetch(Request(url=server.url(f"/{n}"), obeys_robots=True)) for n in range(5)))
            assert paths(server).count("/robots.txt") == 1
        async with serve(say(reply(FEED))) as server, fetcher() as fetch:
            await FeedSource(id="wire", url=server.url("/feed"), fetch=fetch, clock=Clock(NOW)).collect({})
            assert paths(server) == ["/feed"]

    run(work())


def test_robots_txt_is_asked_again_where_a_redirect_leads() -> None:
    async def work() -> None:
        async with serve(by_path(**{"robots.txt": reply(b"User-agent: *\nDisallow: /"), "b": reply(b"b")})) as other:
            redirect = reply(status=302, Location=other.url("/b"))
            async with serve(by_path(a=redirect)) as server, fetcher() as fetch:
                with pytest.raises(SourceError, match="asks not to read"):
                    await fetch(Request(url=server.url("/a"), obeys_robots=True))
            assert "/b" not in paths(other)

    run(work())


# -- feeds behind pages ----------------------------------------------------------------------------------------------

HOME = b'<html><head><link rel="alternate" type="application/rss+xml" href="/comments.xml" title="Comments"><link \
rel="alternate" type="application/rss+xml" href="/feed.xml"></head><body><p>Welcome.</p></body></html>'


def test_the_feed_of_a_page_is_found_and_then_asked_directly() -> None:
    async def work() -> None:
        pages = {"": reply(HOME), "feed.xml": reply(FEED)}
        async with serve(by_path(**pages)) as server, fetcher() as fetch:
            source = FeedSource(id="wire", url=server.url("/"), fetch=fetch, clock=Clock(NOW))
            first = await source.collect({})
            again = await source.collect(first.cursor)
            assert [entry.title for entry in first.entries] == ["One", "Two"]
            assert again.unchanged
            assert paths(server) == ["/", "/feed.xml", "/feed.xml"]

    run(work())


def test_a_feed_that_has_gone_is_looked_for_on_its_page_again() -> None:
    async def work() -> None:
        pages = {"": reply(HOME), "feed.xml": reply(FEED)}
        async with serve(by_path(**pages)) as server, fetcher() as fetch:
            source = FeedSource(id="wire", url=server.url("/"), fetch=fetch, clock=Clock(NOW))
            old = {"feed": server.url("/old.xml")}
            assert len((await source.collect(old)).entries) == 2
            assert paths(server) == ["/old.xml", "/", "/feed.xml"]

    run(work())


@pytest.mark.parametrize("page", [b"<html><body><p>Just a moment...</p></body></html>", b"", b"no feed at all"])
def test_a_page_without_a_feed_is_named_as_such(page: bytes) -> None:
    async def work() -> None:
        async with serve(say(reply(page))) as server, fetcher() as fetch:
            source = FeedSource(id="wire", url=server.url("/"), fetch=fetch, clock=Clock(NOW))
            with pytest.raises(SourceError, match=r"^wire: "):
                await source.collect({})

    run(work())


# -- sitemaps and index pages ----------------------------------------------------------------------------------------

INDEX = b"""<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<sitemap><loc>/pages.xml</loc><lastmod>2020-01-01</lastmod></sitemap>
<sitemap><loc>/news.xml</loc></sitemap><sitemap><loc>/gone.xml</loc></sitemap></sitemapindex>"""
NEWS = b"""<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
 xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"><url><loc>https://news.example/1</loc><news:news>
<news:publication><news:name>X</news:name><news:language>en</news:language></news:publication>
<news:publication_date>2026-03-02T08:00:00+01:00</news:publication_date><news:title>One &amp; all</news:title>
</news:news></url><url><loc>https://news.example/2</loc></url></urlset>"""


def test_an_index_of_sitemaps_is_followed_to_what_may_be_new() -> None:
    async def work() -> None:
        async with serve(by_path(**{"sitemap.xml": reply(INDEX), "news.xml": reply(NEWS)})) as server:
            async with fetcher() as fetch:
                source = SitemapSource(id="site", url=server.url("/sitemap.xml"), fetch=fetch, clock=Clock(NOW))
                first = await source.collect({})
                again = await source.collect(first.cursor)
            assert [(entry.link, entry.title) for entry in first.entries] == [
                ("https://news.example/1", "One & all"),
                ("https://news.example/2", None),
            ]
            assert first.entries[0].published_at == datetime(2026, 3, 2, 7, tzinfo=UTC)
            assert first.lists_everything
            assert len(first.faults) == 1
            assert "/pages.xml" not in paths(server)
            assert again.entries == ()

    run(work())


def test_a_site_is_followed_from_its_robots_txt() -> None:
    async def work() -> None:
        answers = {"robots.txt": reply(b"Sitemap: /news.xml\n"), "news.xml": reply(NEWS)}
        async with serve(by_path(**answers)) as server, fetcher() as fetch:
            source = SitemapSource(id="site", url=server.url("/robots.txt"), fetch=fetch, clock=Clock(NOW))
            assert len((await source.collect({})).entries) == 2

    run(work())


def test_an_index_whose_sitemaps_all_fail_is_a_failure() -> None:
    async def work() -> None:
        async with serve(by_path(**{"sitemap.xml": reply(INDEX)})) as server, fetcher() as fetch:
            source = SitemapSource(id="site", url=server.url("/sitemap.xml"), fetch=fetch, clock=Clock(NOW))
            with pytest.raises(SourceError, match=r"^site: .*404"):
                await source.collect({})

    run(work())


def test_sitemaps_that_name_each_other_end() -> None:
    async def work() -> None:
        loop = b"<sitemapindex><sitemap><loc>/sitemap.xml</loc></sitemap></sitemapindex>"
        async with serve(by_path(**{"sitemap.xml": reply(loop)})) as server, fetcher() as fetch:
            source = SitemapSource(id="site", url=server.url("/sitemap.xml"), fetch=fetch, clock=Clock(NOW))
            await source.collect({})
            assert len(server.seen) < 5

    run(work())


FRONT = b"""<html><body><nav><a href="/world/politics-and-more-of-it">Politics and more of it</a></nav><main>
<article><h2><a href="/2026/03/old-bridge-closes">Old bridge closes for two weeks</a></h2></article>
<article><h2><a href="/2026/03/new-ferry-opens">New ferry opens to the island</a></h2></article>
<p class="more"><a href="/odd">Odd one</a></p></main></body></html>"""


@pytest.mark.parametrize(("selector", "count"), [(None, 2), ("article", 2), ("p.more a", 1), ("main a", 3)])
def test_the_links_of_an_index_page_are_entries(selector: str | None, count: int) -> None:
    async def work() -> None:
        async with serve(by_path(front=reply(FRONT))) as server, fetcher() as fetch:
            url = server.url("/front")
            source = PageSource(id="front", url=url, fetch=fetch, clock=Clock(NOW), selector=selector)
            collected = await source.collect({})
            assert len(collected.entries) == count
            assert all(entry.title and entry.link and entry.published_at is None for entry in collected.entries)

    run(work())


@pytest.mark.parametrize(("selector", "fault"), [("p >", "cannot be used"), (".nowhere", "no link to an article")])
def test_a_selector_that_finds_nothing_is_named_with_what_to_do(selector: str, fault: str) -> None:
    async def work() -> None:
        async with serve(by_path(front=reply(FRONT))) as server, fetcher() as fetch:
            url = server.url("/front")
            source = PageSource(id="front", url=url, fetch=fetch, clock=Clock(NOW), selector=selector)
            with pytest.raises(SourceError, match=rf"^front: .*{fault}.*selector"):
                await source.collect({})

    run(work())
