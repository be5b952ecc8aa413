"""The day's chores: each part by itself, once a day, by one process; and figures that outlast a bad week."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import EditionState
from digest.operate.housekeeping import do_housekeeping, keep_house
from digest.operate.metrics import read_metrics
from tests.contract.editions import NOW, TODAY, save_edition


@pytest.fixture
def app(blank: Path, tmp_path: Path) -> Iterator[App]:
    shutil.copy(blank, tmp_path / "digest.db")
    config = tmp_path / "config.toml"
    config.write_text('[newsletter]\nname = "M"\nslug = "morning"\nsender = "b@news.test"\n', encoding="utf-8")
    with App(load_config(config, {}), clock=lambda: NOW) as opened:
        yield opened


def test_what_cannot_be_forgotten_today_keeps_nothing_else_from_being_done(app: App) -> None:
    with app.store._database.write() as connection:
        connection.exec_driver_sql("DROP TABLE tallies")  # of which only deliveries know
    said = do_housekeeping(app)
    assert said
    assert said.startswith("retention: editions wait for another day: ")
    assert "no such table" in said
    assert do_housekeeping(app) is None, "it is tried again tomorrow"
    kept = keep_house(app, at_once=True)
    assert kept
    assert kept.done == {"pages": 0, "events": 0, "networks": 0, "editions": 0, "runs": 0}
    assert len(kept.faults) == 1


def test_one_process_keeps_house_at_a_time(app: App) -> None:
    with app.store.alone("housekeeping morning"):
        assert keep_house(app, at_once=True) is None
    assert keep_house(app, at_once=True) is not None


def test_when_an_edition_was_sent_last_is_known_after_many_that_were_not(app: App) -> None:
    last = save_edition(app.store, day=TODAY - timedelta(days=20)).id
    app.store.editions.set_state(last, EditionState.SENT, None, now=NOW, only_from=[EditionState.READY])
    for days in range(10):
        app.store.editions.miss("morning", "daily", TODAY - timedelta(days=days), "it was off", now=NOW)
    assert app.store.editions.last_sent_at("morning") == NOW
    assert app.store.editions.last_sent_at("evening") is None
    figure = next(line for line in read_metrics(app).decode().splitlines() if line.startswith("digest_last_success"))
    assert float(figure.split()[1]) == NOW.timestamp()
