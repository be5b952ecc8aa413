"""What `digest status` says is due next, by a clock that the test turns."""

from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import EditionState
from digest.operate.status import read_next_due
from digest.stores.sql import SqlStore
from tests.contract.editions import save_edition

BEFORE_SEVEN = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "day"),
    [
        (None, date(2026, 3, 2)),
        (EditionState.HELD, date(2026, 3, 2)),
        (EditionState.SENT, date(2026, 3, 3)),
        (EditionState.WITHDRAWN, date(2026, 3, 3)),
    ],
)
def test_an_edition_that_is_over_with_before_its_time_is_not_the_next(
    store: SqlStore, store_url: str, tmp_path: Path, state: EditionState | None, day: date
) -> None:
    if state:
        save_edition(store, state)
    (tmp_path / "config.toml").write_text(
        '[newsletter]\nname = "Morning Brief"\nslug = "morning"\nsender = "brief@news.test"\n'
        '[schedule]\nat = "07:00"\ntimezone = "UTC"\nweekly = "off"\n'
    )
    config = load_config(tmp_path / "config.toml", {"DIGEST_STORE_URL": store_url})
    with closing(App(config, clock=lambda: BEFORE_SEVEN)) as app:
        due = read_next_due(app)
    assert due
    assert due["date"] == day
