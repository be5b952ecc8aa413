"""The preview: the very bytes that would be sent, on loopback, for the operator's eyes only.

/            the page          /html?mode=…&which=…&pictures=load   the mail, as it is or as some client shows it
/text /raw   its other parts   /version               changes when the templates or the configuration do
POST /compose   compose anew   POST /send-test        one message to an address, by the configured transport
"""

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from digest.errors import ConfigError, DigestError, RenderError
from digest.listening import listen
from digest.models import UNSUBSCRIBE_TOKEN, Viewpoint
from digest.preflight import verdict
from digest.web.imitating import CLIP, count_pictures, imitate, lead_out
from digest.web.reading import annotate, annotate_headers, read_parts, remarks_on
from digest.web.serving import serve

if TYPE_CHECKING:
    from digest.models import Outcome
    from digest.ports import Preview
    from digest.render import Renderer

_HOST = "127.0.0.1"
# The mail's own frame: no script, and no network but pictures when they are asked for, whatever a feed may have
# smuggled in. Its origin is ours, so that the page can tell how high it is; without scripts that gives the mail
# nothing. What its links open is a page like any other, out of the sandbox.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; "
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ASKED = frozenset({"subscriber", "topics", "language"})  # what an address may say of the reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the preview may do. Each may raise any DigestError."""

    preview: "Callable[[Viewpoint], Preview]"
    send_test: "Callable[[str, Viewpoint], tuple[str, Outcome]]"  # to an address, what is shown from there
    renderer: "Callable[[], Renderer]"  # made anew when templates or configuration have changed
    script: str  # the page's own, read at the start: it must be there when nothing else can be read
    watched: Sequence[Path]  # files and folders whose change is a new version
    today: Callable[[], date]  # the edition's day: another one is a new version
    stamp: Callable[[], str]  # of a database that lies in no files; it raises nothing


class Shown:
    """The preview as it was last made, for each choice of reader; made anew on request, since it may read pages."""

    def __init__(self, desk: Desk, *, start: Viewpoint) -> None:
        """Made once at the start, so that what is wrong shows there. `start`: as whom, until another is asked for."""
        self.desk = desk
        self.start = start
        self._made: dict[Viewpoint, tuple[str, Preview]] = {}
        self._turn = threading.Lock()  # one composition at a time, and none that outlives `forget`
        self.get(start)

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
        seen = hashlib.sha256(f"{self.desk.today()} {self.desk.stamp()}".encode())
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
        return shown.get(read_viewpoint(request, shown.start))

    @app.exception_handler(DigestError)
    def fail(request: Request, error: Exception) -> Response:
        page = _error_page(str(error), shown.version(), leads_back=bool(_ASKED & request.query_params.keys()))
        status = 404 if _is_askers_fault(error, shown, read_viewpoint(request, shown.start)) else 500
        return HTMLResponse(page, status_code=status, headers={"Content-Security-Policy": _PAGE_POLICY})

    @app.get("/")
    def show(request: Request) -> Response:
        viewpoint, renderer = read_viewpoint(request, shown.start), shown.desk.renderer()
        preview = shown.get(viewpoint)
        headers, html, text = read_parts(preview)
        header_rows, header_remarks = annotate_headers(headers, preview.findings)
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
            headers=header_rows,
            lines={
                part: list(annotate(words, preview.findings, part)) for part, words in (("HTML", html), ("text", text))
            },
            remarks={part: remarks_on(part, preview.findings) for part in ("HTML", "text")}
            | {"headers": header_remarks},
            pictures=count_pictures(html),
            previous_pictures=count_pictures(preview.previous.html) if preview.previous else 0,
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
    def show_html(request: Request, mode: str = "", which: str = "", pictures: str = "") -> Response:
        preview = chosen(request)
        html = preview.previous.html if which == "previous" and preview.previous else read_parts(preview)[1]
        for way_out in (UNSUBSCRIBE_TOKEN, preview.unsubscribe_url):  # a look must not lead a subscriber out
            html = html.replace(f"{way_out}/preferences", "#").replace(way_out, "#")
        shown_html = lead_out(imitate(html, mode))
        images = "'none'" if mode == "images" else "https: http: data:" if pictures == "load" else "data:"
        headers = {
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": _MAIL_POLICY.format(images=images),
        }
        return HTMLResponse(shown_html, headers=headers)

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
            transport, outcome = shown.desk.send_test(address, read_viewpoint(request, shown.start))
        except DigestError as error:
            last["answer"] = f"Not sent. {error}"
        else:
            said = f": {outcome.raw}" if outcome.raw else ""
            last["answer"] = f"{outcome.state.value.capitalize()} by {transport}{said}"
        return Response(status_code=303, headers={"Location": f"/{query_of(request)}#test"})

    return app


def read_viewpoint(request: Request, start: Viewpoint) -> Viewpoint:
    """As whom an address asks to look, as its ?topics=a+b&language=fr&subscriber=… says; else `start`."""
    asked = request.query_params
    if not _ASKED & asked.keys():
        return start
    return Viewpoint(
        email=asked.get("subscriber") or None,
        topics=tuple(filter(None, re.split(r"[+, ]", asked.get("topics", "")))),
        language=asked.get("language") or None,
    )


def query_of(request: Request) -> str:
    """An address's query with its mark, to be carried along; "" where it has none."""
    return f"?{request.url.query}" if request.url.query else ""


def serve_preview(desk: Desk, *, start: Viewpoint, port: int, announce: Callable[[str, "Preview"], None]) -> None:
    """Serve on loopback until stopped. Raises ConfigError when the port cannot be had, else what `desk` raises."""
    shown = Shown(desk, start=start)
    first = shown.get(start)
    with closing(listen(_HOST, port, remedy="choose another with --port")) as listener:
        serve(create_preview(shown), listener=listener, announce=lambda url: announce(url, first))


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


def _is_askers_fault(error: Exception, shown: Shown, asked: Viewpoint) -> bool:
    """Whether a subscriber or a topic was asked for that is not there: the whole edition then can be shown."""
    if not isinstance(error, ConfigError | RenderError) or not (asked.email or asked.topics):
        return False
    try:
        shown.get(Viewpoint())
    except DigestError:
        return False
    return True


def _error_page(said: str, version: str, *, leads_back: bool) -> str:
    """What is wrong, on a page that tries again when something has changed."""
    from html import escape

    back = '<p><a href="/">Show the whole edition</a></p>' if leads_back else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Digest preview</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 70ch; margin: 12vh auto; padding: 0 20px; "
        "overflow-wrap: anywhere; }</style>"
        f'<meta name="color-scheme" content="light dark"></head><body data-version="{version}"><main>'
        f"<h1>The edition cannot be shown</h1><p>{escape(said)}</p>{back}"
        "<p>This page looks again when a file has changed.</p>"
        '</main><script src="/preview.js" defer></script></body></html>'
    )
