"""How soon the public pages answer when a million people have subscribed."""

import http.client
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

from benchmarks.figures import Figure
from benchmarks.making import make_edition
from digest.app import App
from digest.config import load_config
from digest.models import EditionState, Subscriber, SubscriberState
from digest.operate.answering import answer_requests
from digest.operate.signing_up import ask_for_preferences

_READERS = 1_000_000
_CHUNK = 5000
_TRIES = 300
_EDITIONS = 60
_NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)


def measure_pages() -> Iterator[Figure]:
    """`digest serve` on a database of a million readers, asked over one kept connection."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run([sys.executable, "-m", "digest", "init", place], check=True, capture_output=True)
        with App(load_config(folder / "config.toml", {})) as app:
            readers = _fill(app)
            paths = [urlsplit(app.links.unsubscribe_url(reader.key)).path for reader in readers]
            choices = _ask_for_preferences(app, readers[: _TRIES // 3])
            slug = app.config.newsletter.slug
        command = [sys.executable, "-m", "digest", "serve", "--port", "0", "--config", str(folder / "config.toml")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            try:
                said = next(line for line in iter(server.stderr.readline, "") if "http://" in line)  # type: ignore[union-attr]
                host = urlsplit(re.search(r"http://\S+", said)[0]).netloc  # type: ignore[index]
                bare = _time(host, "GET", ["/healthz"] * _TRIES)
                asked = {
                    "page: subscribe": ("GET", [f"/{slug}/subscribe"] * (_TRIES // 3)),
                    "page: preferences": ("GET", choices),
                    "page: way out, GET": ("GET", paths),
                    "page: way out, POST": ("POST", paths),
                    "page: archive": ("GET", [f"/{slug}/"] * (_TRIES // 3)),
                    "page: edition": ("GET", [f"/{slug}/{_NOW.date()}"] * (_TRIES // 3)),
                    "page: feed": ("GET", [f"/{slug}/feed.atom"] * (_TRIES // 3)),
                }
                for name, (method, those) in asked.items():
                    times = _time(host, method, those)
                    note = f"at 1,000,000 readers; median; 95 % within {times[94]:.3g} ms; aim 20 ms"
                    yield Figure.beside(name, times[49], "ms", "healthz", bare[49], note)
            finally:
                server.send_signal(signal.SIGTERM)


def _fill(app: App) -> list[Subscriber]:
    """A million readers and two months of editions; some of the readers, from all over the table."""
    store, slug = app.store, app.config.newsletter.slug
    for first in range(0, _READERS, _CHUNK):
        readers = [
            Subscriber(email=f"reader{number}@mail{number % 997}.news", state=SubscriberState.ACTIVE, consent_at=_NOW)
            for number in range(first, first + _CHUNK)
        ]
        store.subscribers.take(slug, readers, now=_NOW, mark=("benchmark", first))
    store.subscribers.unmark(slug, "benchmark")
    edition = replace(make_edition(), newsletter=slug)
    rendition = app.renderer.render(edition, "all")
    for days in range(_EDITIONS):
        day: date = _NOW.date() - timedelta(days=days)
        dated = replace(edition, date=day)
        number = store.editions.save(dated, [rendition], EditionState.READY, None, now=_NOW).id
        store.editions.set_state(number, EditionState.SENT, None, now=_NOW, only_from=[EditionState.READY])
    found = [
        store.subscribers.find(slug, f"reader{number}@mail{number % 997}.news")
        for number in range(0, _READERS, _READERS // _TRIES)
    ]
    return [reader for reader in found if reader][:_TRIES]


def _ask_for_preferences(app: App, readers: Sequence[Subscriber]) -> list[str]:
    """Where the mailed links of these readers lead. The mails are in the outbox before anything is timed."""
    for reader in readers:
        assert ask_for_preferences(app, reader.email, network=None)
    answer_requests(app)
    slug = app.config.newsletter.slug
    asked = [app.store.requests.of(reader.email) for reader in readers]
    return [f"/{slug}/preferences/{app.links.sign(request.key, 'preferences')}" for ((_, request),) in asked]


def _time(host: str, method: str, paths: Sequence[str]) -> list[float]:
    """Percentiles of the milliseconds from asking to the last byte, after a few that are not counted."""
    connection = http.client.HTTPConnection(host, timeout=60)
    taken = []
    for path in [*paths[:3], *paths]:
        start = time.perf_counter()
        connection.request(method, path, body=b"List-Unsubscribe=One-Click" if method == "POST" else None)
        answer = connection.getresponse()
        answer.read()
        taken.append((time.perf_counter() - start) * 1000)
        assert answer.status == 200, (path, answer.status)
    connection.close()
    return quantiles(taken[3:], n=100)


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"pages": measure_pages}
