"""What SendGrid posts of our mail: signed, or not taken. Answered with 204 when it is on the disk, and not before.

    size ──> signature ──> age ──> JSON ──> store        413    403    403    400    503

The service posts again, for 24 hours, whatever is not answered with a 2xx. So what may pass is answered with 503, and
what will not with 4xx, which it tries again all the same, and gives up.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from digest.audience.receiving import read_events
from digest.audience.signatures import is_signed, read_public_keys
from digest.errors import StoreError
from digest.operate.events import keep_events, tell_waves
from digest.web.site import Site

if TYPE_CHECKING:
    from digest.audience.signatures import PublicKey

_SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
_TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"
_LIMIT: Final = 5_000_000  # bytes; the service sends at most 768 kB
_AHEAD: Final = timedelta(minutes=5)  # a clock may be wrong by so much
_SECONDS: Final = re.compile(r"[0-9]{1,11}")
_RETRY: Final = {"Retry-After": "60"}


def make_routes(site: Site) -> APIRouter:
    """The address of the event webhook."""
    app, slug = site.app, site.slug
    bounces = app.config.bounces
    keys = read_public_keys(bounces.sendgrid_key)
    router = APIRouter()

    @router.post(f"/{slug}/events/sendgrid")
    async def hear_sendgrid(request: Request) -> Response:
        if not keys:
            return _say(503, "events are not taken here yet: set [bounces] sendgrid_key", **_RETRY)
        refusal = _judge_headers(request, app.clock(), bounces.replay_window)
        if refusal:
            return refusal
        try:
            body = await _read_body(request)
        except ClientDisconnect:
            return _say(400, "the body is not complete")
        if body is None:
            return _say(413, f"the body is over {_LIMIT:,} bytes")
        # Checking, reading and writing take their time: the pages are served meanwhile.
        return await run_in_threadpool(_take, site, keys, request, body)

    return router


def _judge_headers(request: Request, now: datetime, window: timedelta) -> Response | None:
    """What refuses a request before its body is read; None: nothing does."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        return _say(415, "the body is compressed: the signature is over what is not", **{"Accept-Encoding": "identity"})
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and (len(length) > 12 or int(length) > _LIMIT):
        return _say(413, f"the body is over {_LIMIT:,} bytes")
    if not request.headers.get(_SIGNATURE):
        return _say(403, "it is not signed: switch on the signed event webhook")
    signed = request.headers.get(_TIMESTAMP, "")
    if not _SECONDS.fullmatch(signed):
        return _say(403, "it does not say when it was signed")
    age = now.timestamp() - int(signed)
    if age > window.total_seconds():
        at = datetime.fromtimestamp(int(signed), UTC)
        return _say(403, f"it was signed at {at:%Y-%m-%d %H:%M:%S} UTC, too long ago")
    if age < -_AHEAD.total_seconds():
        return _say(403, "it was signed in the future: check the clocks")
    return None


async def _read_body(request: Request) -> bytes | None:
    """The very bytes of the body; None when they are too many, and then the rest is not read."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LIMIT:
            return None
    return bytes(body)


def _take(site: Site, keys: "tuple[PublicKey, ...]", request: Request, body: bytes) -> Response:
    app = site.app
    signature, timestamp = request.headers[_SIGNATURE], request.headers[_TIMESTAMP]
    if not is_signed(keys, signature=signature, timestamp=timestamp, body=body):
        return _say(403, "the signature is not by the key in [bounces] sendgrid_key")
    try:
        events = read_events(body, now=app.clock())
    except ValueError as error:
        return _say(400, str(error))
    try:
        heard = keep_events(app, events)
    except StoreError as error:
        return _say(503, f"the events could not be kept: {error.message}", **_RETRY)
    # The operator's mail may take a while: the service is answered first.
    later = BackgroundTask(tell_waves, app, heard.waves) if heard.waves else None
    return Response(status_code=204, background=later)


def _say(status: int, text: str, **headers: str) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status, headers=headers)
