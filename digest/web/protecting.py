"""What stands around every page of the public app.

    request ── asked in words we read? ── not too often? ── whole, in time, not too big? ── room for one more? ──> app
                      │ 415                  │ 429            │ 408, 413, 503                  │ 503              │
    answer <──────────┴──────────────────────┴──── headers of protection on every one ─────────┴────── 500 ───────┘

It is ASGI and nothing more, so that it holds for what fails as for what works. It knows paths only to tell what is
asked; it reads no token and opens no database. The limits on connections are in `serving`.
"""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

from digest.stores.patience import hurried
from digest.web.answering import Answering
from digest.web.clients import find_client, is_among, network_around, read_networks
from digest.web.limiting import Kind, Limits, RateLimit

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from digest.web.site import Site

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": (
        "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        "microphone=(), midi=(), payment=(), usb=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}
SECURE_FOR: Final = "max-age=31536000"
_DRAIN_SECONDS: Final = 3.0

_log = logging.getLogger("digest.web")


class _Unfit(Exception):
    """A request that no page is asked about."""

    def __init__(self, status: int, key: str, wait: int | None = None) -> None:
        super().__init__(key)
        self.status = status
        self.key = key
        self.wait = wait


class Protection:
    """ASGI: the limits before an app, and the headers on all it answers."""

    def __init__(self, app: "ASGIApp", *, site: "Site", answering: Answering, limits: Limits) -> None:
        """Around `app`; what it does not let through is said by `answering`."""
        self._app = app
        self._limits = limits
        self._answering = answering
        self._slug = site.slug
        self._headers = HEADERS | ({"Strict-Transport-Security": SECURE_FOR} if site.is_secure else {})
        self._proxies = read_networks(site.app.config.web.proxies)
        self._rates = RateLimit(limits.minutely)
        self._work = asyncio.Semaphore(limits.at_work)
        self._held = 0
        self._warned = False

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """One request."""
        if scope["type"] != "http":
            return  # there is nothing else here
        begun = ended = False

        async def send_protected(message: "Message") -> None:
            nonlocal begun, ended
            if message["type"] == "http.response.start":
                begun = True
                self._protect(message)
            ended = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                await self._admit(scope, receive, send_protected)
        except _Unfit as unfit:
            answer = self._answering.refuse(scope["path"], unfit.key, unfit.status, wait=unfit.wait)
            await answer(scope, receive, send_protected)
        except TimeoutError:
            if begun:
                raise
            await self._answering.refuse(scope["path"], "try_again", 503, wait=5)(scope, receive, send_protected)
        except Exception:  # whatever it was, the asker gets an answer, and the operator the traceback
            _log.exception("%s %s failed", scope["method"], self._name_of(scope["path"]))
            if ended:
                return  # an app within this one said so itself
            if begun:
                raise  # too late to say so: the connection is cut
            answer = self._answering.refuse(scope["path"], "try_again", 500)
            await answer(scope, receive, send_protected)

    async def _admit(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        headers = Headers(scope=scope)
        kind = self._kind_of(scope["method"], scope["path"])
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise _Unfit(415, "compressed")
        if wait := self._rates.take(kind, network_around(self._client_of(scope, headers))):
            raise _Unfit(429, "too_often", wait)
        body = await self._read(kind, headers, receive)
        try:
            try:
                async with asyncio.timeout(self._limits.queue_seconds):
                    await self._work.acquire()
            except TimeoutError:
                raise _Unfit(503, "try_again", 5) from None
            try:
                with hurried():
                    await self._app(scope, _replay(body, receive), send)
            finally:
                self._work.release()
        finally:
            self._held -= len(body)

    async def _read(self, kind: Kind, headers: Headers, receive: "Receive") -> bytes:
        """The whole body, counted as it comes, whatever Content-Length says. It is held until the answer is given."""
        most = self._limits.bodies[kind]
        announced = headers.get("content-length", "")
        if announced.isdecimal() and len(announced) < 20 and int(announced) > most:
            if "expect" not in headers:  # who asks first has sent nothing yet
                await _drain(receive, most)
            raise _Unfit(413, "too_big")
        if not announced and "transfer-encoding" not in headers:
            return b""
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Unfit(400, "not_possible")
                    piece = message.get("body", b"")
                    body += piece
                    self._held += len(piece)
                    if len(body) > most:
                        await _drain(receive, most)
                        raise _Unfit(413, "too_big")
                    if self._held > self._limits.held_bytes:
                        raise _Unfit(503, "try_again", 5)
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            self._held -= len(body)
            raise _Unfit(408, "too_slow") from None
        except BaseException:
            self._held -= len(body)
            raise

    def _client_of(self, scope: "Scope", headers: Headers) -> str:
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = headers.getlist("x-forwarded-for")
        if forwarded and not self._warned and not is_among(peer, self._proxies):
            self._warned = True  # once: whoever likes can send that header
            _log.warning(
                "%s sends X-Forwarded-For and is not in [web] proxies: if it is a proxy, all its visitors count as one",
                peer,
            )
        return find_client(peer, forwarded, self._proxies)

    def _kind_of(self, method: str, path: str) -> Kind:
        if path.startswith("/api/"):
            return "api"
        if path.startswith(f"/{self._slug}/events/"):
            return "webhook"
        if path.startswith((f"/{self._slug}/click/", f"/{self._slug}/open/")):
            return "link"
        if method != "POST":
            return "page"
        is_way_out = path.startswith(f"/{self._slug}/unsubscribe/") and not path.endswith("/preferences")
        return "one-click" if is_way_out else "form"

    @staticmethod
    def _name_of(path: str) -> str:
        """A path as it may stand in a log: its last part may be somebody's link."""
        return "/".join(path.split("/")[:3])[:80]

    def _protect(self, start: "Message") -> None:
        headers = MutableHeaders(scope=start)
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        # A counted picture is shown by readers of mail, which are other sites.
        is_picture = headers.get("content-type", "").startswith("image/")
        headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin" if is_picture else "same-origin")
        is_public = headers.get("cache-control", "").startswith("public") and start["status"] < 400
        if not is_public:
            headers["Cache-Control"] = "no-store"
            headers.setdefault("X-Robots-Tag", "noindex, nofollow")


async def _drain(receive: "Receive", most: int) -> None:
    """Let a body pass that is not looked at, up to some times its limit: many clients read no answer before they have
    sent everything, and find the connection broken instead.
    """
    left = 8 * most
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b"")) + 1
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return


def _replay(body: bytes, receive: "Receive") -> "Receive":
    """The body that was read, once, and then what the connection says."""
    given = False

    async def replay() -> "Message":
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def protect(public: "FastAPI", site: "Site", limits: Limits) -> None:
    """Put the limits, the headers and the pages of errors around an app."""
    answering = Answering(site)
    answering.install(public)
    public.add_middleware(Protection, site=site, answering=answering, limits=limits)
