"""What mail clients drop or distrust: elements, and whatever would act by itself."""

import re
from collections.abc import Iterator
from typing import Final

from lxml.html import HtmlElement

from digest.models import Finding, Severity
from digest.preflight.elements import point_at

_FORBIDDEN: Final[tuple[tuple[str, Severity], ...]] = (
    ("script", "fail"),
    ("form", "fail"),
    ("iframe", "fail"),
    ("object", "fail"),
    ("embed", "fail"),
    ("base", "fail"),
    ("link", "warn"),
    ("audio", "warn"),
    ("video", "warn"),
)
_CONTROLS: Final = ("button", "input", "select", "textarea")  # of a form: told with it
_EVENT: Final = re.compile(r"on[a-z]+")
_ACTIVE_STYLE: Final = re.compile(r"(?<![\w-])behavior\s*:|-moz-binding\s*:|(?<![\w-])expression\s*\(", re.IGNORECASE)


def inspect_active(root: HtmlElement) -> Iterator[Finding]:
    """The findings on what is not for mails."""
    for name, severity in _FORBIDDEN:
        for element in root.iter(name):
            yield point_at(element, "forbidden-element", severity, f"Mail clients drop or distrust <{name}>.")
    for control in root.iter(*_CONTROLS):
        if next(control.iterancestors("form"), None) is None:
            message = f"Mail clients drop or distrust <{control.tag}>."
            yield point_at(control, "forbidden-element", "fail", message)
    for meta in root.iter("meta"):
        if (meta.get("http-equiv") or "").strip().lower() == "refresh":
            yield point_at(meta, "active-content", "fail", "The document would go elsewhere by itself.")
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        for name in element.attrib:
            if _EVENT.fullmatch(name):
                yield point_at(element, "active-content", "fail", f"The attribute {name} is a script.")
        style = (element.text or "") if element.tag == "style" else element.get("style") or ""
        if found := _ACTIVE_STYLE.search(style):
            yield point_at(element, "active-content", "fail", f"A style has “{found[0]}”, which is a script.")
