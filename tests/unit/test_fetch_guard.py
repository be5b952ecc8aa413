"""The guarded way out: what it refuses, and what it takes."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from digest.errors import SourceError
from digest.protocols import Request, Response
from digest.sources.fetch import Fetcher
from digest.sources.guard import Guard
from tests.doubles.http_server import Seen, by_path, reply, say, serve
from tests.doubles.network import run

LOOPBACK = ("127.0.0.0/8", "::1/128")


async def fetch(url: str, *, allow: tuple[str, ...] = LOOPBACK, seconds: float = 10, **request: Any) -> Response:
    async with Fetcher(user_agent="test", allow_private=allow, seconds=seconds) as fetcher:
        return await fetcher(Request(url=url, **request))


async def fault_of(url: str, **options: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await fetch(url, **options)
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "①②⑦.⓪.⓪.①",
        "127.0.0.1.",
    ],
)
def test_a_host_that_is_not_public_is_never_connected_to(host: str) -> None:
    async def work() -> None:
        async with serve(say(reply(b"secret"))) as server:
            error = await fault_of(f"http://{host}:{server.port}/", allow=())
            assert server.connections == 0
            assert "secret" not in str(error)

    run(work())


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)", "", "//x/", "http://", "x"]
)
def test_only_http_and_https_are_fetched(url: str) -> None:
    assert run(fault_of(url)).remedy == "write it as https://…"


def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    async def work() -> None:
        async with serve(say(reply(b"secret")), host="127.0.0.2") as inner:
            async with serve(say(reply(status=302, Location=inner.url()))) as outer:
                error = await fault_of(outer.url(), allow=("127.0.0.1/32",))
            assert inner.connections == 0
            assert "not a public address" in str(error)

    run(work())


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "javascript:alert(1)", "http://[::bad/", "gopher://127.0.0.1/"]
)
def test_a_redirect_to_something_else_than_http_is_not_followed(target: str) -> None:
    async def work() -> None:
        async with serve(say(reply(status=301, Location=target))) as server:
            assert "redirects to" in str(await fault_of(server.url()))

    run(work())


def test_networks_that_the_operator_lists_may_be_reached() -> None:
    async def work() -> None:
        async with serve(say(reply(b"hello"))) as server:
            assert (await fetch(server.url())).body == b"hello"
            assert (await fetch(f"http://localhost:{server.port}/")).body == b"hello"

    run(work())


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_admitted(address: str) -> None:
    assert Guard().admits(address)


def test_a_mapped_address_passes_by_the_network_of_the_address_inside() -> None:
    assert Guard(["127.0.0.0/8"]).admits("::ffff:127.0.0.1")
    assert Guard(["::1/128"]).admits("::1")
    assert not Guard(["::1/128"]).admits("127.0.0.1")


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with serve(say(reply(b"the proxy"))) as proxy, serve(say(reply(b"the site"))) as site:
            monkeypatch.setenv("http_proxy", proxy.url())
            monkeypatch.setenv("HTTP_PROXY", proxy.url())
            assert (await fetch(site.url())).body == b"the site"

    run(work())


def test_a_redirect_loop_ends() -> None:
    async def work() -> None:
        async with serve(say(reply(status=302, Location="/again"))) as server:
            assert "more than 5 times" in str(await fault_of(server.url()))
            assert len(server.seen) == 6

    run(work())


def test_a_redirect_is_followed_and_the_answer_says_where_it_came_from() -> None:
    async def work() -> None:
        answers = by_path(old=reply(status=301, Location="/new"), new=reply(b"here"))
        async with serve(answers) as server:
            response = await fetch(server.url("/old"))
            assert (response.body, response.url) == (b"here", server.url("/new"))

    run(work())


def test_headers_that_may_be_secret_do_not_follow_a_redirect_to_another_origin() -> None:
    async def work() -> None:
        async with serve(say(reply(b"here"))) as other:
            async with serve(say(reply(status=302, Location=other.url()))) as first:
                await fetch(first.url(), headers={"Authorization": "Bearer abc", "If-None-Match": '"1"'})
            assert first.seen[0].headers["authorization"] == "Bearer abc"
            assert "authorization" not in other.seen[0].headers
            assert other.seen[0].headers["if-none-match"] == '"1"'

    run(work())


def test_a_gzip_bomb_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=1)

    async def work() -> None:
        async with serve(say(reply(bomb, Content_Encoding="gzip"))) as server:
            assert "larger than 1,000,000 bytes" in str(await fault_of(server.url(), limit=1_000_000))

    run(work())


def test_a_body_over_the_limit_is_refused() -> None:
    async def work() -> None:
        async with serve(say(reply(bytes(1001)))) as server:
            assert "larger than 1,000 bytes" in str(await fault_of(server.url(), limit=1000))
            assert len((await fetch(server.url(), limit=1001)).body) == 1001

    run(work())


def test_a_body_without_end_is_refused() -> None:
    async def endless(_: Seen) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n"
        while True:
            yield bytes(65_536)

    async def work() -> None:
        async with serve(endless) as server:
            assert "larger than" in str(await fault_of(server.url(), limit=1_000_000))

    run(work())


def test_an_answer_that_never_comes_ends_at_the_deadline() -> None:
    async def silent(_: Seen) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        await asyncio.Event().wait()
        yield b"never"

    async def work() -> None:
        async with serve(silent) as server:
            assert "no complete answer within" in str(await fault_of(server.url(), seconds=0.2))

    run(work())


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"hello", mtime=0), "gzip"),
        (gzip.compress(b"hel", mtime=0) + gzip.compress(b"lo", mtime=0), "gzip"),
        (zlib.compress(b"hello"), "deflate"),
        (zlib.compress(b"hello", wbits=-15), "deflate"),
        (b"<hello", "gzip"),
        (b"hello", "identity"),
    ],
)
def test_compressed_bodies_are_read(body: bytes, encoding: str) -> None:
    async def work() -> None:
        async with serve(say(reply(body, Content_Encoding=encoding))) as server:
            assert (await fetch(server.url())).body.strip(b"<") == b"hello"

    run(work())


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (reply(status=404), "it answers 404 Said (look for its new address)"),
        (reply(status=403), "let this User-Agent in, or set its `headers`"),
        (reply(status=429, Retry_After="120"), "asks to wait 120 seconds"),
        (reply(status=503, Retry_After="Mon, 24 Nov 2025 08:00:00 GMT"), "until Mon, 24 Nov 2025"),
        (reply(status=302), "does not say where to go"),
        (reply(gzip.compress(b"hello", mtime=0)[:-9], Content_Encoding="gzip"), "broken"),
        (reply(b"\x1f\x8bnonsense", Content_Encoding="gzip"), "broken"),
        (reply(b"hello", Content_Encoding="br"), "nobody asked for"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhel", None),
        (b"SMTP ready\r\n\r\n", None),
    ],
)
def test_what_is_no_complete_answer_is_one_clear_error(answer: bytes, fault: str | None) -> None:
    async def once(_: Seen) -> AsyncIterator[bytes]:
        yield answer
        raise EOFError

    async def work() -> None:
        async with serve(once) as server:
            error = await fault_of(server.url("/feed?token=abc"))
            assert error.subject == "127.0.0.1"
            assert "abc" not in str(error)
            assert fault is None or fault in str(error)

    run(work())


def test_nobody_listening_is_a_clear_error() -> None:
    async def work() -> None:
        async with serve(say(reply())) as server:
            url = server.url()
        assert "cannot be reached" in str(await fault_of(url))

    run(work())


def test_a_host_that_does_not_exist_is_a_clear_error() -> None:
    assert run(fault_of("http://nowhere.invalid/")).subject == "nowhere.invalid"


def test_not_modified_is_an_answer() -> None:
    async def work() -> None:
        async with serve(say(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")) as server:
            response = await fetch(server.url())
            assert (response.status, response.body, response.headers["etag"]) == (304, b"", "x")

    run(work())


def test_two_requests_at_a_time_go_to_one_host() -> None:
    pairs = asyncio.Barrier(2)
    talking: list[int] = []
    now = 0

    async def answer(_: Seen) -> AsyncIterator[bytes]:
        nonlocal now
        now += 1
        talking.append(now)
        await pairs.wait()
        now -= 1
        yield reply(b"x")

    async def work() -> None:
        async with serve(answer) as server, Fetcher(user_agent="test", allow_private=LOOPBACK) as fetcher:
            await asyncio.gather(*(fetcher(Request(url=server.url(f"/{number}"))) for number in range(8)))
        assert max(talking) == 2

    run(work())


def test_a_host_that_never_answers_is_given_up_after_a_while() -> None:
    async def silent(_: Seen) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def work() -> None:
        async with serve(silent) as server, Fetcher(user_agent="t", allow_private=LOOPBACK, seconds=0.05) as fetcher:
            errors = await asyncio.gather(
                *(fetcher(Request(url=server.url(f"/{number}"))) for number in range(12)), return_exceptions=True
            )
        assert all(isinstance(error, SourceError) for error in errors)
        assert "was not asked again" in str(errors[-1])
        assert len(server.seen) <= 8

    run(work())
