"""What was told before returns only with something new."""

from datetime import date

import pytest

from digest.cluster import cluster
from digest.models import Article, News, Story, Told
from digest.recall import find_news, recall
from tests.unit.builders import make_article

YESTERDAY = date(2026, 3, 1)
HEADLINE = "Ferry fire in Harbourton kills 12"
TEXT = "A fire on a ferry in Harbourton killed 12 people on Sunday. The cause of the ferry fire is not known."


def told(**changes: object) -> Told:
    fields = {"date": YESTERDAY, "headline": HEADLINE, "text": TEXT, "language": "en", "outlets": ("A", "B")}
    return Told(**fields | changes)


def story(*articles: Article, told_before: Told | None = None) -> Story:
    return Story(articles=articles, told=told_before)


def article(number: int = 1, outlet: str = "A", title: str = HEADLINE, text: str = TEXT) -> Article:
    return make_article(number, outlet=outlet, title=title, text=text, language="en")


def test_a_story_that_was_never_told_stays_as_it_is() -> None:
    new = story(article())
    assert recall([new]) == [new]


@pytest.mark.parametrize(
    "again",
    [
        article(),
        article(title="12 killed in Harbourton ferry fire"),
        article(outlet="C"),
        article(text=f"{TEXT} The fire broke out at 8:30 on 1 March, the 1st of the month, at 9 p.m."),
        article(text=TEXT.replace("Sunday", "Sunday, 1 March 2026")),
    ],
)
def test_a_story_with_nothing_new_does_not_return(again: Article) -> None:
    assert recall([story(again, told_before=told())]) == []


@pytest.mark.parametrize(
    ("articles", "news"),
    [
        (
            [article(title="Ferry fire toll rises to 15")],
            News(told_on=YESTERDAY, numbers=("15",)),
        ),
        (
            [article(1, "C"), article(2, "D")],
            News(told_on=YESTERDAY, outlets=("C", "D")),
        ),
        (
            [article(1, "C", "Captain arrested as prosecutors open criminal inquiry")],
            News(told_on=YESTERDAY, outlets=("C",), has_new_lead=True),
        ),
        (
            [article(title="Ferry owner fined 4.5 million after 1,200 complaints")],
            News(told_on=YESTERDAY, numbers=("4.5", "1,200")),
        ),
    ],
)
def test_a_story_that_changed_returns_and_says_what_is_new(articles: list[Article], news: News) -> None:
    assert find_news(story(*articles), told()) == news
    (returned,) = recall([story(*articles, told_before=told())])
    assert returned.news == news


def test_articles_are_grouped_with_what_was_told_of_their_event_and_the_latest_telling_counts() -> None:
    before = told(date=date(2026, 2, 28))
    other = told(headline="Olive harvest is the best in years", text="Growers report the best olive harvest.")
    (found,) = cluster([article(title="Ferry fire toll rises to 15")], told=[told(), before, other])
    assert found.told == told()
    (unrelated,) = cluster([article(title="Library lends silence", text="A new reading room opened.")], told=[told()])
    assert unrelated.told is None


def test_what_was_told_is_no_story_by_itself() -> None:
    assert cluster([], told=[told()]) == []
