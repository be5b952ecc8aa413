"""The public app with editions in it, in this process and on a real socket."""

import contextlib
import http.client
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from digest.app import App
from digest.config import load_config
from digest.models import Edition, EditionState, StoredEdition
from digest.web.clients import read_networks
from digest.web.limiting import Limits
from digest.web.public import create_public
from digest.web.serving import configure
from tests.acceptance.conftest import NEWSLETTER
from tests.acceptance.serving import wait_for
from tests.doubles.clock import Clock
from tests.golden import editions as golden

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = golden.DAY


@contextlib.contextmanager
def open_app(folder: Path, *tables: str, newsletter: str = NEWSLETTER) -> Iterator[App]:
    """A newsletter in a folder, at a noon that stands still."""
    path = folder / "config.toml"
    path.write_text("\n".join([newsletter, *tables]), encoding="utf-8")
    with App(load_config(path, {}), clock=Clock(NOON)) as app:
        yield app


def keep_edition(
    app: App,
    day: date = DAY,
    *,
    state: EditionState = EditionState.SENT,
    like: Edition = golden.ENGLISH,
    variants: Sequence[str] = ("all",),
    **changes: object,
) -> StoredEdition:
    """An edition of that day in the store, rendered as the program renders it."""
    made = datetime(day.year, day.month, day.day, 7, tzinfo=UTC)
    fields = {"newsletter": app.config.newsletter.slug, "date": day, "composed_at": made, "cutoff_at": made}
    edition = replace(like, **(fields | changes))
    renditions = [app.renderer.render(edition, variant) for variant in variants]
    editions = app.store.editions
    number = editions.save(edition, renditions, EditionState.READY, None, now=made).id
    if state is not EditionState.READY:
        editions.set_state(number, state, None, now=made + timedelta(minutes=5), only_from=list(EditionState))
    stored = editions.get(number)
    assert stored
    return stored


@contextlib.contextmanager
def serving_app(app: App, limits: Limits | None = None) -> Iterator[str]:
    """Its public pages, as `digest serve` serves them; gives their address."""
    proxies = read_networks(app.config.web.proxies)
    config = configure(create_public(app, limits), proxies=proxies, limits=limits)
    config.host, config.port = "127.0.0.1", 0
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, 20, "the server")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class Answered:
    """An answer; the names of its headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as words."""
        return self.body.decode()


def ask(url: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> Answered:
    """One request, without following where it leads. An underscore in a header's name is a hyphen."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)
        answer = connection.getresponse()
        return Answered(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
