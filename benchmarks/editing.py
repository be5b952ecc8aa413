"""The editor measured: how fast articles become stories and summaries, and how good those are.

The quality is scored by the project's scorers over the developer sets, which lie beside the repository; where they are
missing, there is no figure.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.figures import Figure, cpu_seconds
from benchmarks.making import NOW, SHARED, make_articles
from digest.cluster import cluster
from digest.errors import SummarizeError
from digest.models import Article, Budget, Story
from digest.summarizers.extractive import ExtractiveSummarizer, summarize_texts
from digest.text import sentences, words

_PRIMARY = ("inshorts", "cnndm", "writers")
_BOUNDS = {"days": (0.90, 0.80), "bodies": (0.965, 0.90)}


class _Words:
    """How sumy is to cut a text: as we do, since its own way wants a download."""

    language = "english"

    def to_sentences(self, text: str) -> tuple[str, ...]:
        return tuple(span.of(text) for span in sentences(text))

    def to_words(self, text: str) -> tuple[str, ...]:
        return tuple(words(text))


def measure_summarize() -> Iterator[Figure]:
    """An article summarized, beside sumy's LexRank."""
    from sumy.parsers.plaintext import PlaintextParser
    from sumy.summarizers.lex_rank import LexRankSummarizer

    texts = _read_texts() or [article.text for article in make_articles(100)]
    stories = [Story(articles=(_article(str(number), "", text),)) for number, text in enumerate(texts)]
    extractive, lexrank = ExtractiveSummarizer(), LexRankSummarizer()
    ours = cpu_seconds(lambda: [extractive.summarize(story, Budget()) for story in stories], 3)
    peers = texts[:100]
    theirs = cpu_seconds(lambda: [lexrank(PlaintextParser(text, _Words()).document, 3) for text in peers], 1)
    each = theirs / len(peers) * 1000
    note = f"{len(texts)} articles; aim 2 ms"
    yield Figure.beside("summarize", ours / len(stories) * 1000, "ms/article", "sumy LexRank", each, note)


def measure_cluster() -> Iterator[Figure]:
    """A day of articles gathered into stories, and ten times as many."""
    cluster(make_articles(10))
    for count, aim in ((1000, "2 s"), (10_000, "60 s, under 1 GB")):
        articles = make_articles(count)
        start = time.perf_counter()
        cluster(articles)
        seconds = time.perf_counter() - start
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        yield Figure(name=f"cluster {count:,}", value=seconds, unit="s", note=f"at most {most} MB; aim {aim}")


def measure_quality() -> Iterator[Figure]:
    """Summaries and stories of the developer sets, by the project's scorers."""
    if not (SHARED / "scoring").is_dir():
        yield Figure(name="quality", value=0, unit="", note="needs ../shared")
        return
    yield from _score_summaries()
    yield from _score_stories()


def _score_summaries() -> Iterator[Figure]:
    import numpy as np

    scorer = _load("summaries")
    rouge = scorer.scorer()
    for name, budget, cut in (("60 words", Budget(words=60), "60w"), ("3 sentences", Budget(sentences=3), "3s")):
        ours, lead, loose, verbatim = [], [], [], []
        for group in _PRIMARY:
            records = scorer.load(group)
            made = [_summarize({0: record["text"]}, budget, record.get("title")) for record in records]
            opening = [scorer.cut(*scorer.b_lead(record), cut) for record in records]
            ours.append(np.array([scorer.score_one(rouge, r, m)[0] for r, m in zip(records, made, strict=True)]))
            lead.append(np.array([scorer.score_one(rouge, r, o)[0] for r, o in zip(records, opening, strict=True)]))
            loose += [scorer.dangling(r, m) for r, m in zip(records, made, strict=True)]
            verbatim += [scorer.verbatim(r, m) for r, m in zip(records, made, strict=True)]
        low, high = _interval([one - other for one, other in zip(ours, lead, strict=True)])
        yield Figure.beside(
            f"summaries, {name}",
            100 * float(np.mean([one.mean() for one in ours])),
            "ROUGE-1",
            "opening",
            100 * float(np.mean([one.mean() for one in lead])),
            f"difference {low:+.2f} to {high:+.2f}; dangling {np.mean(loose):.3f}, verbatim {np.mean(verbatim):.2f}",
        )
    records = scorer.load("multinews")
    made = [_summarize(dict(enumerate(record["documents"])), Budget(words=100), None) for record in records]
    opening = [scorer.cut(*scorer.b_lead(record), "100w") for record in records]
    scores = np.array([scorer.score_one(rouge, r, m) for r, m in zip(records, made, strict=True)]).mean(axis=0)
    peer = np.mean([scorer.score_one(rouge, r, o)[0] for r, o in zip(records, opening, strict=True)])
    loose = [scorer.dangling(r, m) for r, m in zip(records, made, strict=True)]
    note = f"ROUGE-2 {100 * scores[1]:.1f}, dangling {np.mean(loose):.3f}; aim 32.0 and 9.5"
    yield Figure.beside("several articles, 100 words", 100 * scores[0], "ROUGE-1", "opening", 100 * peer, note)


def _score_stories() -> Iterator[Figure]:
    scorer = _load("stories")
    for task, (bcubed, pairwise) in _BOUNDS.items():
        figures = scorer.evaluate(task, False, lambda _, records: _group(records)).mean(axis=0)
        yield Figure(
            name=f"stories, {task}",
            value=figures[2],
            unit="BCubed F1",
            note=f"pairwise F1 {figures[5]:.3f}; aim {bcubed} and {pairwise}",
        )


def _load(name: str) -> Any:
    """One of the scorers, as a module."""
    sys.path.insert(0, str(SHARED / "scoring"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def _read_texts() -> list[str]:
    folder = SHARED / "data" / "summarization"
    files = [folder / f"{name}.jsonl" for name in (*_PRIMARY, "xsum", "bbc")]
    return [json.loads(line)["text"] for path in files if path.exists() for line in path.open(encoding="utf-8")]


def _summarize(texts: Mapping[int, str], budget: Budget, title: str | None) -> str:
    try:
        return "\n".join(sentence.text for sentence in summarize_texts(texts, budget, title=title).sentences)
    except SummarizeError:
        return ""


def _group(records: Sequence[Mapping[str, Any]]) -> list[int]:
    articles = [_article(str(n), r.get("title") or "", r.get("text") or "") for n, r in enumerate(records)]
    label = {one.id: number for number, story in enumerate(cluster(articles)) for one in story.articles}
    return [label[article.id] for article in articles]


def _article(number: str, title: str, text: str) -> Article:
    return Article(
        id=number, source_id=number, outlet=number, title=title, link=None, text=text, published_at=NOW, language="en"
    )


def _interval(differences: Sequence[Any], rounds: int = 1000) -> tuple[float, float]:
    """The 95 % interval of the mean over the sets, by a bootstrap over the articles of each, in points."""
    import numpy as np

    random = np.random.default_rng(0)
    means = np.mean(
        [[one[random.integers(0, len(one), len(one))].mean() for _ in range(rounds)] for one in differences], axis=0
    )
    low, high = np.percentile(100 * means, [2.5, 97.5])
    return float(low), float(high)


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {
    "summarize": measure_summarize,
    "cluster": measure_cluster,
    "quality": measure_quality,
}
