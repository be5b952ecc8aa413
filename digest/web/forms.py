"""What strangers post, and from where: fields as text, and whether a form is ours.

No page of ours sets a cookie, so a form that another site posts in a visitor's name can do no more than the visitor's
network could anyway: fill in an address. Even that is refused, but from sites that [audience] forms_from names.
"""

from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

_MOST_FIELDS: Final = 400
_LARGEST_FIELD: Final = 20_000  # bytes of a part; what is longer than sensible is told apart by choices.LONGEST


class Form(StrEnum):
    """Whose a form is."""

    OWN = "own"
    LISTED = "listed"  # of a site that may
    FOREIGN = "foreign"


async def read_form(request: Request) -> dict[str, list[str]]:
    """The fields of a form in either encoding; none of what is no form. Raises HTTPException 400 for a broken one."""
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS, max_part_size=_LARGEST_FIELD)
    return {name: [value for value in form.getlist(name) if isinstance(value, str)] for name in form}


def judge_form(request: Request, *, base_url: str, listed: tuple[str, ...]) -> Form:
    """Whose the form is, by what the browser says of it; programs say nothing, and have but the form's own key."""
    headers = request.headers
    return judge_origin(
        headers.get("origin"),
        headers.get("sec-fetch-site"),
        own={origin_of(base_url), f"http://{headers.get('host', '')}", f"https://{headers.get('host', '')}"},
        listed={origin_of(url) for url in listed},
    )


def judge_origin(origin: str | None, site: str | None, *, own: set[str], listed: set[str]) -> Form:
    """Pure. Our pages send no referrer, so browsers say "null" of them: then Sec-Fetch-Site tells, if it is sent."""
    if origin in listed:
        return Form.LISTED
    if site in {"same-origin", "none"} or origin in own:
        return Form.OWN
    if site is None and origin in {None, "null"}:
        return Form.OWN
    return Form.FOREIGN


def origin_of(url: str) -> str:
    """As browsers write it: scheme, host, and a port that is not the scheme's own."""
    parts = urlsplit(url)
    port = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(port)}"
