"""Articles → stories: the ones that tell the same event together, each article in exactly one story.

    title + opening words → TF-IDF of words and word pairs → average linkage under a cosine distance → stories

Average linkage and not single linkage: one article that mentions two events does not glue them together (BCubed F1 on a
day of news 84 against 73). The same articles give the same stories in whatever order they come. Articles in different
languages are never one story, since their words are not comparable. Ranking, and who leads the edition, is `rank`'s.
"""

from collections.abc import Sequence
from itertools import pairwise

from digest.errors import DigestError
from digest.models import Article, Story
from digest.text import direction_of, direction_of_text, words

# Cosine distance under which two groups are one story. Strict: a false merge hurts a reader more than a missed one.
_DISTANCE = 0.88
_OPENING_WORDS = 160
_TITLE_WEIGHT = 2


def cluster(articles: Sequence[Article], *, language: str = "en", distance: float = _DISTANCE) -> list[Story]:
    """Group articles into stories, the newest lead first. Raises DigestError when two articles have one id.

    `language` is that of the articles which state none, unless their letters run the other way.
    """
    ordered = sorted(articles, key=lambda article: (article.published_at, article.id))
    if len({article.id for article in ordered}) != len(ordered):
        raise DigestError("stories", "two articles have the same id")
    stories = []
    spoken = {article.id: _language_of(article, language) for article in ordered}
    for one in sorted(set(spoken.values())):
        group = [article for article in ordered if spoken[article.id] == one]
        labels = _label([_features(article) for article in group], distance)
        members: dict[int, list[Article]] = {}
        for article, label in zip(group, labels, strict=True):
            members.setdefault(label, []).append(article)
        stories += [Story(articles=tuple(_choose_lead(story))) for story in members.values()]
    return sorted(stories, key=lambda story: (-story.lead.published_at.timestamp(), story.lead.id))


def _language_of(article: Article, default: str) -> str:
    if article.language:
        return article.language.split("-")[0].lower()
    if direction_of_text(f"{article.title} {article.text[:500]}") != direction_of(default):
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


def _features(article: Article) -> list[str]:
    opening = words(article.text)[:_OPENING_WORDS]
    return [word.lower() for word in [*words(article.title) * _TITLE_WEIGHT, *opening]]


def _label(documents: Sequence[list[str]], distance: float) -> list[int]:
    """A group number for each document. Documents without a word stand alone."""
    if len(documents) < 2 or sum(bool(document) for document in documents) < 2:
        return list(range(len(documents)))
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

    def analyze(document: list[str]) -> list[str]:
        kept = [word for word in document if word not in ENGLISH_STOP_WORDS]
        return kept + [f"{first} {second}" for first, second in pairwise(kept)]

    try:
        matrix = TfidfVectorizer(analyzer=analyze, sublinear_tf=True).fit_transform(documents)
    except ValueError:  # nothing but stop words
        return list(range(len(documents)))
    distances = 1.0 - (matrix @ matrix.T).toarray().clip(0.0, 1.0)
    model = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=distance
    )
    return [int(label) for label in model.fit_predict(distances)]
