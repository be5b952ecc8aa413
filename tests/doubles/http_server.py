"""An HTTP/1.1 server on loopback that answers whatever a test tells it to, also what no decent server would."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Seen:
    """A request as it arrived; header names are lower case."""

    path: str
    headers: dict[str, str]


@dataclass
class HttpServer:
    """Where it listens, and what it was asked."""

    host: str
    port: int
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/") -> str:
        """The address of a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{path}"


Answer = Callable[[Seen], AsyncIterator[bytes]]


def reply(body: bytes = b"", *, status: int = 200, **headers: str) -> bytes:
    """An answer with that body; an underscore in a header's name stands for a hyphen."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def say(*answers: bytes) -> Answer:
    """The same answer to every request."""

    async def answer(_: Seen) -> AsyncIterator[bytes]:
        for part in answers:
            yield part

    return answer


def by_path(**answers: bytes) -> Answer:
    """An answer for each path, by its name without the slash; 404 for others."""

    async def answer(seen: Seen) -> AsyncIterator[bytes]:
        yield answers.get(seen.path.strip("/"), reply(status=404))

    return answer


@asynccontextmanager
async def serve(answer: Answer, host: str = "127.0.0.1") -> AsyncIterator[HttpServer]:
    """A server for the time of the block."""
    server = HttpServer(host, 0)
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        if task := asyncio.current_task():
            talks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                seen = Seen(head[0].split()[1], headers)
                server.seen.append(seen)
                async for part in answer(seen):
                    writer.write(part)
                    await writer.drain()
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client has gone, or the test
        finally:
            writer.close()

    listener = await asyncio.start_server(talk, host, 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
