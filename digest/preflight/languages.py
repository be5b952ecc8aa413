"""The rules on the language that a document, or a part of it, is in, and on the way that it runs."""

import re
from collections.abc import Iterator
from typing import Final

from lxml.html import HtmlElement

from digest.models import Finding, Severity
from digest.preflight.elements import point_at
from digest.text import direction_of

# RFC 5646 §2.1, without the languages of four to eight letters, of which there is none, and what is grandfathered.
_TAG: Final = re.compile(
    r"[a-z]{2,3}(?:-[a-z]{3}){0,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?(?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*"
    r"(?:-[a-wyz\d](?:-[a-z\d]{2,8})+)*(?:-x(?:-[a-z\d]{1,8})+)?|x(?:-[a-z\d]{1,8})+",
    re.IGNORECASE,
)
_DIRECTIONS: Final = frozenset({"ltr", "rtl", "auto"})


def inspect_languages(root: HtmlElement) -> Iterator[Finding]:
    """The findings on `lang` and `dir`."""
    language = root.get("lang")
    if not language:
        yield point_at(root, "language", "warn", "The document does not say which language it is in.")
    if not root.get("dir"):
        severity: Severity = "warn" if direction_of(language) == "rtl" else "info"
        yield point_at(root, "direction", severity, "The document does not say which way it is read.")
    for element in root.iter():
        if isinstance(element.tag, str):
            yield from _inspect_element((element.get("lang") or "").strip(), element)


def _inspect_element(language: str, element: HtmlElement) -> Iterator[Finding]:
    direction = (element.get("dir") or "").strip().lower()
    if language and not _TAG.fullmatch(language):
        yield point_at(element, "language", "warn", f"“{language[:40]}” is no tag of a language (BCP 47).")
    if direction and direction not in _DIRECTIONS:
        yield point_at(element, "direction", "warn", f"“{direction[:40]}” is no direction: ltr, rtl or auto.")
    # A language of the right may be written in another script: ar-Latn.
    elif direction == "ltr" and direction_of(language) == "rtl" and "latn" not in language.lower():
        yield point_at(element, "direction", "warn", f"{language} is read from right to left, and dir says ltr.")
