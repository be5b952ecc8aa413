"""The editions as feeds: Atom (RFC 4287) and JSON Feed 1.1, the same entries in both."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response
from lxml import etree

from digest.models import StoredEdition
from digest.render import web_view_url
from digest.render.sandbox import on_one_line
from digest.render.wording import format_day
from digest.web.caching import Remembered, answer_public
from digest.web.site import FEEDS, Site

_NEWEST: Final = 20
_SECONDS: Final = 300
_ATOM: Final = "http://www.w3.org/2005/Atom"
_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_NEVER: Final = datetime.fromtimestamp(0, UTC)
# Feeds are read by programs of other sites too, in browsers.
_FOR_ALL: Final = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """One edition as a feed tells it."""

    id: str
    url: str
    title: str
    summary: str
    html: str
    language: str
    published_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedHead:
    """What stands above the entries."""

    title: str
    description: str
    home: str  # absolute, as all that follows
    url: str
    language: str
    picture: str = ""


def make_routes(site: Site) -> APIRouter:
    """The addresses of the feeds."""
    app, slug = site.app, site.slug
    router = APIRouter()
    remembered = Remembered()  # feeds are asked for day and night

    def head_of(name: str) -> FeedHead:
        logo = app.renderer.theme.logo
        return FeedHead(
            title=on_one_line(site.name),
            description=app.renderer.phrases(site.language)["archive_text"],
            home=site.url(),
            url=site.url(name),
            language=site.language,
            picture=logo.url if logo else "",
        )

    def entry_of(stored: StoredEdition) -> FeedEntry | None:
        edition = stored.edition
        if edition is None:
            return None
        corrections = [
            (format_day(app.timetable.day_of(one.made_at), site.language), one.text) for one in edition.corrected
        ]
        published = stored.dated_at or edition.composed_at
        return FeedEntry(
            id=make_id(site.base_url, slug, stored),
            url=web_view_url(site.base_url, edition, "all"),
            title=on_one_line(edition.subject) or format_day(stored.date, site.language),
            summary=on_one_line(" · ".join(item.headline for item in edition.items[:3])),
            html=app.renderer.render_page(
                "web/feed_entry.html", language=edition.language, edition=edition, corrections=corrections
            ),
            language=edition.language,
            published_at=published,
            updated_at=max([published, *(one.made_at for one in edition.corrected)]),
        )

    def answer(request: Request, name: str, write: Callable[[FeedHead, Sequence[FeedEntry]], bytes]) -> Response:
        def make() -> bytes:
            entries = [entry for one in app.store.archive.shown(slug, limit=_NEWEST) if (entry := entry_of(one))]
            return write(head_of(name), entries)

        state = app.store.archive.changed_at(slug)
        media_type = f"{dict(FEEDS)[name]}; charset=utf-8"
        body = remembered.get(name, state, make)
        given = answer_public(request, body, media_type, seconds=_SECONDS, modified=state[1])
        given.headers.update(_FOR_ALL)
        return given

    @router.api_route(f"/{slug}/feed.atom", methods=["GET", "HEAD"])
    def show_atom(request: Request) -> Response:
        return answer(request, "feed.atom", write_atom)

    @router.api_route(f"/{slug}/feed.json", methods=["GET", "HEAD"])
    def show_json(request: Request) -> Response:
        return answer(request, "feed.json", write_json)

    return router


def make_id(base_url: str, newsletter: str, stored: StoredEdition) -> str:
    """A name that an edition keeps whatever becomes of its address (RFC 4151)."""
    host = (urlsplit(base_url).hostname or "localhost").encode("idna").decode("ascii")
    return f"tag:{host},{stored.date.isoformat()}:{newsletter}/{stored.cadence}"


def write_atom(head: FeedHead, entries: Sequence[FeedEntry]) -> bytes:
    """RFC 4287."""
    feed = etree.fromstring(f"<feed xmlns='{_ATOM}'/>")
    feed.set(_XML_LANG, head.language)

    def add(parent: etree._Element, name: str, text: str = "", **attributes: str) -> etree._Element:
        child = etree.SubElement(parent, f"{{{_ATOM}}}{name}", attributes)
        child.text = text or None
        return child

    add(feed, "id", head.home)
    add(feed, "title", head.title)
    add(feed, "subtitle", head.description)
    add(feed, "updated", _write_instant(max((one.updated_at for one in entries), default=_NEVER)))
    add(add(feed, "author"), "name", head.title)
    add(feed, "link", rel="self", type="application/atom+xml", href=head.url)
    add(feed, "link", rel="alternate", type="text/html", href=head.home)
    add(feed, "generator", "Digest")
    if head.picture:
        add(feed, "logo", head.picture)
    for one in entries:
        entry = add(feed, "entry")
        entry.set(_XML_LANG, one.language)
        add(entry, "id", one.id)
        add(entry, "title", one.title)
        add(entry, "link", rel="alternate", type="text/html", href=one.url)
        add(entry, "published", _write_instant(one.published_at))
        add(entry, "updated", _write_instant(one.updated_at))
        add(entry, "summary", one.summary)
        add(entry, "content", one.html, type="html")
    written: bytes = etree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def write_json(head: FeedHead, entries: Sequence[FeedEntry]) -> bytes:
    """JSON Feed 1.1."""
    author = {"name": head.title, "url": head.home}
    told: dict[str, object] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": head.title,
        "home_page_url": head.home,
        "feed_url": head.url,
        "description": head.description,
        "language": head.language,
        "authors": [author],
        "items": [
            {
                "id": one.id,
                "url": one.url,
                "title": one.title,
                "content_html": one.html,
                "summary": one.summary,
                "date_published": _write_instant(one.published_at),
                "date_modified": _write_instant(one.updated_at),
                "language": one.language,
            }
            for one in entries
        ],
    }
    if head.picture:
        told["icon"] = head.picture
    return json.dumps(told, ensure_ascii=False).encode()


def _write_instant(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
