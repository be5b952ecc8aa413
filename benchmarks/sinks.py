"""Providers on loopback that take everything after a while, in a process of their own, and say when they took what."""

import asyncio
import multiprocessing
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from threading import Thread

_LIMIT = 1 << 25  # bytes of a line or a body


@dataclass(slots=True)
class Sink:
    """`taken`: how many recipients by then, as the clock of `time.monotonic` counts; the last is the newest."""

    port: int
    taken: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])

    @property
    def count(self) -> int:
        """Recipients so far."""
        return self.taken[-1][1]

    def rate(self) -> float:
        """Recipients a second, between the first tenth and the last: without the start and the end of a send."""
        first = next(one for one in self.taken if one[1] >= self.count * 0.1)
        last = next(one for one in self.taken if one[1] >= self.count * 0.9)
        return (last[1] - first[1]) / (last[0] - first[0])


@contextmanager
def run_sink(kind: str, latency: float) -> Iterator[Sink]:
    """A server of that kind, "smtp" or "sendgrid", which answers each message or request after `latency` seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, kind, latency), daemon=True)
    process.start()
    theirs.close()  # or nobody would notice that it has died
    sink = Sink(port=ours.recv())
    listening = Thread(target=_listen, args=(ours, sink), daemon=True)
    listening.start()
    try:
        yield sink
    finally:
        process.terminate()
        process.join()
        listening.join(1)


def _listen(pipe: "Connection[tuple[float, int], int]", sink: Sink) -> None:
    try:
        while True:
            sink.taken.append(pipe.recv())
    except (EOFError, OSError):
        return


def _run(pipe: "Connection[int, tuple[float, int]]", kind: str, latency: float) -> None:
    asyncio.run(_serve(pipe, kind, latency))


async def _serve(pipe: "Connection[int, tuple[float, int]]", kind: str, latency: float) -> None:
    count = 0

    def take(recipients: int) -> None:
        nonlocal count
        count += recipients

    async def tell() -> None:
        told = 0
        while True:
            await asyncio.sleep(0.02)
            if count != told:
                told = count
                pipe.send((time.monotonic(), told))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if kind == "smtp":
                await _speak_smtp(reader, writer, latency, take)
            else:
                await _speak_http(reader, writer, latency, take)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it was killed, or hung up
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=_LIMIT)
    pipe.send(server.sockets[0].getsockname()[1])
    async with server:
        await tell()


async def _speak_smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float, take) -> None:  # type: ignore[no-untyped-def]
    writer.write(b"220 loopback\r\n")
    while line := await reader.readline():
        match line[:4].upper():
            case b"EHLO":
                writer.write(b"250-loopback\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
            case b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                writer.write(b"250 2.1.0 ok\r\n")
            case b"DATA":
                writer.write(b"354 go on\r\n")
                await writer.drain()
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(latency)
                take(1)
                writer.write(b"250 2.0.0 queued\r\n")
            case b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                await writer.drain()
                return
            case _:
                writer.write(b"502 5.5.1 what?\r\n")
        await writer.drain()


async def _speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float, take) -> None:  # type: ignore[no-untyped-def]
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        await asyncio.sleep(latency)
        take(body.count(b'"to"'))
        writer.write(b"HTTP/1.1 202 Accepted\r\nX-Message-Id: bench\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
