"""What every public page shares: the app behind it, its language, and how a page is made."""

from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from digest.app import App


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

    def page(self, name: str, status: int = 200, *, language: str | None = None, **context: object) -> HTMLResponse:
        """A page of templates/web, in the newsletter's language or another."""
        given: dict[str, object] = {"newsletter": self.name, "home": f"/{self.slug}/"}
        body = self.app.renderer.render_page(f"web/{name}", language=language or self.language, **(given | context))
        return HTMLResponse(body, status_code=status)

    def message(self, key: str, status: int) -> HTMLResponse:
        """A page that needs but a title and a sentence."""
        return self.page("message.html", status, key=key)

    def network_of(self, request: Request) -> str:
        """The client's address: the socket's, or what a configured proxy says of the one before it."""
        return request.client.host if request.client else ""
