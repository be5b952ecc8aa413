"""The public app: every page, address and limit of one newsletter, put together.

GET never changes anything, so that link scanners cannot unsubscribe anybody. Nothing here is logged with a token in it:
access logging is off.
"""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse

from digest.web import (
    about,
    approving,
    archive,
    counting,
    feeds,
    leaving,
    operating,
    preferences,
    subscribing,
    webhooks,
)
from digest.web.api import PREFIX, create_api
from digest.web.clients import read_networks
from digest.web.limiting import Limits
from digest.web.protecting import protect
from digest.web.serving import serve
from digest.web.site import Site

if TYPE_CHECKING:
    from digest.app import App

_ROOMS: Final[tuple[Callable[[Site], APIRouter], ...]] = (
    subscribing.make_routes,
    preferences.make_routes,
    leaving.make_routes,
    approving.make_routes,
    webhooks.make_routes,
    about.make_routes,
    feeds.make_routes,
    counting.make_routes,
    operating.make_routes,
    archive.make_routes,
)


def create_public(app: "App", limits: Limits | None = None) -> FastAPI:
    """The public app of one newsletter."""
    site = Site(app)
    # No redirects to the other spelling of a slash: the router would build them from the Host that the client named.
    public = FastAPI(title=site.name, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    protect(public, site, limits or Limits())

    @public.api_route("/healthz", methods=["GET", "HEAD"])
    def tell_health() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    public.mount(PREFIX, create_api(app))
    for make_routes in _ROOMS:
        public.include_router(make_routes(site))
    return public


def serve_public(
    app: "App",
    *,
    listener: socket.socket,
    announce: Callable[[str], None],
    on_signal: Callable[[], None] = lambda: None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Serve until SIGINT or SIGTERM, of which `on_signal` hears, or until it `is_over`; the listener stays open."""
    proxies = read_networks(app.config.web.proxies)
    serve(
        create_public(app), listener=listener, announce=announce, proxies=proxies, on_signal=on_signal, is_over=is_over
    )
