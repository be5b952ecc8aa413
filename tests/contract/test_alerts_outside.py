"""Incidents over a webhook, once each; a heartbeat after a good edition, and after no other."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from digest.app import App
from digest.config import load_config
from digest.errors import SourceError
from digest.models import EditionState, Report, StageReport
from digest.operate.alerts import beat, is_good, tell_incidents
from digest.operate.calling import call
from digest.operate.incidents import Incident, Standing, find_incidents
from digest.reporting import Held
from digest.stores.sql import SqlStore
from tests.contract.editions import make_edition
from tests.doubles.hook import Hook

SECRET = "/hooks/T0KEN"
SENT = Report(
    newsletter="morning",
    date=datetime(2026, 3, 2, tzinfo=UTC).date(),
    status="done",
    message="it went out",
    state=EditionState.SENT,
    stages=(StageReport(stage="deliver", counts={"accepted": 100}),),
    deliveries={"accepted": 100},
)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as hook:
        yield hook


@pytest.fixture
def app(store: SqlStore, store_url: str, tmp_path: Path, hook: Hook) -> Iterator[App]:
    (tmp_path / "config.toml").write_text(
        '[newsletter]\nname = "Morning Brief"\nslug = "morning"\nsender = "brief@news.test"\n'
        f'[alerts]\nwebhook = "{hook.url}{SECRET}"\nheartbeat = "{hook.url}/beat"\n'
        '[[sources]]\nid = "one"\nkind = "feed"\nurl = "https://one.test/"\n'
        '[[sources]]\nid = "two"\nkind = "feed"\nurl = "https://two.test/"\n'
    )
    config = load_config(tmp_path / "config.toml", {"DIGEST_STORE_URL": store_url})
    with closing(App(config, wait=lambda _: None)) as app:
        yield app


def hold(app: App, reason: str) -> None:
    app.store.editions.save(make_edition(), [], EditionState.HELD, reason, now=app.clock())


def test_a_held_edition_is_told_once_and_again_when_it_is_held_for_another_reason(app: App, hook: Hook) -> None:
    hold(app, f"{Held.PREFLIGHT}: a link is dead")
    assert "is held: preflight: a link is dead" in (tell_incidents(app) or "")
    assert tell_incidents(app) is None
    ((path, told),) = hook.told
    assert path == SECRET
    assert (told["kind"], told["newsletter"]) == ("held", "Morning Brief")
    assert "digest editions show" in told["command"]
    assert told["text"] == told["content"]
    hold(app, f"{Held.FEW_STORIES}: 1 of at least 3 stories")
    tell_incidents(app)
    assert [told["kind"] for _, told in hook.told] == ["held", "empty"]


def test_what_a_person_holds_is_no_incident(app: App, hook: Hook) -> None:
    hold(app, f"{Held.OPERATOR}: held by Kim")
    assert tell_incidents(app) is None
    assert hook.told == []


def test_a_webhook_that_fails_is_tried_again_and_its_address_is_named_nowhere(app: App, hook: Hook) -> None:
    hold(app, f"{Held.PREFLIGHT}: a link is dead")
    hook.answers = [500, 503, 302]
    said = tell_incidents(app) or ""
    assert "The webhook was not told: 127.0.0.1: it answers 302" in said
    assert SECRET not in said
    assert hook.told == []
    assert "not told" not in (tell_incidents(app) or "not told")
    assert len(hook.told) == 1
    assert SECRET not in repr(app.config)


def test_a_run_that_failed_is_told_until_another_one_does_not(app: App, hook: Hook) -> None:
    now = app.clock()
    failed = replace(SENT, status="failed", state=None, message="templates/email/edition.html: line 3")
    app.store.runs.record(failed, started_at=now, finished_at=now)
    tell_incidents(app)
    tell_incidents(app)
    assert [(told["kind"], told["words"]) for _, told in hook.told] == [
        ("failed", "The last run failed: templates/email/edition.html: line 3.")
    ]
    app.store.runs.record(SENT, started_at=now, finished_at=now + timedelta(seconds=1))
    tell_incidents(app)
    app.store.runs.record(failed, started_at=now, finished_at=now + timedelta(seconds=2))
    tell_incidents(app)
    assert len(hook.told) == 2, "it passed, and came again"


def test_that_half_of_the_sources_fail_is_told(app: App, hook: Hook) -> None:
    for _ in range(2):
        app.store.entries.fail("morning", "one", str(SourceError("one", "no answer")), now=app.clock())
    tell_incidents(app)
    ((_, told),) = hook.told
    assert told["words"] == "1 of 2 sources fail: one."


def test_one_bad_visit_is_no_incident() -> None:
    assert find_incidents(Standing(failing=["a"], sources=3)) == []
    assert [one.kind for one in find_incidents(Standing(failing=["a", "b"], sources=3))] == ["sources"]


def test_a_journal_that_cannot_be_written_is_told() -> None:
    (found,) = find_incidents(Standing(journal_fault="/mnt/x: Read-only file system"))
    assert isinstance(found, Incident)
    assert "/mnt/x: Read-only file system" in found.words


def test_the_heart_beats_after_a_good_edition(app: App, hook: Hook) -> None:
    assert beat(app, SENT) is None
    assert hook.told == [("/beat", None)]
    assert beat(app, replace(SENT, state=EditionState.HELD)) is None
    assert beat(app, replace(SENT, stages=())) is None, "nothing was sent in this run"
    assert len(hook.told) == 1


def test_a_heartbeat_that_nobody_hears_is_said_without_its_address(app: App, hook: Hook) -> None:
    hook.answers = [404, 404, 404]
    assert beat(app, SENT) == "digest: the heartbeat was not heard: 127.0.0.1: it answers 404"


@pytest.mark.parametrize(
    ("deliveries", "good"),
    [
        ({"accepted": 98, "refused": 2}, True),
        ({"accepted": 90, "unknown": 10}, False),
        ({"refused": 3}, False),
        ({"skipped": 3}, True),
        ({"delivered": 50, "accepted": 49, "bounced": 1}, True),
    ],
)
def test_an_edition_is_good_when_nearly_all_have_it(deliveries: dict[str, int], good: bool) -> None:
    assert is_good(replace(SENT, deliveries=deliveries)) is good


def test_an_address_where_nobody_listens_is_said_in_words() -> None:
    waits: list[float] = []
    assert call("http://127.0.0.1:9/secret", wait=waits.append) == "127.0.0.1: Connection refused"
    assert call("http://nowhere.invalid/secret", wait=waits.append, told={}) not in (None, "")
    assert waits == [2.0, 4.0, 2.0, 4.0]
