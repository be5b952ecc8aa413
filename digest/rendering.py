"""Edition → renditions and what preflight finds in them: for a run, a revision and a preview alike."""

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property, partial

from digest import compose, preflight
from digest.models import Edition, Finding, Letterhead, Rendition, StoredEdition, Subscriber, Variant
from digest.ports import Ports, Settings
from digest.render.redirecting import without_picture


class Rendering:
    """One newsletter's editions, rendered and inspected."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        """Nothing happens until it is asked for."""
        self._settings = settings
        self._ports = ports

    @cached_property
    def _broken(self) -> str | None:
        """What is wrong with the readers' way out; it is tried once."""
        return self._ports.probe_unsubscribe()

    @cached_property
    def _spoken(self) -> Collection[str]:
        return self._ports.languages()

    def choose_variants(self, edition: Edition, readers: Iterable[Subscriber]) -> list[Variant]:
        """The variants that these readers need, and the whole edition."""
        wanted = {variant for reader in readers if (variant := self.choose_variant(edition, reader))}
        return sorted({Variant(), *wanted}, key=lambda variant: (variant.topics, variant.language or ""))

    def choose_variant(self, edition: Edition, reader: Subscriber) -> Variant | None:
        """What one reader gets; None: the edition has nothing for them."""
        return compose.choose_variant(edition, reader.topics, reader.language, spoken=self._spoken)

    def render(self, edition: Edition, variants: Sequence[Variant]) -> tuple[Rendition, ...]:
        """Each variant of an edition; none of one without a story. Raises RenderError."""
        if not edition.items:
            return ()

        subject = partial(self._ports.subject, edition.date)
        return tuple(self._ports.render(compose.narrow(edition, v, subject), v.key) for v in variants)

    def letterhead(self, stored: StoredEdition | None) -> Letterhead:
        """Dated when the edition became ready, so that every try and the preview give the same bytes."""
        settings = self._settings
        return Letterhead(
            sender=settings.sender,
            reply_to=settings.reply_to,
            list_id=settings.list_id,
            list_name=settings.name,
            dated_at=(stored.dated_at if stored else None) or self._ports.clock(),
            inbox=settings.inbox,
        )

    def as_mailed(self, edition: Edition, rendition: Rendition) -> Rendition:
        """What is handed over of a rendition: the same, but for what counts clicks and opens."""
        return self._ports.as_mailed(edition, rendition)

    def inspect(self, edition: Edition, renditions: Sequence[Rendition], *, online: bool = True) -> tuple[Finding, ...]:
        """The findings over all variants of an edition, as they are mailed, and a message of each, each once.

        Not `online`: without trying the way out.
        """
        broken = None if self._settings.rehearsal or not renditions or not online else self._broken
        letterhead = self.letterhead(None)
        found: dict[Finding, None] = {}
        for kept in renditions:
            rendition = self.as_mailed(edition, kept)
            inspected = preflight.inspect(
                without_picture(rendition.html),
                rendition.text,
                subject=rendition.subject,
                rehearsal=self._settings.rehearsal,
                unsubscribe_checked=broken,
            )
            found.update(dict.fromkeys(inspected))
            written = self._ports.write_message(rendition, letterhead)
            found.update(dict.fromkeys(preflight.inspect_built(written, rehearsal=self._settings.rehearsal)))
        return tuple(found)
