"""Stories → items: each story is given to the summarizers in turn until one has an answer.

    Story ──> summarizer, else the next one ──> Summary ──> Item

A story that none can summarize, or whose source allows only its headline, becomes an item without a summary and with
the reason. No summary comes from anywhere but the story's own articles. What is printed, and where, is `compose`'s.
"""

from collections.abc import Sequence
from dataclasses import replace

from digest.errors import SummarizeError
from digest.models import Budget, Item, Mention, Story, Summary
from digest.protocols import Summarizer
from digest.text import direction_of, direction_of_text


def summarize(
    stories: Sequence[Story], summarizers: Sequence[Summarizer], budget: Budget, *, language: str
) -> list[Item]:
    """In the order of the stories. `summarizers` are tried from the first to the last.

    `language` is the newsletter's: an article that states none is taken to be in it, unless its letters run the
    other way.
    """
    return [_say(story, summarizers, budget, language) for story in stories]


def _say(story: Story, summarizers: Sequence[Summarizer], budget: Budget, language: str) -> Item:
    lead = story.lead
    summary, reason = _summarize(story, summarizers, budget)
    stated = lead.language
    return Item(
        id=lead.id,
        headline=lead.title,
        link=lead.link,
        outlet=lead.outlet,
        published_at=lead.published_at,
        topic=lead.topics[0] if lead.topics else None,
        summary=summary,
        reason=reason,
        language=stated or language,
        direction=direction_of(stated) if stated else direction_of_text(f"{lead.title} {lead.text[:500]}"),
        author=lead.author,
        also=_mention_others(story),
        may_lead=story.voices > 1 or any(article.trusted for article in story.articles),
        news=story.news,
        score=story.score,
        parts=story.parts,
    )


def _summarize(story: Story, summarizers: Sequence[Summarizer], budget: Budget) -> tuple[Summary | None, str | None]:
    if story.lead.rights == "headline":
        return None, "the source allows the headline only"
    reason = "there is no summarizer"
    for summarizer in summarizers:
        try:
            return _name_outlets(summarizer.summarize(story, budget), story), None
        except SummarizeError as error:
            reason = str(error)
    return None, reason


def _name_outlets(summary: Summary, story: Story) -> Summary:
    """Each sentence with its outlet, when they are not all of the lead: no two outlets speak in one voice."""
    if all(sentence.document == 0 for sentence in summary.sentences):
        return summary
    named = (replace(sentence, outlet=story.articles[sentence.document].outlet) for sentence in summary.sentences)
    return replace(summary, sentences=tuple(named))


def _mention_others(story: Story) -> tuple[Mention, ...]:
    """The other outlets' articles, one an outlet."""
    others: dict[str, Mention] = {}
    for article in story.articles[1:]:
        if article.outlet != story.lead.outlet:
            others.setdefault(article.outlet, Mention(outlet=article.outlet, title=article.title, link=article.link))
    return tuple(others.values())
