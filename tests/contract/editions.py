"""Values for the store's suites."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select

from digest.audience.bounces import BounceRules
from digest.models import (
    Claim,
    DeliveryState,
    Edition,
    EditionState,
    Outcome,
    Owner,
    Planned,
    Rendition,
    StoredEdition,
    Subscriber,
    SubscriberState,
)
from digest.stores.owners import this_owner
from digest.stores.sql import SqlStore

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
TODAY = NOW.date()
LEASE = NOW + timedelta(minutes=10)
RULES = BounceRules(hard_days=2, soft_run=5, wave=20, wave_within=timedelta(hours=1))
RENDITIONS = [Rendition(variant="all", subject="s", html="<p>h</p>", text="t")]


def make_edition(day: date = TODAY, **changes: Any) -> Edition:
    """An edition without items."""
    fields: dict[str, Any] = {
        "newsletter": "morning",
        "name": "Morning Brief",
        "cadence": "daily",
        "date": day,
        "subject": "A subject",
        "language": "en",
        "direction": "ltr",
        "sections": (),
        "composed_at": NOW,
        "cutoff_at": NOW,
    }
    return Edition(**fields | changes)


def save_edition(store: SqlStore, state: EditionState = EditionState.READY, **changes: Any) -> StoredEdition:
    """An edition that is kept."""
    return store.editions.save(make_edition(**changes), RENDITIONS, state, None, now=NOW)


def add_readers(store: SqlStore, count: int) -> list[Subscriber]:
    """Active readers, by address."""
    readers = [
        Subscriber(email=f"reader{number:05}@rehearsal.test", state=SubscriberState.ACTIVE, consent_at=NOW)
        for number in range(count)
    ]
    assert store.subscribers.add_many("morning", readers, now=NOW) == count
    return list(store.subscribers.reached("morning"))


def plan(store: SqlStore, count: int, *, batch_size: int = 10) -> int:
    """An edition planned for that many readers; its number."""
    edition = save_edition(store).id
    planned = [
        Planned(subscriber=reader, send_key=f"key-{reader.key}", variant="all") for reader in add_readers(store, count)
    ]
    assert store.ledger.plan(edition, planned, batch_size=batch_size, now=NOW) == count
    return edition


def make_owner(name: str = "one", **changes: Any) -> Owner:
    """A sender in this process, or one that is somewhere else."""
    return replace(this_owner(name), **changes)


def begin(store: SqlStore, edition: int, now: datetime = NOW) -> Claim:
    """Begin to send it; its first batch, claimed."""
    assert store.ledger.begin(edition, as_of=None, now=now)
    claim = store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=now)
    assert claim
    return claim


def send_all(store: SqlStore, edition: int) -> list[str]:
    """Send an edition, of which everybody takes theirs; the names of the deliveries."""
    names = []
    claim: Claim | None = begin(store, edition)
    while claim:
        store.ledger.mark(claim, [one.delivery for one in claim.recipients], "smtp", now=NOW)
        outcomes = [Outcome(delivery=one.delivery, state=DeliveryState.ACCEPTED, raw="250") for one in claim.recipients]
        store.ledger.settle(claim, outcomes, now=NOW)
        store.ledger.release(claim, now=NOW)
        names += [one.send_key for one in claim.recipients]
        claim = store.ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
    assert store.ledger.finish(edition, now=NOW)
    return names


def count(store: SqlStore, table: Table, *conditions: ColumnElement[bool]) -> int:
    """How many rows of a table meet conditions."""
    with store._database.read() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
