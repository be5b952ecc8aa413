"""Sizes of words as styles write them, in pixels."""

import re
from collections.abc import Mapping
from typing import Final

_ROOT: Final = 16.0  # px, unless a reader wants another
_UNITS: Final = {"px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "rem": _ROOT}
_SIZE: Final = re.compile(r"(\d*\.?\d+)(px|pt|pc|in|cm|mm|rem|em|%)")
_SHORTHAND: Final = re.compile(r"(?:^|\s)(\d*\.?\d+(?:px|pt|rem|em|%))(?=[\s/])")
_KEYWORDS: Final = {
    "xx-small": 9.0,
    "x-small": 10.0,
    "small": 13.0,
    "medium": 16.0,
    "large": 18.0,
    "x-large": 24.0,
    "xx-large": 32.0,
}
# Of <font size> (HTML §15.3.4).
FONT_SIZES: Final[Mapping[str, float]] = dict(zip("1234567", (10.0, 13.0, 16.0, 18.0, 24.0, 32.0, 48.0), strict=True))


def read_size(value: str | None, around: float) -> float | None:
    """A size within words of the size `around`; None for none, or one that only a browser can tell."""
    if not value:
        return None
    if value in {"smaller", "larger"}:
        return around / 1.2 if value == "smaller" else around * 1.2
    found = _SIZE.fullmatch(value)
    if not found:
        return _KEYWORDS.get(value)
    number, unit = float(found[1]), found[2]
    if unit in {"em", "%"}:
        return number * around / (100 if unit == "%" else 1)
    return number * _UNITS[unit]


def find_size(font: str) -> str | None:
    """The size that the shorthand `font` has among other things."""
    found = _SHORTHAND.search(font)
    return found[1] if found else None
