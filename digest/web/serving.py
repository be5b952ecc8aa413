"""An app on a socket, until told to stop; and how long, and how many, connections may be held open.

A request's head must come in time and be short, an answer must be read, and one peer may not have every connection,
unless it is a proxy of ours. What comes in the body is bounded by `protecting`.
"""

import asyncio
import contextlib
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from digest.web.clients import AnyNetwork, is_among
from digest.web.limiting import Limits
from digest.web.protecting import HEADERS

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from types import FrameType

_NO_LINGERING: Final = struct.pack("ii", 1, 0)
_STOP_SECONDS: Final = 20  # what is in work when told to stop


class _Connection(H11Protocol):
    """uvicorn's, which waits for ever for a request that has begun and for a client that does not read."""

    peers: Counter[str]
    proxies: Sequence[AnyNetwork]
    limits: Limits

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        self._peer = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        if not is_among(peer, self.proxies):
            self._peer = peer
            self.peers[peer] += 1
        if len(self.connections) > self.limits.connections or self.peers[self._peer] > self.limits.connections_of_peer:
            self._end(503, "Service Unavailable", "Retry-After: 5")
            return
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._head, self._unread = _cancel(self._head), _cancel(self._unread)
        if self._peer:
            self.peers[self._peer] -= 1
            if self.peers[self._peer] <= 0:
                del self.peers[self._peer]

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.limits.unread_seconds, self._let_go)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = _cancel(self._unread)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's shape
        if self._is_answered():
            self._end(400, "Bad Request")
        else:
            self.transport.close()  # words of ours would stand in the midst of an answer

    def _watch_head(self) -> None:
        """Start or end the time in which the next request's head must come, or the rest of one that is answered."""
        is_left_over = self.conn.their_state is h11.SEND_BODY and self._is_answered()
        if self.conn.their_state is not h11.IDLE and not is_left_over:
            self._head = _cancel(self._head)
        elif self._head is None and self.timeout_keep_alive_task is None:
            self._head = self.loop.call_later(self.limits.head_seconds, self._give_up)

    def _is_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, which uvicorn does not say
        return cycle is None or cycle.response_complete

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._end(408, "Request Timeout")
        else:
            self.transport.close()  # browsers open connections before they have anything to ask

    def _let_go(self) -> None:
        """End the connection and forget what was written: the system would keep it for a client that reads nothing."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self.transport.abort()

    def _end(self, status: int, phrase: str, *further: str) -> None:
        """An answer where there is no request that the app could answer."""
        body = f"{phrase}\n"
        headers = [f"{name}: {value}" for name, value in HEADERS.items()]
        headers += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}", "Connection: close"]
        headers += ["Cache-Control: no-store", *further]
        self.transport.write("\r\n".join([f"HTTP/1.1 {status} {phrase}", *headers, "", body]).encode("ascii"))
        self.transport.close()


def _cancel(timer: "TimerHandle | None") -> "TimerHandle | None":
    """No timer, and what was one stopped."""
    if timer:
        timer.cancel()
    return None


def configure(app: FastAPI, *, proxies: Sequence[AnyNetwork] = (), limits: Limits | None = None) -> uvicorn.Config:
    """How the app is served, wherever it listens."""
    limits = limits or Limits()
    return uvicorn.Config(
        app,
        # A type of its own for each server, with its own count.
        http=type("Connection", (_Connection,), {"peers": Counter(), "proxies": tuple(proxies), "limits": limits}),
        ws="none",
        log_level="warning",
        access_log=False,  # the addresses that readers open carry their tokens
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # who asks is told by clients.py: uvicorn would believe whoever is on loopback
        h11_max_incomplete_event_size=limits.head_bytes,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


def serve(
    app: FastAPI,
    *,
    listener: socket.socket,
    announce: Callable[[str], None],
    proxies: Sequence[AnyNetwork] = (),
    on_signal: Callable[[], None] = lambda: None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Serve until SIGINT or SIGTERM, or until it `is_over`; the listener stays open.

    It listens already, so that `announce(url)` names a port that answers. `on_signal` hears of each signal as it comes,
    in the signal's handler: requests that are in work may take a while yet. `is_over` is asked often.
    """
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    server = _Server(configure(app, proxies=proxies), on_signal, is_over)
    with _returning(server):
        if not is_over():
            announce(f"http://{shown}:{port}/")
            server.run(sockets=[listener.dup()])  # which it closes


class _Server(uvicorn.Server):
    """uvicorn's, which tells nobody of a signal until it has ended."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[], None], is_over: Callable[[], bool]) -> None:
        super().__init__(config)
        self._on_signal = on_signal
        self._is_over = is_over
        self._is_told = False

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._is_over()

    def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
        super().handle_exit(sig, frame)
        self._is_told = True
        self._on_signal()

    def end(self, *_: object) -> None:
        """A signal outside the time in which uvicorn listens to them: before it, or again after it, by uvicorn."""
        self.should_exit = True
        if not self._is_told:
            self._is_told = True
            self._on_signal()


@contextlib.contextmanager
def _returning(server: _Server) -> Iterator[None]:
    """Let the server return when told to end, so that all else is ended in turn.

    uvicorn ends well and then raises the signals again, which would end the process where it stands: in the midst of a
    batch, or of a mail that somebody asked for.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, server.end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
