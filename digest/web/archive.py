"""The editions that went out, as anybody may read them."""

import re
from datetime import date
from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from digest.models import UNSUBSCRIBE_TOKEN, EditionState, StoredEdition
from digest.render.wording import format_day
from digest.web.site import Site

_SHOWN = (EditionState.SENDING, EditionState.SENT, EditionState.STOPPED)
_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)


def make_routes(site: Site) -> APIRouter:
    """The web view of each edition."""
    app, slug, language = site.app, site.slug, site.language
    router = APIRouter()

    def corrections_of(stored: StoredEdition) -> str:
        """What was put right since it went out, as it stands above the web view."""
        made = stored.edition.corrected if stored.edition else ()
        said = [(format_day(app.day_of(one.made_at), language), one.text) for one in made]
        return app.renderer.render_page("web/corrections.html", language=language, corrections=said) if said else ""

    @router.api_route(f"/{slug}/{{day}}", methods=["GET", "HEAD"])
    def show_edition(day: str, variant: str = "all") -> HTMLResponse:
        try:
            stored = app.store.editions.find(slug, "daily", date.fromisoformat(day))
        except ValueError:
            raise HTTPException(404) from None
        if stored and stored.state is EditionState.WITHDRAWN:
            return site.page("withdrawn.html", 410, day=format_day(stored.date, language), note=stored.reason or "")
        if stored is None or stored.state not in _SHOWN:
            raise HTTPException(404)
        renditions = app.store.editions.renditions(stored.id)
        rendition = renditions.get(variant)
        if rendition is None:
            raise HTTPException(404)
        # The web view is everybody's: it carries nobody's own link.
        html = rendition.html.replace(UNSUBSCRIBE_TOKEN, escape(f"/{slug}/unsubscribe"))
        return HTMLResponse(_BODY.sub(lambda tag: tag[0] + corrections_of(stored), html, count=1))

    return router
