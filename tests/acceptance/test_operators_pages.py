"""What an operator asks a server: whether it is ready, figures for Prometheus, and a page with pictures."""

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from prometheus_client.parser import text_string_to_metric_families

from digest.app import App
from digest.errors import OtherRevision, StoreUnavailable
from digest.models import (
    Collected,
    EditionState,
    Entry,
    Report,
    Scope,
    StageReport,
    Subscriber,
    SubscriberState,
)
from digest.operate.presence import Presence
from digest.operate.tokens import create_token
from tests.acceptance.public_site import DAY, NOON, Answered, ask, keep_edition, open_app, serving_app


@dataclass(frozen=True)
class Desk:
    app: App
    url: str
    token: str

    def get(self, path: str, **headers: str) -> Answered:
        return ask(self.url + path, **headers)

    def read(self, path: str) -> Answered:
        return self.get(path, Authorization=f"Bearer {self.token}")


@pytest.fixture
def desk(own_folder: Path) -> Iterator[Desk]:
    with open_app(own_folder) as app:
        slug = app.config.newsletter.slug
        for number in range(12):
            reader = Subscriber(
                email=f"reader{number}@far.test", state=SubscriberState.ACTIVE, consent_at=NOON, name="Jo"
            )
            app.store.subscribers.add(slug, reader, now=NOON)
        for back in range(30):
            app.store.census.keep(slug, app.today() - timedelta(days=back + 1), {"active": 11 - back // 4})
        keep_edition(app)
        keep_edition(app, DAY + timedelta(days=1), state=EditionState.READY)
        entry = Entry(id="one", title="One", link="https://news.test/one")
        app.store.entries.add(slug, "wire", Collected(entries=(entry,), title="The <Wire>"), now=NOON, since=NOON)
        app.store.entries.fail(slug, "post", "post: no answer within 20 s", now=NOON)
        _, token = create_token(app, "prometheus", [Scope.STATUS_READ])
        with serving_app(app) as url:
            yield Desk(app, url, token)


def test_readiness_is_for_everybody_and_names_nothing(desk: Desk, tmp_path: Path) -> None:
    ready = desk.get("/readyz")
    assert (ready.status, ready.text) == (200, "ok\n")
    with closing(sqlite3.connect(tmp_path / "digest.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    ready = desk.get("/readyz")
    assert (ready.status, ready.text) == (503, "the database is of another version\n")


def test_readiness_names_no_place_whatever_is_in_the_way(desk: Desk, tmp_path: Path) -> None:
    for fault, words in (
        (StoreUnavailable(str(tmp_path / "digest.db"), "it is locked"), "the database does not answer\n"),
        (OtherRevision(str(tmp_path / "digest.db"), "it is newer"), "the database is of another version\n"),
    ):
        presence = Presence(desk.app, queues=(), tell=lambda _: None)
        with presence:
            presence.note_lost(fault)
            assert str(tmp_path) in presence.find_obstacle()
            ready = desk.get("/readyz")
            assert (ready.status, ready.text) == (503, words)


@pytest.mark.parametrize("path", ["/metrics", "/status"])
def test_who_has_no_token_sees_nothing(desk: Desk, path: str) -> None:
    answer = desk.get(path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert "digest tokens create" in answer.text
    assert desk.get(path, Authorization="Bearer digest_" + "a" * 43).status == 401
    assert desk.get(path, Authorization="Basic not-base64").status == 401
    assert desk.get(path, Authorization="Digest x").status == 401
    _, other = create_token(desk.app, "reader", [Scope.EDITIONS_READ])
    assert desk.get(path, Authorization=f"Bearer {other}").status == 403


def test_a_token_is_a_password_for_browsers_too(desk: Desk) -> None:
    given = base64.b64encode(f"anybody:{desk.token}".encode()).decode()
    assert desk.get("/status", Authorization=f"Basic {given}").status == 200


def test_metrics_are_what_prometheus_reads(desk: Desk) -> None:
    worked = Report(
        newsletter=desk.app.config.newsletter.slug,
        date=DAY,
        status="done",
        message="it went out",
        state=EditionState.SENT,
        stages=(StageReport(stage="collect", counts={"new": 3}, seconds=1.5),),
    )
    nothing_to_do = replace(worked, message="it was already sent", stages=())
    for minutes, report in enumerate((worked, nothing_to_do)):
        at = NOON + timedelta(minutes=minutes)
        desk.app.store.runs.record(report, started_at=at, finished_at=at)
    answer = desk.read("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in found.values()
        for sample in family.samples
    }
    assert values["digest_subscribers", "active"] == 12
    assert values["digest_entries", "wire"] == 1
    assert values["digest_stage_seconds", "collect"] == 1.5, "of the last one that did something"
    assert values["digest_last_run_timestamp_seconds",] == (NOON + timedelta(minutes=1)).timestamp()
    assert values["digest_source_failures", "post"] == 1
    assert values["digest_sources_failing",] == 1
    assert values["digest_deliveries_unknown",] == 0
    assert values["digest_last_success_timestamp_seconds",] > 0
    assert "far.test" not in answer.text
    assert all(family.documentation.endswith(".") for family in found.values())


def test_the_page_says_how_it_does_and_names_no_reader(desk: Desk) -> None:
    answer = desk.read("/status")
    assert answer.status == 200
    assert "no-store" in answer.headers["cache-control"]
    for words in ("All is well", "12 active", "The &lt;Wire&gt;", "fails</span> once", "post: no answer within 20 s"):
        assert words in answer.text
    assert "far.test" not in answer.text
    assert "<script" not in answer.text


def test_the_page_says_first_what_needs_its_operator(desk: Desk) -> None:
    number = keep_edition(desk.app, DAY + timedelta(days=2), state=EditionState.READY).id
    desk.app.store.editions.set_state(
        number, EditionState.HELD, "preflight: a link is dead", now=NOON, only_from=[EditionState.READY]
    )
    html = desk.read("/status").text
    assert "1 thing needs you" in html
    assert "is held: preflight: a link is dead." in html


def test_everybody_can_read_the_page(desk: Desk, phone: Browser) -> None:
    looks: list[tuple[int, Literal["dark", "light"]]] = [(360, "dark"), (1100, "light")]
    for width, scheme in looks:
        context = phone.new_context(
            color_scheme=scheme,
            viewport={"width": width, "height": 800},
            http_credentials={"username": "anybody", "password": desk.token},
            bypass_csp=True,  # for axe's own script
        )
        page = context.new_page()
        page.goto(f"{desk.url}/status")
        found = Axe().run(page).response["violations"]
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        context.close()
        assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == [], scheme
        assert not wide, width
