"""What a refusal says of a reader, and when enough is said. Pure.

    an event ──weigh──> hard | listed | soft | policy | ours, or nothing
    all that was said of one person ──stand──> mailed no more, or not
    what one domain refused ──find_wave──> what came too much at once to be true

Receivers say "there is no such mailbox" each in their own way, and say much else in nearly the same words. So a status
is read first, by the receiver's own meaning where it has one, and words only where the status leaves it open. In doubt
a refusal is soft: who is gone will be refused again.

Every decision is made of the whole history and in no order, so that events may come late, in any order and repeatedly.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Final, Literal

from digest.models import Event, EventKind, RejectReason, Said, Standing, Weight

Family = Literal["microsoft", "google", "yahoo"]

_FAMILIES: Final[tuple[tuple[re.Pattern[str], Family], ...]] = (
    (re.compile(r"(?:outlook|hotmail|live|windowslive|msn|passport|office365)\.[a-z.]+"), "microsoft"),
    (re.compile(r"[\w-]+\.onmicrosoft\.com"), "microsoft"),
    (re.compile(r"gmail\.com|googlemail\.com|google\.com"), "google"),
    (re.compile(r"(?:yahoo|ymail|rocketmail|aol|aim|myyahoo)\.[a-z.]+"), "yahoo"),
)
# What servers of these families call themselves when they answer for a domain of their customer's own.
_SERVERS: Final[tuple[tuple[re.Pattern[str], Family], ...]] = (
    (re.compile(r"\b(?:prod|protection)\.outlook\.com\b"), "microsoft"),
    (re.compile(r"\bgsmtp\b|\bsupport\.google\.com\b"), "google"),
)

_ADDRESS: Final = re.compile(r"<?[^\s<>@]{1,64}@[\w.-]+>?")
_REPLY: Final = re.compile(r"\s*(?:smtp;\s*)?([245])\d\d(?=[\s-])")
_ENHANCED: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_VAGUE: Final = re.compile(r"5\.0\.0|5\.3\.0")  # what a server in between says of an answer that it only passes on

_NOBODY: Final = (
    r"(?:user|recipient|mailbox|account|address|addressee|local.part)\b.{0,40}"
    r"\b(?:unknown|not found|not exist|doesn'?t exist)"
    r"|(?:unknown|no such|invalid|non-?existent) (?:\w+ )?(?:user|recipient|mailbox|account|address|local.part|person)"
    r"|(?:doesn'?t|does not) have an? .{0,30}\baccount|not a (?:known|valid) (?:user|mailbox|recipient)"
    r"|no mailbox here|domain name not found|host not found"
)
_CLOSED: Final = r"\b(?:disabled|inactive|deactivated|closed|suspended|terminated|discontinued)\b"
_UNWANTED: Final = (
    r"\b(?:spam|black ?-?list|block ?-?list|blocked|blocking|reputation|policy|spf|dkim|dmarc|unsolicited|rbl|dnsbl"
    r"|grey ?-?list|spamhaus|barracuda|banned|rate|too many|not authori[sz]ed|unauthenticated)"
)
_SENDER: Final = r"\b(?:sender|return.path|mail from|from address|helo|ehlo|reverse dns|ptr)\b"
_FULL: Final = r"\b(?:full|quota|storage)\b"
_LISTED: Final = r"\b(?:spam|black ?-?list|block ?-?list|reputation|spamhaus|dmarc|spf)"
_LONGEST: Final = 2000  # characters of an answer that are looked at
_NEAR: Final = 200


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table: a refusal with this status, of these words, of this receiver, weighs so much."""

    status: str
    weight: Weight
    words: str = ""
    family: Family | None = None

    def fits(self, family: Family | None, status: str, words: str) -> bool:
        return (
            (self.family is None or self.family == family)
            and re.fullmatch(self.status, status) is not None
            and (not self.words or re.search(self.words, words) is not None)
        )


# The first that fits is meant. docs/events.md has this table for people.
_TABLE: Final = (
    _Row(r"4\..*", Weight.SOFT),
    _Row(r"5\.7\..*", Weight.POLICY),
    # Our own faults: the sender's address, and what we said or sent.
    _Row(r"5\.1\.[789]|5\.2\.3|5\.3\.4|5\.6\..*", Weight.OURS),
    _Row(r"5\.1\.1", Weight.OURS, r"\bsender (?:address )?(?:rejected|verif)"),
    _Row(r"|5\.[035]\..*|5\.1\.0", Weight.OURS, _SENDER),
    # Receivers with a meaning of their own.
    _Row(r"5\.4\.1", Weight.HARD, r"recipient address rejected: access denied", "microsoft"),
    _Row(r"5\.5\.0", Weight.HARD, r"mailbox unavailable", "microsoft"),
    _Row(r"|5\..*", Weight.HARD, r"mailbox not found|mailbox is disabled", "yahoo"),
    # There is no such mailbox, no such domain, or none that takes mail: unless the words say otherwise.
    _Row(r"5\.1\.1", Weight.POLICY, _LISTED),
    _Row(r"5\.1\.(?:1|2|3|6|10)", Weight.HARD),
    _Row(r"5\.2\.1", Weight.HARD, _CLOSED),
    _Row(r"5\.2\..*", Weight.SOFT),
    # The status leaves it open.
    _Row(r".*", Weight.SOFT, _FULL),
    _Row(r".*", Weight.POLICY, _UNWANTED),
    _Row(r".*", Weight.HARD, _NOBODY),
    _Row(r"|5\.[05]\.0|5\.1\.0", Weight.HARD, r"\b(?:account|user|mailbox)\b.{0,40}" + _CLOSED),
    _Row(r"5\.5\.[1-9]\d*", Weight.OURS),
)


def weigh(event: Event) -> Weight | None:
    """What an event says of the reader's address; None: it is no refusal, or one that a person asked for."""
    match event.kind:
        case EventKind.REJECTED:
            return _DROPPED.get(event.reject_reason or RejectReason.OTHER, Weight.OURS)
        case EventKind.BOUNCED | EventKind.FAILED:
            return _weigh_refusal(event)
    return None


def is_complaint(event: Event) -> bool:
    """Whether the reader called our mail spam."""
    return event.kind is EventKind.COMPLAINED or (
        event.kind is EventKind.REJECTED and event.reject_reason is RejectReason.SPAM
    )


def is_leaving(event: Event) -> bool:
    """Whether the reader left by the provider's own way out."""
    return event.kind is EventKind.UNSUBSCRIBED or (
        event.kind is EventKind.REJECTED and event.reject_reason is RejectReason.UNSUBSCRIBED
    )


_DROPPED: Final[dict[RejectReason, Weight | None]] = {
    RejectReason.BOUNCED: Weight.LISTED,
    RejectReason.INVALID: Weight.HARD,
    RejectReason.SPAM: None,
    RejectReason.UNSUBSCRIBED: None,
}


def _weigh_refusal(event: Event) -> Weight:
    words = _ADDRESS.sub(" ", (event.answer or "")[:_LONGEST]).lower()
    status = read_status(event.status, event.answer) or ""
    family = _find_family((event.email or "").rpartition("@")[2].lower(), words)
    found = next((row.weight for row in _TABLE if row.fits(family, status, words)), None)
    if found is None:
        found = Weight.HARD if event.is_hard and event.reject_reason is not RejectReason.TIMED_OUT else Weight.SOFT
    if found is Weight.HARD and event.reject_reason in {RejectReason.BLOCKED, RejectReason.TIMED_OUT}:
        return Weight.SOFT  # the provider itself says that this is no lasting fault
    return found


def read_status(status: str | None, answer: str | None) -> str | None:
    """The status of RFC 3463 that is meant; where it is missing or vague, what the answer says."""
    stated = _ENHANCED.search(status or "")
    if stated and not _VAGUE.fullmatch(stated[0]):
        return stated[0]
    text = answer or ""
    said = _ENHANCED.search(text[:_NEAR])
    if said:
        return said[0]
    reply = _REPLY.match(text)
    if reply and reply[1] == "4":
        return "4.0.0"
    return stated[0] if stated else None


def _find_family(domain: str, words: str) -> Family | None:
    for pattern, family in _FAMILIES:
        if pattern.fullmatch(domain):
            return family
    return next((family for pattern, family in _SERVERS if pattern.search(words)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceRules:
    """protocols.BounceRules: how much is enough, as the operator has it."""

    hard_days: int
    soft_run: int
    wave: int
    wave_within: timedelta
    wave_share: float = 0.0  # of the readers of that domain

    def weigh(self, event: Event) -> Weight | None:
        """What an event says of the reader's address."""
        return weigh(event)

    def is_complaint(self, event: Event) -> bool:
        """Whether the reader called our mail spam."""
        return is_complaint(event)

    def is_leaving(self, event: Event) -> bool:
        """Whether the reader left by the provider's own way out."""
        return is_leaving(event)

    def stand(self, history: Sequence[Said]) -> Standing:
        """What all that was said of one person comes to, in whatever order it is handed over.

        Hard ones are counted by their days (UTC), and no delivery forgives them: some servers take a message first and
        say later that there is nobody. Others are counted in a row, from the last delivery on.
        """
        days = {one.occurred_at.astimezone(UTC).date() for one in history if one.weight is Weight.HARD}
        last = max((one.occurred_at for one in history if one.weight is None), default=None)
        soft = sum(
            one.weight in {Weight.SOFT, Weight.POLICY} and (last is None or one.occurred_at > last) for one in history
        )
        is_listed = any(one.weight is Weight.LISTED for one in history)
        return Standing(
            is_ended=is_listed or len(days) >= self.hard_days or soft >= self.soft_run,
            hard_bounced_on=min(days, default=None),
            soft_bounces=soft,
        )

    def find_wave(self, refusals: Sequence[Said], *, readers: int = 0) -> frozenset[int]:
        """Which of one domain's refusals came with so many others, of so many people, within so short a time.

        Of a domain with very many `readers` a few wrong addresses are nothing strange, so there it takes more.
        """
        least = max(self.wave, math.ceil(self.wave_share * readers))
        ordered = sorted(refusals, key=lambda one: (one.occurred_at, one.number))
        found: set[int] = set()
        within: Counter[int] = Counter()  # by person
        start = told = 0  # before `told`, all are in `found` that are to be
        for end, last in enumerate(ordered):
            within[last.person] += 1
            while last.occurred_at - ordered[start].occurred_at > self.wave_within:
                within[ordered[start].person] -= 1
                if not within[ordered[start].person]:
                    del within[ordered[start].person]
                start += 1
            if len(within) >= least:
                found.update(one.number for one in ordered[max(start, told) : end + 1])
                told = end + 1
        return frozenset(found)
