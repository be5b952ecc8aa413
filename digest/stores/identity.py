"""By which names an entry is known. Pure.

An entry is known by its id, by its link, or by its title and day; any match means known, so that an edited title or a
changed id does not tell a story again. An id that a document gives to several entries names none of them, nor does the
address of a whole site. A link means the same in every source, an id and a title only in their own.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime

from digest.canonical import canonical_link, canonical_title
from digest.models import Entry

_FEWEST_RENAMED = 5  # entries: of fewer, all may well be new
_SHARE_RENAMED = 0.8


def names_of(entries: Sequence[Entry], seen_at: datetime) -> list[frozenset[str]]:
    """The names of each entry of one document, as short hashes."""
    ids = Counter(_canonical_id(entry.id) for entry in entries if entry.id)
    links = Counter(canonical_link(entry.link) for entry in entries if entry.link)
    return [_names(entry, ids, links, seen_at.date()) for entry in entries]


def words_of(entry: Entry) -> str | None:
    """What a title says, whatever its day: too weak to know one entry by, and enough to know a whole feed again."""
    title = canonical_title(entry.title or "")
    return _hash("words", title) if title else None


def name_of_link(link: str) -> str | None:
    """The name that an address gives; None when it is that of a whole site: some feeds link every entry there."""
    canonical = canonical_link(link)
    return _hash("link", canonical) if any(mark in canonical for mark in "/?") else None


def is_of_all_sources(name: str) -> bool:
    """Whether a name means the same entry in every source."""
    return name.startswith("link:")


def find_renamed(
    entries: Sequence[Entry], known: Sequence[bool], familiar: Sequence[bool], *, last_visit: datetime | None
) -> list[bool]:
    """Which entries of a document are old ones under new names, when a site has changed all its ids at once.

    `known` says which are known by a name, `familiar` whose title was there before. When next to nothing is known, and
    the document is not new either (most titles are familiar, or most dates lie before `last_visit`), then what is
    familiar, or from before, was there already. A feed that is new every time has new dates, and is not meant.
    """
    unknown = [number for number, is_known in enumerate(known) if not is_known]
    nothing = [False] * len(entries)
    if last_visit is None or len(unknown) < _FEWEST_RENAMED or len(unknown) < _SHARE_RENAMED * len(entries):
        return nothing
    instants = [entry.published_at or entry.updated_at for entry in entries]
    from_before = [instant is not None and instant <= last_visit for instant in instants]
    same_titles = sum(familiar[number] for number in unknown) >= len(unknown) / 2
    same_dates = sum(from_before[number] for number in unknown) >= _SHARE_RENAMED * len(unknown)
    if not same_titles and not same_dates:
        return nothing
    return [
        not known[number] and (familiar[number] or from_before[number] or (same_dates and instants[number] is None))
        for number in range(len(entries))
    ]


def _names(entry: Entry, ids: Counter[str], links: Counter[str], today: date) -> frozenset[str]:
    names = set()
    if entry.id and ids[_canonical_id(entry.id)] == 1:
        names.add(_hash("id", _canonical_id(entry.id)))
    if entry.link and links[canonical_link(entry.link)] == 1 and (name := name_of_link(entry.link)):
        names.add(name)
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
