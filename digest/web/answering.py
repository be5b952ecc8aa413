"""What is said of a request that cannot be answered: a page to people, problem details (RFC 9457) under /api/."""

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from digest.errors import BadToken, DigestError, StoreError

if TYPE_CHECKING:
    from digest.web.site import Site

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SAID: Final = {
    "compressed": "The body is compressed; send it as it is, without Content-Encoding.",
    "too_big": "The body is too big.",
    "too_slow": "The body did not come in time.",
    "too_often": "Too many requests; wait as long as Retry-After says.",
    "try_again": "Something went wrong on our side; try again in a moment.",
    "not_found": "There is nothing here.",
    "bad_link": "This link does not work.",
    "not_possible": "The request was not one that this address answers.",
}


class Answering:
    """The refusals of one newsletter's app."""

    def __init__(self, site: "Site") -> None:
        """In the newsletter's language."""
        self._site = site
        self._pages: dict[tuple[str, int], bytes] = {}  # made once: a flood of refusals must cost little

    def refuse(self, path: str, key: str, status: int, *, wait: int | None = None, detail: str = "") -> Response:
        """The answer to what was asked under a path. `key` is of the phrases, `wait` in seconds."""
        said = detail or _SAID[key]
        answer = problem(status, said) if path.startswith("/api/") else self._page(key, status, said)
        if wait is not None:
            answer.headers["Retry-After"] = str(wait)
        if status == 415:
            answer.headers["Accept-Encoding"] = "identity"  # RFC 9110 §12.5.3: what would be taken
        if status in (408, 413):
            answer.headers["Connection"] = "close"  # what still comes of the body is not read
        return answer

    def _page(self, key: str, status: int, said: str) -> Response:
        try:
            if (key, status) not in self._pages:
                self._pages[key, status] = bytes(self._site.message(key, status).body)
            return HTMLResponse(self._pages[key, status], status)
        except DigestError:  # a template may be what went wrong
            return PlainTextResponse(f"{said}\n", status)

    def install(self, public: FastAPI) -> None:
        """Let the app answer so, whatever goes wrong in it."""

        @public.exception_handler(BadToken)
        async def refuse_token(request: Request, error: BadToken) -> Response:  # noqa: ARG001 - FastAPI's shape
            return self.refuse(request.url.path, "bad_link", 404)

        @public.exception_handler(HTTPException)
        async def refuse(request: Request, error: HTTPException) -> Response:
            path, headers = request.url.path, dict(error.headers or {})
            if error.status_code == 405:
                headers["Allow"] = ", ".join([*find_methods(public, request), "OPTIONS"])
                if request.method == "OPTIONS":
                    return Response(status_code=204, headers=headers)
            key = {404: "not_found", 429: "too_often"}.get(error.status_code, "not_possible")
            detail = error.detail if path.startswith("/api/") and isinstance(error.detail, str) else ""
            answer = self.refuse(path, key, error.status_code, detail=detail)
            answer.headers.update(headers)
            return answer

        @public.exception_handler(RequestValidationError)
        async def refuse_values(request: Request, error: RequestValidationError) -> Response:
            faults = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
            is_api = request.url.path.startswith("/api/")
            return self.refuse(request.url.path, "not_possible", 422 if is_api else 400, detail=faults)

        @public.exception_handler(StoreError)
        async def apologize(request: Request, error: StoreError) -> Response:  # noqa: ARG001
            return self.refuse(request.url.path, "try_again", 503, wait=5)


def problem(status: int, detail: str) -> Response:
    """A refusal as programs read it."""
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(json.dumps(told), status, media_type="application/problem+json")


def find_methods(public: FastAPI, request: Request) -> list[str]:
    """What an address answers to: the routes of one path may stand apart."""
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in public.router.routes)
    ]
