"""The API: what it lets a token do, and that it answers everybody as its schema says."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import engine
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from starlette.testclient import TestClient

from digest.app import App, system_clock
from digest.config import load_config
from digest.models import EditionState, Scope, Section, Sentence, Subscriber, SubscriberState, Summary
from digest.operate.status import read_status
from digest.operate.tokens import create_token, read_scopes
from digest.web.api import create_api
from digest.web.public import create_public
from tests.acceptance.conftest import NEWSLETTER, Desk
from tests.contract.editions import RENDITIONS, make_edition
from tests.doubles.clock import Clock
from tests.unit.builders import make_item

TOPICS = '\n[[topics]]\nid = "world"\ntitle = "World"\n\n[[topics]]\nid = "sport"\ntitle = "Sport"\n'
ITEM = make_item(
    1,
    topic="world",
    summary=Summary(sentences=(Sentence(text="The harbour opened.", document=0, start=0, end=19),)),
)


class Program:
    """Another program, that speaks to the API with a token."""

    def __init__(self, app: App, scopes: list[str]) -> None:
        self.app = app
        _, self.secret = create_token(app, "a shop", read_scopes(scopes))
        self.client = TestClient(create_public(app))

    def __call__(self, method: str, path: str, **arguments: Any) -> Any:
        arguments.setdefault("headers", {"Authorization": f"Bearer {self.secret}"})
        return self.client.request(method, f"/api/v1{path}", **arguments)

    def create(self, email: str, **fields: Any) -> Any:
        return self("POST", "/subscribers", json={"email": email, **fields})


@contextmanager
def newsletter(folder: Path, slug: str = "morning", clock: Callable[[], datetime] = system_clock) -> Iterator[App]:
    """A newsletter in a database that others may share."""
    path = folder / f"{slug}.toml"
    text = NEWSLETTER.replace('slug = "morning"', f'slug = "{slug}"')
    path.write_text(f'{text}{TOPICS}\n[store]\nurl = "sqlite:///{folder / "digest.db"}"\n', encoding="utf-8")
    with App(load_config(path, {}), clock=clock) as app:
        yield app


@pytest.fixture
def app(own_folder: Path) -> Iterator[App]:
    with newsletter(own_folder) as opened:
        yield opened


@pytest.fixture
def program(app: App) -> Program:
    return Program(app, ["all"])


def add(app: App, email: str, state: SubscriberState = SubscriberState.ACTIVE) -> Subscriber:
    """A reader who is there."""
    reader = Subscriber(email=email, state=state, consent_at=app.clock())
    app.store.subscribers.add(app.config.newsletter.slug, reader, now=app.clock())
    found = app.store.subscribers.find(app.config.newsletter.slug, email)
    assert found
    return found


def keep_edition(app: App, day: int = 2, state: EditionState = EditionState.READY) -> int:
    """An edition that is kept."""
    edition = make_edition(
        datetime(2026, 3, day).date(),  # noqa: DTZ001
        newsletter=app.config.newsletter.slug,
        sections=(Section(id="world", title="World", items=(ITEM,)),),
    )
    return app.store.editions.save(edition, RENDITIONS, state, "a reason", now=app.clock()).id


# -- who may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer digest_" + "A" * 43,
        "Basic YTpi",
        "Bearer digest_" + "A" * 100_000,
        "Bearer ' or 1=1 --",
        "Bearer digest_ÿ",
    ],
)
@pytest.mark.parametrize("path", ["/status", "/subscribers", "/nothing", "/"])
def test_nobody_without_a_token_learns_even_what_addresses_there_are(
    program: Program, header: str | None, path: str
) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1", "replace")}
    answer = program("GET", path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 401


def test_a_token_is_looked_at_before_the_body_is(program: Program) -> None:
    answer = program("POST", "/subscribers", content=b"{no json", headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


def test_no_altered_secret_is_taken(program: Program) -> None:
    secret = program.secret
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    altered = [secret[:-1] + letter for letter in alphabet if letter != secret[-1]]
    altered += [secret[1:], secret + "=", secret.upper(), secret[:-1], f"{secret}\n{secret}"]
    for one in altered:
        answer = program("GET", "/status", headers={"Authorization": f"Bearer {one}".encode()})
        assert answer.status_code == 401, one
    assert program("GET", "/status", headers={"Authorization": f"bearer {secret}"}).status_code == 200


NEEDS = [
    ("GET", "/subscribers", Scope.SUBSCRIBERS_READ),
    ("GET", f"/subscribers/{'0' * 32}", Scope.SUBSCRIBERS_READ),
    ("POST", "/subscribers", Scope.SUBSCRIBERS_WRITE),
    ("PATCH", f"/subscribers/{'0' * 32}", Scope.SUBSCRIBERS_WRITE),
    ("POST", f"/subscribers/{'0' * 32}/unsubscribe", Scope.SUBSCRIBERS_WRITE),
    ("DELETE", f"/subscribers/{'0' * 32}", Scope.SUBSCRIBERS_WRITE),
    ("GET", "/editions", Scope.EDITIONS_READ),
    ("GET", "/editions/1", Scope.EDITIONS_READ),
    ("GET", "/status", Scope.STATUS_READ),
]


@pytest.mark.parametrize(("method", "path", "scope"), NEEDS)
def test_each_request_needs_its_scope_and_no_other(app: App, method: str, path: str, scope: Scope) -> None:
    body = {"json": {"email": "ada@rehearsal.test"}} if method in {"POST", "PATCH"} else {}
    others = Program(app, [one for one in Scope if one is not scope])
    refused = others(method, path, **body)
    assert refused.status_code == 403
    assert f'scope="{scope}"' in refused.headers["www-authenticate"]
    assert Program(app, [scope])(method, path, **body).status_code not in {401, 403}


def test_the_status_is_all_that_the_command_prints(app: App, program: Program) -> None:
    assert program("GET", "/status").json().keys() == read_status(app).keys()


def test_a_revoked_token_is_refused_from_then_on(app: App, program: Program) -> None:
    assert program("GET", "/status").status_code == 200
    (token,) = app.store.tokens.everyone("morning")
    assert app.store.tokens.revoke("morning", token.id, now=app.clock())
    assert program("GET", "/status").status_code == 401


def test_a_token_of_one_newsletter_is_none_of_another(tmp_path: Path) -> None:
    with newsletter(tmp_path, "morning") as morning, newsletter(tmp_path, "evening") as evening:
        program = Program(morning, ["all"])
        edition = keep_edition(evening)
        key = add(evening, "ada@rehearsal.test").key
        elsewhere = TestClient(create_public(evening))
        header = {"Authorization": f"Bearer {program.secret}"}
        assert elsewhere.get("/api/v1/status", headers=header).status_code == 401
        assert program("GET", f"/editions/{edition}").status_code == 404
        assert program("GET", f"/subscribers/{key}").status_code == 404
        assert program("DELETE", f"/subscribers/{key}").status_code == 404
        assert program("GET", "/subscribers").json()["items"] == []
        assert program("GET", f"/subscribers?cursor={key}").status_code == 422


def test_its_last_use_is_known_to_the_minute(tmp_path: Path) -> None:
    clock = Clock(datetime.fromisoformat("2026-03-02T07:01:00+00:00"))
    with newsletter(tmp_path, clock=clock) as app:
        program = Program(app, ["all"])

        def last_use() -> datetime | None:
            return app.store.tokens.everyone("morning")[0].last_used_at

        assert last_use() is None
        begun = clock()
        program("GET", "/status")
        clock.wait(59)
        program("GET", "/status")
        assert last_use() == begun
        clock.wait(1)
        program("GET", "/status")
        assert last_use() == begun + timedelta(minutes=1)


def test_the_secret_is_shown_once_and_lies_in_no_file(sample_desk: Desk) -> None:
    made = sample_desk.digest("tokens", "create", "a shop", "--scope", "status:read", "--scope", "editions:read")
    secret = made.out.strip()
    assert made.code == 0
    assert secret.startswith("digest_") and len(secret) == 50
    listed = sample_desk.digest("tokens", "list", "--json")
    (row,) = listed.rows
    assert row["scopes"] == ["editions:read", "status:read"]
    assert row["name"] == "a shop"
    assert secret not in listed.out
    for path in sample_desk.folder.glob("digest.db*"):
        assert secret[7:].encode() not in path.read_bytes()
    assert sample_desk.digest("tokens", "revoke", row["id"]).code == 0
    assert sample_desk.digest("tokens", "list", "--json").rows[0]["revoked_at"]
    assert sample_desk.digest("tokens", "revoke", "nothing").code == 2
    wrong = sample_desk.digest("tokens", "create", "a shop", "--scope", "everything")
    assert wrong.code == 2
    assert "subscribers:read" in wrong.err


# -- subscribers -----------------------------------------------------------------------------------------------------


def test_who_is_created_is_pending_and_it_is_safe_to_repeat(app: App, program: Program) -> None:
    made = program.create("Ada@Rehearsal.test", name="Ada", topics=["world"], consent_text="Yes.")
    assert made.status_code == 202
    assert made.json()["confirmation"] == "asked"
    reader = made.json()["subscriber"]
    assert (reader["state"], reader["topics"], reader["consent_at"]) == ("pending", ["world"], None)
    assert made.headers["location"] == f"/api/v1/subscribers/{reader['id']}"
    again = program.create("ada@rehearsal.test", name="Somebody else")
    assert again.status_code == 200
    assert again.json() == {"confirmation": "none", "subscriber": reader}
    assert list(app.store.subscribers.reached("morning")) == []


@pytest.mark.parametrize("gone", ["left", "removed", "erased", "bounced", "complained", "listed"])
def test_nobody_who_is_gone_becomes_active_by_being_created(app: App, program: Program, gone: str) -> None:
    email, store = "ada@rehearsal.test", app.store.subscribers
    if gone in {"bounced", "complained"}:
        add(app, email, SubscriberState(gone))
    elif gone == "listed":  # of whom nothing is kept but that
        add(app, email)
        store.erase(email, now=app.clock())
    else:
        reader = add(app, email)
        if gone == "left":
            store.leave("morning", reader.key, now=app.clock())
        elif gone == "removed":
            store.remove("morning", email, now=app.clock())
        else:
            program("DELETE", f"/subscribers/{reader.key}")
    asked: list[Subscriber] = []
    api = TestClient(create_api(app, ask=lambda _, reader: not asked.append(reader)))
    before = store.find("morning", email)
    made = api.post("/subscribers", json={"email": email}, headers={"Authorization": f"Bearer {program.secret}"})
    assert made.status_code == 202  # like anybody: it is they who confirm
    assert [one.email for one in asked] == [email]
    assert store.find("morning", email) == before
    assert list(store.reached("morning")) == []


def test_whose_address_was_asked_too_often_is_told_when_to_try_again(app: App, program: Program) -> None:
    api = TestClient(create_api(app, ask=lambda *_: False))
    made = api.post(
        "/subscribers", json={"email": "ada@rehearsal.test"}, headers={"Authorization": f"Bearer {program.secret}"}
    )
    assert made.status_code == 429
    assert int(made.headers["retry-after"]) > 0
    assert app.store.subscribers.find("morning", "ada@rehearsal.test") is None


BAD = [
    {},
    {"email": ""},
    {"email": "nobody"},
    {"email": "a@b.test\r\nBcc: c@d.test"},
    {"email": "Ada <ada@rehearsal.test>"},
    {"email": "a@" + "b" * 400 + ".test"},
    {"email": "ada@rehearsal.test", "topics": ["nope"]},
    {"email": "ada@rehearsal.test", "topics": ["world,sport"]},
    {"email": "ada@rehearsal.test", "topics": "world"},
    {"email": "ada@rehearsal.test", "language": "../en"},
    {"email": "ada@rehearsal.test", "timezone": "Mars/Olympus"},
    {"email": "ada@rehearsal.test", "timezone": "../../etc/passwd"},
    {"email": "ada@rehearsal.test", "frequency": "hourly"},
    {"email": "ada@rehearsal.test", "state": "active"},
    {"email": "ada@rehearsal.test", "consent_at": "2026-01-01T00:00:00Z"},
    {"email": "ada@rehearsal.test", "name": "A\x00da"},
    {"email": "ada@rehearsal.test", "name": "A" * 5000},
    {"email": "ada@rehearsal.test", "name": 1},
    [],
    "x",
]


@pytest.mark.parametrize("body", BAD, ids=lambda body: json.dumps(body)[:60])
def test_what_cannot_be_taken_is_refused_and_named(app: App, program: Program, body: Any) -> None:
    answer = program("POST", "/subscribers", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert list(app.store.subscribers.each("morning")) == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"email":"ada@rehearsal.test","name":"\\ud800"}', 422),
        (b"\xff\xfe", 422),
        (b"[" * 50_000, 422),
        (b'{"email":' + b'"a"' * 3, 422),
        (b'{"email":"ada@rehearsal.test","name":"' + b"x" * 100_000 + b'"}', 413),
    ],
    ids=["half a character", "no UTF-8", "endless lists", "no JSON", "too big"],
)
def test_a_body_that_is_none_is_a_clear_answer(program: Program, content: bytes, status: int) -> None:
    header = {"Authorization": f"Bearer {program.secret}", "Content-Type": "application/json"}
    answer = program("POST", "/subscribers", content=content, headers=header)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_choices_are_changed_one_by_one_and_a_state_is_not(app: App, program: Program) -> None:
    key = add(app, "ada@rehearsal.test").key
    address = f"/subscribers/{key}"
    changed = program(
        "PATCH",
        address,
        json={
            "name": "Ada",
            "topics": ["sport"],
            "language": "ar",
            "timezone": "Asia/Bahrain",
            "frequency": "weekly",
            "paused_until": "2026-08-31T02:00:00+02:00",
        },
    )
    assert changed.status_code == 200
    told = changed.json()
    assert (told["name"], told["topics"], told["language"]) == ("Ada", ["sport"], "ar")
    assert (told["timezone"], told["frequency"]) == ("Asia/Bahrain", "weekly")
    assert told["paused_until"] == "2026-08-31T00:00:00Z"
    assert program("PATCH", address, json={}).json() == told
    cleared = program("PATCH", address, json={"name": None, "paused_until": None, "topics": []}).json()
    assert (cleared["name"], cleared["paused_until"], cleared["topics"]) == (None, None, [])
    assert cleared["language"] == "ar"
    for wrong in (
        {"state": "active"},
        {"email": "b@rehearsal.test"},
        {"paused_until": 1},
        {"paused_until": "2026-08-31"},
        {"paused_until": "2026-08-31T00:00:00"},
        {"paused_until": "0001-01-01T00:00:00+23:59"},
        {"topics": None},
    ):
        assert program("PATCH", address, json=wrong).status_code == 422, wrong
    assert program("GET", address).json() == cleared


@pytest.mark.parametrize("state", ["unsubscribed", "bounced", "complained"])
def test_who_is_gone_cannot_be_changed(app: App, program: Program, state: str) -> None:
    key = add(app, "ada@rehearsal.test", SubscriberState(state)).key
    answer = program("PATCH", f"/subscribers/{key}", json={"topics": []})
    assert answer.status_code == 409
    assert state in answer.json()["detail"]


def test_who_is_unsubscribed_is_not_mailed_again(app: App, program: Program) -> None:
    key = add(app, "ada@rehearsal.test").key
    for _ in range(2):
        answer = program("POST", f"/subscribers/{key}/unsubscribe")
        assert (answer.status_code, answer.json()["state"]) == (200, "unsubscribed")
    assert answer.json()["suppressed"] is True
    assert app.store.subscribers.is_suppressed("morning", "ADA@rehearsal.test")


def test_who_is_erased_is_forgotten_and_not_mailed_again(app: App, program: Program) -> None:
    key = add(app, "ada@rehearsal.test").key
    assert program("DELETE", f"/subscribers/{key}").status_code == 204
    for method, rest in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/unsubscribe")):
        body = {"json": {}} if method == "PATCH" else {}
        assert program(method, f"/subscribers/{key}{rest}", **body).status_code == 404
    assert program("GET", "/subscribers").json()["items"] == []
    assert app.store.subscribers.history("ada@rehearsal.test") == []
    assert app.store.subscribers.is_suppressed("morning", "ada@rehearsal.test")


def test_erasing_in_one_newsletter_leaves_the_other_as_it_is(tmp_path: Path) -> None:
    with newsletter(tmp_path, "morning") as morning, newsletter(tmp_path, "evening") as evening:
        key = add(morning, "ada@rehearsal.test").key
        other = add(evening, "ada@rehearsal.test")
        program = Program(morning, ["all"])
        assert program("DELETE", f"/subscribers/{key}").status_code == 204
        assert list(evening.store.subscribers.reached("evening")) == [other]
        assert [one.newsletter for one in morning.store.subscribers.history("ada@rehearsal.test")] == ["evening"]
        assert morning.store.subscribers.is_suppressed("morning", "ada@rehearsal.test")
        assert program.create("ada@rehearsal.test").json() == {"confirmation": "asked", "subscriber": None}


def test_a_list_is_paged_whatever_becomes_of_those_in_it(app: App, program: Program) -> None:
    readers = [add(app, f"reader{number}@rehearsal.test") for number in range(7)]
    add(app, "waits@rehearsal.test", SubscriberState.PENDING)
    seen, cursor = [], ""
    while True:
        page = program("GET", f"/subscribers?state=active&limit=3{cursor}").json()
        seen += [one["email"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
        if len(seen) == 3:
            program("DELETE", f"/subscribers/{page['next']}")  # the very one that the cursor names
    assert seen == [one.email for one in readers]
    assert len(program("GET", "/subscribers?limit=500").json()["items"]) == 7
    assert program("GET", f"/subscribers?cursor={'f' * 32}").status_code == 422


def test_one_is_found_by_the_address_in_any_letter_case(app: App, program: Program) -> None:
    add(app, "a+b@rehearsal.test")
    found = program("GET", "/subscribers", params={"email": "A+B@Rehearsal.test"}).json()
    assert [one["email"] for one in found["items"]] == ["a+b@rehearsal.test"]
    assert program("GET", "/subscribers", params={"email": "b@rehearsal.test"}).json()["items"] == []


# -- editions and status ---------------------------------------------------------------------------------------------


def test_an_edition_is_told_with_its_sentences_links_and_deliveries(app: App, program: Program) -> None:
    numbers = [keep_edition(app, day) for day in (2, 3, 4)]
    told = program("GET", f"/editions/{numbers[0]}").json()
    assert (told["state"], told["subject"], told["date"]) == ("ready", "A subject", "2026-03-02")
    (item,) = told["sections"][0]["items"]
    assert item["link"] == "https://example.com/1"
    assert [one["text"] for one in item["sentences"]] == ["The harbour opened."]
    assert told["deliveries"] == {}
    first = program("GET", "/editions?limit=2").json()
    assert [one["id"] for one in first["items"]] == numbers[:0:-1]
    rest = program("GET", f"/editions?limit=2&cursor={first['next']}").json()
    assert ([one["id"] for one in rest["items"]], rest["next"]) == ([numbers[0]], None)
    assert [one["id"] for one in program("GET", "/editions?on=2026-03-03").json()["items"]] == [numbers[1]]
    assert program("GET", "/editions?state=sent").json()["items"] == []


def test_the_status_is_what_the_command_line_says(sample_desk: Desk) -> None:
    sample_desk.digest("run")
    with App(load_config(sample_desk.folder / "config.toml", {})) as app:
        told = Program(app, ["status:read"])("GET", "/status").json()
    (said,) = sample_desk.digest("status", "--json").rows
    for row in said["editions"]:
        row["sent_at"] = row["sent_at"].replace("+00:00", "Z")
    assert told["editions"] == said["editions"]
    assert told["subscribers"] == said["subscribers"] == {"active": 1}
    assert {one["id"] for one in told["sources"]} == {one["id"] for one in said["sources"]}
    assert told["last_run"]["message"] == said["last_run"]["message"]


# -- the schema ------------------------------------------------------------------------------------------------------


def try_everything(app: App, secret: str, examples: int) -> tuple[Counter[tuple[str, str]], list[str]]:
    """All that schemathesis thinks of, by the schema and against it: checks by their outcome, and what was wrong."""
    config = schemathesis.Config.from_dict(
        {
            "headers": {"Authorization": f"Bearer {secret}"},
            "generation": {"mode": "all", "max-examples": examples},
            # An address or a time zone may have the right form and be none: what the schema lets pass may be refused.
            "checks": {"positive_data_acceptance": {"enabled": False}},
        }
    )
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_public(app), config=config)
    outcomes: Counter[tuple[str, str]] = Counter()
    wrong = []
    for event in engine.from_schema(schema).execute():
        if isinstance(event, NonFatalError | FatalError):
            wrong.append(str(event))
        if not isinstance(event, ScenarioFinished):
            continue
        for name, checks in event.recorder.checks.items():
            for check in checks:
                outcomes[check.name, check.status.value] += 1
                if check.failure_info:
                    case = event.recorder.cases[name].value
                    wrong.append(f"{case.method} {case.path}: {check.failure_info.failure}")
    return outcomes, wrong


def test_whatever_is_asked_the_answer_is_as_the_schema_says(app: App) -> None:
    for number, state in enumerate(SubscriberState):
        if state is not SubscriberState.ERASED:
            add(app, f"reader{number}@rehearsal.test", state)
    for day, state in enumerate(EditionState, 1):
        keep_edition(app, day, state)
    _, secret = create_token(app, "schemathesis", tuple(Scope))
    outcomes, wrong = try_everything(app, secret, int(os.environ.get("API_EXAMPLES", "2")))
    assert wrong == []
    assert outcomes["not_a_server_error", "success"] > 100
    assert outcomes["response_schema_conformance", "success"] > 100
    assert {one.email for one in list(app.store.subscribers.reached("morning"))} <= {"reader1@rehearsal.test"}


def test_a_schema_says_of_each_request_what_may_go_wrong(program: Program) -> None:
    described = program("GET", "/openapi.json", headers={}).json()
    assert described["servers"] == [{"url": "https://news.test/api/v1"}]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert {"401", "403", "408", "413", "415", "422", "429", "503"} <= operation["responses"].keys(), (
                method,
                path,
            )
            assert operation["security"], (method, path)
            assert operation["summary"]
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]
