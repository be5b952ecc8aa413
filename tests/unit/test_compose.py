"""Items → an edition and its variants."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from digest.compose import choose_variant, compose, narrow
from digest.models import Edition, Item, Variant
from tests.unit.builders import NOON, make_item

TOPICS = {"world": "World", "science": "Science", "sport": "Sport"}


def _subject(lead: Item | None, count: int, language: str = "en") -> str:
    said = f"{lead.headline if lead else 'nothing'} ({count})"
    return said if language == "en" else f"{said} {language}"


_FIELDS: dict[str, Any] = {
    "newsletter": "morning",
    "name": "Morning Brief",
    "cadence": "daily",
    "day": date(2026, 3, 2),
    "language": "en",
    "topics": TOPICS,
    "max_stories": 12,
    "subject": _subject,
    "composed_at": NOON,
    "cutoff_at": NOON,
}


def _compose(*topics: str | None, **changes: Any) -> Edition:
    items = [make_item(n, topic=topic) for n, topic in enumerate(topics, 1)]
    return compose(items, **_FIELDS | changes)


def test_the_leads_section_comes_first_and_the_others_in_the_operators_order() -> None:
    edition = _compose("sport", "science", "world", "sport")
    assert [section.id for section in edition.sections] == ["sport", "world", "science"]
    assert edition.lead and edition.lead.id == "1"


def test_items_without_a_configured_topic_come_last_in_an_untitled_section() -> None:
    edition = _compose("world", None, "gardening")
    assert [(section.id, section.title) for section in edition.sections] == [("world", "World"), ("", "")]
    assert len(edition.sections[1].items) == 2


def test_no_more_than_the_allowed_number_of_stories() -> None:
    assert len(_compose(*["world"] * 5, max_stories=2).items) == 2


def test_the_subject_is_made_of_the_lead() -> None:
    assert _compose("world", "sport").subject == "Headline number 1 (2)"


def test_a_reader_without_topics_and_one_with_all_of_todays_share_the_whole_edition() -> None:
    edition = _compose("world", "sport")
    assert choose_variant(edition, ()) == choose_variant(edition, ("sport", "world", "science")) == Variant()


def test_a_readers_topics_are_reduced_to_those_of_the_day() -> None:
    edition = _compose("world", "sport")
    assert choose_variant(edition, ("science", "sport")) == Variant(topics=("sport",))


def test_a_reader_without_a_story_today_has_no_variant() -> None:
    assert choose_variant(_compose("world"), ("science",)) is None


def test_a_variant_has_its_sections_and_a_subject_of_its_own_lead() -> None:
    edition = _compose("world", "sport", "sport")
    narrowed = narrow(edition, Variant(topics=("sport",)), _subject)
    assert [section.id for section in narrowed.sections] == ["sport"]
    assert narrowed.subject == "Headline number 2 (2)"


@pytest.mark.parametrize(
    ("newsletters", "readers", "language"),
    [
        ("en", "ar", "ar"),
        ("en", "fr-CA", "fr"),  # the nearest that there are phrases of
        ("en-GB", "en", None),  # the newsletter's own
        ("ar", "en-US", "en"),
        ("en", "tlh", None),  # nobody wrote phrases for it
        ("en", None, None),
    ],
)
def test_a_reader_gets_the_language_they_asked_for_where_it_is_spoken(
    newsletters: str, readers: str | None, language: str | None
) -> None:
    edition = _compose("world", "sport", language=newsletters)
    assert choose_variant(edition, (), readers, spoken={"en", "ar", "fr"}) == Variant(language=language)


def test_a_variants_name_tells_its_topics_and_its_language() -> None:
    assert Variant(topics=("sport", "world"), language="fr").key == "sport+world@fr"
    assert Variant(language="ar").key == "all@ar"


def test_a_variant_of_another_language_runs_its_way_and_says_its_subject() -> None:
    edition = _compose("world", "sport")
    arabic = narrow(edition, Variant(language="ar"), _subject)
    assert (arabic.language, arabic.direction, arabic.subject) == ("ar", "rtl", "Headline number 1 (2) ar")
    assert arabic.sections == edition.sections
    sport = narrow(edition, Variant(topics=("sport",), language="ar"), _subject)
    assert (sport.direction, sport.subject) == ("rtl", "Headline number 2 (1) ar")


def test_a_subject_of_a_persons_own_stays_in_every_language() -> None:
    edition = replace(_compose("world"), subject="Mine", has_own_subject=True)
    assert narrow(edition, Variant(language="ar"), _subject).subject == "Mine"


def test_an_edition_without_items_has_no_lead() -> None:
    edition = _compose()
    assert edition.lead is None
    assert edition.subject == "nothing (0)"


def test_only_a_story_that_may_lead_leads_and_names_the_subject() -> None:
    items = [make_item(n, topic=topic, may_lead=n == 3) for n, topic in enumerate(("sport", "world", "world"), 1)]
    edition = compose(items, **_FIELDS)
    assert edition.subject == "Headline number 3 (3)"
    assert [item.id for item in edition.items] == ["3", "2", "1"]
    assert edition.lead and edition.lead.id == "3"


def test_where_no_story_may_lead_the_best_stands_first_and_the_subject_is_the_newsletters_own() -> None:
    items = [make_item(n, topic=topic, may_lead=False) for n, topic in enumerate(("sport", "world"), 1)]
    edition = compose(items, **_FIELDS)
    assert edition.subject == "nothing (2)"
    assert edition.lead is None
    assert [item.id for item in edition.items] == ["1", "2"]


def test_a_variant_leads_with_the_first_of_its_own_that_may() -> None:
    items = [
        make_item(n, topic=topic, may_lead=n != 2) for n, topic in enumerate(("sport", "world", "world", "science"), 1)
    ]
    edition = narrow(compose(items, **_FIELDS), Variant(topics=("science", "world")), _subject)
    assert edition.subject == "Headline number 3 (3)"
    assert [item.id for item in edition.items] == ["3", "2", "4"]
