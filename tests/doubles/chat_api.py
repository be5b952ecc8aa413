"""A service that speaks OpenAI's chat completions on loopback, and says whatever a test tells it to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Parts = Iterator[bytes] | list[bytes]
Reaction = Callable[[dict[str, Any]], tuple[int, Parts]]


@dataclass
class ChatApi:
    """Where it listens, and what it was asked."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)  # set when the test is done: nothing waits longer


def completion(content: str, *, tokens: int = 100, finish_reason: str = "stop") -> bytes:
    """The body of an answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "choices": [choice], "usage": {"total_tokens": tokens}}
    ).encode()


def sentences(*texts: str, article: int = 1) -> str:
    """What a well-behaved model answers."""
    return json.dumps({"sentences": [{"article": article, "text": text} for text in texts]}, ensure_ascii=False)


def always(content: str, **changes: Any) -> Reaction:
    """The same answer to every question."""
    return lambda _: (200, [completion(content, **changes)])


@contextmanager
def serve_chat(react: Reaction, models: list[str] | None = None) -> Iterator[ChatApi]:
    """A service for the time of the block; without `models` it has no list of them."""
    api = ChatApi()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if models is None:
                self._answer(404, [b'{"error": {"message": "no such page"}}'])
            else:
                listed = [{"id": name, "object": "model", "created": 0, "owned_by": "x"} for name in models]
                self._answer(200, [json.dumps({"object": "list", "data": listed}).encode()])

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.asked.append(request)
            api.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._answer(*react(request))

        def _answer(self, status: int, parts: Parts) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            try:
                for part in parts:
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                pass  # the client has had enough

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
