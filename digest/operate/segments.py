"""How many are of each segment, and who: for listings, and for a word before nobody gets an edition."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.errors import ConfigError
from digest.models import Subscriber, SubscriberState

if TYPE_CHECKING:
    from digest.app import App


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A segment: how many subscribers are of it, and how many of those are active."""

    segment: str
    members: int
    active: int


def find_members(app: "App", segment: str | None) -> Callable[[Subscriber], bool]:
    """Whether a subscriber is of a segment; None: everybody is. Raises ConfigError when there is none of that id."""
    if segment is None:
        return lambda _: True
    if segment not in app.segments:
        known = ", ".join(app.segments)
        remedy = f"one of {known}" if known else "add a [[segments]] table"
        raise ConfigError(f'segment "{segment}"', "there is none of that id", remedy=remedy)
    return app.segments[segment]


def count_segments(app: "App") -> list[Counted]:
    """Every segment, in the order of the configuration; the subscribers are read once."""
    segments = list(app.segments.items())
    members, active = dict.fromkeys(app.segments, 0), dict.fromkeys(app.segments, 0)
    for reader in app.store.subscribers.each(app.config.newsletter.slug) if segments else ():
        for name, is_member in segments:
            if is_member(reader):
                members[name] += 1
                active[name] += reader.state is SubscriberState.ACTIVE
    return [Counted(segment=name, members=members[name], active=active[name]) for name, _ in segments]
