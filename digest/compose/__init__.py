"""Items → one edition, and the edition → its variants.

    Items, best first ──> the first `max_stories` ──> sections by topic, the lead's first ──> Edition
    Edition + a reader's topics and language ──> Variant ──> the edition narrowed to it

Pure: what to call the edition is asked of the `subject` callable, since subjects are the operator's template.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from digest.compose.sections import Subject, put_first
from digest.models import Cadence, Correction, Edition, Item, Section, Variant
from digest.text import direction_of, widen_tag

__all__ = ["Subject", "choose_variant", "compose", "narrow"]


def compose(
    items: Sequence[Item],
    *,
    newsletter: str,
    name: str,
    cadence: Cadence,
    day: date,
    language: str,
    topics: Mapping[str, str],
    max_stories: int,
    subject: Subject,
    composed_at: datetime,
    cutoff_at: datetime,
    silent: Sequence[str] = (),
    corrections: Sequence[Correction] = (),
) -> Edition:
    """The edition of `day` from `items`, which come best first. `topics` maps ids to titles in print order."""
    chosen = list(items[:max_stories])
    lead = next((item for item in chosen if item.may_lead), None)
    sections = _arrange(chosen, topics, lead)
    return Edition(
        newsletter=newsletter,
        name=name,
        cadence=cadence,
        date=day,
        subject=subject(lead, len(chosen), language),
        language=language,
        direction=direction_of(language),
        sections=sections,
        composed_at=composed_at,
        cutoff_at=cutoff_at,
        silent=tuple(silent),
        corrections=tuple(corrections),
    )


def choose_variant(
    edition: Edition, topics: Sequence[str], language: str | None = None, *, spoken: Collection[str] = ()
) -> Variant | None:
    """The variant for a reader of these topics; none chosen means all. None: the edition has nothing for the reader.

    Topics are reduced to those present that day, and languages to those `spoken` (tags in small letters), so that
    readers of many different choices share few variants. Stories stay in the language that they are told in.
    """
    if not edition.items:
        return None
    present = {section.id for section in edition.sections}
    wanted = present & set(topics)
    speaks = _choose_language(edition.language, language, spoken)
    if not topics or wanted == present:
        return Variant(language=speaks)
    return Variant(topics=tuple(sorted(wanted)), language=speaks) if wanted else None


def narrow(edition: Edition, variant: Variant, subject: Subject) -> Edition:
    """The edition with the sections of one variant, in its language, and the subject that its own lead gives."""
    if variant.language:
        edition = replace(edition, language=variant.language, direction=direction_of(variant.language))
        if not variant.topics and not edition.has_own_subject:
            return replace(edition, subject=subject(edition.lead, len(edition.items), edition.language))
    if not variant.topics:
        return edition
    sections = tuple(section for section in edition.sections if section.id in variant.topics)
    items = [item for section in sections for item in section.items]
    lead = next((item for item in items if item.may_lead), None)
    said = subject(lead, len(items), edition.language)
    return replace(edition, sections=put_first(sections, lead), subject=said)


def _choose_language(own: str, wanted: str | None, spoken: Collection[str]) -> str | None:
    """The nearest to the one wanted that is spoken; None where that is the newsletter's own, or there is none."""
    if not wanted:
        return None
    nearest, of_ours = (next((tag for tag in widen_tag(one) if tag in spoken), None) for one in (wanted, own))
    return nearest if nearest != of_ours else None


def _arrange(items: Sequence[Item], topics: Mapping[str, str], lead: Item | None) -> tuple[Section, ...]:
    """Sections in the operator's order of topics, but the lead's section first; without a topic last, untitled.

    Without a lead, the best item's section is first.
    """
    if not items:
        return ()
    grouped: dict[str, list[Item]] = {}
    for item in items:
        topic = item.topic if item.topic and item.topic in topics else ""
        grouped.setdefault(topic, []).append(item)
    sections = [
        Section(id=topic, title=topics.get(topic, ""), items=tuple(grouped[topic]))
        for topic in [*topics, ""]
        if topic in grouped
    ]
    return put_first(sections, lead or items[0])
