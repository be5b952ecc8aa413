"""What a text is made of."""

import pytest

from digest.text import count_words, direction_of, direction_of_text, is_furniture, is_headline, prose, sentences

ARTICLE = """A Headline Without a Full Stop
DESK | Harbour
Email : editor@example.com
The council voted on Monday to close the bridge for two weeks. Repairs will cost 4.5 million.
What Comes Next
“We had no choice,” said the mayor. The work begins in May.
Related Posts
Another headline that is not ours."""


def test_prose_leaves_out_headline_source_line_email_line_and_subheading() -> None:
    kept = [span.of(ARTICLE) for span in prose(ARTICLE)]
    assert kept == [
        "The council voted on Monday to close the bridge for two weeks. Repairs will cost 4.5 million.",
        "“We had no choice,” said the mayor. The work begins in May.",
    ]


def test_a_trailing_related_posts_ends_the_article() -> None:
    assert not any("Another headline" in span.of(ARTICLE) for span in prose(ARTICLE))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\u2028"])
def test_spans_point_into_the_text_as_given(line_end: str) -> None:
    text = ARTICLE.replace("\n", line_end)
    for line in prose(text):
        for sentence in sentences(text, line):
            assert text[sentence.start : sentence.end] == sentence.of(text) == sentence.of(text).strip()


def test_abbreviations_and_numbers_do_not_end_a_sentence() -> None:
    text = "Dr. Okafor arrived at 3.30 p.m. on Jan. 5. She left soon after."
    assert [span.of(text) for span in sentences(text)] == [
        "Dr. Okafor arrived at 3.30 p.m. on Jan. 5.",
        "She left soon after.",
    ]


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("ar", "أعلن المجلس القرار اليوم. هل يبدأ العمل غدا؟ نعم.", 3),
        ("hi", "परिषद ने निर्णय लिया। काम मई में शुरू होगा।", 2),
        ("zh", "市议会周一投票。工程将于五月开始。", 2),
        ("ja", "市議会は月曜日に採決した。工事は五月に始まる。", 2),
        ("es", "El Sr. Ruiz votó el lunes. ¿Cuándo empieza la obra? En mayo.", 3),
        ("de", "Der Rat stimmte am 5. Mai ab. Die Arbeit beginnt bald.", 2),
    ],
)
def test_sentences_end_where_the_language_ends_them(language: str, text: str, count: int) -> None:
    assert len(sentences(text, language=language)) == count


def test_words_of_scripts_without_spaces_are_counted_by_characters() -> None:
    assert count_words("the bridge closes") == 3
    assert count_words("市议会周一投票") == 3


def test_direction_comes_from_the_language_or_from_most_of_the_letters() -> None:
    assert direction_of("ar-BH") == "rtl"
    assert direction_of(None) == direction_of("en") == "ltr"
    assert direction_of_text("أعلن المجلس (NATO) القرار") == "rtl"
    assert direction_of_text("1 + 1 = 2") == "ltr"


@pytest.mark.parametrize(
    "line",
    [
        "Lesen Sie auch unseren Bericht über die Fähre.",
        "Abonnez-vous à notre lettre du matin.",
        "Follow us on the usual networks for more.",
        "اقرأ أيضا عن الجسر القديم في المدينة.",
    ],
)
def test_prose_leaves_out_what_calls_or_points_elsewhere_in_any_language(line: str) -> None:
    text = f"The council voted on Monday to close the bridge.\n{line}\nThe work begins in May, said the mayor."
    assert [span.of(text) for span in prose(text)] == [text.splitlines()[0], text.splitlines()[2]]


@pytest.mark.parametrize(
    "filler", ["x", ".", "!", ")", "@", "a@", "a.", "|", " ", "“", "<!--", "read more ", "the post "]
)
def test_a_line_of_any_length_is_judged_in_no_time(filler: str) -> None:
    # With time in the square of the length, each of these would take minutes.
    for text in (filler * 100_000, f"{filler * 100_000}.", f"{filler * 100_000}x"):
        assert isinstance(is_furniture(text), bool)
        assert isinstance(is_headline(text), bool)
        assert len(prose(text)) <= 1
        assert sum(span.end - span.start for span in sentences(text)) <= len(text)


def test_a_line_that_is_split_in_pieces_loses_nothing() -> None:
    text = "The council voted to close the bridge. " * 2000
    found = [span.of(text) for span in sentences(text)]
    assert " ".join(found) == text.strip()
    assert found.count("The council voted to close the bridge.") > 1990
