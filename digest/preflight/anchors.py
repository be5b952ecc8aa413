"""The rules on the links of the HTML: where they lead, whether they can lead there, and whether one leads out."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from urllib.parse import unquote

from lxml.html import HtmlElement

from digest.models import Finding
from digest.preflight.elements import place_of, point_at, words_of
from digest.preflight.links import find_fault, is_reserved, split_url
from digest.preflight.wayout import TO_PREFERENCES, calls_to_leave, is_related, leads_out, says_unsubscribe

_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


def list_links(root: HtmlElement) -> Iterator[tuple[str, str]]:
    """Each link's address with its place; but those that speak of leaving: following one may have its effect."""
    for link in root.iter("a", "area"):
        href = _href_of(link)
        if href and not says_unsubscribe(href) and not says_unsubscribe(_words_of(link)):
            yield href, place_of(link)


def inspect_links(root: HtmlElement, ways_out: Sequence[str], homes: Collection[str]) -> Iterator[Finding]:
    """The findings on links. `ways_out`: those by which the reader leaves; `homes`: the hosts where that may be."""
    reserved: Counter[str] = Counter()
    targets = _list_targets(root)
    has_way_out = False
    for link in root.iter("a", "area"):
        href = _href_of(link)
        if href in ways_out:
            has_way_out = True
            continue
        if href.removesuffix(TO_PREFERENCES) in ways_out:  # it leads to the same place, and leads nobody out
            continue
        if _is_way_out(link):
            has_way_out = True
            yield from _inspect_way_out(link, homes)
        if not href and (link.get("name") or link.get("id") or link.tag == "area"):
            continue
        faults = list(_inspect_link(link, targets))
        yield from faults
        host = split_url(href)[1]
        if not faults and is_reserved(host):
            reserved[host] += 1
    if reserved:
        names = ", ".join(sorted(reserved))
        message = f"No reader can reach {names} ({reserved.total()} link{'s' * (reserved.total() > 1)})."
        yield Finding(rule="reserved-name", severity="info", message=message, where="HTML")
    if not has_way_out:
        message = "The HTML has no link to unsubscribe."
        yield Finding(rule="unsubscribe-link", severity="fail", message=message, where="HTML")


def _inspect_link(link: HtmlElement, targets: Collection[str]) -> Iterator[Finding]:
    href, words = _href_of(link), _words_of(link)
    scheme, host = split_url(href)
    name = f"“{words[:60]}”" if words else "without words"
    if not href or href == "#" or (scheme in {"http", "https"} and not host) or _is_bare(scheme, href):
        yield point_at(link, "link-empty", "fail", f"The link {name} leads nowhere.")
    elif href.startswith("#"):
        if unquote(href[1:]) not in targets and href.lower() != "#top":
            message = f"The link {name} leads to {href[:60]}, which is not in the mail."
            yield point_at(link, "link-target", "warn", message)
    elif scheme not in _SCHEMES:
        fault = f"goes by {scheme}:" if scheme else "is not absolute"
        yield point_at(link, "link-scheme", "fail", f"The link {name} {fault}.")
    elif found := find_fault(href):
        severity, fault = found
        yield point_at(link, "link-malformed", severity, f"The link {name} {fault}.")


def _is_bare(scheme: str, href: str) -> bool:
    """Whether there is nobody to write to, or no number to call."""
    rest = href.partition(":")[2].strip("/ ")
    return (scheme == "mailto" and not rest) or (scheme == "tel" and not any(map(str.isdigit, rest)))


def _list_targets(root: HtmlElement) -> frozenset[str]:
    """What a link within the document can lead to."""
    named = (element.get("name") for element in root.iter("a"))
    return frozenset(name for name in (*named, *root.xpath("//@id")) if name)


def _is_way_out(link: HtmlElement) -> bool:
    """Whether its words or its address call to leave; what stands in a headline is a story."""
    if any(True for _ in link.iterancestors(*_HEADINGS)) or any(True for _ in link.iter(*_HEADINGS)):
        return False
    return calls_to_leave(_words_of(link)) or leads_out(_href_of(link))


def _inspect_way_out(link: HtmlElement, homes: Collection[str]) -> Iterator[Finding]:
    scheme, host = split_url(_href_of(link))
    if homes and host and scheme in {"http", "https"} and not is_related(host, homes):
        message = f"The way out leads to {host}, while the headers name {', '.join(sorted(homes))}."
        yield point_at(link, "unsubscribe-host", "warn", message)


def _href_of(link: HtmlElement) -> str:
    return (link.get("href") or "").strip()


def _words_of(link: HtmlElement) -> str:
    """Its words, or those of its pictures."""
    pictures = [link, *link.iter("img")]
    return words_of(link) or " ".join(" ".join(one.get("alt") or "" for one in pictures).split())
