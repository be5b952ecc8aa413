"""The one guarded way out to the network, for every address that strangers supply.

    address ─> http(s)? ─> host resolved once, all its addresses public? ─> connect to one of them ─> answer, limited
       ^                                                                                  │
       └──────────────────── redirect (at most 5): everything is asked again ─────────────┘

Proxies of the environment are not used: they would go where the guard does not see. Bodies are decompressed here, in
pieces, so that a small answer cannot become a large one. Messages name hosts, never whole addresses: those may be
secret.
"""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from digest.errors import SourceError
from digest.protocols import Request, Response
from digest.sources.encoding import Inflater
from digest.sources.guard import ForbiddenAddressError, Guard
from digest.sources.robots import Robots

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PERMANENT: Final = frozenset({301, 308})
_MOST_REDIRECTS: Final = 5
_MOST_FAILURES: Final = 5  # of a host in a row; what else is asked of it in this run fails at once
_PIECE: Final = 65_536
_LONGEST_HEADER: Final = 65_536  # some sites send cookies and policies beyond aiohttp's 8 kB
_REMEDIES: Final = {
    401: "give its `headers` what lets a reader in",
    403: "ask its publisher to let this User-Agent in, or set its `headers`",
    404: "look for its new address",
    410: "it has gone for good: remove it",
}
_KEEP_ALIVE: Final = 2.0  # seconds; longer, thousands of hosts would use up the process's file descriptors
# What a redirect to another origin takes along; other headers may carry secrets (RFC 9110 §15.4).
_KEPT_ACROSS_ORIGINS: Final = frozenset({"accept", "accept-language", "if-none-match", "if-modified-since"})


_Redirect = tuple[URL, bool]  # where to, and whether for good


@dataclass(slots=True)
class _Host:
    """How one host fares in this run."""

    gate: asyncio.Semaphore
    failures: int = field(default=0)


class Fetcher:
    """An async context manager whose instance is a `protocols.Fetch`, for one run."""

    def __init__(
        self,
        *,
        user_agent: str,
        allow_private: Sequence[str] = (),
        seconds: float = 20.0,
        per_host: int = 2,
        total: int = 100,
    ) -> None:
        """`seconds` is the deadline of one request with its redirects, not counting the wait for its turn.

        At most `per_host` requests go to a host at a time, and `total` to all of them.
        """
        self._user_agent = user_agent
        self._allow_private = allow_private
        self._seconds = seconds
        self._per_host = per_host
        self._gate = asyncio.Semaphore(total)
        self._hosts: dict[str, _Host] = {}
        self._robots = Robots(self, user_agent)

    async def __aenter__(self) -> "Fetcher":
        self._guard = Guard(self._allow_private)
        connector = aiohttp.TCPConnector(
            limit=0,  # the gates here count, so that waiting is not taken for slowness
            resolver=self._guard,
            use_dns_cache=False,
            socket_factory=self._guard.make_socket,
            keepalive_timeout=_KEEP_ALIVE,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "gzip, deflate"},
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._robots.close()
        await self._session.close()
        await self._guard.close()

    async def __call__(self, request: Request) -> Response:
        """The answer, after redirects; a 304 is one too. Raises SourceError for all else, with the host as subject."""
        url = first = _parse(request.url)
        left = self._seconds
        moved = False
        for hop in range(_MOST_REDIRECTS + 1):
            if request.obeys_robots:
                await self._robots.require(url)
            headers = request.headers if url.origin() == first.origin() else _keep_harmless(request.headers)
            host = self._host(url)
            async with host.gate, self._gate:
                started = asyncio.get_running_loop().time()
                answer = await self._ask(url, headers, request.limit, host, left)
                left -= asyncio.get_running_loop().time() - started
            if isinstance(answer, Response):
                return replace(answer, moved_to=answer.url) if moved else answer
            url, is_permanent = answer
            moved = is_permanent and (moved or hop == 0)
        raise SourceError(_name(first), f"it redirects more than {_MOST_REDIRECTS} times")

    def _host(self, url: URL) -> _Host:
        name = f"{url.raw_host}:{url.port}"
        if name not in self._hosts:
            self._hosts[name] = _Host(asyncio.Semaphore(self._per_host))
        return self._hosts[name]

    async def _ask(
        self, url: URL, headers: Mapping[str, str], limit: int, host: _Host, seconds: float
    ) -> "Response | _Redirect":
        """One hop: an answer, or where it redirects to. Every exception of aiohttp ends here."""
        if host.failures >= _MOST_FAILURES:
            raise SourceError(_name(url), f"it did not answer {_MOST_FAILURES} times in a row, and was not asked again")
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._guard.admit(url.raw_host or "")
                answer = await self._exchange(url, headers, limit)
        except ForbiddenAddressError as error:
            remedy = "list its network in [fetch] allow_private if it is your own"
            raise SourceError(_name(url), str(error), remedy=remedy) from None
        except TimeoutError:
            host.failures += 1
            raise SourceError(_name(url), f"no complete answer within {self._seconds:g} seconds") from None
        except (aiohttp.ClientError, HttpProcessingError, OSError, EOFError, ValueError) as error:
            host.failures += isinstance(error, OSError)
            raise SourceError(_name(url), _explain(error)) from None
        host.failures = 0
        return answer

    async def _exchange(self, url: URL, headers: Mapping[str, str], limit: int) -> "Response | _Redirect":
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status in _REDIRECTS:
                return _next(url, answer), answer.status in _PERMANENT
            if answer.status >= 400:
                raise SourceError(
                    _name(url),
                    _describe_status(answer),
                    remedy=_REMEDIES.get(answer.status),
                    status=answer.status,
                    wait_seconds=_read_retry_after(answer.headers),
                )
            body = b"" if answer.status == 304 else await _read(answer, limit)
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            return Response(url=str(url), status=answer.status, headers=lowered, body=body)


def _parse(text: str) -> URL:
    """The URL as aiohttp will understand it; a second parser might see another host in the same text."""
    try:
        url = URL(text.strip())
    except ValueError:
        raise SourceError("address", "it is not a URL", remedy="write it as https://…") from None
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise SourceError(_name(url), "only http and https addresses are fetched", remedy="write it as https://…")
    return url


def _next(url: URL, answer: aiohttp.ClientResponse) -> URL:
    location = answer.headers.get("Location", "")
    if not location:
        raise SourceError(_name(url), f"it answers {answer.status} and does not say where to go")
    try:
        target = url.join(URL(location))
    except ValueError:
        raise SourceError(_name(url), "it redirects to what is not a URL") from None
    if target.scheme not in {"http", "https"} or not target.raw_host:
        raise SourceError(_name(url), "it redirects to an address that is not http or https")
    return target


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The decompressed body. Raises SourceError when it is over `limit` bytes or broken."""
    name = _name(answer.url)
    too_large = SourceError(name, f"its answer is larger than {limit:,} bytes")
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
        raise SourceError(name, f"its answer is compressed as {encoding[:20]!r}, which nobody asked for")
    is_plain = encoding in {"", "identity"}
    if is_plain and (answer.content_length or 0) > limit:
        raise too_large
    inflater = None if is_plain else Inflater(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async for piece in answer.content.iter_chunked(_PIECE):
            plain = inflater.feed(piece) if inflater else piece
            size += len(plain)
            if size > limit:
                raise too_large
            parts.append(plain)
        if inflater:
            inflater.finish()
    except zlib.error as error:
        raise SourceError(name, f"the compression of its answer is broken: {error}") from None
    return b"".join(parts)


def _keep_harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _KEPT_ACROSS_ORIGINS}


def _describe_status(answer: aiohttp.ClientResponse) -> str:
    said = f"it answers {answer.status} {(answer.reason or '')[:60]}".strip()
    later = answer.headers.get("Retry-After", "")
    if not later:
        return said
    return f"{said}, and asks to wait {later} seconds" if later.isdigit() else f"{said}, and asks to wait until {later}"


def _read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait; a date counts from the answer's own, since clocks differ (RFC 9110 §10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
        asked = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(until.tzinfo)
        return max(0.0, (until - asked).total_seconds())
    except (ValueError, TypeError):
        return None


def _explain(error: Exception) -> str:
    """The fault in a few words, without what may be secret in it."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"no secure connection: {getattr(cause, 'verify_message', '') or getattr(cause, 'reason', '') or cause}"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | EOFError):
        return "it ended the connection before its answer was complete"
    if isinstance(cause, OSError) and not isinstance(cause, aiohttp.ClientError) and cause.strerror:
        return f"it cannot be reached: {cause.strerror}"
    return f"its answer is not proper HTTP: {type(error).__name__}"


def _name(url: URL) -> str:
    return url.raw_host or "address"
