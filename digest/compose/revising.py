"""Edition → edition: the editor's hand, before it is sent, and what is put right afterwards.

    pin     an item leads, and gives the edition its subject
    drop    an item is left out
    move    an item goes to another place, or to another topic's section
    edit    an item's headline or summary, or the subject, is a person's own words, and is marked so

Pure: items are named by their number in print order, from 1. Who may do it, and what is rendered again, is not decided
here. Raises DigestError for what is not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from digest.compose.sections import Subject, put_first
from digest.errors import DigestError
from digest.models import Edition, Item, Section, Sentence, Summary


def pin(edition: Edition, number: int, subject: Subject) -> Edition:
    """An item becomes the lead, told by however few."""
    item = _find(edition, number)
    pinned = replace(item, may_lead=True)
    sections = put_first(_replace_item(edition.sections, item, pinned), pinned)
    return _revised(edition, sections, subject)


def drop(edition: Edition, number: int, subject: Subject) -> Edition:
    """An item is left out, and with the last of a section the section. The last of all stays."""
    item = _find(edition, number)
    if len(edition.items) == 1:
        raise DigestError(f"story {number}", "it is the only one", remedy="hold the edition instead")
    return _revised(edition, _replace_item(edition.sections, item, None), subject)


def move(
    edition: Edition, number: int, place: int, subject: Subject, *, topic: str | None, topics: Mapping[str, str]
) -> Edition:
    """An item goes to a place of its section, from 1, or of that of another topic."""
    item = _find(edition, number)
    home = next(section for section in edition.sections if item in section.items)
    target = home.id if topic is None else topic
    if target not in topics and target not in {section.id for section in edition.sections}:
        raise DigestError(f'topic "{target}"', "there is none of that name", remedy=f"one of {', '.join(topics)}")
    if place < 1:
        raise DigestError(f"place {place}", "places begin at 1")
    moved = replace(item, topic=target or None)
    rest = {section.id: list(section.items) for section in _replace_item(edition.sections, item, None)}
    rest.setdefault(target, []).insert(place - 1, moved)
    order = [section.id for section in edition.sections]
    order += [topic for topic in rest if topic not in order]
    titles = {**topics, **{section.id: section.title for section in edition.sections}}
    sections = tuple(
        Section(id=topic, title=titles.get(topic, ""), items=tuple(rest[topic])) for topic in order if rest.get(topic)
    )
    return _revised(edition, sections, subject)


def edit(edition: Edition, number: int, subject: Subject, *, headline: str | None, summary: str | None) -> Edition:
    """An item's headline, or its summary, is a person's own words from now on."""
    item = _find(edition, number)
    if headline is None and summary is None:
        raise DigestError(f"story {number}", "there is nothing to edit", remedy="give --headline or --summary")
    words = {"headline": headline, "summary": summary}
    for name, text in words.items():
        if text is not None and not text.strip():
            raise DigestError(f"story {number}", f"its {name} would be empty")
    edited = replace(
        item,
        headline=headline.strip() if headline else item.headline,
        summary=_own_words(summary.strip()) if summary else item.summary,
        reason=None if summary else item.reason,
        edited=tuple(sorted({*item.edited, *(name for name, text in words.items() if text is not None)})),
    )
    return _revised(edition, _replace_item(edition.sections, item, edited), subject)


def rename(edition: Edition, subject: str) -> Edition:
    """The subject is a person's own words from now on, whatever leads."""
    if not subject.strip():
        raise DigestError("subject", "it would be empty")
    return replace(edition, subject=" ".join(subject.split()), has_own_subject=True, is_revised=True)


def _revised(edition: Edition, sections: Sequence[Section], subject: Subject) -> Edition:
    revised = replace(edition, sections=tuple(sections), is_revised=True)
    if edition.has_own_subject:
        return revised
    return replace(revised, subject=subject(revised.lead, len(revised.items), revised.language))


def _find(edition: Edition, number: int) -> Item:
    items = edition.items
    if not 1 <= number <= len(items):
        remedy = f"one of 1 to {len(items)}, as `digest editions show` numbers them"
        raise DigestError(f"story {number}", f"the edition of {edition.date} has none of that number", remedy=remedy)
    return items[number - 1]


def _replace_item(sections: Sequence[Section], item: Item, other: Item | None) -> tuple[Section, ...]:
    """The sections with another in an item's place, or with none; without those that are left empty."""
    replaced = (
        replace(
            section,
            items=tuple(kept for one in section.items if (kept := other if one is item else one) is not None),
        )
        for section in sections
    )
    return tuple(section for section in replaced if section.items)


def _own_words(text: str) -> Summary:
    """A person's summary: one piece, which stands nowhere in a source."""
    return Summary(sentences=(Sentence(text=text, document=0, start=0, end=0),), kind="editor")
