"""Lists of subscriptions, in and out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.sources.opml import Subscription, parse_opml, write_opml

LIST = b"""\xef\xbb\xbf<?xml version="1.0"?><opml version="1.0"><head><title>Mine</title></head><body>
<outline text="World"><outline text="Deep"><outline type="rss" text="A &amp; B" xmlUrl="https://a.example/?x=1&y=2"/></outline>
<outline title="Title" text="Text" XMLURL=" https://b.example/rss "/></outline>
<outline text="Again" xmlUrl="https://b.example/rss"/><outline text="No feed" htmlUrl="https://c.example/"/>
</body></opml>"""


def test_feeds_are_read_with_their_folders_each_once() -> None:
    assert parse_opml(LIST) == (
        Subscription(url="https://a.example/?x=1&y=2", title="A & B", folders=("World", "Deep")),
        Subscription(url="https://b.example/rss", title="Title", folders=("World",)),
    )


@pytest.mark.parametrize(
    "document", [b"", b"no", b"<html><body>x</body></html>", b"<rss/>", b"{}", b"\x1f\x8bjunk", b"<opml"]
)
def test_what_is_no_list_is_named_as_such(document: bytes) -> None:
    with pytest.raises(SourceError):
        parse_opml(document)


def test_a_list_that_is_nested_without_end_is_read() -> None:
    deep = b"<opml><body>" + b'<outline text="x">' * 200 + b'<outline xmlUrl="https://a.example/"/>'
    assert [feed.url for feed in parse_opml(deep)] == ["https://a.example/"]


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="<>&"), min_size=1, max_size=9
)


@given(
    st.lists(
        st.builds(Subscription, url=_TEXT, title=_TEXT, folders=st.lists(_TEXT, max_size=2).map(tuple)), max_size=6
    )
)
def test_what_is_written_is_read_again(feeds: list[Subscription]) -> None:
    written = write_opml("A title", feeds)
    assert {feed.url for feed in parse_opml(written)} == {feed.url for feed in feeds}


def test_every_list_of_the_developer_set_is_read_whole(shared: Path) -> None:
    import json

    folder = shared / "data" / "feeds"
    for name, expected in json.loads((folder / "opml_expected.json").read_text()).items():
        assert len(parse_opml((folder / name).read_bytes())) == expected["distinct"], name
