"""Incidents over a webhook, once each; a heartbeat after a good edition, and after no other."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from digest.app import App
from digest.config import load_config
from digest.errors import SourceError
from digest.models import EditionState, Report, StageReport
from digest.operate.alerts import beat, is_good, tell_incidents, tell_of_machine
from digest.operate.calling import call
from digest.operate.incidents import Incident, Standing, find_incidents
from digest.operate.recurring import look_after
from digest.reporting import Held
from digest.stores.sql import SqlStore
from tests.contract.editions import make_edition
from tests.doubles.hook import Hook
from tests.doubles.ports import free_port
from tests.doubles.smtp_server import SmtpServer

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


def open_app(folder: Path, store_url: str, alerts: str, sources: Sequence[str] = ("one", "two")) -> App:
    """One of those at the same database, with a configuration of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(
        '[newsletter]\nname = "Morning Brief"\nslug = "morning"\nsender = "brief@news.test"\n'
        f"[alerts]\n{alerts}\n"
        + "".join(f'[[sources]]\nid = "{one}"\nkind = "feed"\nurl = "https://{one}.test/"\n' for one in sources)
    )
    return App(load_config(folder / "config.toml", {"DIGEST_STORE_URL": store_url}), wait=lambda _: None)


@pytest.fixture
def app(store: SqlStore, store_url: str, tmp_path: Path, hook: Hook) -> Iterator[App]:
    alerts = f'webhook = "{hook.url}{SECRET}"\nheartbeat = "{hook.url}/beat"'
    with closing(open_app(tmp_path, store_url, alerts)) as app:
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


def test_what_was_mailed_is_not_mailed_again_while_the_webhook_is_tried(
    store: SqlStore, store_url: str, tmp_path: Path, hook: Hook
) -> None:
    to = 'to = ["a@news.test", "b@news.test"]'
    with closing(open_app(tmp_path, store_url, f'{to}\nwebhook = "{hook.url}"')) as app:
        fail_both(app)
        hook.answers = [503] * 6
        for _ in range(2):
            assert "The webhook was not told" in (tell_incidents(app) or "")
        assert len(list((tmp_path / "outbox" / "new").iterdir())) == 2, "each address once"
        assert hook.told == []
        tell_incidents(app)
        assert tell_incidents(app) is None
    assert [told["kind"] for _, told in hook.told] == ["sources"]
    assert len(list((tmp_path / "outbox" / "new").iterdir())) == 2


def test_an_address_that_is_refused_has_the_others_told_once(store: SqlStore, store_url: str, tmp_path: Path) -> None:
    with SmtpServer(on_rcpt=lambda address: "550 5.1.1 no" if "gone" in address else "250 2.1.5 ok") as server:
        transport = f'[transport]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"'
        alerts = f'to = ["gone@news.test", "here@news.test"]\n{transport}'
        with closing(open_app(tmp_path, store_url, alerts)) as app:
            fail_both(app)
            for _ in range(3):
                assert "No alert was mailed" in (tell_incidents(app) or "")
        assert [message.recipient for message in server.messages] == ["here@news.test"]


class Killed(BaseException):
    """The process ends here."""


def test_an_alert_of_one_who_is_killed_while_telling_it_is_told_by_another(
    store: SqlStore, store_url: str, tmp_path: Path, hook: Hook
) -> None:
    def die(_: float) -> None:
        raise Killed

    now = datetime.now(UTC)
    clock = [now]
    with closing(open_app(tmp_path, store_url, f'webhook = "{hook.url}"')) as other:
        with closing(App(other.config, clock=lambda: clock[0], wait=die)) as app:
            fail_both(app)
            hook.answers = [503]
            with pytest.raises(Killed):
                tell_incidents(app)
        with closing(App(other.config, clock=lambda: clock[0], wait=lambda _: None)) as again:
            assert tell_incidents(again) is None, "it may still be at it"
            clock[0] += timedelta(minutes=10)
            tell_incidents(again)
    assert len(hook.told) == 1


def test_a_journal_that_one_machine_cannot_write_is_told_once_while_another_can(
    store: SqlStore, store_url: str, tmp_path: Path, hook: Hook
) -> None:
    alerts = f'webhook = "{hook.url}"'
    journal = tmp_path / "one" / "journal"
    with (
        closing(open_app(tmp_path / "one", store_url, f'{alerts}\n[store]\njournal = "journal"')) as one,
        closing(open_app(tmp_path / "two", store_url, f'{alerts}\n[store]\njournal = "journal"')) as two,
    ):
        journal.unlink(missing_ok=True)
        journal.mkdir()
        for _ in range(5):
            tell_incidents(one)
            tell_incidents(two)
        ((_, told),) = hook.told
        assert told["kind"] == "journal"
        assert platform.node() in told["words"]


def test_a_worker_tells_of_its_own_machines_journal_and_of_nothing_else(
    store: SqlStore, store_url: str, tmp_path: Path, hook: Hook
) -> None:
    settings, journal = f'webhook = "{hook.url}"\n[store]\njournal = "journal"', tmp_path / "one" / "journal"
    with (
        closing(open_app(tmp_path / "one", store_url, settings)) as worker,
        closing(open_app(tmp_path / "two", store_url, f'webhook = "{hook.url}"')) as server,
    ):
        for _ in range(2):  # it is told again when it comes again
            journal.unlink(missing_ok=True)
            journal.mkdir()
            fail_both(server)
            tell_of_machine(worker)
            tell_incidents(server)
            tell_of_machine(worker)
            journal.rmdir()
            tell_of_machine(worker)
    assert [told["kind"] for _, told in hook.told] == ["journal", "sources", "journal"]


def test_sources_that_only_one_has_are_told_once_and_those_of_both_not_twice(
    store: SqlStore, store_url: str, tmp_path: Path, hook: Hook
) -> None:
    alerts = f'webhook = "{hook.url}"'
    with (
        closing(open_app(tmp_path / "one", store_url, alerts)) as one,
        closing(open_app(tmp_path / "like one", store_url, alerts)) as like_one,
        closing(open_app(tmp_path / "two", store_url, alerts, ["three", "four"])) as two,
    ):
        fail_both(one)
        for _ in range(3):
            for app in (one, two, like_one):
                tell_incidents(app)
    assert [told["kind"] for _, told in hook.told] == ["sources"]


def fail_both(app: App) -> None:
    for source in ("one", "two"):
        for _ in range(2):
            app.store.entries.fail("morning", source, str(SourceError(source, "no answer")), now=app.clock())


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


def test_what_a_run_cannot_do_afterwards_keeps_it_from_nothing_else(app: App, hook: Hook) -> None:
    with app.store._database.write() as connection:
        for table in ("censuses", "incidents"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    said = list(look_after(app, SENT))
    assert len(said) == 2, said
    assert all(line.startswith("digest: ") for line in said)
    assert hook.told == [("/beat", None)]


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
    assert call(f"http://127.0.0.1:{free_port()}/secret", wait=waits.append) == "127.0.0.1: Connection refused"
    said = call("http://nowhere.invalid/secret", wait=waits.append, told={}) or ""
    assert said.startswith("nowhere.invalid: ")
    assert "secret" not in said
    assert waits == [2.0, 4.0, 2.0, 4.0]
