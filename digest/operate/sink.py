"""Where the mail of a drill ends: an SMTP server and a mail/send endpoint on loopback, each of which keeps a list.

    content comes ─ pause ─> written to the list ─ pause ─> answered

What stands in the list has arrived, whatever became of its sender; that is the evidence. Each step is told as it
happens, so that somebody can be killed right there.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Protocol

from aiosmtpd.smtp import SMTP, Envelope, Session

_HOST: Final = "127.0.0.1"
_LONGEST_START: Final = 10.0  # seconds


class Sink(Protocol):
    """Takes mail while it is entered."""

    port: int

    def __enter__(self) -> "Sink": ...

    def __exit__(self, *_: object) -> None: ...


class Arrivals:
    """A file with the address of each message that arrived, a line each, written before it is answered."""

    def __init__(self, path: Path) -> None:
        """An empty list."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, addresses: Sequence[str]) -> None:
        """They have arrived, all at once."""
        os.write(self._file, "".join(f"{address}\n" for address in addresses).encode())

    def close(self) -> None:
        """No more are written."""
        os.close(self._file)


class SmtpSink:
    """An SMTP server that takes everything. `with SmtpSink(…) as sink: sink.port`"""

    def __init__(self, arrivals: Arrivals, *, on_step: Callable[[], None], pause: Callable[[], float]) -> None:
        """`on_step()` is called at each of a message's four steps, `pause()` says for how many seconds to dawdle."""
        self._handler = _Handler(arrivals, on_step, pause)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="digest sink", daemon=True)
        self._ready = threading.Event()
        self.port = 0

    def __enter__(self) -> "SmtpSink":
        self._thread.start()
        self._ready.wait(_LONGEST_START)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._loop.create_server(self._greet, _HOST, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()

    def _greet(self) -> SMTP:
        return SMTP(self._handler, hostname="drill.invalid", ident="a sink", loop=self._loop)


class _Handler:
    """aiosmtpd's hooks."""

    def __init__(self, arrivals: Arrivals, on_step: Callable[[], None], pause: Callable[[], float]) -> None:
        self._arrivals = arrivals
        self._on_step = on_step
        self._pause = pause

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        self._on_step()
        return "250 2.1.0 ok"

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],  # noqa: ARG002
    ) -> str:
        envelope.rcpt_tos.append(address)
        self._on_step()
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        self._on_step()
        await asyncio.sleep(self._pause())
        self._arrivals.note(envelope.rcpt_tos)
        self._on_step()
        await asyncio.sleep(self._pause())
        return "250 2.0.0 taken"


class SendGridSink:
    """An endpoint that takes every mail/send request. `with SendGridSink(…) as sink: sink.port`"""

    def __init__(self, arrivals: Arrivals, *, on_step: Callable[[], None], pause: Callable[[], float]) -> None:
        """`on_step()` is called at each of a request's two steps, `pause()` says for how many seconds to dawdle."""
        self._server = _Server((_HOST, 0), _make_endpoint(arrivals, on_step, pause))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.port = self._server.server_port

    def __enter__(self) -> "SendGridSink":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    block_on_close = False  # a kept connection would be waited for

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Its client was killed: that is what it is for."""


def _make_endpoint(
    arrivals: Arrivals, on_step: Callable[[], None], pause: Callable[[], float]
) -> type[BaseHTTPRequestHandler]:
    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True  # killed in the midst of the request: nothing of it was taken
                return
            on_step()
            time.sleep(pause())
            if self.path == "/v3/mail/send":
                people = json.loads(body)["personalizations"]
                arrivals.note([party["email"] for person in people for party in person["to"]])
            on_step()
            time.sleep(pause())
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is said of a request."""

    return Endpoint
