"""Articles → stories."""

import random

import pytest

from digest.cluster import cluster
from digest.cluster.contradictions import contradict, find_names, learn_names, read_numbers
from digest.cluster.linkage import link
from digest.cluster.similarity import Document, Likeness
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


def have_other_numbers(one: str, other: str) -> bool:
    first, second = read_numbers(one), read_numbers(other)
    return first is not None and second is not None and contradict(first, second)


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


def test_languages_mix_when_the_operator_asks() -> None:
    title, text = BRIDGE[0]
    articles = [make_article(n, title=title, text=text, language=language) for n, language in enumerate(("en", "de"))]
    assert len(cluster(articles, across_languages=True)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Crossword answers for November 23", "Crossword answers for November 24"),
        ("Crossword answers: 23 Nov", "Crossword answers: 24 Nov"),
        ("Horoskop für den 23. November", "Horoskop für den 24. November"),
        ("Harbour Lights season 4 finale recap", "Harbour Lights season 5 finale recap"),
        ("Harbour Bank profit rises in Q3", "Harbour Bank profit rises in Q4"),
        ("Puzzle #1,234 hints and answer", "Puzzle #1,235 hints and answer"),
        ("Harbour Open 2025: the draw", "Harbour Open 2026: the draw"),
    ],
)
def test_headlines_of_a_pattern_that_number_other_things_stay_apart(one: str, other: str) -> None:
    assert have_other_numbers(one, other)
    assert len(cluster([make_article(n, title=title, text="") for n, title in enumerate((one, other))])) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ferry fire kills 12", "Ferry fire kills 15"),
        ("Ferry fire kills 12", "At least 9 dead in ferry fire"),
        ("Season 4 finale recap", "Finale of Season 4: the end"),
        ("Vote on 23 November", "Vote on 23 and 24 November"),
        ("Bridge closes on 24 November", "Two weeks of repairs to end by 8 December"),
        ("Growth forecast for 2026 is cut", "OECD sees a slower economy in 2027"),
        ("Bank profit rises", "Bank profit rises in Q4"),
        ("May 5 hopefuls", "Five hopefuls"),
    ],
)
def test_counts_that_differ_are_no_contradiction(one: str, other: str) -> None:
    assert not have_other_numbers(one, other)


def test_names_are_learned_from_sentences_and_not_from_headlines() -> None:
    texts = ["The mayor Ann Bee spoke in Harbourton today. The council met.", "Council Meets In Old Town Hall Again"]
    names = learn_names(texts)
    assert names == {"ann", "bee", "harbourton"}
    assert find_names("HARBOURTON council: Bee leaves", names) == {"harbourton", "bee"}


def test_short_texts_that_name_other_people_and_places_are_less_alike() -> None:
    said = "The mayor opened the new bridge with a speech about trade and tourism"
    documents = [
        Document(title="", text=f"{said} in {name} today.", language="en") for name in ("Harbourton", "Quayside")
    ]
    others = Likeness(documents).square([0, 1])[0, 1]
    same = Likeness([documents[0], documents[0]]).square([0, 1])[0, 1]
    assert others < same / 2


@pytest.mark.parametrize(
    ("language", "one", "other", "third"),
    [
        (
            "ar",
            "إغلاق جسر الميناء أسبوعين للترميم",
            "جسر الميناء يغلق أسبوعين لأعمال الترميم",
            "موسم زيتون هو الأفضل منذ عقد",
        ),
        (
            "de",
            "Hafenbrücke zwei Wochen gesperrt",
            "Zwei Wochen Sperrung der Hafenbrücke",
            "Beste Olivenernte seit Jahren",
        ),
        (
            "es",
            "El puente del puerto cierra dos semanas",
            "Cierran dos semanas el puente del puerto",
            "La mejor cosecha de olivas",
        ),
        (
            "fr",
            "Le pont du port fermé deux semaines",
            "Deux semaines de fermeture pour le pont du port",
            "Récolte d'olives record",
        ),
        (
            "pt",
            "Ponte do porto fecha por duas semanas",
            "Duas semanas de fecho na ponte do porto",
            "A melhor colheita de azeitona",
        ),
        (
            "ru",
            "Портовый мост закроют на две недели",
            "На две недели закрывают портовый мост",
            "Лучший урожай оливок за годы",
        ),
        ("hi", "बंदरगाह पुल दो सप्ताह के लिए बंद", "दो सप्ताह बंद रहेगा बंदरगाह पुल", "जैतून की सबसे अच्छी फसल"),
        ("zh", "港口大桥因维修关闭两周", "港口大桥将关闭两周进行维修", "橄榄收成为十年来最佳"),
        ("ja", "港の橋が修理のため二週間閉鎖", "修理で港の橋を二週間閉鎖へ", "オリーブの収穫は十年で最高"),
    ],
)
def test_headlines_are_compared_in_each_language(language: str, one: str, other: str, third: str) -> None:
    articles = [make_article(n, title=title, text="", language=language) for n, title in enumerate((one, other, third))]
    assert _shape(cluster(articles)) == {frozenset("01"), frozenset("2")}


def test_a_block_that_is_too_large_is_cut_at_its_weakest_links() -> None:
    texts = [BRIDGE[0][1], f"{BRIDGE[0][1]} So it was said.", f"{BRIDGE[1][1]} {OTHERS[0][1]}"]
    likeness = Likeness([Document(title="", text=text, language="en") for text in texts])
    assert link(likeness) == [0, 0, 0]
    assert link(likeness, largest_block=2) == [0, 0, 2]


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
