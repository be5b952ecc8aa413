"""Answers by mail what was asked for on pages: after the answer of the page, so that this is the same for everybody.

open requests ──choose_mail──> mark ──> hand over      a crash between the two loses the mail, and never doubles it
                     └─ drop           └─ certainly not sent: open again, for a day
"""

import hashlib
import threading
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from digest import aside
from digest.adapters import open_transports
from digest.audience import consent
from digest.errors import DigestError, OtherRevision, StoreError, StoreUnavailable
from digest.models import AskedFor, DeliveryState, Letterhead, PageRequest, Rendition
from digest.operate.signing_up import forget_old_requests, language_for
from digest.protocols import Transport

if TYPE_CHECKING:
    from digest.app import App

_EVERY: Final = 5.0  # seconds after which is looked whatever happens: another process may have been asked
_TIDIED_EVERY: Final = timedelta(days=1)
_PAUSES: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))


def answer_requests(app: "App", pauses: "dict[str, tuple[int, datetime]] | None" = None) -> int:
    """Answer every request that is open; returns how many mails went. `pauses` remembers which are to wait, and why."""
    pauses = {} if pauses is None else pauses
    now, sent = app.clock(), 0
    fault: DigestError | None = None
    found = app.store.requests.open(app.config.newsletter.slug, now - consent.TRIED)
    due = [request for request in found if pauses.get(request.key, (0, now))[1] <= now]
    if not due:
        return 0
    with open_transports(app.config.transports, app.config.secrets) as transports:
        for request in due:
            tries = pauses.pop(request.key, (0, now))[0]
            try:
                state = _answer(app, request, transports)
            except StoreError:
                raise  # it is so for all
            except DigestError as error:  # the template of one language, perhaps: the others need not wait for it
                state, fault = DeliveryState.DEFERRED, fault or error
            if state is DeliveryState.DEFERRED:
                pauses[request.key] = (tries + 1, now + _PAUSES[min(tries, len(_PAUSES) - 1)])
            sent += state is DeliveryState.ACCEPTED
    if fault:
        raise fault
    return sent


def _answer(app: "App", request: PageRequest, transports: Sequence[Transport]) -> DeliveryState:
    now, slug, store = app.clock(), app.config.newsletter.slug, app.store
    reader = store.subscribers.find(slug, request.email)
    answer = consent.choose_mail(
        request.kind,
        reader.state if reader else None,
        is_suppressed=store.subscribers.is_suppressed(slug, request.email),
        is_suppressed_everywhere=store.subscribers.is_suppressed("", request.email),
    )
    if answer.is_seldom and store.requests.mailed_since(request.email, now - consent.SELDOM):
        store.requests.drop(request.key, now=now)
        return DeliveryState.SKIPPED
    # A subscriber's language is theirs to choose, not that of whoever typed their address.
    language = reader.language if reader and answer.kind is not AskedFor.CONFIRM else request.language
    rendition = write_notice(app, request, answer.kind, language)
    if not store.requests.mark(request.key, answer.kind, now=now):
        return DeliveryState.SKIPPED
    # Its name is the same on every try, and tells nothing of what the link carries.
    name = hashlib.blake2b(request.key.encode(), digest_size=16).hexdigest()
    state = aside.hand_over_once(transports, _letterhead(app, now), rendition, request.email, key=name)
    if state is DeliveryState.DEFERRED:
        store.requests.unmark(request.key)
    return state


def write_notice(app: "App", request: PageRequest, kind: AskedFor, language: str | None) -> Rendition:
    """The mail itself. Nothing that was typed stands in it; titles of topics are the operator's."""
    newsletter, within = app.config.newsletter, app.config.audience
    purpose: Literal["confirm", "preferences"] = "confirm" if kind is AskedFor.CONFIRM else "preferences"
    lasts = within.confirm_within if kind is AskedFor.CONFIRM else within.preferences_within
    return app.renderer.render_notice(
        kind.value,
        language=language_for(app, language),
        name=newsletter.name,
        url=app.links.url(purpose, request.key),
        topics=[topic.title for topic in app.config.topics if topic.id in request.topics],
        lasts=lasts,
    )


def _letterhead(app: "App", now: datetime) -> Letterhead:
    newsletter = app.config.newsletter
    return Letterhead(
        sender=newsletter.sender,
        reply_to=newsletter.reply_to,
        list_id=f"{newsletter.slug}.{urlsplit(newsletter.base_url).hostname or 'localhost'}",
        list_name=newsletter.name,
        dated_at=now,
        is_bulk=False,
    )


class Answering:
    """Answers in a thread of its own, from `with` to its end; what a server left open before is taken up."""

    def __init__(self, app: "App", *, on_fault: Callable[[str], None] = lambda _: None) -> None:
        """Nothing happens yet."""
        self._app = app
        self._on_fault = on_fault
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answering", daemon=True)

    def __enter__(self) -> "Answering":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._app.asked.set()
        self._thread.join(30)

    def _run(self) -> None:
        pauses: dict[str, tuple[int, datetime]] = {}
        told, tidied_at = "", datetime.min.replace(tzinfo=UTC)
        while not self._ended.is_set():
            self._app.asked.clear()
            try:
                if not self._app.watch.find_obstacle():
                    answer_requests(self._app, pauses)
                if self._app.clock() - tidied_at >= _TIDIED_EVERY:
                    forget_old_requests(self._app)
                    tidied_at = self._app.clock()
                told = ""
            except DigestError as error:  # a template that is wrong, a database that is locked: tried again
                lost = error if isinstance(error, StoreUnavailable | OtherRevision) else None
                is_told = lost is not None and self._app.watch.note_lost(lost)
                if str(error) != told and not is_told:
                    told = str(error)
                    self._on_fault(f"digest: a mail that was asked for on a page did not go: {told}")
            except Exception:  # noqa: BLE001 - a bug must not end the thread: others asked too
                if (trace := traceback.format_exc()) != told:
                    told = trace
                    self._on_fault(trace)
            self._app.asked.wait(_EVERY)
