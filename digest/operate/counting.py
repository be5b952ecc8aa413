"""What was counted of an edition, link by link."""

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.models import CountKind, MadeBy, StoredEdition
from digest.render.redirecting import list_links

if TYPE_CHECKING:
    from digest.app import App


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCounts:
    """How often a link was followed, or the mail's picture fetched, and by whom."""

    kind: CountKind
    link: str | None  # None of opens
    people: int
    scanners: int
    prefetchers: int
    proxies: int


def read_counts(app: "App", stored: StoredEdition) -> list[LinkCounts]:
    """Opens first, where there are any or they are counted; then each link in the order in which it is printed."""
    tally = app.store.counts.tally(stored.id)
    by_link: dict[tuple[str, int | None], dict[MadeBy, int]] = defaultdict(dict)
    for (kind, number, made_by), times in tally.items():
        by_link[kind, number][made_by] = times
    links = list_links(stored.edition) if stored.edition else {}
    wanted, rows = app.config.counting, []
    if wanted.opens or ("open", None) in by_link:
        rows.append(_row("open", None, by_link["open", None]))
    if wanted.clicks or any(kind == "click" for kind, _ in by_link):
        rows += [_row("click", address, by_link["click", number]) for number, address in links.items()]
    return rows


def _row(kind: CountKind, link: str | None, times: dict[MadeBy, int]) -> LinkCounts:
    return LinkCounts(
        kind=kind,
        link=link,
        people=times.get(MadeBy.PERSON, 0),
        scanners=times.get(MadeBy.SCANNER, 0),
        prefetchers=times.get(MadeBy.PREFETCHER, 0),
        proxies=times.get(MadeBy.PROXY, 0),
    )
