"""What email clients make of a mail: features of HTML and CSS that some do not support, by the data of Can I email.

    HTML ─ elements, attributes, inlined and other styles ─> features ─ caniemail.json, clients.toml ─> findings

Each feature once, where it is used first. What is supported in part counts as supported: the notes of the data would
have to be understood to say more.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import tinycss2
from lxml.html import HtmlElement

from digest.models import Finding

_FOLDER: Final = Path(__file__).parent
_ELEMENTS: Final = {
    name: f"html-{name}"
    for name in """audio base dialog form link marquee meter object picture progress select svg textarea video ruby abbr
        address blockquote code del hr pre small span strike strong wbr bdi""".split()
}
_ATTRIBUTES: Final = {
    "loading": "html-loading-attribute",
    "usemap": "html-image-maps",
    **{
        name: f"html-{name}"
        for name in """aria-describedby aria-hidden aria-label aria-labelledby aria-live background hidden popover
            required role srcset target""".split()
    },
}
_FUNCTIONS: Final = {
    "var": "css-variables",
    "calc": "css-unit-calc",
    "color-mix": "css-modern-color",
    "lab": "css-modern-color",
    "oklch": "css-modern-color",
    **{name: f"css-function-{name}" for name in ("clamp", "min", "max", "light-dark")},
    **{name: f"css-{name}" for name in ("linear-gradient", "radial-gradient", "conic-gradient", "rgba", "rgb")},
}
_IMAGE: Final = re.compile(r"\.(apng|avif|bmp|gif|heif|ico|jpg|jpeg|png|svg|tiff|webp)(?:[?#]|$)", re.IGNORECASE)
_PSEUDO: Final = re.compile(r"(::?)([a-z-]+)")
_COMBINATORS: Final = {
    ">": "css-selector-child",
    "+": "css-selector-adjacent-sibling",
    "~": "css-selector-general-sibling",
    "[": "css-selector-attribute",
    "*": "css-selector-universal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """What is known of one feature: its name, and the clients that do not have it."""

    title: str
    missing_in: tuple[str, ...]


def inspect_clients(root: HtmlElement) -> Iterator[Finding]:
    """A finding for each feature that a client lacks, the breaking ones first."""
    known, judged = _load_support(), _load_judgements()
    used: dict[str, str] = {}
    for feature, place in _find_features(root):
        used.setdefault(feature, place)
    lacking = [
        (feature, place)
        for feature, place in used.items()
        if feature in known and known[feature].missing_in and feature not in judged["allowed"]
    ]
    for feature, place in sorted(lacking, key=lambda pair: pair[0] not in judged["breaks"]):
        support, effect = known[feature], judged["breaks"].get(feature)
        clients = ", ".join(support.missing_in)
        message = f"{support.title} is not supported by {clients}" + (f": {effect}." if effect else ".")
        yield Finding(
            rule=f"client-{feature}",
            severity="fail" if effect else "warn",
            message=message,
            where=place,
            clients=support.missing_in,
        )


def as_of() -> str:
    """The day of the data."""
    return str(_read_data()["updated"])


def _find_features(root: HtmlElement) -> Iterator[tuple[str, str]]:
    """Each use of a feature, and where."""
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        place = f"HTML, line {element.sourceline}, <{element.tag}>"
        if element.tag in _ELEMENTS:
            yield _ELEMENTS[element.tag], place
        for name in element.attrib:
            if name in _ATTRIBUTES:
                yield _ATTRIBUTES[name], place
        if element.tag == "img":
            yield from ((feature, place) for feature in _features_of_image(element.get("src") or ""))
        if style := element.get("style"):
            yield from ((feature, place) for feature in _features_of_declarations(style))
        if element.tag == "style":
            line = element.sourceline or 0
            yield from (
                (feature, f"HTML, line {line + offset - 1}, <style>")
                for feature, offset in _features_of_sheet(element.text or "")
            )


def _features_of_image(source: str) -> Iterator[str]:
    if source.startswith("data:"):
        yield "image-base64"
    elif found := _IMAGE.search(source):
        yield f"image-{found[1].lower().replace('jpeg', 'jpg')}"


def _features_of_sheet(sheet: str) -> Iterator[tuple[str, int]]:
    """The features of a style sheet, each with its line in it."""
    for rule in tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True):
        yield from _features_of_rule(rule)


def _features_of_rule(rule: Any) -> Iterator[tuple[str, int]]:
    if rule.type == "at-rule":
        yield f"css-at-{rule.lower_at_keyword}", rule.source_line
        prelude = tinycss2.serialize(rule.prelude)
        for condition in ("prefers-color-scheme", "prefers-reduced-motion", "hover", "orientation"):
            if condition in prelude:
                yield f"css-at-media-{condition}", rule.source_line
        if rule.content is not None and rule.lower_at_keyword in {"media", "supports"}:
            for inner in tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True):
                yield from _features_of_rule(inner)
    elif rule.type == "qualified-rule":
        selector = tinycss2.serialize(rule.prelude)
        for mark, feature in _COMBINATORS.items():
            if mark in selector:
                yield feature, rule.source_line
        for colons, name in _PSEUDO.findall(selector):
            yield (
                f"css-pseudo-{'element' if colons == '::' or name in {'before', 'after'} else 'class'}-{name}",
                rule.source_line,
            )
        for feature in _features_of_declarations(tinycss2.serialize(rule.content)):
            yield feature, rule.source_line


def _features_of_declarations(style: str) -> Iterator[str]:
    known = _load_support()
    for declaration in tinycss2.parse_declaration_list(style, skip_comments=True, skip_whitespace=True):
        if declaration.type != "declaration":
            continue
        name = declaration.lower_name
        if name.startswith("--"):
            yield "css-variables"
            continue
        value = tinycss2.serialize(declaration.value).strip().lower()
        if name == "display" and value in {"flex", "inline-flex", "grid", "inline-grid", "none"}:
            yield f"css-display-{value.removeprefix('inline-')}"
        parts = name.split("-")
        # "padding-left" is known as "padding"; "border-top-left-radius" is not known as "border".
        slugs = [f"css-{'-'.join(parts[:length])}" for length in range(len(parts), 0, -1)]
        slug = "css-border-radius" if name.endswith("-radius") else next((one for one in slugs if one in known), None)
        if slug and slug != "css-display":
            yield slug
        if declaration.important:
            yield "css-important"
        for token in _flatten(declaration.value):
            if token.type == "function" and token.lower_name in _FUNCTIONS:
                yield _FUNCTIONS[token.lower_name]
            elif token.type == "dimension":
                yield f"css-unit-{token.lower_unit}"


def _flatten(tokens: Any) -> Iterator[Any]:
    for token in tokens:
        yield token
        if token.type == "function":
            yield from _flatten(token.arguments)


@lru_cache(maxsize=1)
def _load_support() -> Mapping[str, Support]:
    data = _read_data()
    clients = data["clients"]
    return {
        slug: Support(title=feature["title"], missing_in=tuple(clients[number] for number in feature.get("n", ())))
        for slug, feature in data["features"].items()
    }


@lru_cache(maxsize=1)
def _load_judgements() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads((_FOLDER / "clients.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _read_data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((_FOLDER / "caniemail.json").read_text(encoding="utf-8"))
    return data
