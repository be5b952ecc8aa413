"""For those who run it: whether it is ready, figures for Prometheus, and a page of how the newsletter does.

    /readyz    200 while it can work, 503 and why else       anybody: it names nobody and no place
    /metrics   Prometheus' text format                       who has a token with status:read
    /status    a page with pictures                          the same: a browser asks for it as a password (RFC 7617)

It speaks English, as the command line does.
"""

import base64
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from digest.errors import DigestError, OtherRevision
from digest.models import Scope
from digest.operate.charts import GROUPS, plot_bars, plot_line
from digest.operate.incidents import find_incidents, read_standing
from digest.operate.status import read_status, write_standing
from digest.operate.tokens import authenticate
from digest.web.site import Site

_REALM: Final = 'Basic realm="digest", charset="UTF-8"'
_DAYS: Final = 90  # of readers, on the picture


def make_routes(site: Site) -> APIRouter:
    """The addresses for operators. They lie beside the newsletter's own, under no name of a reader's page."""
    app = site.app
    router = APIRouter()

    @router.api_route("/readyz", methods=["GET", "HEAD"])
    def tell_readiness() -> PlainTextResponse:
        try:
            app.store.require_revision()
        except OtherRevision:
            return PlainTextResponse("the database is of another version\n", 503)
        except DigestError:
            return PlainTextResponse("the database cannot be used now\n", 503)
        obstacle = app.watch.find_public_obstacle()
        return PlainTextResponse(f"{obstacle}\n" if obstacle else "ok\n", 503 if obstacle else 200)

    @router.api_route("/metrics", methods=["GET", "HEAD"])
    def tell_metrics(request: Request) -> Response:
        if refusal := refuse(site, request):
            return refusal
        from digest.operate.metrics import CONTENT_TYPE, read_metrics

        return Response(read_metrics(app), headers={"Content-Type": CONTENT_TYPE})

    @router.api_route("/status", methods=["GET", "HEAD"])
    def show_status(request: Request) -> Response:
        if refusal := refuse(site, request):
            return refusal
        found, now, today = read_status(app), app.clock(), app.today()
        counted = app.store.census.since(site.slug, today - timedelta(days=_DAYS))
        active = {day: states.get("active", 0) for day, states in counted.items()}
        active[today] = found["subscribers"].get("active", 0)
        body = app.renderer.render_page(
            "web/status.html",
            language="en",
            newsletter=site.name,
            home=site.home,
            feeds=(),
            found=found,
            incidents=find_incidents(read_standing(app, now)),
            readers=plot_line(active),
            bars=plot_bars(list(reversed(found["editions"]))),
            groups=list(GROUPS),
            lines=write_standing(found),
            now=now,
        )
        return HTMLResponse(body)

    return router


def refuse(site: Site, request: Request) -> Response | None:
    """The answer to who may not see it; None: they may. Raises StoreError."""
    secret = read_secret(request.headers.get("authorization", ""))
    token = authenticate(site.app, secret) if secret else None
    if token is None:
        words = "Give a token that has the scope status:read: `digest tokens create NAME --scope status:read`.\n"
        return PlainTextResponse(words, 401, headers={"WWW-Authenticate": _REALM})
    if Scope.STATUS_READ not in token.scopes:
        return PlainTextResponse("This token has not the scope status:read.\n", 403)
    return None


def read_secret(header: str) -> str:
    """The token of an Authorization header: a bearer's, or the password of any name; "" where there is none. Pure."""
    kind, _, given = header.strip().partition(" ")
    if kind.lower() == "bearer":
        return given.strip()
    if kind.lower() != "basic":
        return ""
    try:
        _, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:  # also what is no base64, or no UTF-8
        return ""
    return password
