"""An edition in the hands of a person: before it is sent, and after."""

import email
import email.policy
import json

import pytest

from tests.acceptance.conftest import Desk


@pytest.fixture
def ready(sample_desk: Desk) -> Desk:
    """An edition that is ready and not sent."""
    assert sample_desk.digest("run", "--no-send").code == 0
    return sample_desk


def headlines(desk: Desk) -> list[str]:
    edition = json.loads(desk.digest("editions", "show", "--json").out)["stored"]["edition"]
    return [item["headline"] for section in edition["sections"] for item in section["items"]]


def test_what_the_editor_did_is_what_is_sent(ready: Desk) -> None:
    before = headlines(ready)
    for arguments in (
        ("pin", "latest", "5"),
        ("drop", "latest", "3"),
        ("edit", "latest", "2", "--headline", "A headline of our own", "--summary", "And a summary."),
        ("move", "latest", "1", "1"),
        ("edit", "latest", "--subject", "A subject of our own"),
    ):
        done = ready.digest("editions", *arguments)
        assert done.code == 0, done.err
    after = headlines(ready)
    assert after[0] == before[4]
    assert "A headline of our own" in after
    assert len(after) == len(before) - 1
    assert ready.digest("run").code == 0
    (path,) = ready.mails()
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert message["Subject"] == "A subject of our own"
    plain = message.get_body(("plain",)).get_content()
    assert "A headline of our own" in plain
    assert "Edited by our editors." in plain
    refused = ready.digest("editions", "drop", "latest", "1")
    assert (refused.code, "only before it is sent" in refused.err) == (2, True)


def test_a_held_edition_that_was_changed_is_not_composed_anew(ready: Desk) -> None:
    assert ready.digest("editions", "edit", "latest", "1", "--headline", "Ours").code == 0
    assert ready.digest("editions", "hold").code == 0
    assert ready.digest("run").code == 3
    assert headlines(ready)[0] == "Ours"
    assert ready.digest("editions", "approve", "--by", "Desk").code == 0
    assert ready.digest("run").code == 0
    assert "by Desk" in json.loads(ready.digest("editions", "show", "--json").out)["stored"]["reason"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("pin", "latest", "99"), "has none of that number"),
        (("edit", "latest"), "give the number of a story, or --subject"),
        (("correct", "latest", "x"), "only one that went out is corrected"),
        (("withdraw", "latest"), "only one that was sent"),
    ],
)
def test_what_cannot_be_done_to_a_ready_edition_is_one_clear_line(
    ready: Desk, arguments: tuple[str, ...], fault: str
) -> None:
    done = ready.digest("editions", *arguments)
    assert done.code in (1, 2)
    assert fault in done.err


def test_the_ranking_is_explained(ready: Desk) -> None:
    rows = [json.loads(line) for line in ready.digest("editions", "show", "--why", "--json").out.splitlines()]
    assert {"story", "score", "recency", "outlets", "weight", "novelty", "balance", "may_lead"} <= rows[0].keys()
    for row in rows:
        parts = (row[name] for name in ("recency", "outlets", "weight", "novelty", "balance"))
        assert row["score"] == pytest.approx(sum(parts), abs=1e-5)
