"""What SendGrid posts → events, in django-anymail's words. Pure.

    bytes ──> a JSON array ──> one Event for each member, whatever it is

A member that cannot be read costs none of the others: it is kept as of kind unknown, with what it said. The provider's
words stop here; `raw` keeps them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from digest.audience.bounces import weigh
from digest.models import Event, EventKind, RejectReason, Weight

PROVIDER: Final = "sendgrid"
_MOST_EVENTS: Final = 20_000  # in one body; the service sends at most 768 kB
_LONGEST_ID, _LONGEST_ANSWER, _LONGEST_RAW = 100, 1000, 20_000  # characters
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC).timestamp()

# https://anymail.dev/en/stable/esps/sendgrid/: its words for SendGrid's.
_KINDS: Final[Mapping[str, EventKind]] = {
    "processed": EventKind.QUEUED,
    "dropped": EventKind.REJECTED,
    "deferred": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    "bounce": EventKind.BOUNCED,
    "open": EventKind.OPENED,
    "click": EventKind.CLICKED,
    "spamreport": EventKind.COMPLAINED,
    "unsubscribe": EventKind.UNSUBSCRIBED,
    "group_unsubscribe": EventKind.UNSUBSCRIBED,
    "group_resubscribe": EventKind.SUBSCRIBED,
}
# By what begins the reason of what was dropped, or the type of a bounce.
_REASONS: Final[Mapping[str, RejectReason]] = {
    "bounced address": RejectReason.BOUNCED,
    "spam reporting address": RejectReason.SPAM,
    "unsubscribed address": RejectReason.UNSUBSCRIBED,
    "invalid smtpapi": RejectReason.OTHER,
    "invalid": RejectReason.INVALID,
    "blocked": RejectReason.BLOCKED,
    "expired": RejectReason.TIMED_OUT,
    "bounce": RejectReason.BOUNCED,
}


def _read_text(value: object) -> str | None:
    """A text, without what could move a terminal's cursor; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)
    if text.isascii() and text.isprintable():
        return text.strip() or None
    # A surrogate alone can be written in JSON and in nothing else.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or None


Words = Annotated[str | None, BeforeValidator(_read_text)]


class _SendGridEvent(BaseModel):
    """The fields that we read. All others stay in `raw`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    event: str
    timestamp: float
    email: Words = None
    sg_event_id: Words = None
    send_key: Words = None
    type: Words = None
    reason: Words = None
    response: Words = None
    status: Words = None
    bounce_classification: Words = None


def read_events(body: bytes, *, now: datetime) -> list[Event]:
    """The events of a body. Raises ValueError, which says what is wrong with it as a whole.

    `now` dates those that do not say when they were.
    """
    try:
        members = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        raise ValueError("the body is no JSON") from None
    if not isinstance(members, list):
        raise ValueError("the body is no JSON array of events")
    if len(members) > _MOST_EVENTS:
        raise ValueError(f"the body has over {_MOST_EVENTS:,} events")
    return [_read_event(member, now) for member in members]


def _read_event(member: Any, now: datetime) -> Event:
    raw = json.dumps(member)[:_LONGEST_RAW]
    try:
        found = _SendGridEvent.model_validate(member)
        occurred_at = datetime.fromtimestamp(found.timestamp, UTC) if 0 <= found.timestamp < _LATEST else None
    except (ValidationError, ValueError, OverflowError, OSError):
        found, occurred_at = None, None
    if found is None or occurred_at is None:
        email = _read_text(member.get("email")) if isinstance(member, dict) else None
        return Event(
            provider=PROVIDER,
            event_id=_name(member, None),
            kind=EventKind.UNKNOWN,
            occurred_at=now,
            email=email,
            raw=raw,
        )
    return _translate(found, _name(member, found.sg_event_id), occurred_at, raw)


def _translate(found: _SendGridEvent, event_id: str, occurred_at: datetime, raw: str) -> Event:
    kind = _KINDS.get(found.event, EventKind.UNKNOWN)
    is_refusal = kind in {EventKind.BOUNCED, EventKind.REJECTED}
    event = Event(
        provider=PROVIDER,
        event_id=event_id,
        kind=kind,
        occurred_at=occurred_at,
        send_key=found.send_key,
        email=found.email if found.email and len(found.email) <= 320 else None,
        reject_reason=_find_reason(found, kind) if is_refusal else None,
        # What the service makes of it counts where the receiver's own words leave it open.
        is_hard=kind is EventKind.BOUNCED and (found.bounce_classification or "").lower() == "invalid address",
        status=found.status[:16] if found.status and (is_refusal or kind is EventKind.DEFERRED) else None,
        answer=(found.reason or found.response or "")[:_LONGEST_ANSWER] or None,
        raw=raw,
    )
    return replace(event, is_hard=weigh(event) is Weight.HARD) if kind is EventKind.BOUNCED else event


def _find_reason(found: _SendGridEvent, kind: EventKind) -> RejectReason:
    said = (found.type if kind is EventKind.BOUNCED else found.reason or found.type) or ""
    folded = said.lower()
    return next((reason for words, reason in _REASONS.items() if folded.startswith(words)), RejectReason.OTHER)


def _name(member: object, given: str | None) -> str:
    """The service's own name of an event; where it gives none, a hash of what it says."""
    if given and len(given) <= _LONGEST_ID:
        return given
    canonical = json.dumps(member, sort_keys=True).encode()
    return f"hash:{hashlib.blake2b(canonical, digest_size=20).hexdigest()}"
