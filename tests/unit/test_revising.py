"""The editor's hand on an edition."""

from collections.abc import Callable
from datetime import date

import pytest

from digest.compose import compose
from digest.compose.revising import drop, edit, move, pin, rename
from digest.errors import DigestError
from digest.models import Edition, Item
from tests.unit.builders import NOON, make_item

TOPICS = {"world": "World", "sport": "Sport", "science": "Science"}


def subject(lead: Item | None, count: int, language: str) -> str:
    return f"{lead.headline if lead else 'Morning Brief'} ({count})"


@pytest.fixture
def edition() -> Edition:
    """Stories 1 and 2 of the world, 3 of sport and without a second outlet."""
    items = [make_item(1, topic="world"), make_item(2, topic="world"), make_item(3, topic="sport", may_lead=False)]
    return compose(
        items, newsletter="morning", name="Morning Brief", cadence="daily", day=date(2026, 3, 2), language="en",
        topics=TOPICS, max_stories=12, subject=subject, composed_at=NOON, cutoff_at=NOON,
    )  # fmt: skip


def shape(edition: Edition) -> list[tuple[str, str]]:
    return [(section.id, "".join(item.id for item in section.items)) for section in edition.sections]


def test_a_pinned_story_leads_and_gives_the_subject_told_by_however_few(edition: Edition) -> None:
    pinned = pin(edition, 3, subject)
    assert shape(pinned) == [("sport", "3"), ("world", "12")]
    assert pinned.subject == "Headline number 3 (3)"
    assert pinned.lead and pinned.lead.id == "3"
    assert pinned.is_revised


def test_a_dropped_story_is_gone_and_so_is_a_section_without_one(edition: Edition) -> None:
    assert shape(drop(edition, 3, subject)) == [("world", "12")]
    dropped = drop(edition, 1, subject)
    assert (shape(dropped), dropped.subject) == ([("world", "2"), ("sport", "3")], "Headline number 2 (2)")


@pytest.mark.parametrize(
    ("number", "place", "topic", "expected"),
    [
        (1, 2, None, [("world", "21"), ("sport", "3")]),
        (3, 1, "world", [("world", "312")]),
        (2, 1, "science", [("world", "1"), ("sport", "3"), ("science", "2")]),
        (2, 9, "sport", [("world", "1"), ("sport", "32")]),
    ],
)
def test_a_story_moves_within_its_section_or_into_another(
    edition: Edition, number: int, place: int, topic: str | None, expected: list[tuple[str, str]]
) -> None:
    assert shape(move(edition, number, place, subject, topic=topic, topics=TOPICS)) == expected


def test_a_story_that_may_not_lead_leaves_the_subject_to_the_newsletter_when_it_is_moved_first(
    edition: Edition,
) -> None:
    assert move(edition, 3, 1, subject, topic="world", topics=TOPICS).subject == "Morning Brief (3)"


def test_what_a_person_wrote_is_marked_and_the_subject_follows_the_headline(edition: Edition) -> None:
    edited = edit(edition, 1, subject, headline=" Bridge closes ", summary="It will be shut for two weeks.")
    first = edited.items[0]
    assert (first.headline, first.edited, edited.subject) == (
        "Bridge closes",
        ("headline", "summary"),
        "Bridge closes (3)",
    )
    assert first.summary and (first.summary.kind, first.summary.text) == ("editor", "It will be shut for two weeks.")


def test_a_subject_of_ones_own_stays_whatever_leads(edition: Edition) -> None:
    renamed = rename(edition, "Good\nmorning")
    assert renamed.subject == "Good morning"
    assert pin(renamed, 3, subject).subject == "Good morning"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda one: pin(one, 4, subject), "story 4: the edition of 2026-03-02 has none of that number .*1 to 3"),
        (lambda one: pin(one, 0, subject), "has none of that number"),
        (lambda one: move(one, 1, 0, subject, topic=None, topics=TOPICS), "places begin at 1"),
        (lambda one: move(one, 1, 1, subject, topic="weather", topics=TOPICS), 'topic "weather": there is none'),
        (lambda one: edit(one, 1, subject, headline=None, summary=None), "nothing to edit"),
        (lambda one: edit(one, 1, subject, headline="  ", summary=None), "headline would be empty"),
        (lambda one: rename(one, " "), "empty"),
        (lambda one: drop(drop(drop(one, 1, subject), 1, subject), 1, subject), "it is the only one"),
    ],
)
def test_what_cannot_be_done_is_named(edition: Edition, change: Callable[[Edition], Edition], fault: str) -> None:
    with pytest.raises(DigestError, match=fault):
        change(edition)
