"""What earlier editions of a newsletter said: the stories they told, and what was put right since."""

from datetime import date, datetime, timedelta
from typing import Final

from digest.extract import text_of
from digest.models import Cadence, Correction, EditionState, Told
from digest.protocols import EditionStore, EntryStore

_LOOK_BACK: Final = 60  # editions that may still be corrected
# Readers have these in their mailboxes; one that was withdrawn too.
_OUT: Final = (EditionState.SENDING, EditionState.STOPPED, EditionState.SENT, EditionState.WITHDRAWN)


class Earlier:
    """The editions before the one that is being made."""

    def __init__(self, editions: EditionStore, entries: EntryStore, newsletter: str, cadence: Cadence) -> None:
        """Of one newsletter and cadence: the week's best may repeat what the days told."""
        self._editions = editions
        self._entries = entries
        self._newsletter = newsletter
        self._cadence = cadence

    def told(self, day: date, memory: timedelta) -> list[Told]:
        """The stories of those that went out before `day`, as far back as is remembered."""
        items = [
            (stored.date, item)
            for stored in self._editions.newest(self._newsletter, 2 * memory.days + 2, cadence=self._cadence)
            if stored.state in _OUT and day - memory <= stored.date < day
            for item in (stored.edition.items if stored.edition else ())
        ]
        kept = {str(stored.number): stored for stored in self._entries.get([int(item.id) for _, item in items])}
        return [
            Told(
                date=told_on,
                headline=item.headline,
                text=text_of(kept[item.id]) if item.id in kept else item.summary.text if item.summary else "",
                language=item.language,
                outlets=(item.outlet, *(mention.outlet for mention in item.also)),
            )
            for told_on, item in items
        ]

    def corrections(self, after: datetime | None) -> list[Correction]:
        """What was corrected since the last edition, the oldest first: of this cadence, whose readers read it."""
        if after is None:
            return []
        newest = self._editions.newest(self._newsletter, _LOOK_BACK, cadence=self._cadence)
        made = [one for stored in newest for one in (stored.edition.corrected if stored.edition else ())]
        return sorted((one for one in made if one.made_at > after), key=lambda one: one.made_at)
