"""Whether words can be read: their size, and their contrast to what lies behind them, in the light and the dark scheme.

Told from the styles alone, without a browser: what is inlined, and of the style blocks the rules of one scheme that
match an element. A browser knows more (pictures behind words); the themes' tests ask one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

import tinycss2
import tinycss2.color4
from cssselect import SelectorError
from lxml import etree
from lxml.cssselect import CSSSelector
from lxml.html import HtmlElement

from digest.models import Finding
from digest.preflight.sizes import FONT_SIZES, find_size, read_size

Scheme = Literal["light", "dark"]

_LEAST: Final = 4.5  # WCAG 2.2 §1.4.3
_LEAST_LARGE: Final = 3.0
_UNREADABLE: Final = 2.0
_LARGE: Final = 24.0  # px; bold words from 18.66 on
_LARGE_BOLD: Final = 18.66
_SMALLEST: Final = 14.0
_SILENT: Final = frozenset({"style", "script", "title", "head"})
_UNSEEABLE: Final = 0.01  # opacity: what is hidden on purpose

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Look:
    """What words have from the elements around them."""

    ink: Rgb = (0.0, 0.0, 0.0)
    ink_alpha: float = 1.0
    ground: Rgb = (1.0, 1.0, 1.0)
    veils: tuple[tuple[float, Rgb], ...] = ()  # opacities, and what shines through them; the outermost first
    size: float = 16.0
    is_bold: bool = False
    is_hidden: bool = False

    def see(self) -> tuple[Rgb, Rgb]:
        """The colours of words and ground that meet the eye."""
        ink, ground = _blend(self.ink, self.ground, self.ink_alpha), self.ground
        for opacity, behind in reversed(self.veils):
            ink, ground = _blend(ink, behind, opacity), _blend(ground, behind, opacity)
        return ink, ground


def inspect_legibility(root: HtmlElement) -> Iterator[Finding]:
    """A finding for each pair of colours that cannot be read, in each scheme, and for words that are too small."""
    sheets = [element.text or "" for element in root.iter("style")]
    light, dark = list(_read_rules(sheets, None)), list(_read_rules(sheets, "dark"))
    yield from _inspect(root, "light", _match(root, light))
    if dark:
        yield from _inspect(root, "dark", _match(root, [*light, *dark]))


def measure_contrast(one: Rgb, other: Rgb) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _inspect(root: HtmlElement, scheme: Scheme, matched: Mapping[HtmlElement, Mapping[str, str]]) -> Iterator[Finding]:
    told: set[tuple[Any, ...]] = set()
    start = _Look() if scheme == "light" else _Look(ink=(1.0, 1.0, 1.0), ground=(0.0, 0.0, 0.0))
    for element, words, look in _walk(root, start, matched):
        place = f"HTML, line {element.sourceline}, <{element.tag}>"
        said = " ".join(words.split())[:40]
        if look.size < _SMALLEST - 0.05 and ("size", look.size) not in told and scheme == "light":
            told.add(("size", look.size))
            message = (
                f"“{said}” is written in {round(look.size, 1):g} px; less than {_SMALLEST:g} is hard to read on phones."
            )
            yield Finding(rule="text-size", severity="warn", message=message, where=place)
        ink, ground = look.see()
        contrast = measure_contrast(ink, ground)
        is_large = look.size >= _LARGE or (look.is_bold and look.size >= _LARGE_BOLD)
        pair = (scheme, ink, ground)
        if contrast < (_LEAST_LARGE if is_large else _LEAST) and pair not in told:
            told.add(pair)
            colours = f"{_name(ink)} on {_name(ground)}"
            message = f"“{said}” has a contrast of {contrast:.1f}:1 in the {scheme} scheme ({colours})."
            yield Finding(
                rule=f"contrast-{scheme}",
                severity="fail" if contrast < _UNREADABLE else "warn",
                message=message,
                where=place,
            )


def _walk(
    element: HtmlElement, look: _Look, matched: Mapping[HtmlElement, Mapping[str, str]]
) -> Iterator[tuple[HtmlElement, str, _Look]]:
    """Each run of words with the element that it stands in and the look that it has; without recursion."""
    waiting = [(element, look)]
    while waiting:
        one, outer = waiting.pop()
        if not isinstance(one.tag, str) or one.tag in _SILENT:
            continue
        own = _apply(outer, one, matched.get(one, {}))
        if own.is_hidden:
            continue
        for words in (one.text, *(child.tail for child in one)):
            if words and any(map(str.isalnum, words)):
                yield one, words, own
        waiting.extend((child, own) for child in reversed(list(one)))


def _apply(look: _Look, element: HtmlElement, rules: Mapping[str, str]) -> _Look:
    inlined = dict(_declarations(element.get("style") or ""))
    style = {name: value for name, (value, _) in inlined.items()} | dict(rules)
    changes: dict[str, Any] = {}
    attribute = (
        element.get("color") if element.tag == "font" else element.get("text") if element.tag == "body" else None
    )
    if ink := _read_colour(style.get("color")) or _read_colour(attribute):
        changes["ink"], changes["ink_alpha"] = ink
    opacity = _read_opacity(style.get("opacity"))
    if opacity < 1:
        changes["veils"] = (*look.veils, (opacity, look.ground))
    ground = style.get("background-color") or style.get("background")
    if read := _read_colour(ground) or _read_colour(element.get("bgcolor")):
        changes["ground"] = _blend(read[0], look.ground, read[1])
    size = read_size(style.get("font-size") or find_size(style.get("font", "")), look.size)
    if size is None and element.tag == "font":
        size = FONT_SIZES.get(element.get("size") or "")
    if size is not None:
        changes["size"] = size
    if element.tag in {"b", "strong", "h1", "h2", "h3", "h4"} or style.get("font-weight") in {
        "bold",
        "600",
        "700",
        "800",
    }:
        changes["is_bold"] = True
    if style.get("display") == "none" or style.get("visibility") == "hidden" or opacity < _UNSEEABLE:
        changes["is_hidden"] = True
    return replace(look, **changes) if changes else look


def _read_rules(sheets: list[str], scheme: str | None) -> Iterator[tuple[str, dict[str, str]]]:
    """Selector and declarations of each rule outside media queries, or within that of a scheme."""
    for sheet in sheets:
        for rule in tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True):
            if scheme is None and rule.type == "qualified-rule":
                yield from _split(rule)
            if scheme and rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content is not None:
                if f"prefers-color-scheme: {scheme}" not in tinycss2.serialize(rule.prelude):
                    continue
                for inner in tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True):
                    if inner.type == "qualified-rule":
                        yield from _split(inner)


def _split(rule: Any) -> Iterator[tuple[str, dict[str, str]]]:
    # What is inlined wins over a block, but for what is important.
    declared = {n: v for n, (v, important) in _declarations(tinycss2.serialize(rule.content)) if important}
    for selector in tinycss2.serialize(rule.prelude).split(","):
        yield selector.strip(), declared


def _match(root: HtmlElement, rules: list[tuple[str, dict[str, str]]]) -> dict[HtmlElement, dict[str, str]]:
    """The declarations of the rules that match each element, later ones over earlier ones."""
    found: dict[HtmlElement, dict[str, str]] = {}
    # "[data-ogsc]" is Outlook.com's mark for its own dark scheme: no mail has it before it is shown there.
    for selector, declared in sorted(rules, key=lambda rule: rule[0].count(" ")):
        if not declared or "data-og" in selector:
            continue
        try:
            elements = CSSSelector(selector, translator="html")(root)
        except (SelectorError, ValueError, etree.XPathError):
            continue
        for element in cast("list[HtmlElement]", elements):
            found.setdefault(element, {}).update(declared)
    return found


def _declarations(style: str) -> Iterator[tuple[str, tuple[str, bool]]]:
    for one in tinycss2.parse_declaration_list(style, skip_comments=True, skip_whitespace=True):
        if one.type == "declaration":
            yield one.lower_name, (tinycss2.serialize(one.value).strip().lower(), bool(one.important))


def _read_colour(value: str | None) -> tuple[Rgb, float] | None:
    """A colour and how much it covers; None for none, one that covers nothing, or what is no colour."""
    # Attributes have colours without their sign as well.
    value = f"#{value}" if value and re.fullmatch(r"[0-9a-fA-F]{6}", value) else value
    colour = tinycss2.color4.parse_color(value) if value else None
    if colour is None or colour == "currentcolor" or colour.alpha <= 0:
        return None
    try:
        red, green, blue = colour.to("srgb").coordinates
    except NotImplementedError:  # oklch(), lab() and others: what most clients do not know either
        return None
    return (red, green, blue), min(colour.alpha, 1.0)


def _read_opacity(value: str | None) -> float:
    found = re.fullmatch(r"(\d*\.?\d+)(%?)", value or "")
    return min(float(found[1]) / (100 if found[2] else 1), 1.0) if found else 1.0


def _blend(colour: Rgb, behind: Rgb, alpha: float) -> Rgb:
    """What is seen of a colour that covers a part only of what lies behind it."""
    red, green, blue = (alpha * one + (1 - alpha) * other for one, other in zip(colour, behind, strict=True))
    return (red, green, blue)


def _luminance(colour: Rgb) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _name(colour: Rgb) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)
