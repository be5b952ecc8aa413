"""The sections of an edition, and what names it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from digest.models import Item, Section

# The lead, the number of stories and the language → the subject line.
Subject = Callable[[Item | None, int, str], str]


def put_first(sections: Sequence[Section], lead: Item | None) -> tuple[Section, ...]:
    """The sections with one item before all others, its section first; as they are without one."""
    if lead is None:
        return tuple(sections)
    own = next(section for section in sections if lead in section.items)
    first = replace(own, items=(lead, *(item for item in own.items if item is not lead)))
    return (first, *(section for section in sections if section is not own))
