"""What preflight noticed, and what a run did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from digest.models.editions import Cadence, EditionState, Named

Severity = Literal["fail", "warn", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that preflight noticed."""

    rule: str
    severity: Severity
    message: str
    where: str | None = None
    clients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """What became of one source in a run. One that could be read in part is not ok, and has entries."""

    id: str
    ok: bool
    entries: int = 0
    new: int = 0
    error: str | None = None
    note: str | None = None  # what is worth knowing and no fault
    is_told: bool = False  # it has failed for so long that this was said once, and is not said daily
    title: str | None = None
    newest_at: datetime | None = None  # the date of its newest entry


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReport:
    """What a stage did: its counts by name, in print order."""

    stage: str
    counts: Mapping[str, int]
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


RunStatus = Literal["done", "failed", "partial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Named):
    """What a run did."""

    newsletter: str
    date: date
    status: RunStatus  # done: exit 0, failed: exit 1, partial: exit 3
    message: str  # one sentence for a person
    edition: int | None = None
    state: EditionState | None = None
    subject: str | None = None
    stories: int = 0
    verdict: str | None = None
    sources: tuple[SourceReport, ...] = ()
    stages: tuple[StageReport, ...] = ()
    deliveries: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    cadence: Cadence = "daily"
    waits_until: datetime | None = None  # nothing is left to do before: who waits has a time of their own
