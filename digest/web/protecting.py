"""What every answer of the public app carries, and what becomes of a request that cannot be answered."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from digest.errors import BadToken, StoreError
from digest.web.site import Site

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def protect(public: FastAPI, site: Site) -> None:
    """Add the headers, and the pages of errors."""

    @public.middleware("http")
    async def add_headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await go_on(request)
        for name, value in {
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
        }.items():
            response.headers.setdefault(name, value)  # an answer may have a stricter policy of its own
        if site.is_secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    @public.exception_handler(BadToken)
    async def refuse_token(request: Request, error: BadToken) -> Response:  # noqa: ARG001 - FastAPI's shape
        return site.message("bad_link", 404)

    @public.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> Response:  # noqa: ARG001
        answer = site.message("not_found" if error.status_code == 404 else "not_possible", error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @public.exception_handler(StoreError)
    async def apologize(request: Request, error: StoreError) -> Response:  # noqa: ARG001
        return site.message("try_again", 503)
