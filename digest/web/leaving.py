"""The way out (RFC 8058): GET shows a page and changes nothing; POST acts, without cookie, login or redirect."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from digest.errors import BadToken
from digest.web.site import Site


def make_routes(site: Site) -> APIRouter:
    """The addresses that lead out."""
    app, slug = site.app, site.slug
    router = APIRouter()

    @router.api_route(f"/{slug}/unsubscribe", methods=["GET", "HEAD"])
    def explain_unsubscribe() -> HTMLResponse:
        return site.message("link_in_mail", 200)

    @router.api_route(f"/{slug}/unsubscribe/{{token}}", methods=["GET", "HEAD"])
    def ask_unsubscribe(token: str) -> HTMLResponse:
        app.links.verify(token)
        return site.page("unsubscribe.html", action="", preferences=f"{site.home}unsubscribe/{token}/preferences")

    @router.post(f"/{slug}/unsubscribe/{{token}}")
    def unsubscribe(token: str) -> HTMLResponse:
        # The body says List-Unsubscribe=One-Click in one of two encodings, or nothing from our own form: the address
        # alone says who and what, so it is not read.
        key = app.links.verify(token)
        if not app.store.subscribers.leave(slug, key, now=app.clock()):
            raise BadToken("link", "nobody has this link any more")
        return site.page("unsubscribed.html", back=f"{site.home}unsubscribe/{token}/preferences")

    return router
