"""A pruning that is killed, again and again, is gone on with by the next, and takes nothing that is younger."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from digest.audience.bounces import BounceRules
from digest.models import Collected, Entry, Event, EventKind
from digest.stores.schema import batches, deliveries, events, tallies
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, add_readers
from tests.contract.test_months import plan_on, send_all
from tests.faults.pruner import BEFORE

ROOT = Path(__file__).resolve().parents[2]
READERS = 4
RULES = BounceRules(hard_days=2, soft_run=5, wave=20, wave_within=timedelta(hours=1))
OLD, YOUNG = (date(2026, 2, 3), date(2026, 3, 4), date(2026, 3, 5)), (date(2026, 4, 1), date(2026, 4, 2))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'digest.db'}"
        return
    server = request.getfixturevalue("postgresql")
    made = server.create()
    yield made
    server.drop(made)


def fill(store: SqlStore) -> tuple[list[int], list[int]]:
    """Editions that were sent and heard of, in a shape that takes a pruning many steps; the old, and the young."""
    add_readers(store, READERS)
    made = [plan_on(store, day) for day in (*OLD, *YOUNG)]
    for edition in made:
        send_all(store, edition)
        for name in _names(store, edition):
            at = NOW - timedelta(days=1) if edition in made[: len(OLD)] else NOW + timedelta(days=1)
            said = Event(provider="sendgrid", event_id=name, kind=EventKind.DEFERRED, occurred_at=at, send_key=name)
            store.events.take("morning", [said], RULES, now=at)
    for number, at in enumerate((NOW - timedelta(days=1), NOW + timedelta(days=1))):
        entry = Entry(id=str(number), title=f"Title {number}", link=f"https://news.test/{number}", content="It says")
        store.entries.add("morning", "wire", Collected(entries=(entry,)), now=at, since=NOW - timedelta(days=9))
    return made[: len(OLD)], made[len(OLD) :]


def _names(store: SqlStore, edition: int) -> list[str]:
    return [one.send_key for one in store.ledger.deliveries(edition) if one.send_key]


def count(store: SqlStore, table: object, *conditions: object) -> int:
    with store._database.read() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()  # type: ignore[arg-type]


def test_a_pruning_killed_at_each_of_its_steps_is_ended_by_the_next(url: str) -> None:
    with closing(SqlStore.open(url)) as store:
        old, young = fill(store)
        kept = {edition: (store.ledger.counts(edition), _names(store, edition)) for edition in young}
        sent = {edition: store.ledger.counts(edition) for edition in old}
        assert set(map(len, sent.values())) == {1}
        killed = 0
        while (ended := _run(url, killed + 1)) == -9:  # each comes further than the one before, and has less to do
            killed += 1
            assert {edition: store.ledger.counts(edition) for edition in old} == sent
            assert {edition: (store.ledger.counts(edition), _names(store, edition)) for edition in young} == kept
        assert ended == 0
        assert killed > 4
        assert {edition: store.ledger.counts(edition) for edition in old} == sent
        assert {edition: (store.ledger.counts(edition), _names(store, edition)) for edition in young} == kept
        for table in (deliveries, batches, tallies):
            assert count(store, table, table.c.edition.in_(old)) == 0
        young_events = READERS * len(YOUNG)
        assert count(store, events, events.c.delivery.is_not(None)) == young_events
        texts = [one.entry.content for one in store.entries.get([1, 2])]
        assert texts == [None, "It says"]
        assert store.pruning.forget_deliveries("morning", before=BEFORE) == 0


def _run(url: str, number: int) -> int:
    command = [sys.executable, "-m", "tests.faults.pruner", url, str(number)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode
