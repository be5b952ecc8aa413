"""The rules on the HTML part."""

from collections import Counter
from collections.abc import Iterator, Sequence

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from digest.models import Finding, Severity
from digest.preflight.clients import inspect_clients
from digest.preflight.distrust import distrust_html
from digest.preflight.legibility import inspect_legibility
from digest.preflight.links import is_reserved, split_url
from digest.preflight.words import says_unsubscribe
from digest.text import direction_of

_WARN_BYTES = 80_000
_FAIL_BYTES = 100_000

_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_FORBIDDEN: tuple[tuple[str, Severity], ...] = (
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


def inspect_html(html: str, ways_out: Sequence[str]) -> Iterator[Finding]:
    """The findings on an HTML part. `ways_out`: the links by which its reader leaves."""
    size = len(html.encode(errors="replace"))
    if size >= _WARN_BYTES:
        message = f"The HTML has {size:,} bytes; Gmail clips a mail near 102,000."
        yield _finding("size", "fail" if size >= _FAIL_BYTES else "warn", message, where="HTML")
    root = parse_html(html)
    if root is None:
        yield _finding("html-part", "fail", "The HTML cannot be read.", where="HTML")
        return
    yield from inspect_clients(root)
    yield from inspect_legibility(root)
    yield from distrust_html(root)
    yield from _inspect_root(root)
    yield from _inspect_links(root, ways_out)
    yield from _inspect_elements(root)
    yield from _inspect_headings(root)


def parse_html(html: str) -> HtmlElement | None:
    """The root element of what stands in `html`, without its comments; None for what cannot be read."""
    parser = HTMLParser(remove_comments=True, remove_pis=True, encoding="utf-8", huge_tree=True)
    try:
        return document_fromstring(html.encode(errors="replace"), parser=parser)
    except (etree.LxmlError, ValueError):
        return None


def list_links(root: HtmlElement) -> Iterator[tuple[str, str]]:
    """Each link's address with its place; but those that speak of leaving: following one may have its effect."""
    for link in root.iter("a"):
        href = (link.get("href") or "").strip()
        if href and not says_unsubscribe(href) and not says_unsubscribe(_text_of(link)):
            yield href, f"HTML, line {link.sourceline}, <a>"


def _inspect_root(root: HtmlElement) -> Iterator[Finding]:
    language = root.get("lang")
    if not language:
        yield _finding("language", "warn", "The document does not say which language it is in.", root)
    if not root.get("dir"):
        severity: Severity = "warn" if direction_of(language) == "rtl" else "info"
        yield _finding("direction", severity, "The document does not say which way it is read.", root)


def _inspect_links(root: HtmlElement, ways_out: Sequence[str]) -> Iterator[Finding]:
    reserved: Counter[str] = Counter()
    has_way_out = False
    for link in root.iter("a"):
        href, words = (link.get("href") or "").strip(), _text_of(link)
        if href in ways_out:
            has_way_out = True
            continue
        has_way_out = has_way_out or says_unsubscribe(href) or says_unsubscribe(words)
        if not href and (link.get("name") or link.get("id")):
            continue
        scheme, host = split_url(href)
        name = f"“{words[:60]}”" if words else "without words"
        if not href or href == "#" or (scheme in {"http", "https"} and not host):
            yield _finding("link-empty", "fail", f"The link {name} leads nowhere.", link)
        elif scheme not in _SCHEMES and not href.startswith("#"):
            fault = f"goes by {scheme}:" if scheme else "is not absolute"
            yield _finding("link-scheme", "fail", f"The link {name} {fault}.", link)
        elif is_reserved(host):
            reserved[host] += 1
    if reserved:
        names = ", ".join(sorted(reserved))
        message = f"No reader can reach {names} ({reserved.total()} link{'s' * (reserved.total() > 1)})."
        yield _finding("reserved-name", "info", message, where="HTML")
    if not has_way_out:
        yield _finding("unsubscribe-link", "fail", "The HTML has no link to unsubscribe.", where="HTML")


def _inspect_elements(root: HtmlElement) -> Iterator[Finding]:
    for name, severity in _FORBIDDEN:
        for element in root.iter(name):
            yield _finding("forbidden-element", severity, f"Mail clients drop or distrust <{name}>.", element)
    for image in root.iter("img"):
        if image.get("alt") is None:
            yield _finding("image-alt", "warn", "A picture without alternative text.", image)


def _inspect_headings(root: HtmlElement) -> Iterator[Finding]:
    tops = list(root.iter("h1"))
    if not tops:
        yield _finding("heading", "warn", "The mail has no h1.", where="HTML")
    for top in tops[1:]:
        yield _finding("heading", "warn", "The mail has more than one h1.", top)
    seen: set[str] = set()
    for headline in root.iter("h3", "h4"):
        words = _text_of(headline)
        if words.casefold() in seen:
            yield _finding("duplicate-headline", "warn", f"“{words[:80]}” is printed twice.", headline)
        seen.add(words.casefold())
    for heading in _empty_sections(root):
        yield _finding("empty-section", "warn", f"There is nothing under “{_text_of(heading)[:80]}”.", heading)


def _empty_sections(root: HtmlElement) -> Iterator[HtmlElement]:
    """The h2 after which nothing is said before the next h1 or h2."""
    section: HtmlElement | None = None
    is_inside = False
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start" and element.tag in {"h1", "h2"}:
            if section is not None:
                yield section
            section, is_inside = (element if element.tag == "h2" else None), True
        elif event == "end" and element.tag in {"h1", "h2"}:
            is_inside = False
        said = element.text if event == "start" else element.tail
        if not is_inside and ((said and said.strip("\xa0 \t\r\n")) or element.tag == "img"):
            section = None
    if section is not None:
        yield section


def _text_of(element: HtmlElement) -> str:
    return " ".join(str(element.text_content()).split())


def _finding(
    rule: str, severity: Severity, message: str, element: HtmlElement | None = None, where: str | None = None
) -> Finding:
    place = where if element is None else f"HTML, line {element.sourceline}, <{element.tag}>"
    return Finding(rule=rule, severity=severity, message=message, where=place)
