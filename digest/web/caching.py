"""Answers that anybody may have, and that need not be made or sent twice (RFC 9110 §13)."""

from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import blake2b

from fastapi import Request
from fastapi.responses import Response

_TAG_BYTES = 12
_MOST_BODIES = 64


class Remembered:
    """Bodies that were made before, and what they were made of."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._bodies: dict[object, tuple[object, bytes]] = {}

    def get(self, name: object, state: object, make: Callable[[], bytes]) -> bytes:
        """The body of that name; made anew when `state` is not the one that it was made in."""
        known = self._bodies.get(name)
        if known and known[0] == state:
            return known[1]
        body = make()
        if len(self._bodies) >= _MOST_BODIES:
            self._bodies.clear()
        self._bodies[name] = (state, body)
        return body


def answer_public(
    request: Request, body: bytes, media_type: str, *, seconds: int, modified: datetime | None = None
) -> Response:
    """The body with its tag, for caches to keep so long; or 304, when the asker has that very body already."""
    tag = f'"{blake2b(body, digest_size=_TAG_BYTES).hexdigest()}"'
    headers = {"Cache-Control": f"public, max-age={seconds}", "ETag": tag}
    if modified:
        headers["Last-Modified"] = format_datetime(modified, usegmt=True)
    if _is_known(request, tag, modified):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _is_known(request: Request, tag: str, modified: datetime | None) -> bool:
    """Whether what the asker has is what there is. A tag decides alone where one is given."""
    tags = request.headers.getlist("if-none-match")
    if tags:
        known = [one.strip().removeprefix("W/") for line in tags for one in line.split(",")]
        return tag in known or known == ["*"]
    since = request.headers.get("if-modified-since")
    if not since or not modified:
        return False
    try:
        return modified.replace(microsecond=0) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):  # no date, or one without a zone
        return False
