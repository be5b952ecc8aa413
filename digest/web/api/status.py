"""How the newsletter does, for other programs: what `digest status --json` prints."""

from datetime import date, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import BaseModel, Field

from digest.models import Cadence, EditionState, RunStatus, Scope, SubscriberState
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
    error: str | None


class LastRun(BaseModel):
    """The newest run."""

    finished_at: datetime
    status: RunStatus
    message: str


class Status(BaseModel):
    """How the newsletter does."""

    newsletter: str
    next_due_at: datetime | None
    subscribers: dict[SubscriberState, int] = Field(description="By state.", examples=[{"active": 1200}])
    editions: list[EditionStanding] = Field(description="The last ones, the newest first.")
    sources: list[SourceStanding]
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
