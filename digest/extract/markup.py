"""What is read of a page's markup in the same way whatever it is for: JSON-LD, `meta` elements, texts to compare."""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from lxml.html import HtmlElement as Element

_QUOTES: Final = str.maketrans("‘’‚‛′`´“”„«»″‐‑‒–—―", "'''''''\"\"\"\"\"\"------")
_MOST_SCRIPT: Final = 500_000  # characters of a JSON-LD block that are looked at


def fold(text: str) -> str:
    """For comparing: letter case, white space, and the kinds of quotation marks and dashes do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold().split()).strip(" .")


def read_json_ld(tree: Element) -> Iterator[dict[str, Any]]:
    """Every object of the page's JSON-LD. Not by recursion: a stranger nests as deep as they like."""
    for script in tree.iter("script"):
        if "ld+json" not in (script.get("type") or "").lower() or not script.text:
            continue
        try:
            waiting: list[Any] = [json.loads(script.text[:_MOST_SCRIPT].strip().rstrip(";"), strict=False)]
        except (ValueError, RecursionError):
            continue
        while waiting:
            block = waiting.pop(0)
            if isinstance(block, list):
                waiting += block[:50]
            elif isinstance(block, dict):
                yield block
                waiting += [value for value in block.values() if isinstance(value, dict | list)]


def names_in(value: Any) -> list[str]:
    """The names in a JSON-LD value, which may be a text, an object with a name, or a list of these."""
    if isinstance(value, str):
        return [] if value.startswith("http") else [strip_markup(value)]
    if isinstance(value, dict):
        return names_in(value.get("name")) if not isinstance(value.get("name"), dict) else []
    if isinstance(value, list):
        return [name for part in value[:10] if not isinstance(part, list) for name in names_in(part)]
    return []


def read_meta(tree: Element, name: str) -> list[str]:
    """The contents of the `meta` elements of that property or name."""
    return [
        text
        for meta in tree.iter("meta")
        if name in {(meta.get("property") or "").lower(), (meta.get("name") or "").lower()}
        and (text := flat(meta.get("content")))
    ]


def strip_markup(value: Any) -> str:
    """A text of JSON-LD, in which some publishers leave their markup."""
    return re.sub(r"<[^<>]{0,200}>", "", value) if isinstance(value, str) else ""


def flat(text: str | None) -> str:
    """The text on one line, and no longer than a title or a name may be."""
    return " ".join((text or "")[:2000].split())
