"""Articles → stories."""

import random

import pytest

from digest.cluster import cluster
from digest.errors import DigestError
from tests.unit.builders import make_article

BRIDGE = [
    (
        "Harbour bridge closes for two weeks of repairs",
        "The harbour bridge closes on Monday for two weeks of urgent repairs.",
    ),
    (
        "Two-week closure for harbour bridge",
        "Urgent repairs will close the harbour bridge for two weeks from Monday.",
    ),
]
OTHERS = [
    ("Orchestra names new conductor", "The city orchestra named its new conductor after a long search."),
    (
        "Olive harvest is the best in a decade",
        "Growers report the best olive harvest in ten years after a wet spring.",
    ),
    (
        "Striker signs until 2029",
        "The club's striker signed a contract that keeps him in the city until 2029.",
    ),
]


def _articles() -> list:
    return [make_article(n, title=title, text=text) for n, (title, text) in enumerate([*BRIDGE, *OTHERS], 1)]


def _shape(stories: list) -> set[frozenset[str]]:
    return {frozenset(article.id for article in story.articles) for story in stories}


def test_two_tellings_of_one_event_are_one_story_and_the_others_stay_apart() -> None:
    assert _shape(cluster(_articles())) == {
        frozenset({"1", "2"}),
        frozenset("3"),
        frozenset("4"),
        frozenset("5"),
    }


def test_the_order_of_the_articles_does_not_matter() -> None:
    articles = _articles()
    stories = cluster(articles)
    for seed in range(5):
        shuffled = random.Random(seed).sample(articles, len(articles))
        assert cluster(shuffled) == stories


def test_articles_in_different_languages_are_never_one_story() -> None:
    title, text = BRIDGE[0]
    stories = cluster(
        [make_article(n, title=title, text=text, language=language) for n, language in enumerate(("en", "de"))]
    )
    assert len(stories) == 2


def test_a_trusted_source_speaks_for_the_story_and_a_headline_only_source_does_not() -> None:
    title, text = BRIDGE[0]
    articles = [
        make_article(1, title=title, text=text, rights="headline", weight=9.0),
        make_article(2, title=title, text=text),
        make_article(3, title=title, text=text, trusted=True),
    ]
    (story,) = cluster(articles)
    assert story.lead.id == "3"
    assert len(story.outlets) == 3


@pytest.mark.parametrize("title", ["", "the", "…"])
def test_articles_without_words_of_their_own_stand_alone(title: str) -> None:
    stories = cluster([make_article(n, title=title, text="") for n in range(3)])
    assert len(stories) == 3


def test_nothing_gives_nothing() -> None:
    assert cluster([]) == []


def test_one_id_for_two_articles_is_a_fault() -> None:
    with pytest.raises(DigestError, match="same id"):
        cluster([make_article(1), make_article(1)])
