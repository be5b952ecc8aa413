"""The subscribers, for other programs. Nobody becomes active here, and nobody who left is brought back by it."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query, Response
from starlette.exceptions import HTTPException

from digest.audience.addresses import parse_address
from digest.audience.rows import Terms, read_row
from digest.models import STAYING, Scope, Subscriber, SubscriberState
from digest.operate.erasing import erase_subscription
from digest.web.api.access import needs
from digest.web.api.asking import Ask
from digest.web.api.problems import document
from digest.web.api.schemas import Asked, Email, Key, NewSubscriber, Reader, Readers, SubscriberChange

if TYPE_CHECKING:
    from digest.app import App

_ASK_AGAIN_SECONDS = 24 * 3600
_NOBODY = "There is no subscriber of that id."
_FROM = "the API"

KeyPath = Annotated[Key, Path(alias="id")]


def make_routes(app: "App", ask: Ask) -> APIRouter:
    """Create, list, look up, change, unsubscribe and erase."""
    slug, store, managing = app.config.newsletter.slug, app.store.subscribers, app.store.managing
    topics = [topic.id for topic in app.config.topics]
    below = f"{urlsplit(app.config.newsletter.base_url).path.rstrip('/')}/api/v1/subscribers"
    router = APIRouter(prefix="/subscribers", tags=["subscribers"])

    def tell(readers: list[Subscriber]) -> list[Reader]:
        suppressed = managing.suppressed(slug, [reader.email for reader in readers])
        return [Reader.of(reader, suppressed=reader.email in suppressed) for reader in readers]

    def find(key: str) -> Subscriber:
        reader = store.by_key(slug, key)
        if reader is None or reader.state is SubscriberState.ERASED:
            raise HTTPException(404, _NOBODY)
        return reader

    def read_choices(given: dict[str, Any]) -> Subscriber:
        """What was chosen, in our own values. Raises ConfigError."""
        cells = {
            name: ",".join(value) if isinstance(value, list) else str(value)
            for name, value in given.items()
            if value is not None
        }
        terms = Terms(consent=None, consent_from=_FROM, topics=topics, now=app.clock())
        return read_row({"email": "nobody@example.com"} | cells, terms)[0]

    @router.post(
        "",
        status_code=202,
        summary="Ask somebody to confirm that they want the newsletter",
        responses={
            202: {
                "description": "A mail to confirm goes to them; until they do, they are not mailed.",
                "headers": {"Location": {"description": "Of the subscriber.", "schema": {"type": "string"}}},
            },
            200: {"model": Asked, "description": "They are pending or active already; nothing was changed."},
            **document(),
        },
        dependencies=[needs(Scope.SUBSCRIBERS_WRITE)],
    )
    def create_subscriber(asked: NewSubscriber, response: Response) -> Asked:
        """Safe to repeat: who is pending or active already is told, with 200, and not mailed again."""
        reader = read_choices(asked.model_dump())
        known = store.find(slug, reader.email)
        if known and known.state in STAYING and reader.email not in managing.suppressed(slug, [reader.email]):
            response.status_code = 200
            response.headers["Location"] = f"{below}/{known.key}"
            return Asked(confirmation="none", subscriber=tell([known])[0])
        if not ask(app, reader):
            raise HTTPException(
                429, "This address was asked too often today.", headers={"Retry-After": str(_ASK_AGAIN_SECONDS)}
            )
        store.add(slug, reader, now=app.clock())  # which takes nobody who is known, or on the list of those not mailed
        now_known = store.find(slug, reader.email)
        if now_known:
            response.headers["Location"] = f"{below}/{now_known.key}"
        return Asked(confirmation="asked", subscriber=tell([now_known])[0] if now_known else None)

    @router.get(
        "",
        summary="List subscribers, or find one by address",
        responses=document(),
        dependencies=[needs(Scope.SUBSCRIBERS_READ)],
    )
    def list_subscribers(
        email: Annotated[Email | None, Query(description="Only this address, in any letter case.")] = None,
        state: Annotated[SubscriberState | None, Query(description="Only those in this state.")] = None,
        cursor: Annotated[Key | None, Query(description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=500, description="How many at most.")] = 100,
    ) -> Readers:
        """In the order in which they came; who was erased is left out. A page may be followed by an empty one."""
        if email is not None:
            found = store.find(slug, parse_address(email).email)
            is_meant = found and found.state is not SubscriberState.ERASED and state in (None, found.state)
            return Readers(items=tell([found]) if found and is_meant else [], next=None)
        page = managing.page(slug, state=state, after=cursor, limit=limit)
        if page is None:
            raise HTTPException(422, "There is no page behind this cursor.")
        return Readers(items=tell(page), next=page[-1].key if len(page) == limit else None)

    @router.get(
        "/{id}",
        summary="Look a subscriber up",
        responses=document(404),
        dependencies=[needs(Scope.SUBSCRIBERS_READ)],
    )
    def show_subscriber(key: KeyPath) -> Reader:
        """By id; by address, list with `email`."""
        return tell([find(key)])[0]

    @router.patch(
        "/{id}",
        summary="Change what a subscriber chose",
        responses=document(404, 409),
        dependencies=[needs(Scope.SUBSCRIBERS_WRITE)],
    )
    def change_subscriber(key: KeyPath, change: SubscriberChange) -> Reader:
        """What is not named stays. Who left, bounced or complained cannot be changed: 409."""
        given = change.model_dump(exclude_unset=True)
        paused = {"paused_until": given.pop("paused_until")} if "paused_until" in given else {}
        chosen = read_choices(given)
        changes = {name: getattr(chosen, name) for name in given} | paused
        if not managing.change(slug, key, changes, now=app.clock()):
            reader = find(key)
            raise HTTPException(409, f"They are {reader.state}; only who is pending or active can be changed.")
        return tell([find(key)])[0]

    @router.post(
        "/{id}/unsubscribe",
        summary="Unsubscribe somebody",
        responses=document(404),
        dependencies=[needs(Scope.SUBSCRIBERS_WRITE)],
    )
    def unsubscribe(key: KeyPath) -> Reader:
        """They are not mailed again, whoever adds them, until they confirm that they come back. Safe to repeat."""
        find(key)
        store.leave(slug, key, now=app.clock())
        return tell([find(key)])[0]

    @router.delete(
        "/{id}",
        status_code=204,
        response_class=Response,
        summary="Erase somebody",
        responses=document(404),
        dependencies=[needs(Scope.SUBSCRIBERS_WRITE)],
    )
    def erase_subscriber(key: KeyPath) -> None:
        """All that is kept of them for this newsletter, but for a hash by which the address is not mailed again.

        Who is subscribed to other newsletters of the same operator stays there; who is not is forgotten altogether.
        """
        if not erase_subscription(app, key):
            raise HTTPException(404, _NOBODY)

    return router
