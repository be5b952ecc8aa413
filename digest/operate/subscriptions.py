"""Lists of subscriptions, into the configuration and out of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from digest.config.editing import NewSource, add_source_tables
from digest.sources.opml import Subscription

if TYPE_CHECKING:
    from digest.app import App


def import_subscriptions(
    app: "App", found: Sequence[Subscription], *, topics: Sequence[str] = ()
) -> list[dict[str, str | None]]:
    """Write feeds into the configuration; what became of each. Raises ConfigError, and then writes nothing."""
    known = {getattr(table, "url", None): table.id for table in app.config.sources}
    names = {name.casefold(): topic.id for topic in app.config.topics for name in (topic.id, topic.title)}
    new = {
        feed.url: NewSource(
            address=feed.url,
            title=feed.title,
            topics=tuple(topics)
            or tuple(dict.fromkeys(names[f.casefold()] for f in feed.folders if f.casefold() in names)),
        )
        for feed in found
        if feed.url not in known and feed.url.startswith(("http://", "https://"))
    }
    added = dict(zip(new, add_source_tables(app.config, list(new.values())), strict=True)) if new else {}

    def result_of(url: str) -> str:
        if url in added:
            return "added"
        return "known" if url in known else "passed over: it is no http or https address"

    return [
        {"id": added.get(feed.url) or known.get(feed.url), "url": feed.url, "result": result_of(feed.url)}
        for feed in found
    ]


def export_subscriptions(app: "App") -> tuple[list[Subscription], list[str]]:
    """The feeds, each in the folder of its first topic; and the ids of sources that are none."""
    titles = {topic.id: topic.title for topic in app.config.topics}
    feeds = [table for table in app.config.sources if table.kind == "feed"]
    health = {row["id"]: row for row in app.store.entries.health(app.config.newsletter.slug, now=app.clock())}
    return [
        Subscription(
            url=str(getattr(table, "url", "")),
            title=table.title or str(health.get(table.id, {}).get("title") or table.id),
            folders=tuple(titles[topic] for topic in table.topics[:1]),
        )
        for table in feeds
    ], [table.id for table in app.config.sources if table.kind != "feed"]
