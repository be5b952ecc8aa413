"""Whether a process lives and is ready to work, for whoever watches over it: three answers over HTTP.

    /livez    200 while its loop turns
    /readyz   200 while it can work, else 503 and why
    /metrics  figures for Prometheus

Who can reach the port learns no more than that: no address, no name of a database.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from digest.errors import ConfigError, DigestError
from digest.listening import find_reason

_LONGEST: Final = 8192  # bytes of a request that are read
_SECONDS: Final = 5.0
_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(slots=True)
class Health:
    """Answers on an address, on the loop that starts it."""

    host: str
    port: int
    tell: Callable[[str], None]
    _server: asyncio.Server | None = field(default=None, init=False)
    _find_obstacle: Callable[[], str] = field(default=lambda: "", init=False)
    _measure: Callable[[], bytes] = field(default=lambda: b"", init=False)

    async def start(self, find_obstacle: Callable[[], str], measure: Callable[[], bytes] = lambda: b"") -> None:
        """`find_obstacle()` says why work cannot be done; "" when it can. `measure()`, in a thread, gives the figures.

        Raises ConfigError for a port in use.
        """
        self._find_obstacle, self._measure = find_obstacle, measure
        try:
            self._server = await asyncio.start_server(self._answer, self.host, self.port, limit=_LONGEST)
        except (OSError, OverflowError) as error:
            remedy = "name another in [engine] health, or with --health; each worker needs its own"
            fault = f"health cannot be asked there: {find_reason(error)}"
            raise ConfigError(f"health {self.host}:{self.port}", fault, remedy=remedy) from None
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.tell(f"Health on http://{host}:{port}/livez, /readyz and /metrics")

    async def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                status, said = await self._find_answer(request.split(b"\r\n", 1)[0].decode("latin-1").split(" "))
                body = b"" if request.startswith(b"HEAD ") else said
                head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
                head += f"Cache-Control: no-store\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def _find_answer(self, line: list[str]) -> tuple[int, bytes]:
        method, path = (line[0], line[1].partition("?")[0]) if len(line) == 3 else ("", "")
        if method not in {"GET", "HEAD"}:
            return 405, b"ask with GET\n"
        match path:
            case "/livez":
                return 200, b"ok\n"
            case "/readyz":
                obstacle = self._find_obstacle()
                return (503, f"{obstacle}\n".encode()) if obstacle else (200, b"ok\n")
            case "/metrics":
                try:
                    return 200, await asyncio.to_thread(self._measure)
                except DigestError:
                    return 503, b"the database cannot be used now\n"
        return 404, b"ask for /livez, /readyz or /metrics\n"


def read_address(text: str) -> tuple[str, int]:
    """The host and port of "[HOST:]PORT"; without one it is this machine alone. Raises ConfigError."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ConfigError(f'health "{text}"', "it is no address", remedy='write it as "127.0.0.1:8081"')
    return host.strip("[]") or "127.0.0.1", int(port)
