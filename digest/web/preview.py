"""The preview: the very bytes that would be sent, on loopback, for the operator's eyes only."""

import email
import email.policy
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from digest.models import UNSUBSCRIBE_TOKEN
from digest.preflight import verdict
from digest.web.serving import serve

if TYPE_CHECKING:
    from digest.ports import Preview
    from digest.render import Renderer

_HOST = "127.0.0.1"
# The mail's own frame: no script, no network but pictures, whatever a feed may have smuggled in.
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; sandbox allow-popups"


class Shown:
    """The preview as it was last made; made again on request only, since making it may read pages."""

    def __init__(self, make: "Callable[[], Preview]") -> None:
        """`make` composes it; it may raise any DigestError."""
        self._make = make
        self.preview = make()

    def refresh(self) -> None:
        """Make it again."""
        self.preview = self._make()

    def parts(self) -> tuple[list[tuple[str, str]], str, str]:
        """Headers, HTML and text, decoded from the bytes themselves where they are a message."""
        payload = self.preview.payload
        if payload.lstrip().startswith(b"{"):  # a provider's request: it builds the message itself
            rendition = self.preview.rendition
            return [], rendition.html, rendition.text
        message = email.message_from_bytes(payload, policy=email.policy.default)
        html, text = message.get_body(("html",)), message.get_body(("plain",))
        headers = [(name, str(value)) for name, value in message.items()]
        return headers, html.get_content() if html else "", text.get_content() if text else ""


def create_preview(shown: Shown, renderer: "Renderer") -> FastAPI:
    """The preview app."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # A page on the web that names our port by another host (DNS rebinding) gets nothing.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])

    @app.get("/")
    def show(request: Request) -> Response:
        if "refresh" in request.query_params:
            shown.refresh()
        preview = shown.preview
        headers, html, text = shown.parts()
        page = renderer.render_page(
            "web/preview.html",
            language="en",
            edition=preview.edition,
            stored=preview.stored,
            variant=preview.rendition.variant,
            subject=preview.rendition.subject,
            headers=headers,
            text=text,
            html_bytes=len(html.encode()),
            payload_bytes=len(preview.payload),
            findings=preview.findings,
            verdict=verdict(preview.findings),
        )
        return HTMLResponse(page, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    @app.get("/html")
    def show_html() -> Response:
        html = shown.parts()[1].replace(UNSUBSCRIBE_TOKEN, "#")
        return HTMLResponse(html, headers={"Content-Security-Policy": _MAIL_POLICY, "Cache-Control": "no-store"})

    @app.get("/text")
    def show_text() -> Response:
        return PlainTextResponse(shown.parts()[2], headers={"Cache-Control": "no-store"})

    @app.get("/raw")
    def show_raw() -> Response:
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(shown.preview.payload, media_type="text/plain; charset=utf-8", headers=headers)

    return app


def serve_preview(
    make: "Callable[[], Preview]", renderer: "Renderer", *, port: int, announce: Callable[[str], None]
) -> None:
    """Serve on loopback until stopped. Raises ConfigError when the port cannot be had, else what `make` raises."""
    serve(create_preview(Shown(make), renderer), host=_HOST, port=port, announce=announce)
