"""The public app: every page, address and limit of one newsletter, put together.

GET never changes anything, so that link scanners cannot unsubscribe anybody. Nothing here is logged with a token in it:
access logging is off.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse

from digest.web import approving, archive, leaving, preferences, subscribing, webhooks
from digest.web.api import PREFIX, create_api
from digest.web.protecting import protect
from digest.web.serving import serve
from digest.web.site import Site

if TYPE_CHECKING:
    from digest.app import App

# In this order: the archive takes every address that none before it takes.
_ROOMS: Final[tuple[Callable[[Site], APIRouter], ...]] = (
    subscribing.make_routes,
    preferences.make_routes,
    leaving.make_routes,
    approving.make_routes,
    webhooks.make_routes,
    archive.make_routes,
)


def create_public(app: "App") -> FastAPI:
    """The public app of one newsletter."""
    site = Site(app)
    public = FastAPI(title=site.name, docs_url=None, redoc_url=None, openapi_url=None)
    protect(public, site)

    @public.api_route("/healthz", methods=["GET", "HEAD"])
    def tell_health() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    public.mount(PREFIX, create_api(app))
    for make_routes in _ROOMS:
        public.include_router(make_routes(site))
    return public


def serve_public(app: "App", *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigError when the address cannot be had."""
    serve(create_public(app), host=host, port=port, announce=announce)
