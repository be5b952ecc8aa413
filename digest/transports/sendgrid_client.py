"""The `sendgrid` package's client over a pool of kept connections.

As shipped, the package opens a connection and builds a TLS context (21 ms) for each request, has no deadline, and
logs the request, key included, at DEBUG. Here it still makes the addresses, headers and version of each request; the
bytes go through one urllib3 pool with connect, read and total deadlines, and nothing is logged.
"""

import io
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sendgrid
import urllib3
from python_http_client.client import Client
from urllib3.exceptions import HTTPError

from digest.errors import Ambiguous

_PUBLIC_HOST = "https://api.sendgrid.com"
_ANSWER_LIMIT = 100_000


class _WatchedBody(io.BytesIO):
    """A request's body that knows whether any of it was taken.

    The kinds of error do not tell: a TLS error may come of the handshake or of the answer. A request of which nothing
    but headers left cannot have been accepted, whatever broke; one whose body has begun may have been.
    """

    has_begun = False

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; from now on they may have left."""
        self.has_begun = True
        return super().read(size)


class NotSent(Exception):
    """The request certainly did not leave."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class PooledClient:
    """The API, each request with its deadlines."""

    def __init__(
        self,
        *,
        api_key: str,
        host: str,
        region: Literal["global", "eu"],
        connect_seconds: float,
        read_seconds: float,
        total_seconds: float,
    ) -> None:
        """Opens no connection yet."""
        api = sendgrid.SendGridAPIClient(api_key=api_key)
        # This builds the package's client anew: it comes before anything is changed about it.
        api.set_sendgrid_data_residency(region)
        if host != _PUBLIC_HOST:
            api.client.host = host
        self._pool = urllib3.PoolManager(ssl_context=ssl.create_default_context(), maxsize=8, retries=False)
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        self._total_seconds = total_seconds
        self._client: Client = api.client

    def __repr__(self) -> str:
        return f"PooledClient(host={self._client.host!r})"

    def post_mail(self, body: bytes) -> Answer:
        """POST /v3/mail/send. Raises NotSent or Ambiguous."""
        return self._ask("POST", "/v3/mail/send", body)

    def get_scopes(self) -> Answer:
        """GET /v3/scopes. Raises NotSent or Ambiguous."""
        return self._ask("GET", "/v3/scopes", None)

    def ask(self, method: str, path: str, content: object = None, *, limit: int = _ANSWER_LIMIT) -> Answer:
        """Anything else of the API; `content` goes as JSON, `limit` bounds the answer. Raises NotSent or Ambiguous."""
        body = None if content is None else json.dumps(content, ensure_ascii=False).encode()
        return self._ask(method, path, body, limit)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _ask(self, method: str, path: str, body: bytes | None, limit: int = _ANSWER_LIMIT) -> Answer:
        deadline = time.monotonic() + self._total_seconds
        headers = dict(self._client.request_headers)
        watched = _WatchedBody(body or b"")
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        subject = f"sendgrid {self._client.host}"
        try:
            response = self._pool.request(
                method,
                f"{self._client.host.rstrip('/')}{path}",
                body=watched if body is not None else None,
                headers=headers,
                timeout=self._timeout,
                preload_content=False,
                redirect=False,
            )
        except (HTTPError, OSError) as error:
            if not watched.has_begun:
                raise NotSent from error
            raise Ambiguous(subject, f"no answer: {type(error).__name__}") from error
        try:
            answer = bytearray()
            for chunk in response.stream(8192):
                answer += chunk
                if time.monotonic() > deadline or len(answer) > limit:
                    break
            return Answer(
                response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(answer)
            )
        except (HTTPError, OSError) as error:
            raise Ambiguous(subject, f"the answer broke off: {type(error).__name__}") from error
        finally:
            response.release_conn()
