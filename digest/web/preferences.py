"""What readers choose for themselves, behind a link that was mailed to them a short while ago.

The link at the foot of an edition is valid for ever and may have been forwarded: it shows nothing, and mails a
fresh one.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from digest.audience.choices import Fault, Given, is_too_long, known_zones, read_choices, read_pause
from digest.audience.consent import GONE, Link
from digest.errors import BadToken
from digest.models import Choices, Subscriber, SubscriberState
from digest.operate import signing_up
from digest.operate.signing_up import Preferences
from digest.render.naming import name_zones
from digest.web.forms import Form, judge_form, read_form
from digest.web.site import Site
from digest.web.subscribing import choices_of

Fields = Annotated[dict[str, list[str]], Depends(read_form)]
_WEEKS = (1, 2, 4)


def make_routes(site: Site) -> APIRouter:
    """The pages of a reader's own."""
    app, slug = site.app, site.slug
    router = APIRouter()
    zone = ZoneInfo(app.config.schedule.timezone)

    def is_foreign(request: Request) -> bool:
        whose = judge_form(request, base_url=app.config.newsletter.base_url, listed=())
        return whose is Form.FOREIGN

    @router.api_route(f"/{slug}/unsubscribe/preferences", methods=["GET", "HEAD"])
    def explain_preferences() -> HTMLResponse:
        return site.message("link_in_mail", 200)

    @router.api_route(f"/{slug}/unsubscribe/{{token}}/preferences", methods=["GET", "HEAD"])
    def offer_link(token: str) -> HTMLResponse:
        app.links.verify(token)
        return site.page("mail_link.html", action="")

    @router.post(f"/{slug}/unsubscribe/{{token}}/preferences")
    def mail_link(request: Request, token: str) -> HTMLResponse:
        key = app.links.verify(token)
        if is_foreign(request):
            return site.message("foreign_form", 403)
        signing_up.ask_for_preferences_of(app, key, network=site.network_of(request))
        return site.page("asked.html", key="link_asked_text")

    @cache
    def list_zones(language: str) -> str:
        """As options of a form, once for each language: there are four hundred."""
        zones = name_zones(language, app.renderer.wording(language).phrases, known_zones())
        return app.renderer.render_page("web/_zones.html", language=language, zones=zones)

    def show(
        token: str,
        reader: Subscriber,
        chosen: Choices,
        *,
        status: int = 200,
        fields: Given | None = None,
        faults: tuple[Fault, ...] = (),
        is_saved: bool = False,
    ) -> HTMLResponse:
        language = signing_up.language_for(app, reader.language)
        wording = app.renderer.wording(language)
        paused = _still_paused(reader, app.clock())
        today = app.today()
        typed = fields or {}
        weekly = app.config.schedule.weekly
        return site.page(
            "preferences.html",
            status,
            language=language,
            action=f"{site.home}preferences/{token}",
            is_saved=is_saved,
            faults={fault.field: fault.key for fault in faults},
            frequency=chosen.frequency,
            weekly_day=wording.weekday(weekly) if weekly is not None else "",
            has_own_time=app.config.schedule.per_subscriber_timezone,
            zones=choose_zone(list_zones(language), chosen.timezone),
            own_zone=app.config.schedule.timezone,
            at=wording.time_of_day(app.config.schedule.at),
            paused=wording.day_in_full(paused.astimezone(zone).date()) if paused else "",
            pause=(typed.get("pause") or ["keep" if paused else ""])[-1],
            until=(typed.get("until") or [""])[-1][:10],
            first=(today + timedelta(days=1)).isoformat(),
            last=(today + timedelta(days=366)).isoformat(),
            weeks=[(str(number), wording.count("pause_weeks", number)) for number in _WEEKS],
            **choices_of(site, chosen, reader.language),
        )

    def find(token: str) -> Preferences:
        found = signing_up.find_preferences(app, app.links.verify(token, "preferences"))
        if found is None:
            raise BadToken("link", "nothing is known of it any more")
        return found

    def tell_why_not(token: str, found: Preferences) -> HTMLResponse:
        """What is shown where there is nothing to choose."""
        if found.reader and found.reader.state in GONE:
            return tell_left(found.reader)
        return site.page("link_over.html", 410, key="link_expired", ask=f"{site.home}preferences/{token}")

    def tell_left(reader: Subscriber) -> HTMLResponse:
        back = f"{site.home}unsubscribe/{app.links.sign(reader.key)}/preferences"
        return site.page("unsubscribed.html", back=back)

    @router.api_route(f"/{slug}/preferences/{{token}}", methods=["GET", "HEAD"])
    def show_preferences(token: str) -> HTMLResponse:
        found = find(token)
        if found.link is not Link.GOOD or found.reader is None or found.reader.state is not SubscriberState.ACTIVE:
            return tell_why_not(token, found)
        return show(token, found.reader, signing_up.choices_of(found.reader))

    @router.post(f"/{slug}/preferences/{{token}}")
    def change_preferences(request: Request, token: str, fields: Fields) -> HTMLResponse:
        found = find(token)
        if is_foreign(request):
            return site.message("foreign_form", 403)
        if "ask" in fields:
            signing_up.ask_for_preferences(app, found.email, network=site.network_of(request))
            return site.page("asked.html", key="link_asked_text")
        reader = found.reader
        if found.link is not Link.GOOD or reader is None or reader.state is not SubscriberState.ACTIVE:
            return tell_why_not(token, found)
        if fields.get("action") == ["leave"]:
            app.store.subscribers.leave(slug, reader.key, now=app.clock())
            return tell_left(reader)
        return save(token, reader, fields)

    def save(token: str, reader: Subscriber, fields: Given) -> HTMLResponse:
        before = signing_up.choices_of(reader)
        if is_too_long(fields):
            return show(token, reader, before, status=422, faults=(Fault(field="topic", key="fault_long"),))
        chosen, faults = read_choices(fields, signing_up.offer_of(app), before=before)
        until = read_pause(fields, before=_still_paused(reader, app.clock()), today=app.today(), zone=zone)
        if isinstance(until, Fault):
            return show(token, reader, chosen, status=422, fields=fields, faults=(*faults, until))
        if faults:
            return show(token, reader, chosen, status=422, fields=fields, faults=tuple(faults))
        signing_up.change_preferences(app, reader.key, chosen, paused_until=until)
        changed = app.store.subscribers.by_key(slug, reader.key)
        if changed is None or changed.state is not SubscriberState.ACTIVE:  # they left meanwhile
            return tell_left(reader)
        return show(token, changed, signing_up.choices_of(changed), is_saved=True)

    return router


def choose_zone(options: str, chosen: str | None) -> Markup:
    """The options with one chosen; a name that is not among them, of an import perhaps, stands before them."""
    if not chosen:
        return Markup(options)  # noqa: S704 - a template of ours
    value = Markup('value="{}"').format(chosen)
    selected = options.replace(f"{value}>", f"{value} selected>", 1)
    own = Markup("<option {} selected>{}</option>").format(value, chosen) if selected == options else ""
    return Markup(f"{own}{selected}")  # noqa: S704


def _still_paused(reader: Subscriber, now: datetime) -> datetime | None:
    return reader.paused_until if reader.paused_until and reader.paused_until > now else None
