"""What the measurements work on: articles made of the samples, over and over."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from digest.cluster import cluster
from digest.compose import compose
from digest.models import Article, Budget, Edition, Item
from digest.rank import rank
from digest.sources.feed import parse_feed
from digest.summarize import summarize
from digest.summarizers.extractive import ExtractiveSummarizer
from digest.text import visible_text

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def make_articles(count: int) -> list[Article]:
    """The samples' articles, over and over, each copy with words of its own."""
    texts = [
        (str(entry.title), visible_text(entry.content))
        for path in sorted((ROOT / "samples").iterdir())
        if path.suffix != ".md"
        for entry in parse_feed(path.read_bytes(), url="https://sample.example/").entries
    ]
    return [
        Article(
            id=str(number),
            source_id=f"s{number % 50}",
            outlet=f"Outlet {number % 50}",
            title=f"{texts[number % len(texts)][0]} number{number // len(texts)}",
            link=f"https://sample.example/{number}",
            text=f"{texts[number % len(texts)][1]} " + f"word{number // len(texts)} " * 40,
            published_at=NOW - timedelta(minutes=number % 1200),
            topics=("world",),
        )
        for number in range(count)
    ]


def make_edition() -> Edition:
    """An edition of twelve stories."""
    stories = rank(cluster(make_articles(60)), now=NOW)[:12]
    items = summarize(stories, [ExtractiveSummarizer()], Budget(), language="en")

    def subject(lead: Item | None, count: int, language: str) -> str:  # noqa: ARG001
        return f"{lead.headline if lead else ''} {count}"

    return compose(
        items,
        newsletter="bench",
        name="Bench",
        cadence="daily",
        day=date(2026, 3, 2),
        language="en",
        topics={"world": "World"},
        max_stories=12,
        subject=subject,
        composed_at=NOW,
        cutoff_at=NOW,
    )
