"""The preview: the very bytes that would be sent, on loopback, for the operator's eyes only.

/            the page          /html?mode=…&which=…   the mail, as it is or as some client shows it
/text /raw   its other parts   /version               changes when the templates or the configuration do
POST /compose   compose anew   POST /send-test        one message to an address, by the configured transport
"""

import email
import email.policy
import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from digest.errors import DigestError
from digest.models import UNSUBSCRIBE_TOKEN, Finding, Viewpoint
from digest.preflight import verdict
from digest.web.imitating import CLIP, imitate
from digest.web.serving import serve

if TYPE_CHECKING:
    from digest.models import Outcome
    from digest.ports import Preview
    from digest.render import Renderer

_HOST = "127.0.0.1"
# The mail's own frame: no script, no network but pictures, whatever a feed may have smuggled in. Its origin is ours,
# so that the page can tell how high it is; without scripts that gives the mail nothing.
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; sandbox allow-same-origin allow-popups"
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_LINE = re.compile(r"line (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the preview may do. Each may raise any DigestError."""

    preview: "Callable[[Viewpoint], Preview]"
    send_test: "Callable[[str, Viewpoint], tuple[str, Outcome]]"  # to an address, what is shown from there
    renderer: "Callable[[], Renderer]"  # made anew when templates or configuration have changed
    script: str  # the page's own, read at the start: it must be there when nothing else can be read
    watched: Sequence[Path]  # files and folders whose change is a new version
    today: Callable[[], date]  # the edition's day: another one is a new version


class Shown:
    """The preview as it was last made, for each choice of reader; made anew on request, since it may read pages."""

    def __init__(self, desk: Desk, *, subscriber: str | None) -> None:
        """Made once at the start, so that what is wrong shows there."""
        self.desk = desk
        self.subscriber = subscriber
        self._made: dict[Viewpoint, tuple[str, Preview]] = {}
        self._turn = threading.Lock()  # one composition at a time, and none that outlives `forget`
        self.get(Viewpoint(email=subscriber))

    def get(self, viewpoint: Viewpoint) -> "Preview":
        """The preview for a reader, of this version of the templates."""
        with self._turn:
            version = self.version()
            known = self._made.get(viewpoint)
            if known is None or known[0] != version:
                known = self._made[viewpoint] = (version, self.desk.preview(viewpoint))
            return known[1]

    def forget(self) -> None:
        """Compose anew the next time."""
        with self._turn:
            self._made.clear()

    def version(self) -> str:
        """Another text whenever a watched file has changed."""
        seen = hashlib.sha256(str(self.desk.today()).encode())
        for path in _files_in(self.desk.watched):
            try:
                seen.update(f"{path}{path.stat().st_mtime_ns}".encode())
            except OSError:  # it went away between the two looks
                seen.update(str(path).encode())
        return seen.hexdigest()[:16]


def create_preview(shown: Shown) -> FastAPI:
    """The preview app."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # A page on the web that names our port by another host (DNS rebinding) gets nothing.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    token = secrets.token_urlsafe(16)  # a page on the web may post here, and cannot know this
    last: dict[str, str] = {}

    def chosen(request: Request) -> "Preview":
        return shown.get(read_viewpoint(request, shown.subscriber))

    @app.exception_handler(DigestError)
    def fail(request: Request, error: Exception) -> Response:  # noqa: ARG001
        return HTMLResponse(
            _error_page(str(error), shown.version()), status_code=500, headers={"Content-Security-Policy": _PAGE_POLICY}
        )

    @app.get("/")
    def show(request: Request) -> Response:
        viewpoint, renderer = read_viewpoint(request, shown.subscriber), shown.desk.renderer()
        preview = shown.get(viewpoint)
        headers, html, text = read_parts(preview)
        page = renderer.render_page(
            "web/preview.html",
            language="en",
            edition=preview.edition,
            stored=preview.stored,
            variant=preview.rendition.variant,
            topics=[section.id for section in preview.edition.sections if section.id],
            chosen=viewpoint.topics,
            languages=sorted(renderer.languages()),
            spoken=viewpoint.language or "",
            subscriber=viewpoint.email or "",
            subject=preview.rendition.subject,
            headers=headers,
            text=text,
            lines=list(annotate(html, preview.findings)),
            borne=preview.borne,
            has_previous=preview.previous is not None,
            html_bytes=len(html.encode()),
            payload_bytes=len(preview.payload),
            clip=CLIP,
            findings=preview.findings,
            verdict=verdict(preview.findings),
            transport=preview.transport,
            token=token,
            answer=last.pop("answer", ""),
            query=query_of(request),
            version=shown.version(),
        )
        headers_out = {
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": _PAGE_POLICY,
        }
        return HTMLResponse(page, headers=headers_out)

    @app.get("/html")
    def show_html(request: Request, mode: str = "", which: str = "") -> Response:
        preview = chosen(request)
        html = preview.previous.html if which == "previous" and preview.previous else read_parts(preview)[1]
        shown_html = imitate(html.replace(UNSUBSCRIBE_TOKEN, "#"), mode)
        policy = _MAIL_POLICY.format(images="'none'" if mode == "images" else "https: data:")
        return HTMLResponse(shown_html, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})

    @app.get("/text")
    def show_text(request: Request) -> Response:
        return PlainTextResponse(read_parts(chosen(request))[2], headers={"Cache-Control": "no-store"})

    @app.get("/raw")
    def show_raw(request: Request) -> Response:
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(chosen(request).payload, media_type="text/plain; charset=utf-8", headers=headers)

    @app.get("/version")
    def tell_version() -> Response:
        return JSONResponse({"version": shown.version()}, headers={"Cache-Control": "no-store"})

    @app.get("/preview.js")
    def show_script() -> Response:
        return Response(shown.desk.script, media_type="text/javascript", headers={"Cache-Control": "no-store"})

    @app.post("/compose")
    def compose(request: Request, key: str = Form("")) -> Response:
        if not secrets.compare_digest(key.encode(), token.encode()):
            return PlainTextResponse("This page was not ours.", status_code=403)
        shown.forget()
        return Response(status_code=303, headers={"Location": f"/{query_of(request)}"})

    @app.post("/send-test")
    def send_test(request: Request, key: str = Form(""), address: str = Form("")) -> Response:
        if not secrets.compare_digest(key.encode(), token.encode()):
            return PlainTextResponse("This page was not ours.", status_code=403)
        try:
            transport, outcome = shown.desk.send_test(address, read_viewpoint(request, shown.subscriber))
        except DigestError as error:
            last["answer"] = f"Not sent. {error}"
        else:
            said = f": {outcome.raw}" if outcome.raw else ""
            last["answer"] = f"{outcome.state.value.capitalize()} by {transport}{said}"
        return Response(status_code=303, headers={"Location": f"/{query_of(request)}#test"})

    return app


def read_viewpoint(request: Request, subscriber: str | None) -> Viewpoint:
    """As whom an address asks to look, as its ?topics=a+b&language=fr&subscriber=… says; else as `subscriber`."""
    asked = request.query_params
    return Viewpoint(
        email=asked.get("subscriber") or subscriber,
        topics=tuple(filter(None, re.split(r"[+ ]", asked.get("topics", "")))),
        language=asked.get("language") or None,
    )


def query_of(request: Request) -> str:
    """An address's query with its mark, to be carried along; "" where it has none."""
    return f"?{request.url.query}" if request.url.query else ""


def read_parts(preview: "Preview") -> tuple[list[tuple[str, str]], str, str]:
    """Headers, HTML and text, decoded from the bytes themselves where they are a message."""
    payload = preview.payload
    if payload.lstrip().startswith(b"{"):  # a provider's request: it builds the message itself
        return [], preview.rendition.html, preview.rendition.text
    message = email.message_from_bytes(payload, policy=email.policy.default)
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    headers = [(name, str(value)) for name, value in message.items()]
    return headers, html.get_content() if html else "", text.get_content() if text else ""


def annotate(html: str, findings: Sequence[Finding]) -> Iterator[tuple[int, str, list[Finding]]]:
    """Each line of the HTML with its number and the findings that speak of it."""
    by_line: dict[int, list[Finding]] = {}
    for finding in findings:
        if (finding.where or "").startswith("HTML") and (found := _LINE.search(finding.where or "")):
            by_line.setdefault(int(found[1]), []).append(finding)
    for number, line in enumerate(html.splitlines(), 1):
        yield number, line, by_line.get(number, [])


def serve_preview(desk: Desk, *, subscriber: str | None, port: int, announce: Callable[[str, "Preview"], None]) -> None:
    """Serve on loopback until stopped. Raises ConfigError when the port cannot be had, else what `desk` raises."""
    shown = Shown(desk, subscriber=subscriber)
    first = shown.get(Viewpoint(email=subscriber))
    serve(create_preview(shown), host=_HOST, port=port, announce=lambda url: announce(url, first))


def _files_in(watched: Sequence[Path]) -> Iterator[Path]:
    for place in watched:
        if place.suffix.endswith("-wal") and not _size_of(place):
            continue  # it comes and goes with every look at the database
        if place.is_dir():
            yield from sorted(path for path in place.rglob("*") if path.is_file())
        elif place.is_file():
            yield place


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _error_page(said: str, version: str) -> str:
    """What is wrong, on a page that tries again when something has changed."""
    from html import escape

    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Digest preview</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 70ch; margin: 12vh auto; padding: 0 20px; "
        "overflow-wrap: anywhere; }</style>"
        f'<meta name="color-scheme" content="light dark"></head><body data-version="{version}"><main>'
        f"<h1>The edition cannot be shown</h1><p>{escape(said)}</p>"
        "<p>This page looks again when a file has changed.</p>"
        '</main><script src="/preview.js" defer></script></body></html>'
    )
