"""From one day's edition to the next: what returns, what does not, and what is put right."""

import email
import email.policy
import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.conftest import Desk
from tests.acceptance.test_serve import ask, serving

TODAY = datetime.now(UTC).date()
FIRE = (
    "Ferry fire in Harbourton kills 12",
    "A fire on a ferry in Harbourton killed 12 people on Sunday. The cause of the fire on the ferry is not known.",
)
LATE = (
    "Twelve die in fire on a ferry in Harbourton",
    "A fire on a ferry in Harbourton killed 12 people on Sunday. The cause of the fire on the ferry is not known yet.",
)
TOLL = (
    "Toll of the ferry fire in Harbourton rises to 15",
    "The fire on a ferry in Harbourton on Sunday killed 15 people, the coast guard said. Divers found 3 more of them.",
)
OTHERS = [
    (
        "Olive harvest is the best in ten years",
        "Growers report the best olive harvest in ten years after a wet spring.",
    ),
    ("Orchestra names a new conductor", "The city orchestra named its new conductor after a search of two years."),
    ("Library lends silence", "The town of Weir opened a reading room where nothing may be played or filmed."),
    ("Glacier gives back a hut", "A mountain hut that a glacier swallowed in the last century came to light again."),
    ("Striker signs a new contract", "The striker of the local club signed a contract that keeps him in the city."),
    ("Bicycle bank makes its first profit", "A bank that lends only bicycles reported a profit for the first time."),
]


def write_feed(desk: Desk, name: str, *stories: tuple[str, str]) -> None:
    items = [
        {"id": title, "title": title, "content_text": text, "date_published": datetime.now(UTC).isoformat()}
        for title, text in stories
    ]
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": name.title(), "items": items}
    (desk.folder / f"{name}.json").write_text(json.dumps(feed), encoding="utf-8")


def run(desk: Desk, days: int) -> dict[str, object]:
    """The edition of some days after today."""
    done = desk.digest("run", "--on", (TODAY + timedelta(days=days)).isoformat(), "--json")
    assert done.code == 0, done.err
    return done.rows[0]


def newest_mail(desk: Desk) -> str:
    path = max(desk.mails(), key=lambda path: path.stat().st_mtime_ns)
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text


@pytest.fixture
def told(desk: Desk) -> Desk:
    """A newsletter whose first edition told of the fire."""
    tables = (f'[[sources]]\nid = "{name}"\nkind = "file"\npath = "{name}.json"\n' for name in ("herald", "radio"))
    desk.configure("[edition]\nmin_stories = 1\n", *tables)
    write_feed(desk, "herald", FIRE, *OTHERS[:2])
    write_feed(desk, "radio", OTHERS[2])
    desk.digest("subscribers", "add", "reader@rehearsal.test")
    run(desk, 0)
    assert FIRE[0] in newest_mail(desk)
    return desk


def test_yesterdays_story_does_not_return_when_another_outlet_is_late(told: Desk) -> None:
    write_feed(told, "radio", OTHERS[2], LATE, *OTHERS[3:5])
    report = run(told, 1)
    assert report["stories"] == 2
    assert "ferry" not in newest_mail(told).lower()
    (recalled,) = (stage["counts"] for stage in report["stages"] if stage["stage"] == "recall")
    assert recalled == {"told_before": 1, "updates": 0}


def test_a_story_that_went_on_returns_as_an_update_that_says_what_is_new(told: Desk) -> None:
    write_feed(told, "radio", OTHERS[2], LATE, TOLL, *OTHERS[3:5])
    run(told, 1)
    mail = newest_mail(told)
    assert TOLL[0] in mail
    assert "Update: New figures: 15, 3" in mail
    assert LATE[0] not in mail
    shown = told.digest("editions", "show", (TODAY + timedelta(days=1)).isoformat()).out
    assert "[update]" in shown


def test_a_correction_stands_above_the_web_view_and_in_the_next_edition_and_only_there(told: Desk) -> None:
    words = "The ferry belonged to the Sable Line, not to the Cable Line."
    assert told.digest("editions", "correct", TODAY.isoformat(), words).code == 0
    with serving(told) as url:
        status, page, _ = ask(f"{url}/morning/{TODAY}")
        assert (status, words in page, "Correction, " in page) == (200, True, True)
        write_feed(told, "radio", OTHERS[2], *OTHERS[3:5])
        run(told, 1)
        assert f"Correction to the edition of {TODAY:%b} {TODAY.day}: The ferry belonged" in newest_mail(told)
        write_feed(told, "radio", OTHERS[2], *OTHERS[3:6])
        run(told, 2)
        assert "Correction to" not in newest_mail(told)
        assert told.digest("editions", "withdraw", TODAY.isoformat(), "--note", "It named the wrong line.").code == 0
        status, page, _ = ask(f"{url}/morning/{TODAY}")
        assert (status, "It named the wrong line." in page, FIRE[0] in page) == (410, True, False)


def test_what_was_withdrawn_is_not_told_again_and_its_correction_stands_in_the_next(told: Desk) -> None:
    words = "The ferry belonged to the Sable Line."
    assert told.digest("editions", "correct", TODAY.isoformat(), words).code == 0
    assert told.digest("editions", "withdraw", TODAY.isoformat()).code == 0
    write_feed(told, "radio", OTHERS[2], *OTHERS[3:5])
    report = run(told, 1)
    assert report["stories"] == 2
    mail = " ".join(newest_mail(told).split())
    assert FIRE[0] not in mail and words in mail
