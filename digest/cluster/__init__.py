"""Articles → stories: the ones that tell the same event together, each article in exactly one story.

    title + opening words → how alike two articles are → average linkage → stories

Average linkage and not single linkage: one article that mentions two events does not glue them together. The same
articles give the same stories in whatever order they come. Articles in different languages are never one story unless
the operator asks for it. What makes articles alike is `similarity`'s, what speaks against it `contradictions`';
ranking, and who leads the edition, is `rank`'s.
"""

from collections.abc import Sequence

from digest.cluster.linkage import link
from digest.cluster.similarity import Document, Likeness
from digest.errors import DigestError
from digest.models import Article, Story, Told
from digest.text import direction_of, direction_of_text

_ANY_LANGUAGE = "*"


def cluster(
    articles: Sequence[Article],
    *,
    told: Sequence[Told] = (),
    language: str = "en",
    across_languages: bool = False,
) -> list[Story]:
    """Group articles into stories, the newest lead first. Raises DigestError when two articles have one id.

    `told` are those of earlier editions: a story that one of them belongs to has been told. `language` is that of the
    articles which state none, unless their letters run the other way.
    """
    ordered = sorted(articles, key=lambda article: (article.published_at, article.id))
    if len({article.id for article in ordered}) != len(ordered):
        raise DigestError("stories", "two articles have the same id")
    spoken: dict[str, list[Article | Told]] = {}
    before = sorted(told, key=lambda one: (one.date, one.headline, one.text))
    everything: list[Article | Told] = [*ordered, *before]
    for one in everything:
        spoken.setdefault(_ANY_LANGUAGE if across_languages else _language_of(one, language), []).append(one)
    stories = []
    for _, group in sorted(spoken.items()):
        members: dict[int, list[Article | Told]] = {}
        likeness = Likeness([_document(one, _language_of(one, language)) for one in group])
        for one, label in zip(group, link(likeness), strict=True):
            members.setdefault(label, []).append(one)
        stories += [story for story in map(_make_story, members.values()) if story]
    return sorted(stories, key=lambda story: (-story.lead.published_at.timestamp(), story.lead.id))


def _document(one: Article | Told, language: str) -> Document:
    if isinstance(one, Told):
        return Document(title=one.headline, text=one.text, language=language)
    return Document(title=one.title, text=one.text, language=language, outlet=one.outlet)


def _make_story(members: list[Article | Told]) -> Story | None:
    articles = [one for one in members if isinstance(one, Article)]
    told = [one for one in members if isinstance(one, Told)]
    return Story(articles=tuple(_choose_lead(articles)), told=told[-1] if told else None) if articles else None


def _language_of(one: Article | Told, default: str) -> str:
    if one.language:
        return one.language.split("-")[0].lower()
    if direction_of_text(f"{_document(one, default).title} {one.text[:500]}") != direction_of(default):
        return "of the other direction"
    return default.split("-")[0].lower()


def _choose_lead(story: list[Article]) -> list[Article]:
    """Whose words stand for the story: one that may be quoted, the heavier, the one with more to say, the earlier."""

    def preference(article: Article) -> tuple[bool, bool, float, int, float, str]:
        quotable = article.rights != "headline" and bool(article.text)
        length = min(len(article.text), 2000) // 500
        return (
            not quotable,
            not article.trusted,
            -article.weight,
            -length,
            article.published_at.timestamp(),
            article.id,
        )

    lead = min(story, key=preference)
    return [lead, *(article for article in story if article is not lead)]
