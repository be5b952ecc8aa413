"""Segments: named in config.toml, counted, listed, exported, and the only ones who get the edition."""

import pytest

from tests.acceptance.conftest import Desk

SEGMENTS = """
[[segments]]
id = "press"
tag = "press"

[[segments]]
id = "german"
filter = "language in ['de', 'de-AT'] and 'world' in topics"

[[segments]]
id = "nobody"
timezone = "Pacific/Apia"
"""


@pytest.fixture
def segmented(desk: Desk) -> Desk:
    """A desk with three segments and three readers."""
    assert desk.digest("init").code == 0
    config = desk.folder / "config.toml"
    config.write_text(config.read_text() + SEGMENTS)
    table = desk.folder / "readers.csv"
    table.write_text("email,language,tags\nada@mail.org,de-AT,press\nben@mail.org,de,\ncleo@mail.org,,\n")
    assert desk.digest("subscribers", "import", str(table), "--consent", "asked").code == 0
    return desk


def choose(desk: Desk, segment: str) -> None:
    config = desk.folder / "config.toml"
    config.write_text(config.read_text().replace('segment = ""', f'segment = "{segment}"'))


def test_segments_are_counted_listed_and_exported(segmented: Desk) -> None:
    counted = segmented.digest("subscribers", "segments", "--json").rows
    assert counted == [
        {"segment": "press", "members": 1, "active": 1},
        {"segment": "german", "members": 2, "active": 2},
        {"segment": "nobody", "members": 0, "active": 0},
    ]
    listed = segmented.digest("subscribers", "list", "--segment", "german", "--json").rows
    assert [row["email"] for row in listed] == ["ada@mail.org", "ben@mail.org"]
    exported = segmented.digest("subscribers", "export", "--segment", "press").out.splitlines()
    assert [line.partition(",")[0] for line in exported] == ["email", "ada@mail.org"]
    refused = segmented.digest("subscribers", "list", "--segment", "presse")
    assert (refused.code, "one of press, german, nobody" in refused.err) == (2, True)


def test_readers_are_listed_by_a_topic_that_they_chose(segmented: Desk) -> None:
    for email, topics in (("dora@mail.org", "world,sport"), ("emil@mail.org", "science")):
        assert segmented.digest("subscribers", "add", email, "--topics", topics).code == 0
    listed = segmented.digest("subscribers", "list", "--topic", "sport", "--json").rows
    assert [row["email"] for row in listed] == ["dora@mail.org"]
    both = segmented.digest("subscribers", "list", "--topic", "world", "--segment", "press", "--json")
    assert (both.code, both.rows) == (0, [])
    nobody = segmented.digest("subscribers", "list", "--topic", "gone")
    assert (nobody.code, nobody.out) == (0, "")
    assert "nobody has chosen that topic" in nobody.err


def test_only_members_get_the_edition_and_the_others_are_named_with_the_reason(segmented: Desk) -> None:
    choose(segmented, "german")
    assert segmented.digest("run").code == 0
    rows = segmented.digest("editions", "show", "latest", "--deliveries", "--json").rows
    assert {row["email"]: (row["state"], row["answer"]) for row in rows if row["state"] == "skipped"} == {
        "cleo@mail.org": ("skipped", 'the reader is not of the segment "german"')
    }
    assert sorted(row["email"] for row in rows if row["state"] == "accepted") == ["ada@mail.org", "ben@mail.org"]


def test_check_and_preview_tell_when_the_edition_is_for_nobody(segmented: Desk) -> None:
    choose(segmented, "nobody")
    (row,) = [row for row in segmented.digest("check", "--json").rows if row["subject"] == "segment nobody"]
    assert (row["result"], row["message"]) == (
        "warning",
        "0 subscribers, 0 of them active: nobody gets the edition",
    )
    shown = segmented.digest("preview", "--out", str(segmented.folder / "mail.html"))
    assert (shown.code, "nobody would get it" in shown.err) == (0, True)


def test_a_fault_in_a_segment_is_told_with_its_line(segmented: Desk) -> None:
    config = segmented.folder / "config.toml"
    sound = config.read_text()
    line = sound.splitlines().index('tag = "press"') + 1
    for said, wanted in (
        ('filter = "tags.pop()"', '"segments[0].filter": "tags.pop()" cannot stand in it; compare a name'),
        ("filter = \"'wrold' in topics\"", 'segment "press" names the topic "wrold", which no [[topics]] has'),
        ("", '"segments[0]": it does not say who is of it'),
    ):
        config.write_text(sound.replace('tag = "press"', said))
        told = segmented.digest("subscribers", "list")
        assert (told.code, wanted in told.err) == (2, True), told.err
        assert f"config.toml:{line}:" in told.err or "filter" not in wanted
