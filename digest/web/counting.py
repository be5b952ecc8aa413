"""Counted links and pictures: the redirect, and the dot. They hold nothing of the reader, and lead to its stories.

    request ─ token verified ─> edition ─ its own links ─> 302      beside it, in memory: seen ──> judged ──> counts

Where a link leads is looked up in what the edition itself has, never read from the address, so that it opens no way
elsewhere. The reader never waits for a count: what was seen is written afterwards, some at a time.
"""

import base64
import threading
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, cast

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from digest.audience.counting import AGAIN, BURST, find_bursts, is_at_once, judge, name_network
from digest.errors import BadToken, StoreError
from digest.models import Cadence, Count, CountKind, EditionState, MadeBy
from digest.render.redirecting import list_links
from digest.web.site import Site

if TYPE_CHECKING:
    from digest.app import App

_DOT: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_KNOWN_FOR: Final = timedelta(seconds=30)  # how long an edition is not looked up again
_MOST_KNOWN: Final = 64  # editions; mails of long ago are still clicked
_MOST_SEEN: Final = 10_000  # requests that wait to be written; more are a flood, and not counted
_AT_A_TIME: Final = 200
_OUT: Final = (EditionState.SENDING, EditionState.STOPPED, EditionState.SENT)


@dataclass(frozen=True, slots=True)
class _Known:
    """An edition as the links of its mail need it."""

    edition: int
    is_out: bool  # before, only the operator follows its links
    links: dict[int, str]
    first_sent_at: datetime | None
    looked_up_at: datetime


def make_routes(site: Site) -> APIRouter:
    """The addresses that count."""
    app, slug, wanted = site.app, site.slug, site.app.config.counting
    router = APIRouter()
    editions, tally = _Editions(app), _Tally(app)

    def count(request: Request, known: _Known, kind: CountKind, link: int | None) -> None:
        """Note it, where it is wanted and its edition went out."""
        now = app.clock()
        if not (known.is_out and (wanted.clicks if kind == "click" else wanted.opens)):
            return
        made_by = judge(request.method, request.headers, kind)
        if made_by is MadeBy.PERSON and is_at_once(now, known.first_sent_at):
            made_by = MadeBy.SCANNER
        network = name_network(site.network_of(request))
        tally.note(Count(edition=known.edition, kind=kind, link=link, made_by=made_by, network=network, at=now))

    @router.api_route(f"/{slug}/click/{{token}}", methods=["GET", "HEAD"])
    def follow(token: str, request: Request) -> Response:
        name, _, number = app.links.verify(token, "click").rpartition("-")
        known = editions.find(name)
        target = known.links.get(int(number, 16)) if known else None
        if known is None or target is None:
            raise HTTPException(404)
        count(request, known, "click", int(number, 16))
        return Response(status_code=302, headers={"Location": target})

    @router.api_route(f"/{slug}/open/{{token}}.gif", methods=["GET", "HEAD"])
    def show_dot(token: str, request: Request) -> Response:
        known = editions.find(app.links.verify(token, "open"))
        if known is not None:
            count(request, known, "open", None)
        return Response(_DOT, media_type="image/gif")

    return router


class _Editions:
    """Editions by date and cadence, remembered for a moment; while the store does not answer, for longer."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._known: dict[str, _Known] = {}

    def find(self, name: str) -> _Known | None:
        """The edition of a name such as "2026-11-26-daily"; None: there is none, or it was withdrawn.

        Raises StoreError when the store does not answer and the edition is not remembered.
        """
        known = self._known.get(name)
        if known is not None and self._app.clock() - known.looked_up_at < _KNOWN_FOR:
            return known
        try:
            found = self._look_up(name)
        except StoreError:
            if known is None:
                raise
            return known
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        # Only one that is on its way is remembered: of another this may change at any moment.
        self._known.pop(name, None)
        if found is not None and found.first_sent_at is not None:
            self._known[name] = found
        return found

    def _look_up(self, name: str) -> _Known | None:
        app, (day, _, cadence) = self._app, name.rpartition("-")
        try:
            stored = app.store.editions.find(
                app.config.newsletter.slug, cast("Cadence", cadence), date.fromisoformat(day)
            )
        except ValueError:  # 2026-02-30
            raise BadToken("link", "it names no day") from None
        if stored is None or stored.edition is None or stored.state is EditionState.WITHDRAWN:
            return None
        return _Known(
            stored.id,
            stored.state in _OUT,
            list_links(stored.edition),
            app.store.counts.first_sent_at(stored.id),
            app.clock(),
        )


class _Tally:
    """What was seen, on its way into the store: by a thread that lives while there is something to write."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._seen: deque[Count] = deque(maxlen=_MOST_SEEN)
        self._lock = threading.Lock()
        self._state: Literal["idle", "writing"] = "idle"

    def note(self, count: Count) -> None:
        """Take it down; returns at once."""
        with self._lock:
            if len(self._seen) < _MOST_SEEN:
                self._seen.append(count)
            if self._state == "writing":
                return
            self._state = "writing"
        threading.Thread(target=self._write_all, name="counts").start()

    def _write_all(self) -> None:
        while True:
            with self._lock:
                some = [self._seen.popleft() for _ in range(min(_AT_A_TIME, len(self._seen)))]
                if not some:
                    self._state = "idle"
                    return
            try:
                self._write(some)
            except StoreError:
                continue  # locked for long, or the disk is full: a count is not worth more

    def _write(self, some: list[Count]) -> None:
        counts = self._app.store.counts
        near = counts.add(some, again=AGAIN, within=BURST)
        bursts = find_bursts(near)
        counts.reclassify(
            [count.id for count in near if count.id in bursts and count.made_by is MadeBy.PERSON], MadeBy.SCANNER
        )
