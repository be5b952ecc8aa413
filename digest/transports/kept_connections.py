"""HTTP/1.1 requests over kept connections that end in time, whatever the other side does.

    request ──> a kept connection, or a new one (name, TCP, TLS: `connect_seconds` in all)
                   └─> headers, body, answer: `read_seconds` for each wait, `total_seconds` for everything

A timeout of a socket is one of each wait only: a byte now and then makes it last for ever. So a timer shuts the
connection down at its deadline, in whatever call it is waited for. Nothing is logged, no redirect is followed and no
request that may have left is made again. For use by any number of threads.
"""

import contextlib
import http.client
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# Many load balancers close what was idle for a minute: a request that meets the closing is lost.
_LONGEST_IDLE = 50.0
_PIECE = 16_384


class NotSent(Exception):
    """Nothing of the request's body left."""


class Lost(Exception):
    """The request left, at least in part, and no answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class KeptConnections:
    """One host, one TLS context, and the connections to it that are idle now."""

    def __init__(
        self,
        url: str,
        *,
        context: ssl.SSLContext | None = None,
        connect_seconds: float,
        read_seconds: float,
        total_seconds: float,
    ) -> None:
        """Opens no connection yet; `url` has no path, or one that all requests share."""
        parts = urlsplit(url)
        self._host, self._path = parts.hostname or "", parts.path.rstrip("/")
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._context = (context or ssl.create_default_context()) if parts.scheme == "https" else None
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._total_seconds = total_seconds
        self._idle: list[tuple[_Connection, float]] = []
        self._lock = threading.Lock()

    def exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, limit: int) -> Answer:
        """Make a request; of the answer's body at most `limit` bytes. Raises NotSent or Lost."""
        deadline = time.monotonic() + self._total_seconds
        kept = self._take()
        if kept is not None:
            # It may have been closed at the other end: as long as nothing left, a new one is tried.
            with contextlib.suppress(NotSent):
                return self._ask(kept, deadline, method, path, headers, body, limit)
        try:
            fresh = self._connect(deadline)
        except (OSError, UnicodeError, RuntimeError) as error:
            raise NotSent(_describe(error)) from error
        return self._ask(fresh, deadline, method, path, headers, body, limit)

    def close(self) -> None:
        """Let go of the connections that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.let_go()

    def _take(self) -> "_Connection | None":
        """The connection that was used last, unless the other side has closed it or it was idle for too long."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if time.monotonic() - since < _LONGEST_IDLE and connection.is_quiet():
                return connection
            connection.let_go()

    def _connect(self, deadline: float) -> "_Connection":
        seconds = min(self._connect_seconds, deadline - time.monotonic())
        connection = _Connection(self._host, self._port, self._context, time.monotonic() + seconds)
        try:
            with connection.cut_after(seconds):
                connection.connect()
            connection.allow(self._read_seconds)
        except BaseException:
            connection.let_go()
            raise
        return connection

    def _ask(
        self,
        connection: "_Connection",
        deadline: float,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limit: int,
    ) -> Answer:
        is_kept = has_begun = False
        try:
            with connection.cut_after(deadline - time.monotonic()) as is_cut:
                try:
                    connection.putrequest(method, f"{self._path}{path}")
                    for name, value in headers.items():
                        connection.putheader(name, value)
                    connection.endheaders()
                    has_begun = True
                    self._send(connection, body)
                    response = connection.getresponse()
                    if is_cut():  # what stands of its first lines is not to be believed
                        raise TimeoutError
                    answer, is_whole = _read(response, limit)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    said = f"none within {self._total_seconds:g} seconds" if is_cut() else _describe(error)
                    # The words of a broken answer may repeat the request: they are not passed on.
                    raise (Lost if has_begun else NotSent)(said) from None
            is_kept = is_whole and not is_cut() and connection.sock is not None
            return answer
        except OSError as error:  # of the timer, before anything was begun
            raise NotSent(_describe(error)) from None
        finally:
            if is_kept:
                with self._lock:
                    self._idle.append((connection, time.monotonic()))
            else:
                connection.let_go()

    @staticmethod
    def _send(connection: "_Connection", body: bytes | None) -> None:
        # Whoever answers before all was read, as with 413, hangs up as well: the answer may be there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if body:
                connection.send(body)


class _Lines:
    """A stream that remembers the last line that was read of it."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.last = stream, b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self.stream.readline(limit)
        return self.last

    def close(self) -> None:
        self.stream.close()


class _Response(http.client.HTTPResponse):
    """An answer whose first lines have an end: the library takes whatever came before the connection ended for all."""

    fp: Any

    def begin(self) -> None:
        lines = _Lines(self.fp)
        self.fp = lines
        try:
            super().begin()
        finally:
            self.fp = lines.stream
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.IncompleteRead(b"")


class _Connection(http.client.HTTPConnection):
    """A connection that can be cut from another thread, and is never opened anew by itself."""

    auto_open = 0
    response_class = _Response

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, connect_by: float) -> None:
        super().__init__(host, port)
        self.default_port = 443 if context else 80
        self._context = context
        self._connect_by = connect_by
        self._line: socket.socket | None = None  # the same connection, under a descriptor that TLS does not take away
        self._lock = threading.Lock()
        self.sock: Any = None

    def connect(self) -> None:
        """Name, TCP and TLS, all before the deadline. Raises OSError and UnicodeError."""
        addresses = _resolve(self.host, self.port, self._connect_by - time.monotonic())
        fault: OSError = OSError("the name has no address")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            plain = socket.socket(family, kind, protocol)
            try:
                # Each address gets its share: one that swallows everything must not cost the next its turn.
                left = self._connect_by - time.monotonic()
                plain.settimeout(max(0.05, left / (len(addresses) - number)))
                plain.connect(address)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._line = plain.dup()
                plain.settimeout(max(0.05, self._connect_by - time.monotonic()))
                self.sock = self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain
                return
            except ssl.SSLError:
                plain.close()
                raise
            except OSError as error:
                plain.close()
                fault = error
                if self._line is not None:  # it was TLS that failed, at an address that answers
                    break
        raise fault

    def allow(self, seconds: float) -> None:
        """How long each wait for the other side may be from now on."""
        self.sock.settimeout(seconds)

    def is_quiet(self) -> bool:
        """Whether nothing came while it was idle: an end, or what nobody asked for."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.sock, selectors.EVENT_READ)
            return not selector.select(0)

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[Callable[[], bool]]:
        """Shut the connection down if the block takes longer; gives a question whether that was done."""
        is_over = is_cut = False

        def cut() -> None:
            nonlocal is_cut
            with self._lock:
                if is_over:
                    return
                is_cut = True
                if self._line is not None:
                    with contextlib.suppress(OSError):
                        self._line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, seconds), cut)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError as error:  # without it there would be no deadline
            raise OSError("no thread can be started") from error
        try:
            yield lambda: is_cut
        finally:
            timer.cancel()
            with self._lock:
                is_over = True

    def let_go(self) -> None:
        """Close it for good. `close` is not that: the library calls it while an answer is still being read."""
        self.close()
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.close()


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    """The addresses of a name. The system's resolver knows no deadline: it is waited for in a thread."""
    found: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            found.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = found.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _read(response: http.client.HTTPResponse, limit: int) -> tuple[Answer, bool]:
    """The answer, and whether all of it was read, so that the connection may be used again.

    The status has been said before the body: a body that breaks off takes nothing of it back.
    """
    body, is_whole = bytearray(), False
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        while len(body) <= limit:
            piece = response.read(_PIECE)
            if not piece:
                # `length` counts what is still announced; None where the end of the connection is the end.
                is_whole = not response.length and not response.will_close
                break
            body += piece
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, bytes(body[:limit])), is_whole


def _describe(error: BaseException) -> str:
    """What went wrong, in the system's words where they are the system's."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error.strerror or error}"
    return type(error).__name__
