"""What a transport would hand over, taken apart, each preflight finding beside what it speaks of. Pure."""

import email
import email.policy
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from digest.models import Finding

if TYPE_CHECKING:
    from digest.ports import Preview

_LINE: Final = re.compile(r"line (\d+)")
_LINE_END: Final = re.compile(r"\r?\n")  # those alone that preflight counts: words may hold others, such as U+2028

Header = tuple[str, str, list[Finding]]  # name, value, what is said of it


def is_request(payload: bytes) -> bool:
    """Whether it is a provider's request: then the provider builds the message itself."""
    return payload.lstrip().startswith(b"{")


def read_parts(preview: "Preview") -> tuple[list[tuple[str, str]], str, str]:
    """Headers, HTML and text, decoded from the bytes themselves where they are a message."""
    if is_request(preview.payload):
        return [], preview.rendition.html, preview.rendition.text
    message = email.message_from_bytes(preview.payload, policy=email.policy.default)
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    headers = [(name, str(value)) for name, value in message.items()]
    return headers, html.get_content() if html else "", text.get_content() if text else ""


def annotate(words: str, findings: Sequence[Finding], part: str = "HTML") -> Iterator[tuple[int, str, list[Finding]]]:
    """Each line of a part ("HTML" or "text") with its number and the findings that speak of it."""
    by_line: dict[int, list[Finding]] = {}
    for finding in findings:
        if _place_of(finding) == part.lower() and (found := _LINE.search(finding.where or "")):
            by_line.setdefault(int(found[1]), []).append(finding)
    lines = _LINE_END.split(words)
    if not lines[-1]:
        lines.pop()  # what stands after the last line's end is no line
    for number, line in enumerate(lines, 1):
        yield number, line, by_line.get(number, [])


def remarks_on(part: str, findings: Sequence[Finding]) -> list[Finding]:
    """The findings that speak of a part as a whole."""
    return [one for one in findings if _place_of(one) == part.lower() and not _LINE.search(one.where or "")]


def annotate_headers(
    headers: Sequence[tuple[str, str]], findings: Sequence[Finding]
) -> tuple[list[Header], list[Finding]]:
    """Each header with the findings that speak of it, and the findings on headers that are not there."""
    names = {name.lower() for name, _ in headers}
    rows = [(name, value, [one for one in findings if _place_of(one) == name.lower()]) for name, value in headers]
    of_headers = [one for one in findings if one.rule.startswith("header-") or _place_of(one) == "subject"]
    return rows, [one for one in of_headers if _place_of(one) not in names]


def _place_of(finding: Finding) -> str:
    """The part or the header that a finding speaks of, in small letters; "" where it names none."""
    return (finding.where or "").partition(",")[0].strip().lower()
