"""RSS 0.9x-2.0, RDF (RSS 1.0) and Atom 0.3/1.0: which of their elements is which of our fields.

These tables are the whole knowledge of the dialects: for each field of ours, the elements that may hold it, the best
first. An element is named `prefix:name` in lower case, by the usual prefix of its namespace whatever prefix the
document uses; the dialects' own elements have none. https://www.rssboard.org/rss-specification, RFC 4287,
https://web.resource.org/rss/1.0/spec, and the Dublin Core, content, Media RSS and iTunes modules.
"""

from typing import Final

ENTRY_FIELDS: Final = {
    "id": ("guid", "id"),
    "title": ("title", "dc:title", "media:title", "itunes:title"),
    "published": ("pubdate", "published", "issued", "dcterms:issued", "dc:date", "created", "dcterms:created"),
    "updated": ("updated", "modified", "dcterms:modified", "lastbuilddate"),
    "author": ("author", "dc:creator", "itunes:author", "media:credit"),
    "summary": ("description", "summary", "dc:description", "dcterms:abstract", "itunes:summary", "media:description"),
    "content": ("content:encoded", "content", "xhtml:body", "body", "xhtml:div"),
    "language": ("dc:language", "language"),
}
FEED_FIELDS: Final = {
    "title": ("title", "dc:title", "itunes:title"),
    "subtitle": ("description", "subtitle", "tagline", "dc:description", "itunes:summary", "itunes:subtitle"),
    "language": ("language", "dc:language"),
    "author": ("author",),
}
TAGS: Final = ("category", "dc:subject", "media:category", "itunes:category")
TAG_LISTS: Final = ("media:keywords", "itunes:keywords")  # many in one element, with commas
ENCLOSURES: Final = ("enclosure", "media:content")
IMAGES: Final = ("media:content", "enclosure", "media:thumbnail")

NAMESPACES: Final = {
    "http://www.w3.org/2005/atom": "",
    "http://purl.org/atom/ns": "",
    "http://purl.org/rss/1.0": "",
    "http://my.netscape.com/rdf/simple/0.9": "",
    "http://channel.netscape.com/rdf/simple/0.9": "",
    "http://my.netscape.com/publish/formats/rss-0.91.dtd": "",
    "http://backend.userland.com/rss": "",
    "http://backend.userland.com/rss2": "",
    "http://backend.userland.com/rss091": "",
    "http://blogs.law.harvard.edu/tech/rss": "",
    "http://cyber.law.harvard.edu/rss/rss.html": "",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns": "rdf",
    "http://www.w3.org/1999/xhtml": "xhtml",
    "http://purl.org/dc/elements/1.0": "dc",
    "http://purl.org/dc/elements/1.1": "dc",
    "http://purl.org/dc/terms": "dcterms",
    "http://purl.org/rss/1.0/modules/content": "content",
    "http://search.yahoo.com/mrss": "media",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
}
# Prefixes that documents use without declaring them.
_PREFIXES: Final = {"rss": "", "atom": "", "a10": "", "atom10": ""} | {
    prefix: prefix for prefix in NAMESPACES.values() if prefix
}


class Names(dict[object, str]):
    """An element's tag as lxml gives it → the name the tables use; "" for what they do not know."""

    def __init__(self, root_tag: str) -> None:
        super().__init__()
        # The namespace of the root is the dialect's own, however it is spelt.
        self._own = root_tag[1:].partition("}")[0] if root_tag.startswith("{") else None
        if self._own and NAMESPACES.get(_fold(self._own)):
            self._own = None

    def __missing__(self, tag: object) -> str:
        name = ""
        if isinstance(tag, str):
            if tag.startswith("{"):
                uri, _, local = tag[1:].partition("}")
                prefix = "" if uri == self._own else NAMESPACES.get(_fold(uri))
            else:
                before, _, local = tag.rpartition(":")
                prefix = _PREFIXES.get(before.lower()) if before else ""
            if prefix is not None:
                name = f"{prefix}:{local}".lower() if prefix else local.lower()
        self[tag] = name
        return name


def _fold(uri: str) -> str:
    return uri.strip().rstrip("/#").lower()
