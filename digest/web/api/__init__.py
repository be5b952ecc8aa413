"""The API: /api/v1 of the public app, for other programs.

    request ── who asks? ──> what may the token do? ──> one of the rooms ──> JSON that its schema describes
                 │ 401            │ 403                     │ 404, 409, 422, 429, 503
    answer <─────┴────────────────┴─────────────────────────┴──── problem details (RFC 9457)

An app of its own, so that its schema holds nothing of the pages, and its errors are no pages. Nobody becomes active by
it, and nobody suppressed is mailed. The schema itself is open to all.
"""

from typing import TYPE_CHECKING

from fastapi import FastAPI

from digest import __version__
from digest.web.api import editions, status, subscribers
from digest.web.api.access import Access
from digest.web.api.asking import Ask, ask_to_confirm
from digest.web.api.describing import describe
from digest.web.api.problems import install_problems

if TYPE_CHECKING:
    from digest.app import App

PREFIX = "/api/v1"


def create_api(app: "App", ask: Ask = ask_to_confirm) -> FastAPI:
    """The API of one newsletter, to be mounted at PREFIX. `ask` has a mail to confirm go out."""
    newsletter = app.config.newsletter
    api = FastAPI(
        title=f"{newsletter.name}: the API",
        version=__version__,
        summary="Subscribers, editions and the status of one newsletter.",
        description=describe(newsletter.name),
        servers=[{"url": f"{newsletter.base_url.rstrip('/')}{PREFIX}"}],
        root_path_in_servers=False,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    install_problems(api)
    api.add_middleware(Access, app=app)
    for routes in (subscribers.make_routes(app, ask), editions.make_routes(app), status.make_routes(app)):
        api.include_router(routes)
    return api
