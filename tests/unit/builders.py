"""Values for tests, each with only what the test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from digest.models import Article, Item, Story

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def make_article(number: int = 1, **changes: Any) -> Article:
    """An article of an hour ago."""
    fields: dict[str, Any] = {
        "id": str(number),
        "source_id": f"source-{number}",
        "outlet": f"Outlet {number}",
        "title": f"Headline number {number}",
        "link": f"https://example.com/{number}",
        "text": f"Sentence number {number} says what happened in the harbour on Monday morning.",
        "published_at": NOON - timedelta(hours=1),
    }
    return Article(**fields | changes)


def make_story(number: int = 1, **changes: Any) -> Story:
    """A story told by one article."""
    return Story(articles=(make_article(number, **changes),))


def make_item(number: int = 1, **changes: Any) -> Item:
    """An item without a summary."""
    fields: dict[str, Any] = {
        "id": str(number),
        "headline": f"Headline number {number}",
        "link": f"https://example.com/{number}",
        "outlet": f"Outlet {number}",
        "published_at": NOON - timedelta(hours=1),
        "topic": None,
        "summary": None,
        "language": "en",
        "direction": "ltr",
    }
    return Item(**fields | changes)
