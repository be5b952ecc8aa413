"""The nouns, in the order in which one becomes the next.

    Entry → Article → Story → Item → Edition → Rendition → Message → Delivery

Values only: nothing here reads a clock, a file or the network. Instants end in `_at` and are aware UTC; days are
`date`. The words are the glossary's; see `docs/glossary.md`.
"""

from digest.models.audience import (
    Frequency,
    Subscriber,
    SubscriberState,
)
from digest.models.collecting import (
    Article,
    Collected,
    Entry,
    Feed,
    Kept,
    Page,
    Rights,
    SourceProfile,
    SourceState,
    StoredEntry,
)
from digest.models.delivering import (
    Batch,
    Claim,
    Delivery,
    DeliveryState,
    Letterhead,
    Message,
    Outcome,
    Owner,
    Planned,
    Recipient,
)
from digest.models.editing import (
    Budget,
    Direction,
    Item,
    Mention,
    News,
    Passage,
    Sentence,
    Story,
    Summary,
    Told,
)
from digest.models.editions import (
    UNSUBSCRIBE_TOKEN,
    Cadence,
    Correction,
    Edition,
    EditionState,
    Rendition,
    Section,
    StoredEdition,
    Variant,
)
from digest.models.reporting import (
    Finding,
    Report,
    RunStatus,
    Severity,
    SourceReport,
    StageReport,
)

__all__ = [
    "UNSUBSCRIBE_TOKEN",
    "Article",
    "Batch",
    "Budget",
    "Cadence",
    "Claim",
    "Collected",
    "Correction",
    "Delivery",
    "DeliveryState",
    "Direction",
    "Edition",
    "EditionState",
    "Entry",
    "Feed",
    "Finding",
    "Frequency",
    "Item",
    "Kept",
    "Letterhead",
    "Mention",
    "Message",
    "News",
    "Outcome",
    "Owner",
    "Page",
    "Passage",
    "Planned",
    "Recipient",
    "Rendition",
    "Report",
    "Rights",
    "RunStatus",
    "Section",
    "Sentence",
    "Severity",
    "SourceProfile",
    "SourceReport",
    "SourceState",
    "StageReport",
    "StoredEdition",
    "StoredEntry",
    "Story",
    "Subscriber",
    "SubscriberState",
    "Summary",
    "Told",
    "Variant",
]
