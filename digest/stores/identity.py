"""By which names an entry is known. Pure.

An entry is known by its id, by its link, or by its title and day; any match means known, so that an edited title or a
changed id does not tell a story again. An id that a document gives to several entries names none of them.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from digest.models import Entry

_TRACKING = re.compile(
    r"^(?:utm_\w+|fbclid|gclid|dclid|msclkid|yclid|mc_cid|mc_eid|ncid|cmpid|igshid|_hsenc|_hsmi|ref_src|at_\w+|ftag)$",
    re.IGNORECASE,
)


def canonical_link(link: str) -> str:
    """A link without scheme, `www.`, fragment, tracking parameters, and the slash at its end; what is no link stays."""
    try:
        parts = urlsplit(link.strip())
    except ValueError:  # "http://[" and the like, which strangers do write
        return link.strip()
    query = urlencode([(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(k)])
    host = (parts.netloc.rpartition("@")[2]).lower().removeprefix("www.")
    path = parts.path.rstrip("/")
    return f"{host}{path}" + (f"?{query}" if query else "")


def canonical_title(title: str) -> str:
    """A title's words, folded."""
    return " ".join(re.findall(r"\w+", title.casefold()))


def names_of(entries: Sequence[Entry], seen_at: datetime) -> list[frozenset[str]]:
    """The names of each entry of one document, as short hashes."""
    ids = Counter(_canonical_id(entry.id) for entry in entries if entry.id)
    links = Counter(canonical_link(entry.link) for entry in entries if entry.link)
    return [_names(entry, ids, links, seen_at.date()) for entry in entries]


def _names(entry: Entry, ids: Counter[str], links: Counter[str], today: date) -> frozenset[str]:
    names = set()
    if entry.id and ids[_canonical_id(entry.id)] == 1:
        names.add(_hash("id", _canonical_id(entry.id)))
    if entry.link and links[canonical_link(entry.link)] == 1:
        names.add(_hash("link", canonical_link(entry.link)))
    dated = entry.published_at or entry.updated_at
    if entry.title and canonical_title(entry.title):
        names.add(_hash("title", f"{canonical_title(entry.title)} {dated.date() if dated else today}"))
    if not names:
        names.add(
            _hash("content", "\n".join(filter(None, (entry.id, entry.link, entry.summary, entry.content, entry.text))))
        )
    return frozenset(names)


def _canonical_id(identifier: str) -> str:
    """Ids that are addresses are compared as addresses: a move from http to https keeps them."""
    return canonical_link(identifier) if identifier.startswith(("http://", "https://")) else identifier.strip()


def _hash(kind: str, text: str) -> str:
    return f"{kind}:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"
