"""The order of stories, and why."""

from datetime import timedelta

import pytest

from digest.models import Story
from digest.rank import rank
from tests.unit.builders import NOON, make_article, make_story


def test_the_newer_of_two_equal_stories_comes_first() -> None:
    old = make_story(1, published_at=NOON - timedelta(hours=20))
    new = make_story(2, published_at=NOON - timedelta(hours=1))
    assert [story.lead.id for story in rank([old, new], now=NOON)] == ["2", "1"]


def test_a_story_that_more_outlets_tell_comes_before_a_newer_single_one() -> None:
    told = Story(articles=(make_article(1), make_article(2)))
    single = make_story(3, published_at=NOON)
    assert rank([single, told], now=NOON)[0].articles == told.articles


def test_two_articles_of_one_outlet_count_once() -> None:
    story = Story(articles=(make_article(1, outlet="A"), make_article(2, outlet="A")))
    assert rank([story], now=NOON)[0].parts["outlets"] == 0


def test_a_heavier_source_lifts_its_stories() -> None:
    light, heavy = make_story(1), make_story(2, weight=3.0)
    assert rank([light, heavy], now=NOON)[0].lead.id == "2"


def test_the_score_is_the_sum_of_its_parts() -> None:
    (story,) = rank([make_story(1, weight=2.0)], now=NOON)
    assert story.score == pytest.approx(sum(story.parts.values()))
    assert set(story.parts) == {"recency", "outlets", "weight"}


def test_a_future_date_counts_as_now() -> None:
    (story,) = rank([make_story(1, published_at=NOON + timedelta(days=9))], now=NOON)
    assert story.parts["recency"] == 1.0
