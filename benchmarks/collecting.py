"""The measurements of collecting: pages read, and many feeds fetched from many hosts."""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.figures import Figure, cpu_seconds
from digest.extract import read_page
from digest.protocols import Request
from digest.sources.feed import parse_feed
from digest.sources.fetch import Fetcher

ROOT = Path(__file__).resolve().parent.parent
_PAGES = ROOT.parent / "shared" / "data" / "articles"
_FEEDS, _ENTRIES, _AT_ONCE = 1000, 20, 100
_HOSTS = [f"127.{number}.1.1" for number in range(1, 201)]  # two requests at a time go to each


def measure_extract() -> Iterator[Figure]:
    """CPU time a page, beside trafilatura with its metadata; on real pages when they are there."""
    from trafilatura import bare_extraction

    pages = _read_pages()
    ours = cpu_seconds(lambda: [_read(page) for page in pages], times=2)

    def read_by_library(page: bytes) -> object:
        return bare_extraction(page, favor_precision=True, include_comments=False, with_metadata=True)

    theirs = cpu_seconds(lambda: [read_by_library(page) for page in pages], times=2)
    scale = 1000 / len(pages)
    note = f"{len(pages)} pages; aim: ratio 1.5"
    yield Figure.beside("extract", ours * scale, "ms/page", "trafilatura", theirs * scale, note)


def _read(page: bytes) -> object:
    return read_page(page, "https://news.example.com/2026/03/story")


def _read_pages() -> list[bytes]:
    if (_PAGES / "manifest.jsonl").is_file():
        rows = [json.loads(line) for line in (_PAGES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
        return [gzip.decompress((_PAGES / row["path"]).read_bytes()) for row in rows]
    words = "<p>The council voted on Monday to close the old bridge for two weeks, for repairs that are due.</p>"
    return [f"<html><body><h1>Title {n}</h1><article>{words * 20}</article></body></html>".encode() for n in range(60)]


def measure_fetch() -> Iterator[Figure]:
    """1,000 feeds of 20 entries at 50 to 500 ms, 100 at a time, hosts spread over 127.0.0.0/8, parsed."""
    floor, wall, cpu = asyncio.run(_fetch_all())
    note = f"{_FEEDS} feeds, {cpu:.2f} CPU s with parsing and the server; aim: ratio 1.25"
    yield Figure.beside("fetch", wall, "s", "floor of the latencies", floor, note)


async def _fetch_all() -> tuple[float, float, float]:
    latencies = [0.05 + 0.45 * ((number * 37) % 100) / 99 for number in range(_FEEDS)]
    async with _serve(latencies) as port, Fetcher(user_agent="Digest", allow_private=["127.0.0.0/8"]) as fetch:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def visit(number: int) -> int:
            async with turn:
                response = await fetch(Request(url=f"http://{_HOSTS[number % len(_HOSTS)]}:{port}/{number}"))
            return len(parse_feed(response.body, url=response.url).entries)

        start, started = time.perf_counter(), time.process_time()
        found = await asyncio.gather(*map(visit, range(_FEEDS)))
        wall, cpu = time.perf_counter() - start, time.process_time() - started
    if sum(found) != _FEEDS * _ENTRIES:
        raise RuntimeError("feeds are missing")
    return sum(latencies) / _AT_ONCE, wall, cpu


@asynccontextmanager
async def _serve(latencies: list[float]) -> AsyncIterator[int]:
    """A server on all the hosts that answers each path after its latency."""
    items = "".join(
        f"<item><title>Title {n}</title><link>https://a.example/{n}</link><guid>g{n}</guid><description>Some words of "
        f"it.</description><pubDate>Mon, 02 Mar 2026 07:00:00 GMT</pubDate></item>"
        for n in range(_ENTRIES)
    )
    body = f'<rss version="2.0"><channel><title>Feed</title>{items}</channel></rss>'.encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(latencies[int(head.split()[1].strip(b"/"))])
        writer.write(answer)
        await writer.drain()
        writer.close()

    with socket.create_server((_HOSTS[0], 0)) as first:
        port = first.getsockname()[1]
    server = await asyncio.start_server(talk, _HOSTS, port, backlog=1000)
    try:
        yield port
    finally:
        server.close()


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"extract": measure_extract, "fetch": measure_fetch}
