"""What every public page shares: the app behind it, its language, and how a page is made."""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse

from digest.web.clients import find_client, read_networks

if TYPE_CHECKING:
    from digest.app import App

FEEDS: Final = (("feed.atom", "application/atom+xml"), ("feed.json", "application/feed+json"))


class Site:
    """The public pages of one newsletter."""

    def __init__(self, app: "App") -> None:
        """Nothing is read before it is asked for."""
        newsletter = app.config.newsletter
        self.app = app
        self.slug = newsletter.slug
        self.name = newsletter.name
        self.language = newsletter.language
        self.is_secure = newsletter.base_url.startswith("https://")
        self.base_url = newsletter.base_url.rstrip("/")
        # Links within the site name no host, so that nobody's Host header can send readers elsewhere.
        self.home = f"{urlsplit(self.base_url).path}/{self.slug}/"
        self._proxies = read_networks(app.config.web.proxies)

    def url(self, path: str = "") -> str:
        """An address under the newsletter's own, as it is known outside."""
        return f"{self.base_url}/{self.slug}/{path}"

    def page(self, name: str, status: int = 200, *, language: str | None = None, **context: object) -> HTMLResponse:
        """A page of templates/web, in the newsletter's language or another."""
        given: dict[str, object] = {"newsletter": self.name, "home": self.home, "feeds": FEEDS}
        body = self.app.renderer.render_page(f"web/{name}", language=language or self.language, **(given | context))
        return HTMLResponse(body, status_code=status)

    def message(self, key: str, status: int) -> HTMLResponse:
        """A page that needs but a title and a sentence."""
        return self.page("message.html", status, key=key)

    def network_of(self, request: Request) -> str:
        """The client's address: the socket's, or what a configured proxy says of the one before it."""
        peer = request.client.host if request.client else ""
        return find_client(peer, request.headers.getlist("x-forwarded-for"), self._proxies)
