"""The page on which an operator decides on an edition, from a phone: each sentence beside its source, and buttons.

    GET   shows, and changes nothing: a scanner that follows the link has done nothing
    POST  acts, for whoever has the link: the token in the address is the key, there is no cookie and no login

It speaks English, as the command line does.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from digest.due import due_at
from digest.errors import ConfigError
from digest.models import UNSUBSCRIBE_TOKEN, EditionState, Finding, StoredEdition
from digest.operate.approving import Act, Desk, Expired, decide, needs_force, open_desk
from digest.preflight import verdict
from digest.previewing import find_borne
from digest.reporting import Held
from digest.web.site import Site

if TYPE_CHECKING:
    from digest.app import App
    from digest.ports import Borne

# The mail alone: no script, no form, nothing but pictures from elsewhere; what its links open is out of the sandbox.
_MAIL_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_REMEMBERED: Final = 4  # editions whose findings are kept at hand: links are followed by scanners, too
_BEFORE: Final = (EditionState.HELD, EditionState.READY)
_ACTS: Final[dict[EditionState, tuple[Act, ...]]] = {
    EditionState.HELD: ("approve", "hold"),
    EditionState.READY: ("hold",),
    EditionState.SENDING: ("stop",),
    EditionState.STOPPED: ("resume",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is to be seen of an edition beside its own words."""

    findings: "tuple[Finding, ...]"
    borne: "dict[str, tuple[Borne, ...]]"
    variants: tuple[str, ...]


def make_routes(site: Site) -> APIRouter:
    """The page, what it does, and the mail as it will be sent."""
    app, slug = site.app, site.slug
    router = APIRouter()

    @lru_cache(maxsize=_REMEMBERED)
    def look(number: int, _: datetime | None) -> Looked:
        stored = app.store.editions.get(number)
        return Looked(
            findings=app.inspect(stored) if stored else (),
            borne=find_borne(app.store.entries, stored.edition) if stored and stored.edition else {},
            variants=tuple(app.store.editions.renditions(number)),
        )

    def show(desk: Desk, token: str, *, notice: str = "", name: str = "", status: int = 200) -> HTMLResponse:
        stored = desk.stored
        looked = look(stored.id, stored.changed_at)
        acts = _ACTS.get(stored.state, ())
        if stored.state is EditionState.HELD and Held.of(stored.reason) is Held.OPERATOR:
            acts = ("approve",)
        if not looked.variants:
            acts = tuple(act for act in acts if act != "approve")
        body = app.renderer.render_page(
            "web/approval.html",
            language="en",
            newsletter=site.name,
            stands_alone=True,
            stored=stored,
            edition=stored.edition,
            said=_say(app, stored),
            acts=acts,
            notice=notice,
            approver=name,
            token=token,
            fingerprint=desk.fingerprint,
            needs_force="approve" in acts and needs_force(stored, looked.findings),
            findings=looked.findings,
            verdict=verdict(looked.findings),
            borne=looked.borne,
            variants=looked.variants[:20],
            deliveries=app.store.ledger.counts(stored.id),
            readers=app.store.managing.count(slug).get("active", 0),
        )
        return HTMLResponse(body, status)

    def open_or_close(token: str) -> Desk | HTMLResponse:
        try:
            desk = open_desk(app, token)
        except Expired:
            body = app.renderer.render_page(
                "web/approval_closed.html", language="en", newsletter=site.name, stands_alone=True
            )
            return HTMLResponse(body, 410)
        if desk.stored.newsletter != slug:
            raise HTTPException(404)
        return desk

    @router.api_route(f"/{slug}/approval/{{token}}", methods=["GET", "HEAD"])
    def show_approval(token: str) -> HTMLResponse:
        desk = open_or_close(token)
        return show(desk, token) if isinstance(desk, Desk) else desk

    @router.post(f"/{slug}/approval/{{token}}")
    def act_on_edition(
        token: str,
        act: Annotated[str, Form()] = "",
        name: Annotated[str, Form()] = "",
        shown: Annotated[str, Form()] = "",
        force: Annotated[str, Form()] = "",
    ) -> Response:
        desk = open_or_close(token)
        if not isinstance(desk, Desk):
            return desk
        known: dict[str, Act] = {"approve": "approve", "hold": "hold", "stop": "stop", "resume": "resume"}
        if act not in known:
            raise HTTPException(400)
        try:
            decide(app, desk, known[act], name=name, shown=shown, force=bool(force))
        except ConfigError as error:
            now = open_or_close(token)
            notice = f"Nothing was done: {error.message}."
            return show(now, token, notice=notice, name=name, status=409) if isinstance(now, Desk) else now
        # Loading the page again then does nothing again.
        return RedirectResponse(f"{site.home}approval/{token}", 303)

    @router.api_route(f"/{slug}/approval/{{token}}/mail", methods=["GET", "HEAD"])
    def show_mail(token: str, variant: str = "all") -> HTMLResponse:
        desk = open_or_close(token)
        if not isinstance(desk, Desk):
            return desk
        rendition = app.store.editions.renditions(desk.stored.id).get(variant)
        if rendition is None:
            raise HTTPException(404)
        html = rendition.html.replace(UNSUBSCRIBE_TOKEN, "#")  # a look leads nobody out
        return HTMLResponse(html, headers={"Content-Security-Policy": _MAIL_POLICY})

    return router


def _say(app: "App", stored: StoredEdition) -> tuple[str, list[str]]:
    """How it stands, in a word or two and in sentences."""
    schedule = app.config.schedule
    zone = ZoneInfo(schedule.timezone)

    def write(at: datetime | None) -> str:
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({schedule.timezone})" if at else "an unknown time"

    reason = stored.reason or ""
    said = [f"{reason[:1].upper()}{reason[1:]}."] if reason else []
    match stored.state:
        case EditionState.HELD if Held.of(reason) is Held.APPROVAL:
            return "Waits for approval", ["It goes to nobody before somebody approves it."]
        case EditionState.HELD if Held.of(reason) is Held.OPERATOR:
            words = reason.removeprefix(f"{Held.OPERATOR}: ")
            return "Held by a person", [f"{words[:1].upper()}{words[1:]}.", "It goes to nobody before it is approved."]
        case EditionState.HELD:
            return "Held", [*said, "It goes to nobody, unless it is mended or approved."]
        case EditionState.READY:
            due = due_at(schedule, stored.date, stored.cadence)
            when = (
                f"It goes out when it is due, at {write(due)}."
                if due and due > app.clock()
                else "`digest serve` sends it the next time that it looks, within a minute."
            )
            by_hand = f"Where no `digest serve` runs, `digest run {stored.options}` sends it."
            return "Ready", [*said, f"Ready since {write(stored.dated_at)}.", when, by_hand]
        case EditionState.SENDING:
            return "Being sent", [*said, "Stop ends it after the batch that is under way; what went out stays out."]
        case EditionState.STOPPED:
            return "Stopped", [*said, "No more of it goes out until somebody lets it go on. Nobody gets it twice."]
        case EditionState.SENT:
            return "Sent", [*said, f"Sent at {write(stored.sent_at)}."]
        case EditionState.WITHDRAWN:
            return "Withdrawn", [*said, "Its web view is taken down."]
        case EditionState.MISSED:
            return "Missed", [*said, "It is too old to be news, and goes to nobody."]
        case _:
            return "Being made", ["There is nothing to decide on yet."]
