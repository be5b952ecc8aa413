"""A server on loopback that does with each connection what a function says, also what no server should."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from types import TracebackType


class HttpScript:
    """`with HttpScript(deal) as server: server.url`; `deal(line)` is called in a thread for each connection.

    With `tls`, the connection is encrypted before `deal` has it.
    """

    def __init__(self, deal: Callable[["Line"], None], *, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.over = threading.Event()
        self._deal, self._tls = deal, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "HttpScript":
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        # Closing alone does not wake who waits for the next connection.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(lambda raw=raw: self._serve(raw))  # type: ignore[misc]

    def _serve(self, raw: socket.socket) -> None:
        with raw, contextlib.suppress(OSError):
            line = self._tls.wrap_socket(raw, server_side=True) if self._tls else raw
            with line:
                self._deal(Line(line, self.over))


class Line:
    """A connection as the server has it."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self.connection, self.over = connection, over
        self._kept = b""

    def read_head(self) -> bytes:
        """A request's first lines; b"" when no more requests come."""
        while b"\r\n\r\n" not in self._kept:
            piece = self.connection.recv(65_536)
            if not piece:
                return b""
            self._kept += piece
        head, _, self._kept = self._kept.partition(b"\r\n\r\n")
        return head

    def read_request(self) -> bytes:
        """A whole request; b"" when no more come."""
        head = self.read_head()
        announced = [int(line[15:]) for line in head.splitlines() if line.lower().startswith(b"content-length:")]
        length = announced[0] if announced else 0
        while len(self._kept) < length:
            piece = self.connection.recv(65_536)
            if not piece:
                return b""
            self._kept += piece
        body, self._kept = self._kept[:length], self._kept[length:]
        return head + b"\r\n\r\n" + body if head else b""

    def say(self, words: bytes) -> None:
        """All of it at once."""
        self.connection.sendall(words)

    def trickle(self, pieces: Iterable[bytes], pause: float = 0.05) -> None:
        """One piece after the other, until the test or the other side ends."""
        for piece in pieces:
            if self.over.wait(pause):
                return
            self.connection.sendall(piece)

    def stall(self) -> None:
        """Do nothing more."""
        self.over.wait(60)
