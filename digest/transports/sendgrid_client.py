"""The `sendgrid` package's client over a pool of kept connections.

As shipped, the package opens a connection and builds a TLS context (21 ms) for each request, has no deadline, and
logs the request, key included, at DEBUG. Here it still makes the addresses, headers and version of each request; the
bytes go through one urllib3 pool with connect, read and total deadlines, and nothing is logged.
"""

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sendgrid
import urllib3
from python_http_client.client import Client
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from digest.errors import Ambiguous

_PUBLIC_HOST = "https://api.sendgrid.com"
_ANSWER_LIMIT = 100_000


class NotSent(Exception):
    """The request certainly did not leave."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class PooledClient:
    """mail/send and scopes, each with its deadlines."""

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

    def post_mail(self, body: Mapping[str, Any]) -> Answer:
        """POST /v3/mail/send. Raises NotSent or Ambiguous."""
        return self._ask("POST", "/v3/mail/send", json.dumps(body, ensure_ascii=False).encode())

    def get_scopes(self) -> Answer:
        """GET /v3/scopes. Raises NotSent or Ambiguous."""
        return self._ask("GET", "/v3/scopes", None)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        deadline = time.monotonic() + self._total_seconds
        headers = dict(self._client.request_headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        subject = f"sendgrid {self._client.host}"
        try:
            response = self._pool.request(
                method,
                f"{self._client.host.rstrip('/')}{path}",
                body=body,
                headers=headers,
                timeout=self._timeout,
                preload_content=False,
                redirect=False,
            )
        except (NewConnectionError, NameResolutionError, ConnectTimeoutError, SSLError) as error:
            raise NotSent from error
        except (HTTPError, OSError) as error:
            raise Ambiguous(subject, f"no answer: {type(error).__name__}") from error
        try:
            answer = bytearray()
            for chunk in response.stream(8192):
                answer += chunk
                if time.monotonic() > deadline or len(answer) > _ANSWER_LIMIT:
                    break
            return Answer(
                response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(answer)
            )
        except (HTTPError, OSError) as error:
            raise Ambiguous(subject, f"the answer broke off: {type(error).__name__}") from error
        finally:
            response.release_conn()
