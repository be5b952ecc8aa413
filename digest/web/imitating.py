"""A mail as some clients show it: what they take away from its HTML, taken away. Pure.

    inverted   colours turned round by force, as some apps do with every mail in the dark
    stripped   without style blocks, as Gmail does for accounts of other services
    images     pictures off (that is left to the page's policy), their words in their place
    outlook    as Word's engine: conditional comments for it come true, no media, no rounded corners, no widths' limits,
               nothing that floats or flexes, shapes in their fixed size
    clipped    cut where Gmail cuts

It imitates, so that what breaks is seen early; it is no mail client.
"""

import re
from collections.abc import Callable, Mapping
from html import escape, unescape
from typing import Final

CLIP: Final = 102_400  # bytes of HTML that Gmail shows

_STYLE_BLOCK: Final = re.compile(r"<style\b[^>]*>.*?</style>", re.DOTALL | re.IGNORECASE)
_TAG: Final = re.compile(r"""<[a-z](?:"[^"]*"|'[^']*'|[^"'<>])*>""", re.IGNORECASE)
_HEAD: Final = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_HEAD_END: Final = re.compile(r"</head>", re.IGNORECASE)
_INVERTED: Final = (
    "<style>html{background:#fff;filter:invert(1) hue-rotate(180deg)}img{filter:invert(1) hue-rotate(180deg)}</style>"
)

# Both kinds: what only Word reads, `<!--[if mso]>…<![endif]-->`, and what all but Word read, which opens as
# `<!--[if !mso]><!-->`, `<!--[if !mso]><!-- -->`, `<!--[if !mso]>-->` or `<![if !mso]>`.
_CONDITIONAL: Final = re.compile(
    r"<!(?:--)?\[if\s*([^\]]*)\]>(?:\s*(?:<!--\s*-->|<!-->|-->))?(.*?)(?:<!--\s*)?<!\[endif\](?:--)?>",
    re.DOTALL | re.IGNORECASE,
)
_TERM: Final = re.compile(r"(?:(gte|gt|lte|lt)\s+)?(mso|vml|ie|true|false)(?:\s+([\d.]+))?")
_VERSIONS: Final[Mapping[str, float]] = {"mso": 16, "vml": 1}  # of Outlook since 2016; it is no IE
_REDUCTIONS: Final = tuple(
    (re.compile(pattern), result)
    for pattern, result in (
        (r"\(([01])\)", r"\1"),
        ("!0", "1"),
        ("!1", "0"),
        ("1&1", "1"),
        ("[01]&[01]", "0"),
        (r"0\|0", "0"),
        (r"[01]\|[01]", "1"),
    )
)
_OFFICE: Final = re.compile(r"<xml\b.*?</xml>", re.DOTALL | re.IGNORECASE)  # settings of Word's, and nothing to show

_STYLE: Final = re.compile(r"""(?<=\s)style\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_DECLARATION: Final = re.compile(r"""(?:[^;"'(]|"[^"]*"|'[^']*'|\([^)]*\)|["'(])+""")
_UNKNOWN_TO_WORD: Final = re.compile(
    r"\s*(?:(?:border(?:-\w+-\w+)?-radius|(?:max|min)-(?:width|height)|opacity|overflow-wrap|text-wrap|(?:box|text)-shadow"
    r"|background-(?:image|size|position|repeat)|float|flex(?:-\w+)?|gap|justify-content|align-(?:items|self|content)"
    r"|object-fit|position|transform|transition|animation|filter|clip-path)\s*:"
    r"|display\s*:\s*(?:inline-)?(?:flex|grid)\b|background\s*:.*(?:url|gradient)\()",
    re.DOTALL | re.IGNORECASE,
)

_VML: Final = re.compile(r"<v:roundrect\b([^>]*)>(.*?)</v:roundrect>", re.DOTALL | re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_SIZE: Final = re.compile(r"(?:^|;)\s*(width|height)\s*:\s*([\d.]+(?:px|pt|in|cm|mm))", re.IGNORECASE)

_LINK: Final = re.compile(r"<(?:a|area|form)\b", re.IGNORECASE)
_TARGET: Final = re.compile(r"""\starget\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_IN_PLACE: Final = re.compile(r"""\shref\s*=\s*["']?#""", re.IGNORECASE)
_REMOTE: Final = re.compile(
    r"""<img\b[^>]*?\ssrc\s*=\s*["']?\s*(?:https?:)?//|\sbackground\s*=\s*["']?\s*(?:https?:)?//"""
    r"""|url\(\s*(?:["']|&quot;|&\#39;)?\s*(?:https?:)?//""",
    re.IGNORECASE,
)


def imitate(html: str, mode: str) -> str:
    """The HTML as a client of that mode shows it; as it is for a mode that is not known."""
    change = _MODES.get(mode)
    return change(html) if change else html


def lead_out(html: str) -> str:
    """The HTML with links that open beside the mail, not in its place; those to a part of itself stay."""
    aimed = _TAG.sub(lambda found: _aim(found[0]), html)
    base = '<base target="_blank">'  # counts wherever it stands
    return _HEAD.sub(lambda found: found[0] + base, aimed, count=1) if _HEAD.search(aimed) else aimed + base


def count_pictures(html: str) -> int:
    """The pictures that a client would fetch from other hosts."""
    return sum(1 for _ in _REMOTE.finditer(html))


def _aim(tag: str) -> str:
    """A link or a form without a target of its own."""
    if not (link := _LINK.match(tag)):
        return tag
    freed = _TARGET.sub("", tag)
    return f'{link[0]} target="_self"{freed[link.end() :]}' if _IN_PLACE.search(freed) else freed


def _invert(html: str) -> str:
    return _HEAD_END.sub(f"{_INVERTED}</head>", html, count=1)


def _strip_styles(html: str) -> str:
    return _STYLE_BLOCK.sub("", html)


def _as_word(html: str) -> str:
    shown = _CONDITIONAL.sub(lambda found: found[2] if _is_true_in_word(found[1]) else "", html)
    shown = _STYLE_BLOCK.sub("", _OFFICE.sub("", shown))
    shown = _TAG.sub(lambda found: _STYLE.sub(_keep_known, found[0]), shown)
    return _VML.sub(_draw, shown)  # last: what a browser needs for a shape, Word does not know


def _is_true_in_word(condition: str) -> bool:
    """Whether Word reads what stands under a condition such as "gte mso 9" or "(mso)|(IE)"; not what it cannot read."""
    left = _TERM.sub(lambda found: "01"[_holds(*found.groups())], condition.lower())
    left = "".join(left.split())
    while reduced := next((rule.sub(by, left, count=1) for rule, by in _REDUCTIONS if rule.search(left)), ""):
        left = reduced
    return left == "1"


def _holds(comparison: str | None, name: str, version: str | None) -> bool:
    """Whether one term holds: a name alone asks whether there is one, with a number whether it is that version."""
    ours = _VERSIONS.get(name)
    if ours is None:
        return name == "true"
    asked = float(version) if version and version.count(".") < 2 and version != "." else ours
    return {"gte": ours >= asked, "gt": ours > asked, "lte": ours <= asked, "lt": ours < asked}.get(
        comparison or "", ours == asked
    )


def _keep_known(found: "re.Match[str]") -> str:
    """A style attribute without the declarations that Word passes over; to the letter where it has none."""
    declarations = _DECLARATION.findall(unescape(found[1] if found[1] is not None else found[2]))
    known = [one for one in declarations if not _UNKNOWN_TO_WORD.match(one)]
    return found[0] if len(known) == len(declarations) else f'style="{escape(";".join(known))}"'


def _draw(found: "re.Match[str]") -> str:
    """A shape of Word's as a browser can show it: in its own size, which words that do not fit overrun unseen."""
    attributes = {name.lower(): double or single for name, double, single in _ATTRIBUTE.findall(found[1])}
    size = {name.lower(): value for name, value in _SIZE.findall(attributes.get("style", ""))}
    if len(size) == 2:
        box = "display:inline-flex;align-items:center;justify-content:center;overflow:hidden;" + "".join(
            f"{name}:{value};" for name, value in size.items()
        )
    else:
        box = "display:inline-block;padding:12px 24px;"
    link, colour = (
        attributes.get(name, other).replace('"', "&quot;") for name, other in (("href", "#"), ("fillcolor", "#ddd"))
    )
    return f'<a href="{link}" style="{box}text-decoration:none;background:{colour}">{found[2]}</a>'


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
