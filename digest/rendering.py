"""Edition → renditions and what preflight finds in them: for a run, a revision and a preview alike."""

from collections.abc import Sequence

from digest import compose, preflight
from digest.models import Edition, Finding, Item, Rendition, Subscriber, Variant
from digest.ports import Ports, Settings


class Rendering:
    """One newsletter's editions, rendered and inspected."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        """Nothing happens until it is asked for."""
        self._settings = settings
        self._ports = ports

    def choose_variants(self, edition: Edition, readers: Sequence[Subscriber]) -> list[Variant]:
        """The variants that these readers need, and the whole edition."""
        wanted = {variant for reader in readers if (variant := compose.choose_variant(edition, reader.topics))}
        return sorted({Variant(), *wanted}, key=lambda variant: variant.topics)

    def render(self, edition: Edition, variants: Sequence[Variant]) -> tuple[Rendition, ...]:
        """Each variant of an edition; none of one without a story. Raises RenderError."""
        if not edition.items:
            return ()

        def subject(lead: Item | None, count: int) -> str:
            return self._ports.subject(edition.date, lead, count)

        return tuple(self._ports.render(compose.narrow(edition, v, subject), v.key) for v in variants)

    def inspect(self, renditions: Sequence[Rendition]) -> tuple[Finding, ...]:
        """The findings over all variants, each once."""
        broken = None if self._settings.rehearsal or not renditions else self._ports.probe_unsubscribe()
        found: dict[Finding, None] = {}
        for rendition in renditions:
            inspected = preflight.inspect(
                rendition.html,
                rendition.text,
                subject=rendition.subject,
                rehearsal=self._settings.rehearsal,
                unsubscribe_checked=broken,
            )
            found.update(dict.fromkeys(inspected))
        return tuple(found)
