"""The editions, for other programs: what was made, from which sources, and how many got it."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from digest.models import Cadence, DeliveryState, EditionState, Item, Scope, StoredEdition
from digest.operate.zones import read_zones
from digest.web.api.access import needs
from digest.web.api.problems import document
from digest.web.api.schemas import Day

if TYPE_CHECKING:
    from digest.app import App

_LARGEST = 2**63 - 1  # what the database can number

Number = Annotated[int, Field(ge=1, le=_LARGEST, description="The edition's number.")]
Deliveries = Annotated[
    dict[DeliveryState, Annotated[int, Field(ge=0)]],
    Field(description="By state; a state that no delivery is in is left out.", examples=[{"accepted": 1200}]),
]


class SentenceShown(BaseModel):
    """A sentence of a summary, and where the words stand."""

    text: str
    outlet: str | None = Field(description="Whose words they are, where a summary has those of several.")


class LinkShown(BaseModel):
    """Another outlet's article on the same story."""

    outlet: str
    title: str
    link: str | None


class ItemShown(BaseModel):
    """A story, as it is printed."""

    headline: str
    link: str | None = Field(description="To the article that leads the story.")
    outlet: str
    author: str | None
    published_at: datetime
    topic: str | None
    language: str
    sentences: list[SentenceShown] = Field(description="The summary; none: the story has but its headline.")
    also: list[LinkShown]
    edited: list[str] = Field(description="What a person wrote: headline, summary.")

    @classmethod
    def of(cls, item: Item) -> "ItemShown":
        """As it is told."""
        sentences = item.summary.sentences if item.summary else ()
        return cls(
            headline=item.headline,
            link=item.link,
            outlet=item.outlet,
            author=item.author,
            published_at=item.published_at,
            topic=item.topic,
            language=item.language,
            sentences=[SentenceShown(text=one.text, outlet=one.outlet) for one in sentences],
            also=[LinkShown(outlet=one.outlet, title=one.title, link=one.link) for one in item.also],
            edited=list(item.edited),
        )


class EditionListed(BaseModel):
    """An edition, in short."""

    id: Number
    date: date
    cadence: Cadence
    state: EditionState
    reason: str | None = Field(description="Why it is in that state, where there is something to say.")
    subject: str | None = Field(description="Null where none was composed.")
    stories: int
    sent_at: datetime | None
    approved_by: str | None


class EditionPage(BaseModel):
    """A page of editions, the newest first."""

    items: list[EditionListed]
    next: Number | None = Field(description="The `cursor` of the next page; null: this is the last.")


class SectionShown(BaseModel):
    """A titled group of stories."""

    id: str = Field(description='The topic\'s, or "" for what has none.')
    title: str
    items: list[ItemShown]


class ZoneShown(BaseModel):
    """A time zone whose readers get it at their own time."""

    timezone: str
    due_at: datetime
    waits: bool = Field(description="Its time has not come, and somebody waits for it.")
    deliveries: Deliveries


class EditionShown(EditionListed):
    """An edition with its stories."""

    sections: list[SectionShown]
    deliveries: Deliveries
    zones: list[ZoneShown] = Field(
        description="Where readers get it at their own time, the first zone first; else none."
    )


def make_routes(app: "App") -> APIRouter:
    """List them, and look one up."""
    slug, editions = app.config.newsletter.slug, app.store.editions
    router = APIRouter(prefix="/editions", tags=["editions"])
    may_read = [needs(Scope.EDITIONS_READ)]

    def find(number: int) -> StoredEdition:
        stored = editions.get(number)
        if stored is None or stored.newsletter != slug:
            raise HTTPException(404, "There is no edition of that number.")
        return stored

    @router.get("", summary="List editions", responses=document(), dependencies=may_read)
    def list_editions(
        state: Annotated[EditionState | None, Query(description="Only those in this state.")] = None,
        on: Annotated[Day | None, Query(description="Only those of this date.", examples=["2026-01-31"])] = None,
        cursor: Annotated[Number | None, Query(description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
    ) -> EditionPage:
        """The newest first."""
        page = editions.newest(slug, limit, before=cursor, state=state, day=on)
        return EditionPage(
            items=[EditionListed(**_in_short(stored)) for stored in page],
            next=page[-1].id if len(page) == limit else None,
        )

    @router.get("/{id}", summary="Look an edition up", responses=document(404), dependencies=may_read)
    def show_edition(number: Annotated[Number, Path(alias="id")]) -> EditionShown:
        """Its stories with their sentences and links, and its deliveries by state."""
        stored = find(number)
        sections = stored.edition.sections if stored.edition else ()
        return EditionShown(
            **_in_short(stored),
            sections=[
                SectionShown(id=one.id, title=one.title, items=[ItemShown.of(item) for item in one.items])
                for one in sections
            ],
            deliveries={DeliveryState(name): count for name, count in app.store.ledger.counts(stored.id).items()},
            zones=[ZoneShown.model_validate(zone) for zone in read_zones(app, stored)],
        )

    return router


def _in_short(stored: StoredEdition) -> dict[str, Any]:
    edition = stored.edition
    return {
        "id": stored.id,
        "date": stored.date,
        "cadence": stored.cadence,
        "state": stored.state,
        "reason": stored.reason,
        "subject": edition.subject if edition else None,
        "stories": len(edition.items) if edition else 0,
        "sent_at": stored.sent_at,
        "approved_by": edition.approved_by if edition else None,
    }
