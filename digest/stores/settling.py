"""What a sender writes of the batch that it holds: marks, outcomes, what is put off; and how a batch is let go of.

In the driver's own words: this is done for each message. Each begins with `find_lease`, which locks the batch: whoever
else wants to write of it waits until the transaction ends, and is told then that it is not theirs.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, exists, update

from digest.models import Claim, DeliveryState, Outcome, SubscriberState
from digest.stores.claiming import write_owner
from digest.stores.columns import write_instant
from digest.stores.database import Straight
from digest.stores.partitions import read_month
from digest.stores.schema import deliveries, subscriptions
from digest.stores.statements import chunks

_LOST: Final = "the sender ended before the answer was known: it may have been sent"

_HELD = "SELECT lease_until FROM batches WHERE id = ? AND state = 'claimed' AND attempt = ? AND owner = ? {lock}"
_CLAIMED = "SELECT id FROM batches WHERE id = ? AND state = 'claimed' AND attempt = ? {lock}"
# Attempted ones too: what one transport certainly did not send is marked again for the next.
_MARK = (
    "UPDATE deliveries SET state = 'attempted', transport = ?, attempted_at = ?"
    " WHERE id {among} AND month = ? AND batch = ? AND state IN ('claimed', 'attempted')"
)
_SETTLE = (
    "UPDATE deliveries SET state = ?, answer = ?, provider_id = ?, settled_at = ?"
    " WHERE id {among} AND month = ? AND batch = ? AND state = 'attempted'"
)
# Who was erased while their message was on its way: the answer may repeat the address.
_FORGET = (
    "UPDATE deliveries SET answer = NULL WHERE id {among} AND month = ? AND EXISTS"
    " (SELECT 1 FROM subscriptions WHERE subscriptions.id = deliveries.subscription AND subscriptions.state = 'erased')"
)
_PUT_OFF = "UPDATE deliveries SET batch = ?, state = ? WHERE id {among} AND month = ? AND batch = ? AND state = ?"
_ANY_LEFT = "SELECT id FROM deliveries WHERE id {among} AND month = ? AND batch = ? AND state = ? LIMIT 1"
_JOIN = (
    "UPDATE batches SET due_at = ? WHERE edition = ? AND state = 'planned' AND retry_of = ? AND attempt = ?"
    " RETURNING id"
)
_JOIN_DUE = (
    "SELECT id FROM batches WHERE edition = ? AND state = 'planned' AND retry_of = ? AND attempt = ? AND due_at = ?"
    " {lock}"
)
_NEW_BATCH = (
    "INSERT INTO batches (edition, variant, state, due_at, attempt, retry_of, timezone)"
    " VALUES (?, ?, 'planned', ?, ?, ?, (SELECT timezone FROM batches WHERE id = ?)) RETURNING id"
)
_LOSE = (
    "UPDATE deliveries SET state = 'unknown', settled_at = ?, answer = ? WHERE month = ? AND batch = ? AND state = ?"
)
_PLAN_REST = "UPDATE deliveries SET state = 'planned' WHERE month = ? AND batch = ? AND state = 'claimed'"
_FREE = "UPDATE batches SET state = 'planned', owner = NULL, lease_until = NULL, due_at = ? WHERE id = ?"
_FINISH = "UPDATE batches SET state = 'done', owner = NULL, lease_until = NULL WHERE id = ?"
_ANY_PLANNED = "SELECT id FROM deliveries WHERE month = ? AND batch = ? AND state = 'planned' LIMIT 1"


def find_lease(straight: Straight, claim: Claim) -> str | None:
    """Until when the claim is ours; None when it is not. Nobody can take it over before this transaction ends."""
    row = straight.one(_HELD, claim.batch, claim.attempt, write_owner(claim.owner))
    return str(row[0]) if row else None


def is_running(lease: str, now: datetime) -> bool:
    """Whether a lease has not ended."""
    return lease > write_instant(now)


def is_claimed(straight: Straight, batch: int, attempt: int) -> bool:
    """Whether somebody holds a batch under that attempt; nobody lets go of it before this transaction ends."""
    return straight.one(_CLAIMED, batch, attempt) is not None


def mark(straight: Straight, claim: Claim, numbers: Sequence[int], transport: str, now: datetime) -> bool:
    """All of them, or none: some are not this claim's any more."""
    wanted, at = sorted(set(numbers)), write_instant(now)
    values = (transport, at, wanted, claim.month, claim.batch)
    if len(wanted) == 1:
        return straight.execute(_MARK, *values) == 1
    # What is settled in the same transaction stays.
    straight.execute("SAVEPOINT marking")
    if straight.execute(_MARK, *values) == len(wanted):
        return True
    straight.execute("ROLLBACK TO SAVEPOINT marking")
    return False


def write_outcomes(
    straight: Straight, claim: Claim, outcomes: Sequence[Outcome], now: datetime, retry_at: datetime
) -> None:
    """What was marked is settled, in a statement for each answer; what is settled already stays as it is."""
    alike: dict[tuple[str, str, str | None], list[int]] = defaultdict(list)
    for outcome in outcomes:
        alike[outcome.state.value, outcome.raw, outcome.provider_id].append(outcome.delivery)
    deferred: list[int] = []
    at, month = write_instant(now), claim.month
    for (state, raw, provider_id), numbers in sorted(alike.items(), key=lambda item: item[1][0]):
        which = sorted(numbers)
        written = straight.execute(_SETTLE, state, raw or None, provider_id, at, which, month, claim.batch)
        if written and "@" in raw:
            straight.execute(_FORGET, which, month)
        if written and state == DeliveryState.DEFERRED.value:
            deferred += which
    if deferred:
        # The attempt goes on counting: the more often a message was put off, the longer it waits.
        row = straight.one(_JOIN, write_instant(retry_at), claim.edition, claim.batch, claim.attempt)
        batch = int(row[0]) if row else _insert_batch(straight, claim, retry_at, claim.attempt)
        _put_off(straight, claim, deferred, batch, DeliveryState.DEFERRED, DeliveryState.DEFERRED)


def postpone(straight: Straight, claim: Claim, numbers: Sequence[int], due_at: datetime) -> None:
    """What was not marked waits in a batch of what is due at the same instant, and was tried no more often."""
    which, attempt = sorted(set(numbers)), claim.attempt - 1
    if straight.one(_ANY_LEFT, which, claim.month, claim.batch, DeliveryState.CLAIMED.value) is None:
        return  # asked for a second time
    row = straight.one(_JOIN_DUE, claim.edition, claim.batch, attempt, write_instant(due_at))
    batch = int(row[0]) if row else _insert_batch(straight, claim, due_at, attempt)
    _put_off(straight, claim, which, batch, DeliveryState.CLAIMED, DeliveryState.PLANNED)


def _insert_batch(straight: Straight, claim: Claim, due_at: datetime, attempt: int) -> int:
    values = (claim.edition, claim.variant, write_instant(due_at), attempt, claim.batch, claim.batch)
    return int(straight.one(_NEW_BATCH, *values)[0])


def _put_off(
    straight: Straight, claim: Claim, numbers: list[int], into: int, state: DeliveryState, becomes: DeliveryState
) -> None:
    straight.execute(_PUT_OFF, into, becomes.value, numbers, claim.month, claim.batch, state.value)


def let_go(straight: Straight, batch: int, month: date, now: datetime, retry_at: datetime, *, trust_marks: bool) -> int:
    """Settle a claimed batch that nobody works on; returns how many deliveries became unknown."""
    at, among = write_instant(now), (month, batch)
    unknown = straight.execute(_LOSE, at, _LOST, *among, DeliveryState.ATTEMPTED.value)
    if not trust_marks:
        unknown += straight.execute(_LOSE, at, _LOST, *among, DeliveryState.CLAIMED.value)
    straight.execute(_PLAN_REST, *among)
    if straight.one(_ANY_PLANNED, *among) is not None:
        straight.execute(_FREE, write_instant(retry_at), batch)
    else:
        straight.execute(_FINISH, batch)
    return unknown


def settle_unknown(
    connection: Connection, edition: int, send_keys: Sequence[str], state: DeliveryState, answer: str, now: datetime
) -> int:
    """Write what is said of unknown ones; returns how many were still unknown. Of who was erased no words are kept."""
    settled, month = 0, read_month(connection, edition)
    is_erased = exists().where(
        subscriptions.c.id == deliveries.c.subscription, subscriptions.c.state == SubscriberState.ERASED.value
    )
    forget = update(deliveries).where(deliveries.c.month == month, is_erased).values(answer=None)
    for chunk in chunks(sorted(send_keys)):
        change = (
            update(deliveries)
            .where(
                deliveries.c.month == month,
                deliveries.c.edition == edition,
                deliveries.c.send_key.in_(chunk),
                deliveries.c.state == DeliveryState.UNKNOWN.value,
            )
            .values(state=state.value, answer=answer, settled_at=now)
        )
        numbers = connection.execute(change.returning(deliveries.c.id)).scalars().all()
        settled += len(numbers)
        if "@" in answer:
            connection.execute(forget.where(deliveries.c.id.in_(numbers)))
    return settled
