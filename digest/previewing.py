"""An edition as one reader would get it: to look at, or as a test message to one address. Nothing of it is kept."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Final, Protocol

from digest import deliver
from digest.errors import ConfigError, RenderError, TransportError
from digest.extract import text_of
from digest.models import (
    Batch,
    DeliveryState,
    Edition,
    Item,
    Outcome,
    Passage,
    Recipient,
    Rendition,
    StoredEdition,
    Subscriber,
    SubscriberState,
    Variant,
    Viewpoint,
)
from digest.ports import Borne, Composed, Ports, Preview, Settings
from digest.protocols import EntryStore
from digest.rendering import Rendering
from digest.sending import Sending

_AROUND: Final = 160  # characters of an article shown on each side of a passage
_LOOK_BACK: Final = 8  # editions among which the one before is looked for


class FindSubscriber(Protocol):
    """Where subscribers are found."""

    def find(self, newsletter: str, email: str) -> Subscriber | None:
        """The one of that address."""
        ...


def find_reader(subscribers: FindSubscriber, newsletter: str, viewpoint: Viewpoint) -> Subscriber:
    """Whom a viewpoint means: a subscriber, else a stand-in of its choices. Raises ConfigError for an unknown one."""
    email = viewpoint.email
    if email is None:
        return stand_in(topics=viewpoint.topics, language=viewpoint.language)
    reader = subscribers.find(newsletter, email)
    if reader is None:
        remedy = "see `digest subscribers list`"
        raise ConfigError(f"subscriber {email}", "there is none of that address", remedy=remedy)
    return reader


def stand_in(
    *, email: str = "reader@example.com", topics: tuple[str, ...] = (), language: str | None = None
) -> Subscriber:
    """A reader who is no subscriber: the links of theirs lead nobody out."""
    return Subscriber(email=email, topics=topics, language=language, state=SubscriberState.ACTIVE, key="0" * 32)


class Compose(Protocol):
    """Makes the edition of a day; without `visit`, of what is stored."""

    def __call__(self, day: date, *, visit: bool = True) -> Composed:
        """Raises RenderError and StoreError."""
        ...


class Previewing:
    """One newsletter's editions before anybody gets them."""

    def __init__(
        self, settings: Settings, ports: Ports, rendering: Rendering, sending: Sending, compose_edition: Compose
    ) -> None:
        """Nothing happens until it is asked for."""
        self._settings = settings
        self._ports = ports
        self._rendering = rendering
        self._sending = sending
        self._compose = compose_edition

    def preview(self, day: date, reader: Subscriber) -> Preview:
        """The edition of `day` as `reader` would get it: as kept, else composed now, collecting when nothing is."""
        composed, stored = self._find(day)
        kept = self._render_for(composed, reader)
        rendition = self._rendering.as_mailed(composed.edition, kept)
        batch = self._address(composed.edition, rendition, reader, stored)
        return Preview(
            edition=composed.edition,
            rendition=rendition,
            unsubscribe_url=batch.messages[0].unsubscribe_url,
            payload=self._ports.lanes[0].transport.render(batch)[0],
            transport=self._ports.lanes[0].transport.name,
            findings=self._rendering.inspect(composed.edition, [kept]),
            stored=stored is not None,
            is_for_nobody=bool(self._settings.segment) and not any(True for _ in self._sending.members()),
            previous=self._find_previous(day, rendition.variant),
            borne=find_borne(self._ports.entries, composed.edition),
        )

    def send_test(self, day: date, reader: Subscriber) -> Outcome:
        """Hand that message over by the first transport, its subject marked. Raises TransportError."""
        composed, stored = self._find(day)
        rendition = self._rendering.as_mailed(composed.edition, self._render_for(composed, reader))
        rendition = replace(rendition, subject=f"[Test] {rendition.subject}")
        outcomes: list[Outcome] = []
        batch = self._address(composed.edition, rendition, reader, stored)
        # Each try is a message of its own: mailboxes drop one whose Message-ID they have seen.
        batch = replace(batch, messages=tuple(replace(one, send_key=secrets.token_hex(16)) for one in batch.messages))
        try:
            announce = self._ports.on_progress
            self._ports.lanes[0].transport.send(batch, lambda _: announce({"attempted": 1}), outcomes.extend)
        except TransportError as error:
            if not outcomes:
                raise
            return replace(outcomes[0], raw=f"{outcomes[0].raw} {error}".strip())
        return outcomes[0] if outcomes else Outcome(delivery=0, state=DeliveryState.UNKNOWN, raw="there was no answer")

    def _find(self, day: date) -> tuple[Composed, StoredEdition | None]:
        """As kept (what is found in it is asked of the variant that is shown), or composed now.

        Raises RenderError when it has no story.
        """
        ports, settings = self._ports, self._settings
        stored = ports.editions.find(settings.newsletter, settings.cadence, day)
        kept = tuple(ports.editions.renditions(stored.id).values()) if stored else ()
        if stored and stored.edition and kept:
            return Composed(edition=stored.edition, renditions=kept, findings=()), stored
        composed = self._compose(day, visit=False)
        if not composed.edition.items:
            composed = self._compose(day)
        if not composed.renditions:
            failed = "; ".join(f"{report.id}: {report.error}" for report in composed.sources if not report.ok)
            remedy = failed or "nothing new came since the last"
            raise RenderError(f"the {composed.edition.title}", "it has no story", remedy=remedy)
        return composed, None

    def _render_for(self, composed: Composed, reader: Subscriber) -> Rendition:
        variant = self._rendering.choose_variant(composed.edition, reader)
        if variant is None:
            topics = ", ".join(section.id for section in composed.edition.sections if section.id)
            subject = f"the {composed.edition.title}"
            remedy = f"it has {topics or 'no topics'}"
            raise RenderError(subject, "it has no story of this reader's topics", remedy=remedy)
        known = next((one for one in composed.renditions if one.variant == variant.key), None)
        return known or self._rendering.render(composed.edition, [variant])[0]

    def _address(
        self, edition: Edition, rendition: Rendition, reader: Subscriber, stored: StoredEdition | None
    ) -> Batch:
        recipient = Recipient(
            delivery=0,
            send_key=self._ports.send_key(edition, reader.key),
            subscriber_key=reader.key,
            email=reader.email,
            name=reader.name,
        )
        return Batch(
            rendition=rendition,
            letterhead=self._rendering.letterhead(stored),
            messages=(deliver.address(recipient, self._ports.unsubscribe_url),),
        )

    def _find_previous(self, day: date, variant: str) -> Rendition | None:
        settings = self._settings
        for stored in self._ports.editions.newest(settings.newsletter, _LOOK_BACK, cadence=settings.cadence):
            if stored.date < day and stored.edition:
                kept = self._ports.editions.renditions(stored.id)
                if kept:
                    return kept.get(variant) or kept.get(Variant().key)
        return None


def find_borne(entries: EntryStore, edition: Edition) -> dict[str, tuple[Borne, ...]]:
    """Each summary's sentences beside their places in the lead's article, where that is still kept."""
    known = entries.get([int(item.id) for item in edition.items])
    texts = {str(stored.number): text_of(stored) for stored in known}
    return {item.id: _lay_beside(item, texts) for item in edition.items if item.summary}


def _lay_beside(item: Item, texts: Mapping[str, str]) -> tuple[Borne, ...]:
    text = texts.get(item.id, "")
    found = []
    for sentence in item.summary.sentences if item.summary else ():
        place = (
            sentence.support[0]
            if sentence.support
            else Passage(document=sentence.document, start=sentence.start, end=sentence.end)
        )
        # Other articles' texts go by other ids, and a person's words stand nowhere.
        is_here = place.document == 0 and 0 < place.end <= len(text)
        found.append(
            Borne(
                text=sentence.text,
                before=text[max(0, place.start - _AROUND) : place.start] if is_here else "",
                passage=text[place.start : place.end] if is_here else "",
                after=text[place.end : place.end + _AROUND] if is_here else "",
                outlet=sentence.outlet,
            )
        )
    return tuple(found)
