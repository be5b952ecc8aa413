"""Sources tried now, by an operator who asks what they give; nothing of it is kept."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from digest.adapters import profile_of
from digest.collect import collect
from digest.errors import ConfigError
from digest.extract import read_pages, wants_page
from digest.models import SourceReport, StoredEntry
from digest.stores.sql import SqlStore

if TYPE_CHECKING:
    from digest.app import App

_PAGES_SECONDS: Final = 30.0  # for all pages together


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of one source: of the visit, and of the page of its newest entry where pages are to be read."""

    report: SourceReport
    is_page_tried: bool = False
    page_fault: str | None = None


def try_sources(app: "App", ids: Sequence[str] = ()) -> list[Tried]:
    """Visit all sources, or those named. Raises ConfigError for a name that is not there."""
    known = {table.id for table in app.config.sources}
    for name in ids:
        if name not in known:
            remedy = f"known: {', '.join(sorted(known))}"
            raise ConfigError(f'source "{name}"', "there is none of that name", remedy=remedy)
    now, slug = app.clock(), app.config.newsletter.slug
    since = now - app.config.edition.window
    chosen = [table.id for table in app.config.sources if table.id in ids] if ids else None
    # An empty store has no cursors: a source that is unchanged since the last run shows its entries all the same.
    with closing(SqlStore.empty()) as store:
        reports = app.network.run(
            lambda fetch: collect(app.list_visits(fetch, chosen), store.entries, slug, now=now, since=since)
        )
        offered = store.entries.offered(slug, after=None, since=since, until=now)
    tried = _try_pages(app, offered)
    return [
        Tried(report=report, is_page_tried=report.id in tried, page_fault=tried.get(report.id)) for report in reports
    ]


def _try_pages(app: "App", offered: Sequence[StoredEntry]) -> Mapping[str, str | None]:
    """What is wrong with the page of each source's newest entry of these, by source, where its pages are wanted."""
    profiles = {table.id: profile_of(table) for table in app.config.sources}
    newest = {one.source_id: one for one in offered if wants_page(one.entry, profiles[one.source_id])}
    readings = read_pages(
        list(newest.values()),
        lambda urls: app.network.fetch_pages(urls, seconds=_PAGES_SECONDS),
        app.engine.in_processes,
    )
    return {source: reading.fault for source, reading in zip(newest, readings, strict=True)}
