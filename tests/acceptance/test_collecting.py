"""A day of collecting: a real newsletter, database and web server, and a clock that the test turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import EditionState, SourceState, Task
from digest.operate.collecting import Collecting, collect_source, read_entry
from digest.schedule import ensure_due
from tests.acceptance.conftest import Answer, Desk
from tests.doubles.clock import Clock

STEP = timedelta(minutes=2)
NOUNS = "harbour bridge museum election glacier orchard tunnel senate reactor vineyard ferry comet".split()
VERBS = "closes expands votes melts opens strikes".split()


@dataclass
class Publisher:
    """A web server whose feeds bring an entry every two hours, and pages for some of them."""

    clock: Clock
    started_at: datetime
    asked: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def __call__(self, path: str) -> Answer:
        self.asked.append(path)
        if path in self.broken:
            return 503, {}, b""
        if path.startswith("/page"):
            words = " ".join(f"{path[-1]} says that the {noun} of the town was seen again." for noun in NOUNS * 3)
            return 200, {"Content-Type": "text/html"}, f"<html><body><article><p>{words}</p></article></body>".encode()
        if not path.endswith(".xml"):
            return 404, {}, b""
        return 200, {"Content-Type": "application/rss+xml"}, self._write(path)

    def _write(self, path: str) -> bytes:
        count = int((self.clock.now - self.started_at) / timedelta(hours=2)) + 1
        items = "".join(
            f"<item><guid>{path}{n}</guid><title>{self.title(path, n)}</title>"
            f"<pubDate>{format_datetime(self.started_at + n * timedelta(hours=2))}</pubDate>"
            f"<description>{self.title(path, n)} at {n}.</description><link>http://{path[1]}.test/{n}</link></item>"
            for n in range(count)
        )
        return f'<rss version="2.0"><channel><title>{path}</title>{items}</channel></rss>'.encode()

    @staticmethod
    def title(path: str, number: int) -> str:
        return f"{NOUNS[number % len(NOUNS)].title()} {VERBS[(number + ord(path[1])) % len(VERBS)]} {path[1]} {number}"


@pytest.fixture
def clock() -> Clock:
    """Five minutes past seven."""
    return Clock(datetime.fromisoformat("2026-03-02T07:05:00+00:00"))


def open_app(desk: Desk, url: str, clock: Clock, *, names: Sequence[str] = ("a", "b"), full_text: bool = False) -> App:
    """A newsletter of feeds of that server."""
    desk.configure(
        "[edition]\nmin_stories = 1\nmax_stories = 40",
        '[fetch]\nallow_private = ["127.0.0.0/8"]',
        *(
            f'[[sources]]\nid = "{name}"\nkind = "feed"\nurl = "{url}/{name}.xml"\nrights = "own"\n'
            f"full_text = {str(full_text).lower()}"
            for name in names
        ),
    )
    return App(load_config(desk.folder / "config.toml"), clock=clock, wait=clock.wait)


def test_an_edition_composes_from_what_came_through_the_day_and_visits_nobody(
    desk: Desk, clock: Clock, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    publisher = Publisher(clock, clock() - timedelta(hours=1))
    with open_app(desk, serve_web(publisher), clock) as app:
        collecting = Collecting(app)
        due_at = datetime.fromisoformat("2026-03-03T07:00:00+00:00")
        while clock.now < due_at - STEP:
            collecting.collect_due()
            clock.now += STEP
        publisher.broken.add("/b.xml")
        while clock.now < due_at:
            collecting.collect_due()
            clock.now += STEP
        before = list(publisher.asked)
        assert len(before) < 70, "a source that publishes every two hours is asked about once an hour"
        app.is_swept = True
        report = ensure_due(app, clock())
        assert report
        assert report.state is EditionState.SENT or report.state is EditionState.READY
        assert publisher.asked == before, "nothing is asked of a source while the edition is made"
        known = {
            one.entry.title
            for one in app.store.entries.offered(
                "morning", after=None, since=clock() - timedelta(days=2), until=clock()
            )
        }
        assert {publisher.title("/a.xml", n) for n in range(13)} <= known
        (stored,) = app.store.editions.newest("morning")
        assert stored.edition
        headlines = [item.headline for item in stored.edition.items]
        assert publisher.title("/a.xml", 12) in headlines, "what came last, an hour before, is in it"


def test_what_a_visit_of_the_last_seconds_brought_is_in_the_edition(
    desk: Desk, clock: Clock, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    publisher = Publisher(clock, clock() - timedelta(hours=1))
    clock.now = datetime.fromisoformat("2026-03-03T06:59:55+00:00")
    with open_app(desk, serve_web(publisher), clock) as app:
        Collecting(app).collect_due()
        asked = len(publisher.asked)
        clock.now = datetime.fromisoformat("2026-03-03T07:00:00+00:00")
        app.is_swept = True
        report = ensure_due(app, clock())
        assert report
        assert (report.stories > 0, len(publisher.asked)) == (True, asked)


def test_a_source_that_fails_before_an_edition_is_named_in_its_report(
    desk: Desk, clock: Clock, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    publisher = Publisher(clock, clock() - timedelta(hours=1), broken={"/b.xml"})
    clock.now = datetime.fromisoformat("2026-03-03T06:50:00+00:00")
    with open_app(desk, serve_web(publisher), clock) as app:
        Collecting(app).collect_due()
        asked = len(publisher.asked)
        clock.now = datetime.fromisoformat("2026-03-03T07:00:00+00:00")
        report = ensure_due(app, clock())
        assert report
        assert len(publisher.asked) == asked
        assert report.status == "partial"
        assert [(one.id, one.ok) for one in report.sources] == [("a", True), ("b", False)]
        (standing,) = [row for row in app.store.entries.health("morning", now=clock()) if row["id"] == "b"]
        assert standing["visit_due_at"] > clock()
    (row, _) = desk.digest("sources", "list", "--json").rows
    assert row["pace"] >= 900
    assert row["visit_due_at"]


def test_pages_are_read_ahead_each_once_and_a_broken_one_a_few_times(
    desk: Desk, clock: Clock, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    addresses: list[str] = []
    asked: list[str] = []
    publisher = Publisher(clock, clock() - timedelta(hours=1))

    def answer(path: str) -> Answer:
        asked.append(path)
        if path == "/page/2":
            return 503, {}, b""
        if path.startswith("/page"):
            return publisher(path)
        links = "".join(
            f"<item><guid>{n}</guid><title>{NOUNS[n]}</title><link>{addresses[0]}/page/{n}</link></item>"
            for n in (1, 2)
        )
        return 200, {}, f'<rss version="2.0"><channel><title>A</title>{links}</channel></rss>'.encode()

    addresses.append(serve_web(answer))
    with open_app(desk, addresses[0], clock, names=["a"], full_text=True) as app:
        collecting = Collecting(app)
        collecting.collect_due()
        collecting.read_due()
        collecting.read_due()
        assert asked.count("/page/1") == asked.count("/page/2") == 1
        for _ in range(6):
            clock.now += timedelta(hours=3)
            collecting.read_due()
        assert (asked.count("/page/1"), asked.count("/page/2")) == (1, 3)
        read = {stored.entry.id: stored for stored in app.store.entries.get([1, 2])}
        assert read["1"].page
        assert "harbour" in read["1"].page.text
        assert read["2"].is_read, "an edition does not try it again"
        assert read["2"].page is None


class Line:
    """A protocols.Queue that only keeps what it was given."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def enqueue(self, tasks: Sequence[Task], *, within: object | None = None) -> int:
        known = {task.identity for task in self.tasks}
        new = [task for task in tasks if task.identity not in known]
        self.tasks += new
        return len(new)

    def close(self) -> None:
        pass

    def waiting(self) -> dict[str, int]:
        return {}

    def set_aside(self, limit: int = 100) -> Sequence[object]:
        return ()

    def count_aside(self) -> int:
        return 0


def test_workers_visit_what_the_sweep_finds_and_read_what_a_visit_brought(
    desk: Desk, clock: Clock, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    publisher = Publisher(clock, clock() - timedelta(hours=5))
    with open_app(desk, serve_web(publisher), clock, names=["a", "b"], full_text=True) as app:
        line = Line()
        app.__dict__["queue"] = line
        collecting = Collecting(app)
        assert collecting.enqueue_due() == 2
        assert collecting.enqueue_due() == 0, "they wait already"
        assert [task.identity for task in line.tasks] == ["collect/morning/a", "collect/morning/b"]
        for task in list(line.tasks):
            collect_source(app, task.subject)
            collect_source(app, task.subject)
        assert publisher.asked == ["/a.xml", "/b.xml"], "a task that is done twice visits once"
        reads = [task for task in line.tasks if task.kind == "read"]
        assert len(reads) == 6
        assert reads[0].identity == f"read/{reads[0].subject}"
        read_entry(app, int(reads[0].subject))
        ((waits),) = app.store.reads.due("morning", now=clock(), limit=9)[:1]
        assert waits != int(reads[0].subject)
        state = app.store.entries.state("morning", "a")
        assert isinstance(state, SourceState)
        collect_source(app, "configured no more")
