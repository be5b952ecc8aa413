"""Planned deliveries → settled ones: claim a batch, mark what is about to leave, hand it over, settle what came of it.

    claim ──> room? ──> mark ──> transport ──> settle ──> … ──> release
                │        │           │
                │        │           └ Unavailable: this lane rests, the next takes over, else due again later
                │        └ no longer ours: nothing is sent
                └ a rate, a ceiling: the next lane, or put off

The ledger decides who gets what; the transport knows how; this stage only keeps the order that makes "once" true, and
the pace. It never decides to send anything again whose fate is not known. Rendering and planning are `sending`'s.
"""

from digest.deliver.breaking import Limits
from digest.deliver.lanes import Lane, Mailing, WarmUp, address, batch_size
from digest.deliver.sender import Sender, Turn
from digest.deliver.slots import Slot, Slots
from digest.deliver.together import Sent

__all__ = ["Lane", "Limits", "Mailing", "Sender", "Sent", "Slot", "Slots", "Turn", "WarmUp", "address", "batch_size"]
