"""What strangers write as HTML, made safe and plain where it enters.

Bodies keep their markup and lose everything that can run, load or hide (nh3); titles and names become the text that a
reader would see. Links are absolute and lead to http or https.
"""

import html
import re
from functools import lru_cache
from typing import Final
from urllib.parse import urljoin, urlsplit

import nh3

_LONGEST_NAME: Final = 1_000  # characters of a title, an author, a tag: beyond is no name, and no reader's good
_LONGEST_MARKUP: Final = 20_000  # characters of the markup in which a name may be wrapped
_DEEPEST: Final = 256  # nested elements; the sanitiser's time grows with the square of it, and no article needs as many

_TAGS = nh3.ALLOWED_TAGS | {"audio", "video", "source", "picture", "section", "main", "tfoot", "label", "big", "font"}
_ATTRIBUTES = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()} | {
    "audio": {"src"},
    "video": {"src", "width", "height"},
    "source": {"src", "type"},
    "*": {"title", "lang", "dir"},
}
_ELEMENTS = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo big blockquote body "
    "br button canvas caption center cite code col colgroup data dd del details dfn dialog dir div dl dt "
    "em embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr "
    "html i iframe img input ins kbd label legend li link main map mark math meta nav noscript object ol "
    "option p param picture pre q s samp script section select small source span strike strong style sub "
    "summary sup svg table tbody td template textarea tfoot th thead time title tr tt u ul var video wbr"
).replace(" ", "|")
# A tag by name, anything else that carries attributes, and a tag that was cut off. Each stops at the next "<", so that
# a hostile title costs time in proportion to its length and no more.
_TAG = re.compile(
    rf"</?(?:{_ELEMENTS})(?=[\s/>])[^<>]*>|</?[a-z][^<>\s]*\s[^<>=]*=[^<>]*>|<(?:{_ELEMENTS})\s[^<>]*$|<!\[CDATA\[|\]\]>",
    re.IGNORECASE,
)
_OPENING = re.compile(rf"<(?=/?(?:{_ELEMENTS})[\s/>])", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]*>")
_HIDDEN = (("<script", "</script>"), ("<style", "</style>"), ("<!--", "-->"))
_LOOKS_LIKE_HTML = re.compile(rf"<(?:{_ELEMENTS})(?:\s[^<>]*)?/?>|&(?:[a-z]{{2,8}}|#\d{{2,6}});", re.IGNORECASE)
# Elements that stay open count towards the depth; these close themselves.
_NESTING = re.compile(
    r"<(/?)(?!(?:p|li|br|hr|img|td|th|tr|dd|dt|option|input|wbr|col|source)\b)[a-z][^<>]*?(/?)>", re.IGNORECASE
)
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_ESCAPED_AMPERSAND = re.compile("&(?:amp|#0*38|#[xX]26);")
_ENDLESS_REFERENCE = re.compile("&#[0-9]{9,};?")
_CONTROLS = re.compile("[\x00-\x20]+")
_LINE_BREAKS = re.compile("[\t\r\n]+")


def plain_name(text: str | None) -> str | None:
    """The visible text of a title or a name, on one line; None when there is none.

    Publishers escape titles once, twice or not at all, so markup and entities are taken off until none is left.
    """
    if not text:
        return None
    text = text[:_LONGEST_MARKUP]
    for _ in range(3):
        if "<" not in text and "&" not in text:
            break
        shown = unescape(_drop_tags(text))
        if shown == text:
            break
        text = shown
    # What is a tag still, such as "<script>" out of "<scr<b>ipt>", may be read and never obeyed.
    return squeeze(_OPENING.sub("", _drop_tags(text)))


def squeeze(text: str | None) -> str | None:
    """The text on one line, without what cannot be seen or stored; None when nothing is left."""
    if not text:
        return None
    text = " ".join(scrub(text).split())
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1].rstrip() + "…"


def scrub(text: str) -> str:
    """The text without control characters, lone surrogates and non-characters, which databases and mail refuse."""
    return _INVISIBLE.sub("", text)


def looks_like_html(text: str) -> bool:
    """Whether a text that is said to be plain is markup after all."""
    return _LOOKS_LIKE_HTML.search(text) is not None


def escape(text: str) -> str:
    """Plain text as HTML."""
    return html.escape(text, quote=False)


def unescape(text: str) -> str:
    """The text with HTML's character references resolved; a reference of thousands of digits is none."""
    try:
        return html.unescape(text)
    except ValueError:
        return html.unescape(_ENDLESS_REFERENCE.sub("\ufffd", text))


def sanitise(markup: str | None, base: str = "") -> str | None:
    """The markup without anything executable, its links absolute; None when nothing is left.

    `base` is the URL of the document. The markup must be free of what `scrub` removes.
    """
    if not markup:
        return None
    if "<" in markup:
        if _is_too_deep(markup):
            markup = _ANY_TAG.sub(" ", markup)
        clean = _cleaner(base).clean(markup)
    else:
        clean = escape(unescape(markup)) if "&" in markup or ">" in markup else markup
    return (scrub(clean) if "&#" in markup else clean).strip() or None


def absolute(link: str | None, base: str = "") -> str | None:
    """The link, resolved against `base`, untouched when it is absolute; None unless it leads to http or https."""
    if not link:
        return None
    # Line breaks within are no part of it, as in browsers (https://url.spec.whatwg.org/#concept-basic-url-parser).
    link = _ESCAPED_AMPERSAND.sub("&", _LINE_BREAKS.sub("", link.strip()))
    if not link:
        return None
    if not link.lower().startswith(("http://", "https://")):
        link = join(base, link)
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in {"http", "https"} and parts.netloc else None


def join(base: str, link: str) -> str:
    """`link` as seen from `base` (RFC 3986 §5); the link itself where either makes no sense."""
    try:
        return urljoin(base, link)
    except ValueError:
        return link


@lru_cache(maxsize=256)
def _cleaner(base: str) -> nh3.Cleaner:
    def resolve(link: str) -> str | None:
        return absolute(_CONTROLS.sub(" ", link).strip() or base, base)

    return nh3.Cleaner(
        tags=_TAGS,
        clean_content_tags={"script", "style", "noscript", "noembed", "noframes", "iframe"},
        attributes=_ATTRIBUTES,
        link_rel=None,
        url_schemes={"http", "https", "mailto"},
        url_relative=resolve,
    )


def _drop_tags(text: str) -> str:
    """The text between the tags. A line break or a paragraph parts words, `<b>` and `<sub>` do not."""
    if "<" not in text:
        return text
    for start, end in _HIDDEN:
        text = _cut_out(text, start, end)
    gap = " " if "<br" in text or "<p" in text or "<div" in text else ""
    return _TAG.sub(gap, text)


def _cut_out(text: str, start: str, end: str) -> str:
    """The text without what stands between `start` and `end`; a start without an end hides nothing."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters change length: then positions do not carry over
        return text
    kept: list[str] = []
    at = 0
    while True:
        first = lower.find(start, at)
        last = lower.find(end, first) if first >= 0 else -1
        if last < 0:
            return "".join([*kept, text[at:]])
        kept.append(text[at:first])
        at = last + len(end)


def _is_too_deep(markup: str) -> bool:
    if markup.count("<") <= _DEEPEST:
        return False
    depth = 0
    for closing, alone in _NESTING.findall(markup):
        if not alone:
            depth += -1 if closing else 1
            if depth > _DEEPEST:
                return True
    return False
