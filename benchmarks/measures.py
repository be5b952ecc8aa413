"""The measurements. What they work on is made here or is among the samples, so that they run anywhere."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from itertools import count as count_up

from benchmarks.audience import MEASURES as AUDIENCE
from benchmarks.collecting import MEASURES as COLLECTING
from benchmarks.editing import MEASURES as EDITING
from benchmarks.engine import MEASURES as ENGINE
from benchmarks.figures import Figure, cpu_seconds
from benchmarks.grounding import MEASURES as GROUNDING
from benchmarks.handing import MEASURES as HANDING
from benchmarks.hearing import MEASURES as HEARING
from benchmarks.ledger import MEASURES as LEDGER
from benchmarks.making import NOW, ROOT, make_edition
from benchmarks.pages import MEASURES as PAGES
from benchmarks.sendgrid import MEASURES as SENDGRID
from digest.models import (
    UNSUBSCRIBE_TOKEN,
    Letterhead,
    Message,
    Rendition,
)
from digest.render import Renderer
from digest.transports import mime


def wall_seconds(command: list[str], times: int = 5) -> float:
    """The least wall time of a whole command."""
    found = []
    for _ in range(times + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=tempfile.gettempdir())
        found.append(time.perf_counter() - start)
    return min(found[1:])


def make_rendition() -> Rendition:
    """The rendition of that edition."""
    renderer = Renderer(folders=[ROOT / "templates"], base_url="https://news.example.com", postal_address="1 Street")
    return renderer.render(make_edition(), "all")


LETTERHEAD = Letterhead(
    sender="Bench <bench@example.com>", reply_to=None, list_id="bench.example.com", list_name="Bench", dated_at=NOW
)


def make_messages(count: int) -> tuple[Message, ...]:
    """Messages to readers."""
    return tuple(
        Message(
            delivery=number,
            send_key=f"{number:032x}",
            email=f"reader{number}@example.com",
            name=f"Reader {number}",
            unsubscribe_url=f"https://news.example.com/bench/unsubscribe/{number:032x}.{'s' * 43}",
        )
        for number in range(count)
    )


def measure_start() -> Iterator[Figure]:
    """How long the program takes to be there."""
    bare = wall_seconds([sys.executable, "-c", "pass"])
    yield Figure.beside(
        "start --help", wall_seconds([sys.executable, "-m", "digest", "--help"]), "s", "bare python", bare, "aim 0.35 s"
    )


def measure_render() -> Iterator[Figure]:
    """A warm variant of twelve stories, rendered, inlined and built."""
    import premailer

    edition = make_edition()
    renderer = Renderer(folders=[ROOT / "templates"], base_url="https://news.example.com", postal_address="1 Street")
    html = renderer.render(edition, "all").html
    # Another edition each time: what was inlined once is not inlined again.
    editions = (replace(edition, subject=f"Edition {number}") for number in count_up())
    ours = cpu_seconds(lambda: mime.build(renderer.render(next(editions), "all"), LETTERHEAD)) * 1000
    alone = cpu_seconds(lambda: premailer.transform(html, allow_network=False)) * 1000
    yield Figure.beside(
        "render 12 stories", ours, "ms", "premailer alone", alone, f"aim 60 ms; {len(html.encode()):,} bytes"
    )


def measure_address() -> Iterator[Figure]:
    """A message addressed to one more reader."""
    rendition, messages = make_rendition(), make_messages(2000)
    template = mime.build(rendition, LETTERHEAD)
    ours = cpu_seconds(lambda: [template.address(message) for message in messages]) / 2000 * 1000

    def build_each() -> None:
        for message in messages[:20]:
            each = EmailMessage()
            each["To"] = message.email
            each.set_content(rendition.text.replace(UNSUBSCRIBE_TOKEN, message.unsubscribe_url))
            each.add_alternative(rendition.html.replace(UNSUBSCRIBE_TOKEN, message.unsubscribe_url), subtype="html")
            each.as_bytes()

    peer = cpu_seconds(build_each, 2) / 20 * 1000
    yield Figure.beside("address", ours, "ms/message", "EmailMessage each", peer, "aim 0.05 ms")


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {
    "start": measure_start,
    **COLLECTING,
    **EDITING,
    **GROUNDING,
    **AUDIENCE,
    **HEARING,
    **PAGES,
    "render": measure_render,
    "address": measure_address,
    **HANDING,
    **SENDGRID,
    **LEDGER,
    **ENGINE,
}
