"""Who asks, and what they may ask (RFC 6750). A token is looked at before the body is, and before the address."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from digest.errors import StoreError
from digest.models import Scope, Token
from digest.operate.tokens import authenticate
from digest.web.api.problems import make_problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as Connection

    from digest.app import App

_REALM = 'Bearer realm="digest"'
_OPEN = "/openapi.json"
_LARGEST = 64 * 1024  # bytes of a body
_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token that `digest tokens create` made. The names beside a request are the scopes that it needs.",
)


class Access:
    """ASGI: lets nobody without a token of this newsletter through, but to the schema."""

    def __init__(self, inner: "ASGIApp", app: "App") -> None:
        """Around `inner`."""
        self._inner = inner
        self._app = app

    async def __call__(self, scope: "Connection", receive: "Receive", send: "Send") -> None:
        """One request."""
        if scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", "")) != _OPEN:
            try:
                token, fault = await self._find(Headers(scope=scope).get("authorization", ""))
            except StoreError:
                answer = make_problem(503, "The database cannot be used now.", headers={"Retry-After": "5"})
                await answer(scope, receive, send)
                return
            if token is None:
                await make_problem(401, fault[0], headers={"WWW-Authenticate": fault[1]})(scope, receive, send)
                return
            scope.setdefault("state", {})["token"] = token
            receive = _count(receive)
        await self._inner(scope, receive, send)

    async def _find(self, given: str) -> tuple[Token | None, tuple[str, str]]:
        """The token; or what is wrong, and what the answer's header says of it."""
        kind, _, secret = given.partition(" ")
        if kind.lower() != "bearer":
            return None, ("There is no token: send Authorization: Bearer digest_…", _REALM)
        token = await run_in_threadpool(authenticate, self._app, secret.strip())
        return token, ("The token is not known, or was revoked.", f'{_REALM}, error="invalid_token"')


def _count(receive: "Receive") -> "Receive":
    """What comes of a body, until it is too much."""
    left = _LARGEST

    async def receive_some() -> "Message":
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"The body is bigger than {_LARGEST} bytes.")
        return message

    return receive_some


def needs(scope: Scope) -> Any:
    """A route's dependency: the token must have this scope."""
    return Security(_make_check(scope), scopes=[scope.value])


def _make_check(scope: Scope) -> Callable[..., None]:
    def check(
        request: Request,
        shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],  # noqa: ARG001 - for the schema
    ) -> None:
        token: Token = request.state.token
        if scope not in token.scopes:
            header = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
            raise HTTPException(403, f"The token has not the scope {scope}.", headers={"WWW-Authenticate": header})

    return check
