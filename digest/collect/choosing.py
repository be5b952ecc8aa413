"""Which entries the operator's words let through. Pure."""

import re
from collections.abc import Sequence

from digest.models import Entry, SourceProfile
from digest.text import visible_text


def choose_wanted(entries: Sequence[Entry], profile: SourceProfile) -> tuple[Entry, ...]:
    """Those that the operator's words let through: with one of `include`, when there are any, and none of `exclude`."""
    include, exclude = _any_of(profile.include), _any_of(profile.exclude)
    if not include and not exclude:
        return tuple(entries)

    def is_wanted(entry: Entry) -> bool:
        text = _all_text(entry)
        return (include is None or include.search(text) is not None) and not (exclude and exclude.search(text))

    return tuple(entry for entry in entries if is_wanted(entry))


def _any_of(words: Sequence[str]) -> re.Pattern[str] | None:
    """Any of these words or phrases, whole, whatever its letter case and white space."""
    phrases = [r"\s+".join(map(re.escape, word.split())) for word in words if word.strip()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)", re.IGNORECASE) if phrases else None


def _all_text(entry: Entry) -> str:
    return "\n".join([entry.title or "", visible_text(entry.summary), visible_text(entry.content), entry.text or ""])
