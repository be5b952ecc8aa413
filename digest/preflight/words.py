"""The rules on the text part."""

import re
from collections.abc import Iterator, Sequence

from digest.models import Finding
from digest.preflight.wayout import shows_way_out

_UNSEEN = re.compile(
    r"<!--.*?-->|<(style|script|title)\b.*?</\1\s*>|<div[^>]*display:\s*none.*?</div>|<[^>]*>",
    re.DOTALL | re.IGNORECASE,
)


def inspect_text(text: str, html: str, ways_out: Sequence[str]) -> Iterator[Finding]:
    """The findings on a text part beside its HTML. `ways_out`: the links by which its reader leaves."""
    if not text.strip():
        yield Finding(rule="text-part", severity="fail", message="The mail has no text part.", where="text")
        return
    if count_letters(text) < count_letters(_UNSEEN.sub(" ", html)) // 2:
        message = "The text part says much less than the HTML."
        yield Finding(rule="text-part", severity="warn", message=message, where="text")
    if not shows_way_out(text, ways_out):
        message = "The text part has no link to unsubscribe."
        yield Finding(rule="unsubscribe-link", severity="fail", message=message, where="text")


def count_letters(words: str) -> int:
    """The letters and digits of a text."""
    return sum(character.isalnum() for character in words)
