"""HTTP/1.1 requests over kept connections that end in time, whatever the other side does.

    request ──> a kept connection, or a new one (name, TCP, TLS: `connect_seconds` in all)
                   └─> headers, body, answer: `read_seconds` for each wait, `total_seconds` for everything

Nothing is logged, no redirect is followed and no request that may have left is made again. For use by any number of
threads.
"""

import contextlib
import http.client
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from digest.transports.cut_connection import CutConnection

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
        self._idle: list[tuple[CutConnection, float]] = []
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

    def _take(self) -> "CutConnection | None":
        """The connection that was used last, unless the other side has closed it or it was idle for too long."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if time.monotonic() - since < _LONGEST_IDLE and connection.is_quiet():
                return connection
            connection.let_go()

    def _connect(self, deadline: float) -> "CutConnection":
        seconds = min(self._connect_seconds, deadline - time.monotonic())
        connection = CutConnection(self._host, self._port, self._context, time.monotonic() + seconds)
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
        connection: "CutConnection",
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
    def _send(connection: "CutConnection", body: bytes | None) -> None:
        # Whoever answers before all was read, as with 413, hangs up as well: the answer may be there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if body:
                connection.send(body)


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
