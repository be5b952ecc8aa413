"""What providers and mailboxes say later, into the store: who is mailed no more, and what became of each delivery."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from digest.models import Event, Heard

if TYPE_CHECKING:
    from digest.app import App


def take_events(app: "App", events: Sequence[Event]) -> Heard:
    """Take events in as one transaction, in any order and however often they come. Raises StoreError."""
    raise NotImplementedError
