"""An HTTP connection that ends in time, whatever the other side does.

A timeout of a socket is one of each wait only: a byte now and then makes it last for ever. So a timer shuts the
connection down at its deadline, in whatever call it is waited for.
"""

import contextlib
import http.client
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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


class CutConnection(http.client.HTTPConnection):
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
