"""By which names an entry is known."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.canonical import canonical_link, canonical_title
from digest.models import Entry
from digest.stores.identity import names_of

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def names(entry: Entry, seen_at: datetime = NOW) -> frozenset[str]:
    """The names of a document's only entry."""
    return names_of([entry], seen_at)[0]


@pytest.mark.parametrize(
    "variation",
    [
        "http://example.com/a?id=7",
        "https://www.example.com/a/?id=7",
        "https://EXAMPLE.com/a?id=7#comments",
        "https://example.com/a?utm_source=x&id=7&utm_medium=y",
        "https://example.com/a?fbclid=1&gclid=2&mc_cid=3&mc_eid=4&id=7",
        " https://example.com/a?id=7 ",
        "https://example.com/a?id=7&ref=homepage&source=twitter&cmp=x1&ns_mchannel=social",
    ],
)
def test_links_that_lead_to_one_page_are_one(variation: str) -> None:
    assert canonical_link(variation) == canonical_link("https://example.com/a?id=7")


@pytest.mark.parametrize(
    "another",
    [
        "https://example.com/a?id=8",
        "https://example.com/a",
        "https://example.com/A?id=7",
        "https://example.com/a?id=7&ref=1234",
        "https://example.com/a?id=7&source=n5",
        "https://example.org/a?id=7",
        "https://example.com:8443/a?id=7",
        "https://news.example.com/a?id=7",
    ],
)
def test_links_that_lead_to_different_pages_stay_apart(another: str) -> None:
    assert canonical_link(another) != canonical_link("https://example.com/a?id=7")


@pytest.mark.parametrize("broken", ["http://[bad", "https://[::1/x", "http://]", "//"])
def test_what_is_no_link_still_has_a_canonical_form(broken: str) -> None:
    assert isinstance(canonical_link(broken), str)


@given(st.text(), st.text())
def test_any_text_of_a_stranger_s_names_an_entry(identifier: str, link: str) -> None:
    entry = Entry(id=identifier, link=link, title="Title")
    if not any("\ud800" <= letter <= "\udfff" for letter in identifier + link):
        assert names(entry)


@given(st.sampled_from(["http://", "https://"]), st.text(st.characters(codec="utf-8")))
def test_any_address_as_an_id_names_an_entry(scheme: str, rest: str) -> None:
    assert names(Entry(id=scheme + rest))


def test_titles_are_compared_by_their_words() -> None:
    assert canonical_title("  Fire in Port — latest! ") == canonical_title("fire in port: Latest")


def test_a_title_names_an_entry_on_its_day_only() -> None:
    daily = Entry(title="Weather today", published_at=NOW)
    tomorrow = Entry(title="Weather today", published_at=NOW + timedelta(days=1))
    assert not names(daily) & names(tomorrow)
    assert names(Entry(title="Weather today")) & names(daily)  # undated: the day it was seen


def test_an_id_or_link_that_stands_for_several_entries_names_none_of_them() -> None:
    same = [Entry(id="x", link="https://example.com/", title=f"Title {number}") for number in range(3)]
    one, two, three = names_of(same, NOW)
    assert not one & two
    assert not two & three


def test_an_entry_without_any_name_is_known_by_what_it_says() -> None:
    assert names(Entry(summary="words")) == names(Entry(summary="words"))
    assert names(Entry(summary="words")) != names(Entry(summary="other words"))
