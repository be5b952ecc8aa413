"""Every extension point, a page for each kind. Each interface belongs to its consumer and is as small as its need.

An adapter is any object with these methods: nothing has to be inherited. `docs/extending.md` says what to copy for
each and which contract suite to run.
"""

from digest.protocols.adapters import Activity, Lists, Mailbox, SeedMailbox, Source, Summarizer, Transport
from digest.protocols.audience import ManagingStore, RequestStore, SubscriberStore, TokenStore
from digest.protocols.collecting import ReadStore, VisitStore
from digest.protocols.hearing import BounceRules, CountStore, EventStore
from digest.protocols.making import AnswerStore, ArchiveStore, EditionStore, EntryStore, KeyStore, RunStore
from digest.protocols.network import Clock, Fetch, Network, Parallel, Request, Response
from digest.protocols.running import Perform, Queue, Unwatched, Watch
from digest.protocols.sending import Ledger, Rates
from digest.protocols.workers import IncidentStore, WorkerStore

__all__ = [
    "Activity",
    "AnswerStore",
    "ArchiveStore",
    "BounceRules",
    "Clock",
    "CountStore",
    "EditionStore",
    "EntryStore",
    "EventStore",
    "Fetch",
    "IncidentStore",
    "KeyStore",
    "Ledger",
    "Lists",
    "Mailbox",
    "ManagingStore",
    "Network",
    "Parallel",
    "Perform",
    "Queue",
    "Rates",
    "ReadStore",
    "Request",
    "RequestStore",
    "Response",
    "RunStore",
    "SeedMailbox",
    "Source",
    "SubscriberStore",
    "Summarizer",
    "TokenStore",
    "Transport",
    "Unwatched",
    "VisitStore",
    "Watch",
    "WorkerStore",
]
