"""SendGrid's suppression lists: read, added to, and taken from.

Blocks are not read: they are servers' passing words, and SendGrid goes on mailing those. 429 waits for its reset within
a bound. All of it may be done twice without harm, so whatever is lost on the way is Unavailable: the next day's
reconciliation does it again.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from digest.errors import Ambiguous, Refused, Unavailable
from digest.models import Listed, ProviderList
from digest.transports.mime import ascii_address
from digest.transports.sendgrid_client import Answer, NotSent, PooledClient, read_wait

_PAGE = 500  # the most that a page may have
_MOST_PAGES = 20_000
_BATCH = 500
_ANSWER_LIMIT = 5_000_000
_ERASED_AT_ONCE = 5000
_ERASED_BYTES = 250_000
_TRIES = 4
_LONGEST_WAIT = 60.0  # seconds for a reset; the limits are by the minute


class SendGridLists:
    """protocols.Lists. One TLS context and a pool of connections are kept."""

    def __init__(
        self,
        *,
        api_key: str,
        host: str = "https://api.sendgrid.com",
        region: Literal["global", "eu"] = "global",
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime],
        seconds: float = 30.0,
    ) -> None:
        """`host` replaces the region's when it is not the public one; `seconds` bounds each answer."""
        self._host = host
        self._wait, self._clock = wait, clock
        self._client = PooledClient(
            api_key=api_key,
            host=host,
            region=region,
            connect_seconds=5.0,
            read_seconds=seconds,
            total_seconds=2 * seconds,
        )

    def __repr__(self) -> str:
        return f"SendGridLists(host={self._host!r})"

    def read(self, name: ProviderList) -> Iterator[Listed]:
        """Everybody on a list, page by page. What is no address is left out."""
        for page in range(_MOST_PAGES):
            path = f"/v3/suppression/{name.value}?limit={_PAGE}&offset={page * _PAGE}"
            rows = self._read_rows(self._ask("GET", path), name)
            yield from (listed for row in rows if (listed := _read_row(row)))
            if len(rows) < _PAGE:
                return
        raise Unavailable(self._subject, f"the list {name.value} has no end")

    def add(self, emails: Sequence[str]) -> None:
        """To the global unsubscribes: there is no other list that may be added to."""
        for start in range(0, len(emails), _BATCH):
            self._ask(
                "POST",
                "/v3/asm/suppressions/global",
                {"recipient_emails": [ascii_address(email) for email in emails[start : start + _BATCH]]},
            )

    def remove(self, name: ProviderList, emails: Sequence[str]) -> None:
        """By their addresses: an empty request would be about everybody, and is never made."""
        if name is ProviderList.LEFT:
            for email in emails:
                self._ask("DELETE", f"/v3/asm/suppressions/global/{quote(email, safe='@')}")
            return
        for start in range(0, len(emails), _BATCH):
            self._ask("DELETE", f"/v3/suppression/{name.value}", {"emails": list(emails[start : start + _BATCH])})

    def erase(self, emails: Sequence[str]) -> None:
        """By a job that the service does when it has time; what it knows of nobody is no fault."""
        for chunk in _pack(sorted({ascii_address(email) for email in emails})):
            self._ask("POST", "/v3/recipients/erasejob", {"email_addresses": chunk})

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    @property
    def _subject(self) -> str:
        return f"sendgrid {self._host}"

    def _ask(self, method: str, path: str, content: object = None) -> Answer:
        where = path.partition("?")[0].partition("@")[0]
        for _ in range(_TRIES):
            try:
                answer = self._client.ask(method, path, content, limit=_ANSWER_LIMIT)
            except (NotSent, Ambiguous) as error:
                raise Unavailable(self._subject, "no answer of its suppression lists") from error.__cause__
            if answer.status != 429:
                break
            self._wait_for_reset(answer)
        if 200 <= answer.status < 300 or (answer.status == 404 and method == "DELETE"):  # it is not there, then
            return answer
        if answer.status in (401, 403):
            remedy = "give the key the scopes of suppressions and unsubscribes, or check DIGEST_SENDGRID_API_KEY"
            raise Refused(self._subject, f"the key may not see its suppression lists ({answer.status})", remedy=remedy)
        if answer.status in (429, 503) or answer.status >= 500:
            raise Unavailable(self._subject, f"its suppression lists answer {answer.status}")
        # A list's own path names no reader; a single reader's does, and is cut off before the address.
        listed = where if "global/" not in where else "/v3/asm/suppressions/global"
        raise Refused(self._subject, f"{method} {listed} is refused ({answer.status})")

    def _wait_for_reset(self, answer: Answer) -> None:
        seconds = read_wait(answer.headers, self._clock())
        if seconds > _LONGEST_WAIT:
            raise Unavailable(self._subject, f"too many requests; the limit is reset in {seconds:.0f} seconds")
        self._wait(seconds)

    def _read_rows(self, answer: Answer, name: ProviderList) -> list[Any]:
        try:
            rows = json.loads(answer.body)
        except ValueError:
            rows = None
        if not isinstance(rows, list):
            raise Unavailable(self._subject, f"the list {name.value} makes no sense")
        return rows


def _pack(emails: Sequence[str]) -> Iterator[list[str]]:
    """As many as one request may have: 5,000, or 256 KB."""
    chunk: list[str] = []
    size = 0
    for email in emails:
        if chunk and (len(chunk) == _ERASED_AT_ONCE or size + len(email) + 4 > _ERASED_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(email)
        size += len(email) + 4
    if chunk:
        yield chunk


def _read_row(row: Any) -> Listed | None:
    """A row of any of the lists: each has an address and a Unix time."""
    if not isinstance(row, dict):
        return None
    email, created = row.get("email"), row.get("created")
    if not isinstance(email, str) or not isinstance(created, int) or "@" not in email or len(email) > 320:
        return None
    if any(not character.isprintable() for character in email):
        return None
    try:
        return Listed(email=email.strip(), listed_at=datetime.fromtimestamp(created, UTC))
    except (OverflowError, OSError, ValueError):
        return None
