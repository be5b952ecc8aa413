"""What a run says of itself: why an edition is held, and the report. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from digest.models import (
    TAKEN_ON,
    UNSETTLED,
    EditionState,
    Finding,
    Report,
    RunStatus,
    SourceReport,
    StageReport,
    StoredEdition,
)
from digest.preflight import verdict

_AUDIENCE = {"daily": "is subscribed", "weekly": "has asked for it", "special": "is subscribed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Readers who wait for a time of their own, and which zone is the next."""

    readers: int
    timezone: str
    due_at: datetime


class Held(StrEnum):
    """Why an edition is held: the word before the colon of its reason."""

    FEW_STORIES = "few stories"
    PREFLIGHT = "preflight"
    APPROVAL = "approval"
    CANARY = "canary"
    OPERATOR = "operator"

    @classmethod
    def of(cls, reason: str | None) -> "Held":
        """The kind of a stored reason."""
        word = (reason or "").partition(":")[0]
        return next((kind for kind in cls if kind.value == word), cls.OPERATOR)

    @property
    def is_by_machine(self) -> bool:
        """Whether a new attempt may end it, without a person."""
        return self in {Held.FEW_STORIES, Held.PREFLIGHT, Held.CANARY}

    @property
    def may_be_composed_again(self) -> bool:
        """Whether other stories, or other words, may end it: what a canary found is about how it is sent."""
        return self in {Held.FEW_STORIES, Held.PREFLIGHT}


def held_by(
    *, stories: int, min_stories: int, findings: Sequence[Finding], approval: str, sent_before: int
) -> str | None:
    """Why the edition must not go out by itself; None: nothing holds it."""
    if stories < min_stories:
        return f"{Held.FEW_STORIES}: {stories} of at least {min_stories} stories"
    failed = [finding for finding in findings if finding.severity == "fail"]
    if failed:
        return f"{Held.PREFLIGHT}: {failed[0].message}" + (f" (and {len(failed) - 1} more)" if failed[1:] else "")
    first = approval.removeprefix("first:")
    if approval == "required" or (first.isdecimal() and sent_before < int(first)):
        return f"{Held.APPROVAL}: waits for `digest editions approve`"
    return None


def describe(
    stored: StoredEdition,
    *,
    sources: Sequence[SourceReport],
    stages: Sequence[StageReport],
    findings: Sequence[Finding],
    deliveries: Mapping[str, int],
    fault: str | None,
    sending: bool,
    already: bool,
    waits: Wait | None = None,
    is_handed_on: bool = False,
    given_up: str = "",
) -> Report:
    """The report of a run. Its status gives the exit code: done 0, failed 1, partial 3.

    `is_handed_on`: it was planned, and workers deliver it. `given_up`: of whom, for being too late; of a missed edition
    its reason says that.
    """
    failed_sources = [report.id for report in sources if not report.ok and not report.is_told]
    left = {name: deliveries[name] for name in UNSETTLED if deliveries.get(name)}
    if waits:
        left["planned"] = left.get("planned", 0) - waits.readers
        left = {name: number for name, number in left.items() if number > 0}
    status, message = _judge(stored, deliveries, left, fault, sending=sending, already=already)
    if is_handed_on and not fault:
        status, message = "done", f"the {stored.title} is planned; workers deliver it"
    if waits and stored.state is EditionState.SENDING:
        status, message = "failed" if status == "failed" else "partial", f"{message}{say_wait(waits)}"
    if given_up and stored.state is not EditionState.MISSED:
        status, message = "failed" if status == "failed" else "partial", f"{message}; {given_up}"
    if failed_sources and status == "done":
        status = "partial"
    if failed_sources:
        message += f"; {len(failed_sources)} of {len(sources)} sources failed: {', '.join(failed_sources)}"
    return Report(
        newsletter=stored.newsletter,
        date=stored.date,
        status=status,
        message=message,
        edition=stored.id,
        state=stored.state,
        subject=stored.edition.subject if stored.edition else None,
        stories=len(stored.edition.items) if stored.edition else 0,
        verdict=verdict(findings) if stages and any(stage.stage == "preflight" for stage in stages) else None,
        sources=tuple(sources),
        stages=tuple(stages),
        deliveries=dict(deliveries),
        findings=tuple(findings),
        cadence=stored.cadence,
        waits_until=waits.due_at if waits and not fault and not left else None,
    )


def describe_span(span: timedelta) -> str:
    """A span of time in its two largest units: "45 s", "30 min", "4 h", "1 h 30 min", "3 days 2 h". Pure."""
    seconds = round(span.total_seconds())
    minutes, rest = divmod(seconds, 60)
    if minutes < 2 and (rest or not minutes):
        return f"{seconds} s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24) if hours >= 48 else (0, hours)
    parts = [f"{number} {unit}" for number, unit in ((days, "days"), (hours, "h"), (minutes, "min")) if number]
    return " ".join(parts[:2])


def say_wait(waits: Wait) -> str:
    """Who waits for their own time, as a message goes on. Pure."""
    verb, local = "waits" if waits.readers == 1 else "wait", waits.due_at.astimezone(ZoneInfo(waits.timezone))
    zones = "zone" if waits.readers == 1 else "zones"
    return (
        f", {waits.readers} {verb} for their own time {zones}, the next at {local:%H:%M} in {waits.timezone}"
        f" ({waits.due_at:%Y-%m-%d %H:%M} UTC)"
    )


def _judge(
    stored: StoredEdition,
    deliveries: Mapping[str, int],
    left: Mapping[str, int],
    fault: str | None,
    *,
    sending: bool,
    already: bool,
) -> tuple[RunStatus, str]:
    accepted = sum(deliveries.get(state, 0) for state in TAKEN_ON)
    match stored.state:
        case EditionState.SENT if already:
            at = f" at {stored.sent_at:%Y-%m-%d %H:%M} UTC" if stored.sent_at else ""
            return "done", f"the {stored.title} was already sent{at}; nothing was sent again"
        case EditionState.HELD:
            return "partial", f"the {stored.title} is held: {stored.reason}"
        case EditionState.READY if fault:
            return "failed", f"the {stored.title} is ready and was not sent: {fault}"
        case EditionState.READY if not sending:
            return "done", f"the {stored.title} is ready and was not sent"
        case EditionState.READY:
            return (
                "done",
                f"the {stored.title} is ready; nobody {_AUDIENCE[stored.cadence]} yet, so nothing was sent",
            )
        case EditionState.SENDING if fault:
            return ("partial" if accepted else "failed"), f"sending the {stored.title} stopped: {fault}"
        case EditionState.SENT | EditionState.SENDING:
            lost = {name: deliveries[name] for name in ("unknown", "refused") if deliveries.get(name)}
            count = "1 message" if accepted == 1 else f"{accepted} messages"
            went = "went out" if stored.state is EditionState.SENT else "is not sent yet" if left else "is on its way"
            message = f"the {stored.title} {went}: {count} accepted"
            for name, number in {**lost, **left}.items():
                message += f", {number} {name}"
            skipped = deliveries.get("skipped", 0)
            if stored.state is EditionState.SENT and skipped and not (accepted or lost):
                why = f"`digest editions show {stored.reference} --deliveries` says why"
                return "done", f"the {stored.title} went to nobody: {skipped} skipped; {why}"
            return ("partial" if left or lost else "done"), message
        case _:
            reason = f": {stored.reason}" if stored.reason else ""
            message = f"the {stored.title} is {stored.state}{reason}"
            if stored.state is EditionState.STOPPED:
                message += f"; `digest editions resume {stored.reference}` lets it go on"
            return "partial", message
