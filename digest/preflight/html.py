"""The rules on the HTML part."""

import unicodedata
from collections.abc import Collection, Iterator, Sequence

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from digest.models import Finding
from digest.preflight.active import inspect_active
from digest.preflight.anchors import inspect_links
from digest.preflight.clients import inspect_clients
from digest.preflight.distrust import distrust_html
from digest.preflight.elements import point_at, words_of
from digest.preflight.languages import inspect_languages
from digest.preflight.legibility import inspect_legibility
from digest.preflight.pictures import inspect_pictures

_WARN_BYTES = 80_000
_FAIL_BYTES = 100_000


def inspect_html(
    html: str, ways_out: Sequence[str], homes: Collection[str], parts: Collection[str] | None
) -> Iterator[Finding]:
    """The findings on an HTML part. `ways_out`: the links by which its reader leaves; `homes`: the hosts of such.

    `parts`: the names of the parts beside it; None where there is no message.
    """
    size = len(html.encode(errors="replace"))
    if size >= _WARN_BYTES:
        message = f"The HTML has {size:,} bytes; Gmail clips a mail near 102,000."
        yield Finding(rule="size", severity="fail" if size >= _FAIL_BYTES else "warn", message=message, where="HTML")
    root = parse_html(html)
    if root is None:
        yield Finding(rule="html-part", severity="fail", message="The HTML cannot be read.", where="HTML")
        return
    yield from inspect_clients(root)
    yield from inspect_legibility(root)
    yield from distrust_html(root)
    yield from inspect_languages(root)
    yield from inspect_links(root, ways_out, homes)
    yield from inspect_active(root)
    yield from inspect_pictures(root, parts)
    yield from _inspect_headings(root)


def parse_html(html: str) -> HtmlElement | None:
    """The root element of what stands in `html`, without its comments; None for what cannot be read."""
    parser = HTMLParser(remove_comments=True, remove_pis=True, encoding="utf-8", huge_tree=True)
    try:
        return document_fromstring(html.encode(errors="replace"), parser=parser)
    except (etree.LxmlError, ValueError):
        return None


def _inspect_headings(root: HtmlElement) -> Iterator[Finding]:
    tops = list(root.iter("h1"))
    if not tops:
        yield Finding(rule="heading", severity="warn", message="The mail has no h1.", where="HTML")
    for top in tops[1:]:
        yield point_at(top, "heading", "warn", "The mail has more than one h1.")
    level = 1
    for heading in root.iter("h1", "h2", "h3", "h4", "h5", "h6"):
        deeper = int(heading.tag[1])
        if deeper > level + 1:
            yield point_at(heading, "heading", "info", f"The headings skip from h{level} to h{deeper}.")
        level = deeper
    seen: set[str] = set()
    for headline in root.iter("h3", "h4"):
        words = words_of(headline)
        folded = _fold(words)
        if folded in seen:
            yield point_at(headline, "duplicate-headline", "warn", f"“{words[:80]}” is printed twice.")
        if folded:
            seen.add(folded)
    for heading in _empty_sections(root):
        yield point_at(heading, "empty-section", "warn", f"There is nothing under “{words_of(heading)[:80]}”.")


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


def _fold(words: str) -> str:
    """A headline without what may differ when it is the same: capitals, punctuation, spaces."""
    folded = unicodedata.normalize("NFKC", words).casefold()
    return "".join(one for one in folded if unicodedata.category(one)[0] not in "PZC")
