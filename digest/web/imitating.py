"""A mail as some clients show it: what they take away from its HTML, taken away. Pure.

    inverted   colours turned round by force, as some apps do with every mail in the dark
    stripped   without style blocks, as Gmail does for accounts of other services
    images     pictures off (that is left to the page's policy), their words in their place
    outlook    as Word's engine: conditional comments for it come true, no media, no rounded corners, no widths' limits
    clipped    cut where Gmail cuts

It imitates, so that what breaks is seen early; it is no mail client.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

CLIP: Final = 102_400  # bytes of HTML that Gmail shows

_STYLE_BLOCK: Final = re.compile(r"<style\b[^>]*>.*?</style>", re.DOTALL | re.IGNORECASE)
_MSO_ONLY: Final = re.compile(r"<!--\[if mso[^\]]*\]>(.*?)<!\[endif\]-->", re.DOTALL)
_NOT_MSO: Final = re.compile(r"<!--\[if !mso\]><!-->.*?<!--<!\[endif\]-->", re.DOTALL)
_VML: Final = re.compile(r"<v:roundrect\b([^>]*)>(.*?)</v:roundrect>", re.DOTALL)
_UNKNOWN_TO_WORD: Final = re.compile(
    r"(?:border-radius|max-width|min-width|opacity|overflow-wrap|text-wrap|box-shadow)\s*:[^;\"]*;?", re.IGNORECASE
)
_STYLE: Final = re.compile(r'style="[^"]*"', re.IGNORECASE)
_OFFICE: Final = re.compile(r"<xml\b.*?</xml>", re.DOTALL | re.IGNORECASE)  # settings of Word's, and nothing to show
_ATTRIBUTE: Final = re.compile(r'(href|fillcolor)="([^"]*)"')
_HEAD_END: Final = re.compile(r"</head>", re.IGNORECASE)
_INVERTED: Final = (
    "<style>html{background:#fff;filter:invert(1) hue-rotate(180deg)}img{filter:invert(1) hue-rotate(180deg)}</style>"
)


def imitate(html: str, mode: str) -> str:
    """The HTML as a client of that mode shows it; as it is for a mode that is not known."""
    change = _MODES.get(mode)
    return change(html) if change else html


def _invert(html: str) -> str:
    return _HEAD_END.sub(f"{_INVERTED}</head>", html, count=1)


def _strip_styles(html: str) -> str:
    return _STYLE_BLOCK.sub("", html)


def _as_word(html: str) -> str:
    shown = _NOT_MSO.sub("", html)
    shown = _MSO_ONLY.sub(lambda found: _VML.sub(_draw, _OFFICE.sub("", found[1])), shown)
    return _STYLE.sub(lambda found: _UNKNOWN_TO_WORD.sub("", found[0]), _STYLE_BLOCK.sub("", shown))


def _draw(found: "re.Match[str]") -> str:
    """A shape of Word's as a browser can show it."""
    attributes = dict(_ATTRIBUTE.findall(found[1]))
    return (
        f'<a href="{attributes.get("href", "#")}" style="display:inline-block;padding:12px 24px;text-decoration:none;'
        f'background:{attributes.get("fillcolor", "#ddd")}">{found[2]}</a>'
    )


def _clip(html: str) -> str:
    body = html.encode()
    if len(body) <= CLIP:
        return html
    return body[:CLIP].decode(errors="ignore") + "<hr><p>[Message clipped] <u>View entire message</u></p>"


_MODES: Final[Mapping[str, Callable[[str], str]]] = {
    "inverted": _invert,
    "stripped": _strip_styles,
    "outlook": _as_word,
    "clipped": _clip,
}
