"""What is answered when a request cannot be: problem details (RFC 9457), and their place in the schema."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from digest.errors import DigestError, StoreError

MEDIA_TYPE: Final = "application/problem+json"
_MOST_FAULTS: Final = 20
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_RETRY_SECONDS: Final = 5
_MEANS: Final[Mapping[int, str]] = {
    401: "There is no token, or it is none of this newsletter's.",
    403: "The token lacks the scope.",
    404: "There is nothing of that name.",
    409: "It is not in a state in which this can be done.",
    408: "The body did not come in time.",
    413: "The body is too big.",
    415: "The body is compressed.",
    422: "A value cannot be taken; `errors` names each.",
    429: "Asked too often; `Retry-After` says when to try again.",
    503: "The database cannot be used now; `Retry-After` says when to try again.",
}
_ALWAYS: Final = (401, 403, 408, 413, 415, 422, 429, 503)  # the limits around all pages included


class Fault(BaseModel):
    """One value that cannot be taken."""

    where: str = Field(description="Where it stood.", examples=["body.topics.0"])
    message: str = Field(description="What is wrong with it.", examples=['topic "wrold": there is none of that id'])


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no subscriber of that id.",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str = Field(description="What the status means.")
    status: int = Field(description="As in the status line.", ge=400, le=599)
    detail: str = Field(description="What was wrong this time, for a person.")
    errors: list[Fault] | None = Field(default=None, description="Each value that cannot be taken.")


def make_problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, faults: Iterable[Fault] = ()
) -> Response:
    """The answer to a request that cannot be answered otherwise."""
    named = list(faults)[:_MOST_FAULTS]
    told = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=named or None)
    body = told.model_dump(exclude_none=True)
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def document(*further: int) -> dict[int | str, Any]:
    """The problems that a request may meet, as routes declare them: those that all may meet, and `further` ones."""
    return {status: _describe(status) for status in sorted({*_ALWAYS, *further})}


def install_problems(api: FastAPI) -> None:
    """Let the app answer so, whatever goes wrong, and let its schema say what a problem is."""

    @api.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        detail = str(error.detail)
        if error.status_code == 400:  # FastAPI's, of a body that breaks its parser
            return make_problem(422, "The body cannot be read.")
        if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
            detail = "There is nothing at this address; /api/v1/openapi.json says what there is."
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_find_methods(api, request))
            detail = f"This address answers {headers['Allow']}."
        return make_problem(error.status_code, detail, headers=headers)

    @api.exception_handler(RequestValidationError)
    async def refuse_values(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001
        # What was sent is not repeated: it may be somebody's address.
        faults = [
            Fault(where=".".join(str(part) for part in one["loc"]), message=str(one["msg"])) for one in error.errors()
        ]
        return make_problem(422, faults[0].message if faults else "It cannot be read.", faults=faults)

    @api.exception_handler(StoreError)
    async def apologize(request: Request, error: StoreError) -> Response:  # noqa: ARG001
        return make_problem(503, _MEANS[503].partition(";")[0] + ".", headers={"Retry-After": str(_RETRY_SECONDS)})

    @api.exception_handler(DigestError)
    async def explain(request: Request, error: DigestError) -> Response:  # noqa: ARG001
        return make_problem(422, str(error))

    def write_schema() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = get_openapi(
                title=api.title,
                version=api.version,
                summary=api.summary,
                description=api.description,
                routes=api.routes,
                servers=api.servers,
            )
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            parts: dict[str, Any] = schema.setdefault("components", {}).setdefault("schemas", {})
            parts.update({**problem.pop("$defs", {}), "Problem": problem})
            api.openapi_schema = schema
        return api.openapi_schema

    api.openapi = write_schema  # type: ignore[method-assign]  # as FastAPI says to


def _describe(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": _MEANS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    header = {401: "WWW-Authenticate", 403: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}.get(status)
    if header:
        kind: dict[str, Any] = {"type": "integer", "minimum": 0} if header == "Retry-After" else {"type": "string"}
        described["headers"] = {header: {"required": True, "schema": kind}}
    return described


def _find_methods(api: FastAPI, request: Request) -> list[str]:
    """What an address answers to: the routes of one address stand apart."""
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in api.router.routes)
    ]
