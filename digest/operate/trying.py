"""Sources tried now, by an operator who asks what they give; nothing of it is kept."""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from digest.collect import collect
from digest.errors import ConfigError
from digest.models import SourceReport
from digest.stores.sql import SqlStore

if TYPE_CHECKING:
    from digest.app import App


def try_sources(app: "App", ids: Sequence[str] = ()) -> list[SourceReport]:
    """Visit all sources, or those named. Raises ConfigError for a name that is not there."""
    known = {table.id for table in app.config.sources}
    for name in ids:
        if name not in known:
            remedy = f"known: {', '.join(sorted(known))}"
            raise ConfigError(f'source "{name}"', "there is none of that name", remedy=remedy)
    now = app.clock()
    chosen = [table.id for table in app.config.sources if table.id in ids] if ids else None
    # An empty store has no cursors: a source that is unchanged since the last run shows its entries all the same.
    with closing(SqlStore.empty()) as store:
        return app.network.run(
            lambda fetch: collect(
                app.list_visits(fetch, chosen),
                store.entries,
                app.config.newsletter.slug,
                now=now,
                since=now - app.config.edition.window,
            )
        )
