"""Items → what has become of their pages since they were read: gone, or under another headline.

Before an edition is sent, the page of each story's lead is read once more. Nothing is changed or held for what is
found: a person decides, and the report tells. A page that cannot be had just now has not vanished, and is only counted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from digest.errors import SourceError
from digest.models import Item, Page, StoredEntry
from digest.protocols import Parallel, Response
from digest.text import words

_GONE: Final = frozenset({404, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """What was found: how many pages were asked for and could be read, and a line for each that is not as it was."""

    asked: int = 0
    read: int = 0
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def reread(
    items: Sequence[Item],
    entries: Mapping[str, StoredEntry],
    fetch_pages: Callable[[Sequence[str]], Sequence[Response | SourceError]],
    read_page: Callable[[tuple[bytes, str]], Page],
    parallel: Parallel,
    *,
    seconds: float = 20.0,
) -> Reread:
    """Ask for the pages that were read for these items. `entries` by the items' ids; reading one takes `seconds`."""
    wanted = [(item, entry) for item in items if (entry := entries.get(item.id)) and entry.page and entry.entry.link]
    answers = fetch_pages([entry.entry.link or "" for _, entry in wanted])
    found = [pair for pair in zip(wanted, answers, strict=True) if isinstance(pair[1], Response)]
    pages = parallel(read_page, [(a.body, a.url) for _, a in found if isinstance(a, Response)], seconds=seconds)
    changed = [
        f'{item.outlet}: the headline "{entry.page.title}" is now "{page.title}": {entry.entry.link}'
        for ((item, entry), _), page in zip(found, pages, strict=True)
        if isinstance(page, Page) and entry.page and _differ(entry.page.title, page.title)
    ]
    gone = [
        f'{item.outlet}: the page of "{item.headline}" is gone ({answer.status}): {entry.entry.link}'
        for (item, entry), answer in zip(wanted, answers, strict=True)
        if isinstance(answer, SourceError) and answer.status in _GONE
    ]
    read = sum(isinstance(page, Page) for page in pages)
    return Reread(asked=len(wanted), read=read, gone=tuple(gone), changed=tuple(changed))


def _differ(before: str | None, now: str | None) -> bool:
    """Whether two headlines differ in their words; none is no other one."""
    return bool(before and now) and _fold(before) != _fold(now)


def _fold(title: str | None) -> list[str]:
    return [word.casefold() for word in words(title or "")]
