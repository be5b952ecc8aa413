"""Stories → items, and the extractive summary."""

import json
from pathlib import Path

import pytest

from digest.errors import SummarizeError
from digest.models import Budget, Story
from digest.summarize import summarize
from digest.summarizers.extractive import ExtractiveSummarizer, summarize_text
from digest.text import count_words
from tests.unit.builders import make_article, make_story

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

ARTICLE = """HARBOUR | Desk
The harbour council voted on Monday to close the old iron bridge for two weeks while its cables are replaced. \
The closure begins on 4 May and will send some 12,000 vehicles a day through the northern tunnel. \
But they must pay a toll there. Engineers found rust on three of the eight main cables in February. \
"It was only a matter of time." The repairs will cost 4.5 million, the council said, and should last for thirty years.
Read more: the bridge in pictures
Ferry companies have promised additional crossings during the morning and evening hours. Will that be enough?"""


class Silent:
    """A summarizer that never has an answer."""

    def summarize(self, story: Story, budget: Budget) -> object:
        raise SummarizeError(story.lead.title, "nothing to say")


@pytest.fixture(scope="module")
def summary():
    return summarize_text(ARTICLE, Budget(words=60), title="Bridge closes for two weeks")


def test_every_sentence_is_verbatim_at_its_offsets(summary) -> None:
    for sentence in summary.sentences:
        assert ARTICLE[sentence.start : sentence.end] == sentence.text


def test_the_summary_keeps_to_the_budget_and_opens_with_the_news(summary) -> None:
    assert 2 <= len(summary.sentences) <= 4
    assert count_words(summary.text) <= 60
    assert summary.sentences[0].text.startswith("The harbour council voted")


def test_the_sentences_stand_in_the_order_of_the_article(summary) -> None:
    starts = [sentence.start for sentence in summary.sentences]
    assert starts == sorted(starts)


def test_no_question_no_bare_quotation_and_no_furniture_is_taken(summary) -> None:
    for unwanted in ("Will that", "matter of time", "Read more", "HARBOUR |"):
        assert unwanted not in summary.text


def test_a_leaning_sentence_is_never_taken_without_the_one_before_it() -> None:
    for words in range(20, 160, 10):
        summary = summarize_text(ARTICLE, Budget(words=words))
        if "But they must pay" in summary.text:
            assert "The closure begins" in summary.text


def test_a_budget_in_sentences_replaces_the_one_in_words() -> None:
    assert len(summarize_text(ARTICLE, Budget(sentences=3)).sentences) == 3
    assert len(summarize_text(ARTICLE, Budget(sentences=1)).sentences) == 1


@pytest.mark.parametrize("text", ["", "   \n\n", "12 34 56", "Menu\nHome\nContact", "| a | b |\n| 1 | 2 |"])
def test_a_text_without_a_sentence_is_a_named_failure(text: str) -> None:
    with pytest.raises(SummarizeError, match="no sentence"):
        summarize_text(text, Budget())


def test_one_long_sentence_is_better_than_none() -> None:
    text = "The council " + "and the mayor " * 60 + "agreed on the plan for the bridge."
    assert summarize_text(text, Budget(words=60)).text == text


def test_a_headline_only_source_gives_no_summary_and_says_why() -> None:
    (item,) = summarize([make_story(rights="headline")], [ExtractiveSummarizer()], Budget(), language="en")
    assert item.summary is None
    assert item.reason == "the source allows the headline only"


def test_the_next_summarizer_answers_when_one_cannot() -> None:
    (item,) = summarize([make_story(text=ARTICLE)], [Silent(), ExtractiveSummarizer()], Budget(), language="en")
    assert item.summary and item.summary.kind == "extractive"


def test_a_story_that_nobody_can_summarize_is_still_an_item_with_the_reason() -> None:
    (item,) = summarize([make_story()], [Silent()], Budget(), language="en")
    assert item.summary is None
    assert "nothing to say" in (item.reason or "")


def test_the_other_outlets_are_mentioned_once_each() -> None:
    articles = (
        make_article(1),
        make_article(2, outlet="B"),
        make_article(3, outlet="B"),
        make_article(4, outlet="Outlet 1"),
    )
    (item,) = summarize([Story(articles=articles)], [ExtractiveSummarizer()], Budget(), language="en")
    assert [(mention.outlet, mention.link) for mention in item.also] == [("B", "https://example.com/2")]


def test_the_direction_is_that_of_the_articles_letters_when_it_states_no_language() -> None:
    (item,) = summarize([make_story(title="خبر عاجل", text="أعلن المجلس القرار.")], [], Budget(), language="en")
    assert item.direction == "rtl"


def test_a_scraped_news_text_gives_two_to_four_verbatim_sentences_without_its_furniture() -> None:
    path = SHARED / "articles" / "000_ebc0fb74b416bdc1.txt"
    if not path.exists():
        pytest.skip("needs ../shared/data/articles")
    text = path.read_text(encoding="utf-8")
    summary = summarize_text(text, Budget(words=60))
    assert 2 <= len(summary.sentences) <= 4
    assert count_words(summary.text) <= 60
    assert all(text[s.start : s.end] == s.text for s in summary.sentences)
    for unwanted in (
        "TDT",
        "Manama",
        "@",
        "Related Posts",
        "Uncertain Path",
        "International Concerns",
        "Trump Hints",
    ):
        assert unwanted not in summary.text


@pytest.mark.parametrize("name", ["inshorts", "cnndm", "writers", "xsum", "bbc"])
def test_every_developer_article_has_a_verbatim_summary_within_its_budget(name: str) -> None:
    path = SHARED / "summarization" / f"{name}.jsonl"
    if not path.exists():
        pytest.skip("needs ../shared/data/summarization")
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        summary = summarize_text(record["text"], Budget(words=60), title=record.get("title"))
        assert all(record["text"][s.start : s.end] == s.text for s in summary.sentences)
        assert count_words(summary.text) <= 60 or len(summary.sentences) == 1
