"""What an operator does about an edition that did not reach everybody, with the real command line."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from digest.models import DeliveryState, Outcome, Planned
from digest.stores.owners import this_owner
from digest.stores.sql import SqlStore
from tests.acceptance.conftest import Desk

READERS = [f"reader{number}@rehearsal.test" for number in range(4)]


@contextmanager
def opened(desk: Desk) -> Iterator[SqlStore]:
    """The desk's database."""
    store = SqlStore.open(f"sqlite:///{desk.folder / 'digest.db'}")
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def ready(desk: Desk) -> Desk:
    """An edition that is ready, and its readers."""
    assert desk.digest("init").code == 0
    (desk.folder / "readers.csv").write_text("email\n" + "\n".join(READERS) + "\n", encoding="utf-8")
    assert desk.digest("subscribers", "import", "readers.csv", "--consent", "in a test").code == 0
    assert desk.digest("run", "--no-send").code == 0
    return desk


def plan(store: SqlStore, *, variant: str = "all") -> int:
    """Everybody into the edition; its number."""
    (edition,) = store.editions.newest("morning", 1)
    planned = [
        Planned(subscriber=reader, send_key=f"key-{reader.key}", variant=variant)
        for reader in store.subscribers.reached(edition.newsletter)
    ]
    assert store.ledger.plan(edition.id, planned, batch_size=10, now=datetime.now(UTC)) == len(READERS)
    return edition.id


@pytest.fixture
def torn(ready: Desk) -> Desk:
    """Its sender was killed: one reader got it, one was refused, of one nobody knows, one was not reached."""
    now = datetime.now(UTC)
    with subprocess.Popen(["true"]) as process:
        gone = replace(this_owner("gone"), pid=process.pid, started=1.0)
    with opened(ready) as store:
        edition = plan(store)
        assert store.ledger.begin(edition, as_of=None, now=now)
        claim = store.ledger.claim(edition, gone, lease_until=now + timedelta(hours=1), now=now)
        assert claim
        got, refused, unknown, _ = [one.delivery for one in claim.recipients]
        assert store.ledger.mark(claim, [got, refused, unknown], "smtp", now=now)
        said = [
            Outcome(delivery=got, state=DeliveryState.ACCEPTED, raw="250 ok"),
            Outcome(delivery=refused, state=DeliveryState.REFUSED, raw="554 5.7.1 not today"),
        ]
        assert store.ledger.settle(claim, said, now=now)
    return ready


def test_the_unknown_are_listed_decided_on_and_what_failed_is_sent_again(torn: Desk) -> None:
    (row,) = torn.digest("editions", "settle", "--json").rows
    assert (row["email"], row["transport"], row["events"]) == (READERS[2], "smtp", [])
    assert row["send_key"].startswith("key-")
    assert "may have been sent" in row["answer"]
    stranger = torn.digest("editions", "settle", "--failed", "--email", READERS[0])
    assert (stranger.code, READERS[0] in stranger.err) == (2, True)
    done = torn.digest("editions", "settle", "--failed", "--email", READERS[2].upper(), "--json")
    assert [one["settled"] for one in done.rows] == [1]
    assert torn.digest("editions", "stop", "--reason", "a typo", "--json").rows[0]["state"] == "stopped"
    stopped = torn.digest("run")
    assert (stopped.code, torn.mails()) == (3, [])
    assert "is stopped: by hand: a typo; `digest editions resume" in stopped.out
    again = torn.digest("editions", "retry", "--json")
    assert [(one["planned"], one["state"]) for one in again.rows] == [(2, "sending")]
    assert torn.digest("run").code == 0
    assert len(torn.mails()) == 3
    assert torn.digest("editions", "show", "--missing", "--json").rows == []
    rows = torn.digest("editions", "show", "--deliveries", "--json").rows
    assert [(one["email"], one["state"]) for one in rows] == [(email, "accepted") for email in READERS]
    nothing = torn.digest("editions", "retry")
    assert (nothing.code, "nothing of the edition" in nothing.out) == (0, True)


def test_what_the_operator_says_arrived_is_not_sent_again(torn: Desk) -> None:
    assert torn.digest("editions", "settle", "--accepted", "--all").code == 0
    assert torn.digest("run").code == 3  # one was refused
    assert len(torn.mails()) == 1
    (missing,) = torn.digest("editions", "show", "--missing", "--json").rows
    assert (missing["email"], missing["answer"]) == (READERS[1], "554 5.7.1 not today")
    assert "nothing is unknown" in torn.digest("editions", "settle").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--failed"], "of whom"),
        (["--all"], "nothing is decided"),
        (["--accepted", "--failed", "--all"], "either"),
        (["--accepted", "--all", "--email", "a@b.org"], "everybody"),
    ],
    ids=["nobody", "undecided", "both", "all and one"],
)
def test_a_decision_that_is_none_is_refused_with_what_to_say(desk: Desk, arguments: list[str], words: str) -> None:
    done = desk.digest("editions", "settle", *arguments)
    assert (done.code, words in done.err) == (2, True)


def test_what_an_interrupted_run_planned_for_other_topics_is_rendered_and_sent(ready: Desk) -> None:
    with opened(ready) as store:
        plan(store, variant="world")
    assert ready.digest("run").code == 0
    assert len(ready.mails()) == len(READERS)


def test_what_an_interrupted_run_planned_for_stories_that_are_gone_is_not_sent(ready: Desk) -> None:
    with opened(ready) as store:
        edition = plan(store, variant="opera")
    assert ready.digest("run").code == 0
    with opened(ready) as store:
        assert store.ledger.counts(edition) == {"skipped": len(READERS)}
    assert ready.digest("editions", "list", "--json").rows[0]["state"] == "sent"
