"""The editions that went out, as anybody may read them: all of them, a page at a time, and each by itself."""

import re
from datetime import date
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException

from digest.models import UNSUBSCRIBE_TOKEN, Cadence, EditionState, StoredEdition
from digest.render.wording import format_day
from digest.web.caching import Remembered, answer_public
from digest.web.site import FEEDS, Site

_SHOWN: Final = (EditionState.SENDING, EditionState.SENT, EditionState.STOPPED)
_ON_A_PAGE: Final = 20
_HEADLINES: Final = 3
_SECONDS: Final = 60  # that caches may keep a page: one that is withdrawn is to be gone soon

_HEAD_END: Final = re.compile(r"</head\s*>", re.IGNORECASE)
_BODY: Final = re.compile(r"<body[^>]*>", re.IGNORECASE)
_BODY_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)
_OWN_LINK: Final = re.compile(re.escape(UNSUBSCRIBE_TOKEN) + r"(/[a-z]+)?")


class _DayConvertor(Convertor[str]):
    """The shape of a day in an address, so that every other address is left to other rooms."""

    regex = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("day", _DayConvertor())


def make_routes(site: Site) -> APIRouter:
    """The home page and the web views."""
    app, slug, language = site.app, site.slug, site.language
    router = APIRouter()
    remembered = Remembered()

    def address_of(stored: StoredEdition, variant: str = "all") -> str:
        further = "" if stored.cadence == "daily" else f"/{stored.cadence}"
        return f"{site.home}{stored.date.isoformat()}{further}" + (
            f"?variant={quote(variant, safe='')}" if variant != "all" else ""
        )

    def page_address(number: int) -> str:
        return site.home if number == 1 else f"{site.home}?page={number}"

    def describe(stored: StoredEdition) -> dict[str, object]:
        items = stored.edition.items if stored.edition else ()
        return {
            "address": address_of(stored),
            "day": format_day(stored.date, language),
            "cadence": stored.cadence,
            "headlines": [item.headline for item in items[:_HEADLINES]]
            or [stored.edition.subject if stored.edition else format_day(stored.date, language)],
            "number": len(items),
            "outlets": len(
                {item.outlet for item in items}.union(*({one.outlet for one in item.also} for item in items))
            ),
        }

    @router.api_route(f"/{slug}", methods=["GET", "HEAD"])
    @router.api_route("/", methods=["GET", "HEAD"])
    def lead_home() -> Response:
        return Response(
            status_code=307, headers={"Location": site.home, "Cache-Control": f"public, max-age={_SECONDS}"}
        )

    @router.api_route(f"/{slug}/", methods=["GET", "HEAD"])
    def show_archive(request: Request, page: str = "1") -> Response:
        state = app.store.archive.changed_at(slug)
        count = app.store.archive.count(slug)
        pages = max(1, -(-count // _ON_A_PAGE))
        number = int(page) if re.fullmatch("[0-9]{1,6}", page) else 0
        if not 1 <= number <= pages:
            raise HTTPException(404)

        def make() -> bytes:
            shown = app.store.archive.shown(slug, limit=_ON_A_PAGE, offset=(number - 1) * _ON_A_PAGE)
            page = site.page(
                "archive.html",
                editions=[describe(stored) for stored in shown],
                page=number,
                pages=pages,
                newer=page_address(number - 1) if number > 1 else "",
                older=page_address(number + 1) if number < pages else "",
            )
            return bytes(page.body)

        body = remembered.get(number, state, make)
        return answer_public(request, body, "text/html; charset=utf-8", seconds=_SECONDS)

    def show_edition(request: Request, day: str, cadence: Cadence, variant: str) -> Response:
        try:
            stored = app.store.editions.find(slug, cadence, date.fromisoformat(day))
        except ValueError:
            raise HTTPException(404) from None
        if stored and stored.state is EditionState.WITHDRAWN:
            return site.page("withdrawn.html", 410, day=format_day(stored.date, language), note=stored.reason or "")
        if stored is None or stored.state not in _SHOWN:
            raise HTTPException(404)
        rendition = app.store.archive.rendition(stored.id, variant)
        if rendition is None:
            raise HTTPException(404)
        html = _frame(site, stored, variant, rendition.html)
        return answer_public(request, html.encode(), "text/html; charset=utf-8", seconds=_SECONDS)

    @router.api_route(f"/{slug}/{{day:day}}", methods=["GET", "HEAD"])
    def show_daily(request: Request, day: str, variant: str = "all") -> Response:
        return show_edition(request, day, "daily", variant)

    @router.api_route(f"/{slug}/{{day:day}}/weekly", methods=["GET", "HEAD"])
    def show_weekly(request: Request, day: str, variant: str = "all") -> Response:
        return show_edition(request, day, "weekly", variant)

    @router.api_route(f"/{slug}/{{day:day}}/special", methods=["GET", "HEAD"])
    def show_special(request: Request, day: str, variant: str = "all") -> Response:
        return show_edition(request, day, "special", variant)

    def _frame(site: Site, stored: StoredEdition, variant: str, html: str) -> str:
        """A rendition as everybody's: with the way around it, what was put right since, and nobody's own link."""
        before, after = app.store.archive.beside(stored)
        having = app.store.archive.having(variant, [one.id for one in (before, after) if one])

        def link(other: StoredEdition | None) -> str:
            return address_of(other, variant if other.id in having else "all") if other else ""

        made = stored.edition.corrected if stored.edition else ()
        context: dict[str, object] = {
            "newsletter": site.name,
            "home": site.home,
            "feeds": FEEDS,
            "canonical": site.url(address_of(stored).removeprefix(site.home)),
            "before": link(before),
            "after": link(after),
            "corrections": [(format_day(app.timetable.day_of(one.made_at), language), one.text) for one in made],
        }
        spoken = variant.partition("@")[2] or language

        def part(name: str) -> str:
            return app.renderer.render_page(f"web/{name}", language=spoken, **context)

        above = part("_edition_bar.html") + (part("corrections.html") if made else "")
        html = _OWN_LINK.sub(
            lambda own: f"{site.home}{'subscribe' if own[1] == '/preferences' else 'unsubscribe'}", html
        )
        return _insert(html, head=part("_edition_head.html"), above=above, below=part("_edition_end.html"))

    return router


def _insert(html: str, *, head: str, above: str, below: str) -> str:
    """The page with more in its head, and above and below what it shows; also where its template has no such tags."""
    if ends := list(_BODY_END.finditer(html)):
        html = f"{html[: ends[-1].start()]}{below}{html[ends[-1].start() :]}"
    else:
        html += below
    if not _HEAD_END.search(html):
        above, head = head + above, ""
    html = _HEAD_END.sub(lambda tag: head + tag[0], html, count=1)
    if not _BODY.search(html):
        return above + html
    return _BODY.sub(lambda tag: tag[0] + above, html, count=1)
