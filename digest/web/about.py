"""What is said of the newsletter itself: its privacy text, and what machines ask for first."""

import re
from email.utils import parseaddr
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from digest.config import Config
from digest.web.caching import answer_public
from digest.web.site import Site

_SECONDS: Final = 60
_DAY: Final = 86_400
_EMAIL: Final = re.compile(r"[^\s@<>]+@[^\s@<>]+")
# Under the newsletter's address: pages of somebody's own, which none but they should fetch.
_OWN: Final = ("unsubscribe", "confirm", "preferences", "approval", "click", "open", "events")


def make_routes(site: Site) -> APIRouter:
    """The addresses about the newsletter."""
    app, slug = site.app, site.slug
    router = APIRouter()

    @router.api_route(f"/{slug}/privacy", methods=["GET", "HEAD"])
    def show_privacy(request: Request) -> Response:
        config = app.config
        contact, contact_url = find_contact(config)
        body = site.page(
            "privacy.html",
            service=find_service(config),
            counted=tell_counting(opens=config.counting.opens, clicks=config.counting.clicks),
            pictures=config.theme.images,
            contact=contact,
            contact_url=contact_url,
            postal=config.newsletter.postal_address,
        ).body
        return answer_public(request, bytes(body), "text/html; charset=utf-8", seconds=_SECONDS)

    @router.api_route("/robots.txt", methods=["GET", "HEAD"])
    def show_robots() -> Response:
        lines = ["User-agent: *", *(f"Disallow: {site.home}{name}/" for name in _OWN), "Disallow: /api/"]
        return PlainTextResponse("\n".join(lines) + "\n", headers={"Cache-Control": f"public, max-age={_DAY}"})

    @router.api_route("/favicon.ico", methods=["GET", "HEAD"])
    def show_icon() -> Response:
        # The pages bring their own sign; who asks all the same is not told that something is missing.
        return Response(status_code=204, headers={"Cache-Control": f"public, max-age={_DAY}"})

    return router


def find_contact(config: Config) -> tuple[str, str]:
    """Who answers questions about personal data, and the address to follow where what they are called is one."""
    said = config.web.privacy.strip() or config.newsletter.reply_to or config.newsletter.sender
    address = parseaddr(said)[1] if "@" in said else ""
    if _EMAIL.fullmatch(said) or (address and said.endswith(f"<{address}>")):
        return address, f"mailto:{address}"
    return said, said if re.match(r"https?://\S+$", said) else ""


def find_service(config: Config) -> str:
    """The service that gets to know the readers' addresses; "" where the operator's own server delivers."""
    return "SendGrid" if any(table.kind == "sendgrid" for table in config.transports) else ""


def tell_counting(*, opens: bool, clicks: bool) -> str:
    """Which phrase is true of it."""
    return {(False, False): "none", (True, False): "opens", (False, True): "clicks"}.get((opens, clicks), "both")
