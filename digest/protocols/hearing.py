"""The store's slices for what is heard of mail afterwards. Each raises StoreError."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from digest.models import (
    Count,
    Effect,
    Event,
    EventKind,
    Heard,
    Judged,
    MadeBy,
    Said,
    Standing,
    StoredEvent,
    Weight,
)


class BounceRules(Protocol):
    """What `EventStore` asks of events: how much a refusal weighs, and how much is enough. Pure; in no order."""

    @property
    def wave(self) -> int:
        """Of how many people at least a wave is, however few readers there are."""
        ...

    @property
    def wave_within(self) -> timedelta:
        """How far apart the refusals of one wave may be."""
        ...

    def weigh(self, event: Event) -> Weight | None:
        """What an event says of the reader's address; None: it is no refusal."""
        ...

    def is_complaint(self, event: Event) -> bool:
        """Whether the reader called our mail spam."""
        ...

    def is_leaving(self, event: Event) -> bool:
        """Whether the reader left by the provider's own way out."""
        ...

    def stand(self, history: Sequence[Said]) -> Standing:
        """What all that was said of one person's mail comes to."""
        ...

    def find_wave(self, refusals: Sequence[Said], *, readers: int) -> Collection[int]:
        """Which of one domain's refusals, by number, came too much at once to be held against anybody.

        `readers` are all who are known there.
        """
        ...


class EventStore(Protocol):
    """What providers and mailboxes said later. Raises StoreError."""

    def take(self, newsletter: str, events: Sequence[Event], rules: BounceRules, *, now: datetime) -> Heard:
        """Take events in as one transaction that is on the disk when it ends; in any order, however often they come.

        `newsletter` is the one that is left by an event of which no delivery is known.
        """
        ...

    def newest(
        self,
        *,
        since: datetime | None = None,
        kind: EventKind | None = None,
        effect: Effect | None = None,
        email: str | None = None,
        limit: int = 1000,
    ) -> list[StoredEvent]:
        """What was heard, the newest first."""
        ...

    def quarantined(self) -> Mapping[str, int]:
        """How many refusals are set aside, by domain."""
        ...

    def confirm(self, rules: BounceRules, *, domain: str | None, now: datetime) -> Judged:
        """Let what was quarantined, of one domain or of all, count after all."""
        ...

    def undo(self, rules: BounceRules, *, since: datetime, domain: str | None, now: datetime, dry: bool) -> Judged:
        """Let no refusal since then count any more, and mail again whom only those ended."""
        ...


class CountStore(Protocol):
    """Opens and clicks, by nobody's name. Raises StoreError."""

    def add(self, seen: Sequence[Count], *, again: timedelta, within: timedelta) -> list[Count]:
        """Keep what was seen, but what the same network asked for `again` ago at most, whose name becomes a hash.

        Returns the clicks of these networks `within` that time of them.
        """
        ...

    def reclassify(self, ids: Collection[int], made_by: MadeBy) -> None:
        """Say of some that it was another who made them."""
        ...

    def tally(self, edition: int) -> dict[tuple[str, int | None, MadeBy], int]:
        """How many there are of an edition, by kind, link and who made them."""
        ...

    def first_sent_at(self, edition: int) -> datetime | None:
        """When the first message of an edition was attempted."""
        ...
