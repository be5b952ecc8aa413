"""The order of stories, and why."""

from dataclasses import replace
from datetime import timedelta

import pytest

from digest.models import Story, Told
from digest.rank import count_voices, rank
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
    assert set(story.parts) == {"recency", "outlets", "weight", "novelty", "balance"}


def test_a_future_date_counts_as_now() -> None:
    (story,) = rank([make_story(1, published_at=NOON + timedelta(days=9))], now=NOON)
    assert story.parts["recency"] == 1.0


def test_one_agencys_text_in_three_papers_is_one_voice() -> None:
    wire = "The council voted on Monday to close the old iron bridge for two weeks while its cables are replaced."
    papers = tuple(make_article(n, text=wire, outlet=f"Paper {n}") for n in range(3))
    own = make_article(4, text="Two weeks without the bridge: what the council decided, and why.", outlet="Own")
    again = make_article(5, text="A second article by the same outlet says more.", outlet="Own")
    assert count_voices(Story(articles=papers)) == 1
    assert count_voices(Story(articles=(*papers, own, again))) == 2
    (ranked,) = rank([Story(articles=(*papers, own))], now=NOON)
    assert (ranked.voices, ranked.parts["outlets"]) == (2, 1.0)


def test_stories_of_one_topic_make_room_for_those_of_others() -> None:
    stories = [make_story(n, topics=("sport",), published_at=NOON) for n in range(1, 6)]
    stories.append(make_story(9, topics=("world",), published_at=NOON - timedelta(hours=6)))
    ranked = rank(stories, now=NOON)
    assert [story.lead.id for story in ranked] == ["1", "2", "9", "3", "4", "5"]
    assert [story.parts["balance"] for story in ranked] == [0.0, -0.15, 0.0, -0.3, -0.45, -0.6]


def test_a_story_that_returns_stands_behind_one_that_is_new() -> None:
    told = Told(date=NOON.date(), headline="Headline", text="", language=None, outlets=())
    returning = replace(make_story(1, published_at=NOON), told=told)
    assert [story.lead.id for story in rank([returning, make_story(2)], now=NOON)] == ["2", "1"]
