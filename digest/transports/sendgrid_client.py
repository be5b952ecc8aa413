"""The `sendgrid` package's client over kept connections.

As shipped, the package opens a connection and builds a TLS context (21 ms) for each request, has no deadline, and
logs the request, key included, at DEBUG. Here it still says where the API is and what goes into each request's head;
the bytes go through `kept_connections`. What SendGrid answers is passed on without our key, whatever it repeats.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import sendgrid

from digest.errors import Ambiguous, Refused
from digest.transports.kept_connections import Answer, KeptConnections, Lost, NotSent

__all__ = ["Answer", "NotSent", "PooledClient", "errors_of", "read_wait"]

_PUBLIC_HOST: Final = "https://api.sendgrid.com"
_ANSWER_LIMIT: Final = 100_000
_MOST_ERRORS: Final = 1000
_LONGEST_WAIT: Final = 3600.0  # seconds; the limits are by the minute, so more is a mistake
_UNTOLD_WAIT: Final = 60.0


class PooledClient:
    """The API, each request with its deadlines. For use by any number of threads."""

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
        """Opens no connection yet. Raises Refused for a key that no header can hold, which no error may show."""
        if not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
            remedy = "copy DIGEST_SENDGRID_API_KEY anew"
            raise Refused("sendgrid", "the key holds characters that no key has", remedy=remedy)
        api = sendgrid.SendGridAPIClient(api_key=api_key)
        # This builds the package's client anew: it comes before anything is changed about it.
        api.set_sendgrid_data_residency(region)
        if host != _PUBLIC_HOST:
            api.client.host = host
        self.host = str(api.client.host)
        self._key = api_key.encode()
        self._headers = {str(name): str(value) for name, value in api.client.request_headers.items()}
        self._connections = KeptConnections(
            self.host,
            connect_seconds=connect_seconds,
            read_seconds=read_seconds,
            total_seconds=total_seconds,
        )

    def __repr__(self) -> str:
        return f"PooledClient(host={self.host!r})"

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
        self._connections.close()

    def _ask(self, method: str, path: str, body: bytes | None, limit: int = _ANSWER_LIMIT) -> Answer:
        headers = dict(self._headers)
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        try:
            answer = self._connections.exchange(method, path, headers, body, limit)
        except Lost as error:
            raise Ambiguous(f"sendgrid {self.host}", f"no answer: {error}") from None
        return Answer(answer.status, answer.headers, answer.body.replace(self._key, b"..."))


def errors_of(answer: Answer) -> list[tuple[str, str]]:
    """The field and the message of each error of an answer."""
    try:
        errors = json.loads(answer.body).get("errors") or []
        return [(str(error.get("field") or ""), str(error.get("message", ""))[:200]) for error in errors[:_MOST_ERRORS]]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []


def read_wait(headers: Mapping[str, str], now: datetime) -> float:
    """For how many seconds an answer asks to be left alone: until its reset, or as Retry-After has it.

    The reset is an instant by SendGrid's clock, and the answer's own Date says what that shows: ours may be off. What
    makes no sense is a minute, as the limits are by the minute.
    """
    wait = _until(headers.get("x-ratelimit-reset", ""), _read_date(headers.get("date", "")) or now)
    if wait is None:
        after = headers.get("retry-after", "")
        ends_at = _read_date(after)
        if ends_at is not None:
            wait = (ends_at - (_read_date(headers.get("date", "")) or now)).total_seconds()
        elif after.isascii() and after.isdigit():
            wait = float(after[:10])
    if wait is None or wait > _LONGEST_WAIT:
        return _UNTOLD_WAIT
    return max(1.0, wait)


def _until(reset: str, now: datetime) -> float | None:
    if not (reset.isascii() and reset.isdigit()) or len(reset) > 12:
        return None
    number = int(reset)
    # A reset in the seventies is a number of seconds from now.
    return float(number) if number < 1_000_000_000 else number - now.timestamp()


def _read_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
