"""Documents made wrong at random, for suites that ask that whatever comes is read or refused in words."""

import json
from collections.abc import Sequence

from hypothesis import strategies as st

EDITS = st.lists(
    st.tuples(st.sampled_from(["insert", "cut", "copy", "byte"]), st.integers(0, 4000), st.integers(0, 255)),
    max_size=8,
)


def spoil(document: bytes, edits: list[tuple[str, int, int]], pieces: Sequence[bytes]) -> bytes:
    """The document after the edits, each of a kind, at a place, with a number whose meaning depends on the kind."""
    for kind, place, number in edits:
        at = place % (len(document) + 1)
        if kind == "insert":
            document = document[:at] + pieces[number % len(pieces)] + document[at:]
        elif kind == "cut":
            document = document[:at] + document[at + number :]
        elif kind == "copy":
            document = document[:at] + document[max(0, at - number) :]
        else:
            document = document[:at] + bytes([number]) + document[at + 1 :]
    return document


def assert_storable(value: object) -> None:
    """UTF-8 takes it: a lone surrogate would not survive this."""
    json.dumps(value, default=str, ensure_ascii=False).encode()
