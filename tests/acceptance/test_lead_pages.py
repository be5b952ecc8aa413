"""The lead pages are looked at once more before an edition is sent."""

import json
from datetime import UTC, datetime

from tests.acceptance.conftest import Desk

STORIES = {
    "bridge": (
        "Arnholm builds a new bridge",
        "The council of Arnholm voted to build a harbour bridge without any toll.",
    ),
    "olives": (
        "Olive growers report a record",
        "After a wet spring the growers of Brackwater picked more olives than ever.",
    ),
    "music": (
        "Orchestra names its conductor",
        "The Cransey orchestra searched two years and chose Marta Quill to lead it.",
    ),
    "ice": (
        "Glacier gives back a mountain hut",
        "A hut that vanished under the Dunmere glacier came to light in August.",
    ),
}


def page(title: str, text: str) -> bytes:
    paragraphs = "".join(
        f"<p>{text} It was said on day {n}, and the town of the report took note of it.</p>" for n in range(4)
    )
    body = f"<article><h1>{title}</h1>{paragraphs}</article>"
    return f"<html><head><title>{title}</title></head><body>{body}</body></html>".encode()


def test_a_page_that_vanished_or_changed_its_headline_is_reported_and_the_edition_sent(desk: Desk, serve_web) -> None:
    pages = dict(STORIES)
    now = datetime.now(UTC).isoformat()
    items = [
        {"id": name, "url": f"/{name}", "title": title, "content_text": name, "date_published": now}
        for name, (title, _) in STORIES.items()
    ]
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "Wire", "items": items}

    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        name = path.strip("/")
        if name == "feed":
            return 200, {"Content-Type": "application/feed+json"}, json.dumps(feed).encode()
        if name not in pages:
            return 404, {}, b"gone"
        return 200, {"Content-Type": "text/html"}, page(*pages[name])

    desk.configure(
        f'[[sources]]\nid = "wire"\nkind = "feed"\nurl = "{serve_web(answer)}/feed"\nrights = "own"\n',
        '[fetch]\nallow_private = ["127.0.0.0/8"]\n',
    )
    assert desk.digest("subscribers", "add", "reader@rehearsal.test").code == 0
    ready = desk.digest("run", "--no-send", "--json")
    assert ready.code == 0, ready.err
    assert ready.rows[0]["stories"] == 4
    assert not any(stage["stage"] == "reread" for stage in ready.rows[0]["stages"])
    del pages["olives"]
    pages["music"] = ("Orchestra loses its conductor", pages["music"][1])
    sent = desk.digest("run", "--json")
    assert sent.code == 0, sent.err
    (stage,) = [stage for stage in sent.rows[0]["stages"] if stage["stage"] == "reread"]
    assert stage["counts"] == {"pages": 4, "read": 3, "gone": 1, "changed": 1}
    assert '"Olive growers report a record" is gone (404)' in stage["notes"][0]
    assert '"Orchestra names its conductor" is now "Orchestra loses its conductor"' in stage["notes"][1]
    assert len(desk.mails()) == 1


def test_stories_without_a_page_are_not_looked_at(sample_desk: Desk) -> None:
    report = sample_desk.digest("run", "--json").rows[0]
    assert not any(stage["stage"] == "reread" for stage in report["stages"])
