"""The public pages: the way out (RFC 8058) and the web view of each edition.

GET never changes anything, so that link scanners cannot unsubscribe anybody; POST acts at once, without cookie,
login or redirect. Nothing here is logged with a token in it: access logging is off.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import date
from html import escape
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from digest.errors import BadToken, StoreError
from digest.models import UNSUBSCRIBE_TOKEN, EditionState, StoredEdition
from digest.render.wording import format_day
from digest.web.serving import serve

if TYPE_CHECKING:
    from digest.app import App

_SHOWN = (EditionState.SENDING, EditionState.SENT, EditionState.STOPPED)
_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def create_public(app: "App") -> FastAPI:
    """The public app of one newsletter."""
    newsletter = app.config.newsletter
    slug, language = newsletter.slug, newsletter.language
    public = FastAPI(title=newsletter.name, docs_url=None, redoc_url=None, openapi_url=None)

    def page(name: str, status: int = 200, **context: object) -> HTMLResponse:
        body = app.renderer.render_page(f"web/{name}", language=language, newsletter=newsletter.name, **context)
        return HTMLResponse(body, status_code=status)

    def message(key: str, status: int) -> HTMLResponse:
        return page("message.html", status, key=key)

    def corrections_of(stored: StoredEdition) -> str:
        """What was put right since it went out, as it stands above the web view."""
        made = stored.edition.corrected if stored.edition else ()
        said = [(format_day(app.day_of(one.made_at), language), one.text) for one in made]
        return app.renderer.render_page("web/corrections.html", language=language, corrections=said) if said else ""

    @public.middleware("http")
    async def protect(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await go_on(request)
        response.headers.update(
            {
                "Content-Security-Policy": _POLICY,
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
                "Cache-Control": "no-store",
            }
        )
        if newsletter.base_url.startswith("https://"):
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    @public.exception_handler(BadToken)
    async def refuse_token(request: Request, error: BadToken) -> Response:  # noqa: ARG001 - FastAPI's shape
        return message("bad_link", 404)

    @public.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> Response:  # noqa: ARG001
        answer = message("not_found" if error.status_code == 404 else "not_possible", error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @public.exception_handler(StoreError)
    async def apologize(request: Request, error: StoreError) -> Response:  # noqa: ARG001
        return message("try_again", 503)

    @public.api_route("/healthz", methods=["GET", "HEAD"])
    def tell_health() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @public.api_route(f"/{slug}/unsubscribe", methods=["GET", "HEAD"])
    def explain_unsubscribe() -> HTMLResponse:
        return message("link_in_mail", 200)

    @public.api_route(f"/{slug}/unsubscribe/{{token}}", methods=["GET", "HEAD"])
    def ask_unsubscribe(token: str) -> HTMLResponse:
        app.links.verify(token)
        return page("unsubscribe.html", action="")

    @public.post(f"/{slug}/unsubscribe/{{token}}")
    def unsubscribe(token: str) -> HTMLResponse:
        # The body says List-Unsubscribe=One-Click in one of two encodings, or nothing from our own form: the address
        # alone says who and what, so it is not read.
        key = app.links.verify(token)
        if not app.store.subscribers.leave(slug, key, now=app.clock()):
            raise BadToken("link", "nobody has this link any more")
        return page("unsubscribed.html")

    @public.api_route(f"/{slug}/{{day}}", methods=["GET", "HEAD"])
    def show_edition(day: str, variant: str = "all") -> HTMLResponse:
        try:
            stored = app.store.editions.find(slug, "daily", date.fromisoformat(day))
        except ValueError:
            raise HTTPException(404) from None
        if stored and stored.state is EditionState.WITHDRAWN:
            return page("withdrawn.html", 410, day=format_day(stored.date, language), note=stored.reason or "")
        if stored is None or stored.state not in _SHOWN:
            raise HTTPException(404)
        renditions = app.store.editions.renditions(stored.id)
        rendition = renditions.get(variant)
        if rendition is None:
            raise HTTPException(404)
        # The web view is everybody's: it carries nobody's own link.
        html = rendition.html.replace(UNSUBSCRIBE_TOKEN, escape(f"/{slug}/unsubscribe"))
        return HTMLResponse(_BODY.sub(lambda tag: tag[0] + corrections_of(stored), html, count=1))

    return public


def serve_public(app: "App", *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigError when the address cannot be had."""
    serve(create_public(app), host=host, port=port, announce=announce)
