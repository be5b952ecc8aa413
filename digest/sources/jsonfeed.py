"""JSON Feed 1.0 and 1.1 (https://jsonfeed.org/version/1.1)."""

import json
from collections.abc import Iterator
from typing import Any

from digest.models import Entry, Feed
from digest.sources.dates import parse_date
from digest.sources.markup import absolute, escape, plain_name, sanitise, scrub, squeeze

_Json = dict[str, Any]  # what json gives; every value is looked at before it is used


def read_json(text: str, *, url: str) -> Feed | None:
    """The feed of a JSON text; None when it is JSON of another kind. Raises ValueError when it is no JSON."""
    try:
        document = json.loads(text, strict=False)  # line breaks within strings are a common fault
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        return None
    if not ("jsonfeed.org" in str(document.get("version")) or "title" in document or "home_page_url" in document):
        return None
    language = squeeze(_string(document, "language"))
    authors = _authors(document)
    items = [item for item in document["items"] if isinstance(item, dict)]
    return Feed(
        title=plain_name(_string(document, "title")),
        link=absolute(_string(document, "home_page_url"), url),
        subtitle=_text_as_html(_string(document, "description")),
        language=language,
        entries=tuple(_entry(item, url, authors, language) for item in items),
    )


def _entry(item: _Json, url: str, feed_authors: str | None, language: str | None) -> Entry:
    html = _string(item, "content_html")
    link = absolute(_string(item, "url"), url) or absolute(_string(item, "external_url"), url)
    return Entry(
        id=(_string(item, "id") or "").strip() or link,
        title=plain_name(_string(item, "title")),
        link=link,
        published_at=parse_date(_string(item, "date_published") or "", language),
        updated_at=parse_date(_string(item, "date_modified") or "", language),
        author=_authors(item) or feed_authors,
        summary=_text_as_html(_string(item, "summary")),
        content=sanitise(html, url) if html else _text_as_html(_string(item, "content_text")),
        enclosures=tuple(dict.fromkeys(link for link in (absolute(value, url) for value in _enclosures(item)) if link)),
        image=absolute(_string(item, "image"), url) or absolute(_string(item, "banner_image"), url),
        tags=tuple(dict.fromkeys(tag for tag in map(plain_name, _strings(item.get("tags"))) if tag)),
        language=squeeze(_string(item, "language")),
    )


def _authors(holder: _Json) -> str | None:
    """Version 1.1 has a list of authors, version 1.0 one author."""
    people = holder.get("authors") if isinstance(holder.get("authors"), list) else [holder.get("author")]
    names = [plain_name(_string(person, "name")) for person in people or () if isinstance(person, dict)]
    return squeeze(", ".join(dict.fromkeys(name for name in names if name)))


def _enclosures(item: _Json) -> Iterator[str]:
    attachments = item.get("attachments")
    for attachment in attachments if isinstance(attachments, list) else ():
        if isinstance(attachment, dict):
            yield _string(attachment, "url") or ""


def _string(holder: _Json, name: str) -> str | None:
    """A member as a string that can be stored; identifiers are often numbers, and anything else is none of ours."""
    value = holder.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return scrub(str(value))
    except ValueError:  # a number of thousands of digits
        return None


def _strings(value: object) -> Iterator[str]:
    yield from (str(part) for part in value if isinstance(part, str | int)) if isinstance(value, list) else ()


def _text_as_html(text: str | None) -> str | None:
    return sanitise(escape(text)) if text else None
