"""The sample sources keep what the documentation promises of them."""

import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from lxml import etree

from digest.cluster import cluster
from digest.models import Article, Entry, Feed
from digest.sources.feed import parse_feed
from digest.text import count_words

EVENTS = {
    frozenset({"tidal-barrage-full-output", "barrage-record-tide", "barrage-engineering"}),
    frozenset({"old-bridge-closure", "bridge-cables"}),
    frozenset({"tarnhold-bells", "bells-come-home"}),
    frozenset({"coral-off-cape-morrow", "cold-water-reef"}),
}
TOPICS = {"world", "business", "science", "technology", "culture", "sport"}


@pytest.fixture(scope="module")
def feeds(repository: Path) -> list[Feed]:
    files = sorted(path for path in (repository / "samples").iterdir() if path.suffix != ".md")
    return [parse_feed(path.read_bytes(), url=f"https://sample.example/{path.name}") for path in files]


@pytest.fixture(scope="module")
def entries(feeds: list[Feed]) -> list[Entry]:
    return [entry for feed in feeds for entry in feed.entries]


def words_of(entry: Entry) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", entry.content or ""))


def slug_of(link: str | None) -> str:
    return (link or "").rpartition("/")[2]


def test_three_outlets_tell_at_least_sixteen_articles_of_some_length(feeds: list[Feed], entries: list[Entry]) -> None:
    assert len({feed.title for feed in feeds}) == 3
    assert len(entries) >= 16
    assert min(count_words(words_of(entry)) for entry in entries) >= 150


def test_ids_and_links_are_their_own(entries: list[Entry]) -> None:
    assert len({entry.id for entry in entries}) == len({entry.link for entry in entries}) == len(entries)
    assert all(entry.link and entry.link.startswith("https://") for entry in entries)


def test_every_topic_has_two_articles(entries: list[Entry]) -> None:
    tags = [{tag.casefold() for tag in entry.tags} & TOPICS for entry in entries]
    assert all(len(found) == 1 for found in tags)
    for topic in TOPICS:
        assert sum(topic in found for found in tags) >= 2, topic


def test_four_events_are_told_by_several_and_grouping_finds_just_these(feeds: list[Feed]) -> None:
    articles = [
        Article(
            id=slug_of(entry.link),
            source_id=str(feed.title),
            outlet=str(feed.title),
            title=str(entry.title),
            link=entry.link,
            text=words_of(entry),
            published_at=entry.published_at or entry.updated_at,  # type: ignore[arg-type]
            language=entry.language,
        )
        for feed in feeds
        for entry in feed.entries
    ]
    told = {frozenset(article.id for article in story.articles) for story in cluster(articles)}
    assert {event for event in told if len(event) > 1} == EVENTS
    outlet_of = {article.id: article.outlet for article in articles}
    assert sorted(len({outlet_of[article] for article in event}) for event in EVENTS) == [2, 2, 2, 3]


def test_one_is_arabic_and_one_has_a_very_long_title(entries: list[Entry]) -> None:
    assert sum((entry.language or "").startswith("ar") for entry in entries) == 1
    assert [len(entry.title or "") for entry in entries if len(entry.title or "") > 150] == [211]


def test_the_markup_is_legal(repository: Path) -> None:
    # Our own parser mends what is broken; these two do not.
    roots = {path.name: etree.parse(path).getroot().tag for path in (repository / "samples").glob("*.xml")}
    assert roots == {"harbour-herald.xml": "rss", "selwick-radio.xml": "{http://www.w3.org/2005/Atom}feed"}
    (path,) = (repository / "samples").glob("*.json")
    assert json.loads(path.read_bytes())["version"].startswith("https://jsonfeed.org/")


def test_no_news_is_tied_to_a_day_of_the_calendar(entries: list[Entry]) -> None:
    # The dates move with the run, so a weekday in the text would be wrong on six days of seven.
    tied = re.compile(
        r"\b(?:on|until|from|last) (?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"
        r"|\b\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November|December)\b"
        r"|يوم (?:الأحد|الاثنين|الثلاثاء|الأربعاء|الخميس|الجمعة|السبت)"
    )
    assert [found.group() for entry in entries for found in [tied.search(words_of(entry))] if found] == []


def test_all_lie_within_twenty_hours(entries: list[Entry]) -> None:
    dates = [entry.published_at or entry.updated_at for entry in entries]
    assert all(dates)
    assert max(dates) - min(dates) < timedelta(hours=20)  # type: ignore[type-var, operator]
