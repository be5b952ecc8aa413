"""The measurements of collecting: pages read, and many feeds fetched from many hosts."""

import asyncio
import gzip
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import psutil

from benchmarks.figures import Figure, cpu_seconds
from benchmarks.making import ROOT, SHARED
from digest.extract import read_page
from digest.models import Feed
from digest.protocols import Request
from digest.sources import dialects
from digest.sources.feed import parse_feed
from digest.sources.fetch import Fetcher

_PAGES = SHARED / "data" / "articles"
_REAL = SHARED / "data" / "feeds" / "real"
_FEEDS, _ENTRIES, _AT_ONCE, _ROUNDS = 1000, 20, 100, 5
_LATENCIES = [0.05 + 0.45 * ((number * 37) % 100) / 99 for number in range(_FEEDS)]  # seconds
_FLOOR = sum(_LATENCIES) / _AT_ONCE
_HOSTS = [f"127.{number}.1.1" for number in range(1, 201)]  # two requests at a time go to each


def measure_extract() -> Iterator[Figure]:
    """CPU time a page, beside trafilatura with its metadata; on real pages when they are there."""
    from trafilatura import bare_extraction

    pages = read_pages()
    ours = cpu_seconds(lambda: [_read(page) for page in pages], times=2)

    def read_by_library(page: bytes) -> object:
        return bare_extraction(page, favor_precision=True, include_comments=False, with_metadata=True)

    theirs = cpu_seconds(lambda: [read_by_library(page) for page in pages], times=2)
    scale = 1000 / len(pages)
    note = f"{len(pages)} pages; aim: ratio 1.5"
    yield Figure.beside("extract", ours * scale, "ms/page", "trafilatura", theirs * scale, note)


def _read(page: bytes) -> object:
    return read_page(page, "https://news.example.com/2026/03/story")


def read_pages() -> list[bytes]:
    """Pages: real ones when they are there."""
    if (_PAGES / "manifest.jsonl").is_file():
        rows = [json.loads(line) for line in (_PAGES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
        return [gzip.decompress((_PAGES / row["path"]).read_bytes()) for row in rows]
    words = "<p>The council voted on Monday to close the old bridge for two weeks, for repairs that are due.</p>"
    return [f"<html><body><h1>Title {n}</h1><article>{words * 20}</article></body></html>".encode() for n in range(60)]


def measure_parse() -> Iterator[Figure]:
    """Entries parsed in a second of CPU time, with and without sanitising; of real feeds when they are there."""
    bodies = read_bodies()
    count = sum(len(parse_feed(body).entries) for body in bodies)
    note = f"{len(bodies)} feeds, {count} entries; aim: 6,000"
    yield _parse_beside("parse and sanitise", bodies, count, note, sanitises=True)
    kept = dialects.sanitise
    dialects.sanitise = lambda markup, _="": markup
    try:
        yield _parse_beside("parse alone", bodies, count, "both without sanitising; aim: 10,000", sanitises=False)
    finally:
        dialects.sanitise = kept


def read_bodies() -> list[bytes]:
    """XML feeds: real ones when they are there."""
    folder = _REAL if _REAL.is_dir() else ROOT / "samples"
    return [body for path in sorted(folder.iterdir()) if (body := _open(path))[:1] == b"<"]


def read_feeds() -> list[Feed]:
    """The same, parsed."""
    return [parse_feed(body) for body in read_bodies()]


def _parse_beside(name: str, bodies: list[bytes], count: int, note: str, *, sanitises: bool) -> Figure:
    import feedparser

    def parse_by_library() -> None:
        for body in bodies:
            feedparser.parse(BytesIO(body), sanitize_html=sanitises)

    ours = cpu_seconds(lambda: [parse_feed(body) for body in bodies], times=3)
    return Figure.beside(
        name, count / ours, "entries/s", "feedparser", count / cpu_seconds(parse_by_library, times=1), note
    )


def _open(path: Path) -> bytes:
    body = path.read_bytes()
    return (gzip.decompress(body) if path.suffix == ".gz" else body).lstrip(b"\xef\xbb\xbf \r\n")


def measure_fetch() -> Iterator[Figure]:
    """1,000 feeds of 20 entries at 50 to 500 ms, 100 at a time, hosts spread over 127.0.0.0/8, parsed."""
    visits = asyncio.run(_fetch_rounds(_ROUNDS))
    best = min(visits, key=lambda visit: visit.wall)
    note = f"{_FEEDS} feeds, {best.cpu:.2f} CPU s with parsing and the server; aim: ratio 1.25"
    yield Figure.beside("fetch", best.wall, "s", "floor of the latencies", _FLOOR, note)
    peer = asyncio.run(_fetch_by_reader())
    yield Figure.beside("fetch", best.wall, "s", "reader, 32 workers", peer["wall"], f"its CPU: {peer['cpu']:.1f} s")
    first, last = visits[0].memory, visits[-1].memory
    note = f"after {_ROUNDS * _FEEDS:,} feeds beside after {_FEEDS:,}; aim: ratio 1"
    yield Figure.beside("fetch, memory", last / 1e6, "MB", f"after {_FEEDS:,}", first / 1e6, note)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One round over all feeds: seconds, and the bytes that the process holds afterwards."""

    wall: float
    cpu: float
    memory: int


async def _fetch_rounds(rounds: int) -> list[_Visit]:
    async with _serve(_LATENCIES) as port, Fetcher(user_agent="Digest", allow_private=["127.0.0.0/8"]) as fetch:
        return [await _fetch_all(fetch, port) for _ in range(rounds)]


async def _fetch_all(fetch: Fetcher, port: int) -> _Visit:
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
    return _Visit(wall, cpu, psutil.Process().memory_info().rss)


async def _fetch_by_reader() -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.with_reader"]
    async with _serve(_LATENCIES) as port:
        process = await asyncio.create_subprocess_exec(
            *command, str(port), str(_FEEDS), *_HOSTS, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        printed, _ = await process.communicate()
    found: dict[str, float] = json.loads(printed)
    if found["entries"] != _FEEDS * _ENTRIES:
        raise RuntimeError("reader has not all entries")
    return found


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


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {
    "parse": measure_parse,
    "extract": measure_extract,
    "fetch": measure_fetch,
}
