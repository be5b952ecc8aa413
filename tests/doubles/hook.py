"""Whoever hears of incidents and heartbeats: an HTTP server that keeps what it was told, and answers as a test says."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook:
    """Listens on loopback for as long as it is entered."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []  # paths, and what was posted to them; None: it was only asked for
        self.answers: list[int] = []  # given to the next requests, instead of 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: Any) -> None:
                status = hook.answers.pop(0) if hook.answers else 200
                if status < 300:
                    hook.told.append((self.path, body))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{hook.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Hook":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
