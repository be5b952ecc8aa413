"""The rules on pictures: words for those who do not see them, and an address from which a client can show them."""

import re
from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import unquote

from lxml.html import HtmlElement

from digest.models import Finding
from digest.preflight.elements import point_at
from digest.preflight.links import find_fault, split_url

_DOT: Final = re.compile(r"^\s*0*[01](?:\.0+)?\s*(?:px)?\s*$", re.IGNORECASE)
_SIDE: Final = {side: re.compile(rf"(?:^|;)\s*{side}\s*:([^;!]+)", re.IGNORECASE) for side in ("width", "height")}


def inspect_pictures(root: HtmlElement, parts: Collection[str] | None) -> Iterator[Finding]:
    """The findings on pictures. `parts`: what `cid:` can mean in this message; None where there is no message."""
    for image in root.iter("img"):
        if image.get("alt") is None:
            yield point_at(image, "image-alt", "warn", "A picture without alternative text.")
        yield from _inspect_source(image, (image.get("src") or "").strip(), parts)
        if all(_is_dot(image, side) for side in _SIDE):
            yield point_at(image, "image-tracking", "warn", "A picture of one pixel watches its reader.")


def _inspect_source(image: HtmlElement, source: str, parts: Collection[str] | None) -> Iterator[Finding]:
    scheme, host = split_url(source)
    if not source:
        yield point_at(image, "image-source", "fail", "A picture without an address.")
    elif scheme == "cid":
        name = unquote(source[4:])
        if parts is not None and name not in parts:
            yield point_at(image, "image-source", "fail", f"The message has no part {name[:60]} for a picture.")
    elif scheme in {"http", "https"}:
        fault = find_fault(source) if host else ("fail", "names no host")
        if fault:
            yield point_at(image, "image-source", "fail" if fault[0] == "fail" else "warn", f"A picture {fault[1]}.")
        if scheme == "http":
            yield point_at(image, "image-source", "warn", "Many clients show no picture that comes by http.")
    elif scheme != "data":
        fault_of_scheme = f"comes by {scheme}:" if scheme else "has an address that is not absolute"
        yield point_at(image, "image-source", "fail", f"A picture {fault_of_scheme}, and no reader has it.")


def _is_dot(image: HtmlElement, side: str) -> bool:
    """Whether a side is a pixel at most, by its style or else by its attribute."""
    found = _SIDE[side].search(image.get("style") or "")
    return bool(_DOT.match(found[1] if found else image.get(side) or ""))
