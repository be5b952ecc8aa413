"""Looking at the lead pages once more before an edition is sent."""

from collections.abc import Callable, Sequence

import pytest

from digest.errors import SourceError
from digest.models import Entry, Page, StoredEntry
from digest.protocols import Response
from digest.reread import Reread, reread
from tests.unit.builders import NOON, make_item


def entry(number: int, title: str | None = "A headline", **changes: object) -> StoredEntry:
    page = Page(title=title, text="Text.") if title is not None else None
    return StoredEntry(
        number=number,
        source_id="wire",
        outlet="Wire",
        seen_at=NOON,
        entry=Entry(link=f"https://example.com/{number}"),
        page=page,
        is_read=True,
    )


def at_once(function: Callable, arguments: Sequence, *, seconds: float) -> list:
    return [function(argument) for argument in arguments]


def look(*titles: str | SourceError, entries: Sequence[StoredEntry] | None = None) -> Reread:
    """Each page's answer, by its title now."""
    known = entries or [entry(number) for number in range(len(titles))]
    answers = iter(titles)

    def fetch(urls: Sequence[str]) -> list[Response | SourceError]:
        given = [next(answers) for _ in urls]
        return [
            one if isinstance(one, SourceError) else Response(url=url, status=200, headers={}, body=one.encode())
            for url, one in zip(urls, given, strict=True)
        ]

    items = [make_item(stored.number, id=str(stored.number)) for stored in known]
    return reread(
        items,
        {str(stored.number): stored for stored in known},
        fetch,
        lambda argument: Page(title=argument[0].decode() or None, text="Text."),
        at_once,
    )


def test_a_page_that_is_as_it_was_is_only_counted() -> None:
    assert look("A headline", "  a Headline! ", "") == Reread(asked=3, read=3)


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_that_vanished_is_told_with_its_story_and_address(status: int) -> None:
    found = look(SourceError("page", "it is gone", status=status), "A headline")
    assert (found.asked, found.read, len(found.gone)) == (2, 1, 1)
    assert (
        f"({status})" in found.gone[0]
        and "https://example.com/0" in found.gone[0]
        and "Headline number 0" in found.gone[0]
    )


def test_another_headline_is_told_with_both() -> None:
    (line,) = look("Quite another headline").changed
    assert '"A headline" is now "Quite another headline"' in line


def test_a_page_that_cannot_be_had_just_now_has_not_vanished() -> None:
    found = look(SourceError("page", "no answer"), SourceError("page", "busy", status=503))
    assert found == Reread(asked=2, read=0)


def test_what_was_never_read_as_a_page_is_not_asked_for() -> None:
    assert look(entries=[entry(1, title=None)]) == Reread()
