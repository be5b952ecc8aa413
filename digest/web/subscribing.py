"""Asking for the newsletter, and confirming it by the link that is mailed. GET changes nothing; see docs/pages.md."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from digest.audience import consent
from digest.audience.choices import LONGEST, Fault, is_too_long, read_choices, read_email
from digest.audience.consent import Link
from digest.errors import BadToken
from digest.models import Choices
from digest.operate import signing_up
from digest.render.naming import name_language
from digest.web.forms import Form, judge_form, read_form
from digest.web.site import Site

Fields = Annotated[dict[str, list[str]], Depends(read_form)]


def make_routes(site: Site) -> APIRouter:
    """The pages on the way in."""
    app, slug = site.app, site.slug
    router = APIRouter()
    path, form = f"/{slug}/subscribe", f"{site.home}subscribe"

    def show_form(
        status: int = 200, *, email: str = "", chosen: Choices | None = None, faults: Any = ()
    ) -> HTMLResponse:
        chosen = chosen or Choices()
        key = app.links.sign(str(int(app.clock().timestamp())), "form")
        return site.page(
            "subscribe.html",
            status,
            action=form,
            key=key,
            email=email[:LONGEST],
            consent=signing_up.consent_of(app),
            faults={fault.field: fault.key for fault in faults},
            **choices_of(site, chosen),
        )

    def is_fresh(fields: dict[str, list[str]]) -> bool:
        try:
            shown_at = app.links.verify((fields.get("key") or [""])[-1], "form")
        except BadToken:
            return False
        return consent.is_fresh(int(shown_at), app.clock())

    @router.api_route(path, methods=["GET", "HEAD"])
    def show_subscribe() -> HTMLResponse:
        return show_form()

    @router.post(path)
    def subscribe(request: Request, fields: Fields) -> HTMLResponse:
        whose = judge_form(request, base_url=app.config.newsletter.base_url, listed=app.config.audience.forms_from)
        if whose is Form.FOREIGN:
            return site.message("foreign_form", 403)
        typed = (fields.get("email") or [""])[-1]
        if is_too_long(fields):
            key = "fault_email_long" if len(typed) > LONGEST else "fault_long"
            return show_form(422, email=typed, faults=[Fault(field="email", key=key)])
        email = read_email(typed)
        chosen, faults = read_choices(fields, signing_up.offer_of(app))
        if isinstance(email, Fault):
            faults.append(email)
        if whose is Form.OWN and not is_fresh(fields):
            faults.append(Fault(field="form", key="fault_form"))
        if faults or isinstance(email, Fault):
            return show_form(422, email=typed, chosen=chosen, faults=faults)
        signing_up.ask_to_subscribe(app, email, chosen, network=site.network_of(request))
        return site.page("asked.html", key="asked_text", again=form)

    def tell_over(link: Link) -> HTMLResponse:
        return site.page("link_over.html", 410, key=f"link_{link.value}", again=form)

    @router.api_route(f"/{slug}/confirm/{{token}}", methods=["GET", "HEAD"])
    def ask_confirm(token: str) -> HTMLResponse:
        link, asked = signing_up.judge_confirmation(app, app.links.verify(token, "confirm"))
        if asked is None or link in {Link.USED, Link.EXPIRED}:
            return tell_over(link)
        titles = [topic.title for topic in app.config.topics if topic.id in asked.topics]
        language = signing_up.language_for(app, asked.language)
        return site.page("confirm.html", language=language, topics=titles, consent=asked.consent_text or "")

    @router.post(f"/{slug}/confirm/{{token}}")
    def confirm(request: Request, token: str) -> HTMLResponse:
        key = app.links.verify(token, "confirm")
        link = signing_up.confirm(app, key, network=site.network_of(request))
        if link not in {Link.GOOD, Link.DONE}:
            return tell_over(link)
        asked = signing_up.judge_confirmation(app, key)[1]
        language = signing_up.language_for(app, asked.language if asked else None)
        if link is Link.DONE:
            return site.page("confirmed.html", language=language)
        # Whoever pressed it has the mailbox: they may choose at once.
        preferences = f"{site.home}preferences/{app.links.sign(key, 'preferences')}"
        return site.page("confirmed.html", language=language, preferences=preferences)

    return router


def choices_of(site: Site, chosen: Choices, kept: str | None = None) -> dict[str, Any]:
    """Topics and languages as the forms' macros take them; with the language that a reader has, offered or not."""
    own = site.language.lower()
    offered = signing_up.offer_of(site.app).languages
    language = (chosen.language or "").lower()
    if kept and kept.lower() not in offered:
        offered = (*offered, kept.lower())
    return {
        "topics": [(topic.id, topic.title, topic.id in chosen.topics) for topic in site.app.config.topics],
        "languages": [(tag, name_language(tag), tag == language) for tag in offered if tag != own],
        "own": name_language(site.language),
    }
