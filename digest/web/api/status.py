"""How the newsletter does, for other programs: what `digest status --json` prints."""

from datetime import date, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import BaseModel, Field

from digest.models import Cadence, EditionState, RunStatus, Scope, SubscriberState, TaskKind
from digest.operate.status import read_status
from digest.web.api.access import needs
from digest.web.api.editions import Deliveries
from digest.web.api.problems import document

if TYPE_CHECKING:
    from digest.app import App


class EditionStanding(BaseModel):
    """One of the last editions."""

    date: date
    cadence: Cadence
    state: EditionState
    reason: str | None
    sent_at: datetime | None
    deliveries: Deliveries
    oldest_claim_at: datetime | None = Field(description="Of what a sender has, and has not settled; null: nothing.")
    oldest_claim_seconds: int | None = Field(description="How long ago that was.")


class SourceStanding(BaseModel):
    """How a source does."""

    id: str
    title: str | None
    entries: int
    entries_per_day: float | None
    last_success_at: datetime | None
    failures: int = Field(description="In a row.")
    failing_since: datetime | None
    next_visit_at: datetime | None = Field(description="Not before.")
    error: str | None = Field(description="Of the last visit; without failures: what of it could not be read.")
    visit_due_at: datetime | None = Field(description="When it is visited next; null while none is planned.")
    pace: int | None = Field(description="Seconds from one visit to the next.")


class LastRun(BaseModel):
    """The newest run."""

    finished_at: datetime
    status: RunStatus
    message: str


class NextDue(BaseModel):
    """The edition that is due next."""

    date: date
    cadence: Cadence
    timezone: str
    local: datetime = Field(description="By the clock of the newsletter.")
    utc: datetime
    machine: datetime = Field(description="By the clock of the machine that answers.")


class WorkerStanding(BaseModel):
    """A process that said it is there."""

    host: str
    version: str
    queues: list[str]
    concurrency: int
    started_at: datetime
    seen_at: datetime
    seconds_ago: int
    clock_ahead: float | None = Field(description="Seconds, of the database's; null: not compared.")


class TaskAside(BaseModel):
    """A task that failed as often as it was tried."""

    id: int
    kind: TaskKind
    subject: str
    fault: str


class TasksStanding(BaseModel):
    """What waits for workers."""

    waiting: dict[TaskKind, int]
    set_aside_total: int
    set_aside: list[TaskAside] = Field(description="The newest of these.")


class ClockStanding(BaseModel):
    """The clock of the machine that answers."""

    ahead: float | None = Field(description="Seconds, of the database's; null: not compared.")
    fault: str | None


class Status(BaseModel):
    """How the newsletter does."""

    newsletter: str
    next_due_at: datetime | None
    next_due: NextDue | None
    last_look_at: datetime | None = Field(description="When a scheduler found nothing left to be made.")
    subscribers: dict[SubscriberState, int] = Field(description="By state.", examples=[{"active": 1200}])
    editions: list[EditionStanding] = Field(description="The last ones, the newest first.")
    sources: list[SourceStanding]
    quarantined: dict[str, int] = Field(description="Refusals set aside, by domain.")
    workers: list[WorkerStanding]
    tasks: TasksStanding | None = Field(description="Null without workers.")
    clock: ClockStanding
    last_run: LastRun | None


def make_routes(app: "App") -> APIRouter:
    """The one address."""
    router = APIRouter(tags=["status"])

    @router.get(
        "/status", summary="How the newsletter does", responses=document(), dependencies=[needs(Scope.STATUS_READ)]
    )
    def show_status() -> Status:
        """What is due, what went out, and which sources fail."""
        return Status.model_validate(read_status(app))

    return router
