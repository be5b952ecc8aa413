"""Stories → items: each story is given to the summarizers in turn until one has an answer.

    Story ──> summarizer, else the next one ──> Summary ──> Item

A story that none can summarize, or whose source allows only its headline, becomes an item without a summary and with
the reason. One that another summarizer had to say than the first keeps why. No summary comes from anywhere but the
story's own articles. What is printed, and where, is `compose`'s.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from digest.errors import SummarizeError
from digest.models import Budget, Item, Mention, Story, Summary
from digest.protocols import Parallel, Summarizer
from digest.text import direction_of, direction_of_text

_SHOWN: Final = frozenset({"own", "licensed"})  # rights under which a source's pictures may be shown
_AT_MOST: Final = 3600.0  # seconds that a summarizer may take: those that wait bound their waiting themselves


def summarize(
    stories: Sequence[Story],
    summarizers: Sequence[Summarizer],
    budget: Budget,
    *,
    language: str,
    parallel: Parallel | None = None,
) -> list[Item]:
    """In the order of the stories. `summarizers` are tried from the first to the last.

    `language` is the newsletter's: an article that states none is taken to be in it, unless its letters run the
    other way. With `parallel`, a pool of threads, several stories are said at once: for summarizers that wait.
    """
    say = partial(_say, summarizers=summarizers, budget=budget, language=language)
    return _at_once(parallel, say, stories) if parallel else [say(story) for story in stories]


def count_replaced(items: Sequence[Item]) -> list[str]:
    """Why the first summarizer's words do not stand, the commonest reason first: a line a kind, with an example."""
    reasons = [item.replaced.partition(": ") for item in items if item.replaced]
    examples = {kind: said for kind, _, said in reversed(reasons)}
    return [f"{number} × {kind}: {examples[kind]}" for kind, number in Counter(r[0] for r in reasons).most_common()]


def _at_once(parallel: Parallel, say: Callable[[Story], Item], stories: Sequence[Story]) -> list[Item]:
    items = []
    for result in parallel(say, stories, seconds=_AT_MOST):
        if isinstance(result, Exception):  # what is expected to fail is in the items: this is a bug, or the database
            raise result
        items.append(result)
    return items


def _say(story: Story, *, summarizers: Sequence[Summarizer], budget: Budget, language: str) -> Item:
    lead = story.lead
    summary, reason, replaced = _summarize(story, summarizers, budget)
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
        replaced=replaced,
        language=stated or language,
        direction=direction_of(stated) if stated else direction_of_text(f"{lead.title} {lead.text[:500]}"),
        author=lead.author,
        image=lead.image if lead.rights in _SHOWN else None,
        also=_mention_others(story),
        may_lead=story.voices > 1 or any(article.trusted for article in story.articles),
        news=story.news,
        score=story.score,
        parts=story.parts,
    )


def _summarize(
    story: Story, summarizers: Sequence[Summarizer], budget: Budget
) -> tuple[Summary | None, str | None, str | None]:
    """The summary, or why there is none; and why it is not the first summarizer's."""
    if story.lead.rights == "headline":
        return None, "the source allows the headline only", None
    reason, replaced = "there is no summarizer", None
    for place, summarizer in enumerate(summarizers):
        try:
            return _name_outlets(summarizer.summarize(story, budget), story), None, replaced
        except SummarizeError as error:
            reason = str(error)
            if place == 0 and len(summarizers) > 1:
                replaced = f"{error.kind or 'no answer'}: {reason}"
    return None, reason, replaced


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
