"""What SendGrid's own records say of unknown deliveries, asked slowly and believed only where it is certain."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from digest.app import App
from digest.audience.receiving import read_events
from digest.config import load_config
from digest.errors import ConfigError, DigestError, Refused, Unavailable
from digest.models import Delivery, DeliveryState, Outcome
from digest.operate.asking import Asked, ask_about_unknown, say_asked
from digest.operate.events import take_events
from digest.operate.recurring import list_chores
from digest.transports.sendgrid_activity import SendGridActivity
from tests.contract.editions import LEASE, NOW, make_owner, plan
from tests.doubles.clock import Clock
from tests.doubles.sendgrid_activity import ActivityDouble
from tests.doubles.sendgrid_api import Delivered, SendGridDouble

CONFIG = """
[newsletter]
name = "Morning Brief"
slug = "morning"
sender = "brief@news.test"

[transport]
kind = "sendgrid"
host = "{url}"
activity = true
"""


@dataclass
class Desk:
    """An edition of which nobody knows what became of it, at a double that took all of it."""

    app: App
    api: SendGridDouble
    clock: Clock
    edition: int
    keys: list[str]

    def counts(self) -> dict[str, int]:
        return self.app.store.ledger.counts(self.edition)

    def missing(self) -> set[str]:
        return {one.send_key for one in self.app.store.ledger.deliveries(self.edition, missing=True)}


def open_desk(folder: Path, api: SendGridDouble, readers: int, *, transport: str = "sendgrid") -> Iterator[Desk]:
    (folder / "config.toml").write_text(CONFIG.format(url=api.url), encoding="utf-8")
    clock = Clock(NOW + timedelta(hours=1))
    api.activity.at = NOW
    config = load_config(folder / "config.toml", {"DIGEST_SENDGRID_API_KEY": api.api_key})
    with App(config, clock=clock, wait=clock.wait) as app:
        ledger, edition = app.store.ledger, plan(app.store, readers, batch_size=1000)
        claim = ledger.claim(edition, make_owner(), lease_until=LEASE, now=NOW)
        assert claim
        numbers = [one.delivery for one in claim.recipients]
        assert ledger.mark(claim, numbers, transport, now=NOW)
        ledger.settle(claim, [Outcome(delivery=n, state=DeliveryState.UNKNOWN) for n in numbers], now=NOW)
        ledger.release(claim, now=NOW)
        api.delivered = [Delivered(one.email, one.send_key) for one in claim.recipients]
        yield Desk(app, api, clock, edition, [one.send_key for one in claim.recipients])


@pytest.fixture
def desk(own_folder: Path) -> Iterator[Desk]:
    with SendGridDouble() as api:
        yield from open_desk(own_folder, api, 8)


def test_what_it_knows_settles_and_what_it_does_not_find_stays_unknown(desk: Desk) -> None:
    taken, arrived, bounced, dropped, deferred, hidden, *_ = desk.keys
    records = desk.api.activity
    records.statuses = {
        key: "delivered" if key == arrived else "not_delivered" for key in (arrived, bounced, dropped, deferred)
    }
    records.events = {
        bounced: [("processed", ""), ("deferred", "451 later"), ("bounced", "550 5.1.1 no such user")],
        dropped: [("processed", ""), ("dropped", "Bounced Address")],
        deferred: [("processed", ""), ("deferred", "452 4.2.2 mailbox full")],
    }
    records.hidden = {hidden}
    asked = ask_about_unknown(desk.app, desk.edition)
    assert asked == Asked(unknown=8, settled={"accepted": 4, "delivered": 1, "bounced": 1, "dropped": 1})
    assert asked.left == 1
    assert desk.counts() == {"accepted": 4, "unknown": 1, "delivered": 1, "bounced": 1, "dropped": 1}
    assert desk.missing() == {hidden, bounced, dropped}
    answers = {one.send_key: one.answer for one in desk.app.store.ledger.deliveries(desk.edition)}
    assert answers[bounced] == "bounced: 550 5.1.1 no such user"
    assert answers[dropped] == "dropped: Bounced Address"
    assert answers[deferred] == "not delivered so far"
    assert answers[taken] == "processed, as its activity says"
    # However much later: nothing found is nothing known.
    desk.clock.now += timedelta(days=2)
    assert ask_about_unknown(desk.app, desk.edition) == Asked(unknown=1, settled={})


def test_six_requests_a_minute_are_made_and_no_more(tmp_path: Path) -> None:
    with SendGridDouble() as api:
        for desk in open_desk(tmp_path, api, 430):
            before, settled = desk.clock(), []
            asked = ask_about_unknown(desk.app, desk.edition, on_settled=settled.append)
            assert asked.settled == {"accepted": 430}
            assert settled == [50, 100, 150, 200, 250, 300, 350, 400, 430]
            assert len(api.activity.asked) == 9
            assert max(len(path) for path in api.activity.asked) < 8000
            assert desk.clock() - before >= timedelta(seconds=80)
            # Another process, and the next question, keep to the same pace.
            ledger = desk.app.store.ledger
            assert ledger.counts(desk.edition) == {"accepted": 430}


def test_too_many_requests_wait_for_the_reset(desk: Desk) -> None:
    reset = int((desk.clock() + timedelta(seconds=37)).timestamp())
    desk.api.activity.refusals = [(429, {"X-RateLimit-Reset": str(reset), "Date": ""}, {"errors": []})]
    before = desk.clock()
    assert ask_about_unknown(desk.app, desk.edition).settled == {"accepted": 8}
    assert desk.clock() - before >= timedelta(seconds=10)


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        ((429, {"X-RateLimit-Reset": "3000"}, {}), Unavailable, "wait 3000 seconds"),
        ((403, {}, {}), Refused, "additional email activity history"),
        ((401, {}, {}), Refused, "may not ask"),
        ((400, {}, {"errors": [{"message": "invalid syntax near reader00001@rehearsal.test"}]}), Refused, "400"),
        ((500, {}, {}), Unavailable, "500"),
        ((200, {}, {"messages": "none"}), Unavailable, "makes no sense"),
        ((200, {}, []), Unavailable, "makes no sense"),
        ((200, {}, {"messages": [{}] * 20}), None, ""),
        ((200, {}, {"messages": [None, 7, {"to_email": 3, "status": "processed", "msg_id": "m"}]}), None, ""),
    ],
)
def test_an_answer_that_says_nothing_settles_nothing(
    desk: Desk, refusal: tuple[int, dict[str, str], object], error: type[DigestError] | None, words: str
) -> None:
    desk.api.activity.refusals = [refusal]
    if error is None:
        assert ask_about_unknown(desk.app, desk.edition).settled == {}
    else:
        with pytest.raises(error, match=words) as caught:
            ask_about_unknown(desk.app, desk.edition)
        assert "rehearsal.test" not in str(caught.value)
    assert desk.counts() == {"unknown": 8}


def test_a_service_that_tells_of_everybody_is_not_believed(desk: Desk) -> None:
    rows = [
        {"to_email": f"reader{n:05}@rehearsal.test", "status": "delivered", "msg_id": f"m{n}", "last_event_time": ""}
        for n in range(100)
    ]
    desk.api.activity.refusals = [(200, {}, {"messages": rows})]
    with pytest.raises(Refused, match="not asked about"):
        ask_about_unknown(desk.app, desk.edition)
    assert desk.counts() == {"unknown": 8}


def test_a_message_from_before_the_attempt_is_another_one(desk: Desk) -> None:
    desk.api.activity.at = NOW - timedelta(days=1)
    assert ask_about_unknown(desk.app, desk.edition).settled == {}


def test_an_address_that_is_met_twice_is_asked_about_twice(desk: Desk) -> None:
    activity = SendGridActivity(api_key=desk.api.api_key, host=desk.api.url, clock=desk.clock)
    desk.api.delivered = [Delivered("jo@xn--bcher-kva.example", key) for key in ("a1", "b2")]
    desk.api.activity.statuses = {"b2": "delivered"}
    deliveries = [
        Delivery(
            email=email, state=DeliveryState.UNKNOWN, transport="sendgrid", attempted_at=NOW, answer=None, send_key=key
        )
        for email, key in (("Jo@bücher.example", "a1"), ("jo@BÜCHER.example", "b2"), ("odd@far.test", 'x"y'))
    ]
    found = {trace.send_key: trace.state for traces in activity.ask(deliveries) for trace in traces}
    activity.close()
    assert found == {"a1": DeliveryState.ACCEPTED, "b2": DeliveryState.DELIVERED}
    assert len(desk.api.activity.asked) == 2


def test_the_chore_asks_gently_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    with SendGridDouble() as api:
        for desk in open_desk(tmp_path, api, 450):
            chore = next(chore for chore in list_chores(desk.app) if chore.name == "email activity")
            api.activity.hidden = set(desk.keys)
            asked: list[int] = []
            for _ in range(3):
                assert chore.work() is None
                asked.append(len(api.activity.asked))
            assert asked == [4, 8, 12]
            assert len({key for key in desk.keys if any(key in path for path in api.activity.asked)}) == 450
            api.activity.hidden = set()
            assert chore.work() == "email activity: of 450 unknown deliveries, 200 accepted"
            desk.clock.now += timedelta(days=4)
            assert chore.work() is None
            assert desk.counts() == {"accepted": 200, "unknown": 250}


def test_an_account_that_has_not_bought_it_is_told_so(desk: Desk) -> None:
    desk.api.activity.is_paid = False
    chore = next(chore for chore in list_chores(desk.app) if chore.name == "email activity")
    with pytest.raises(Refused, match="bought at SendGrid"):
        chore.work()


def test_what_another_transport_lost_is_not_asked_about(tmp_path: Path) -> None:
    with SendGridDouble() as api:
        for desk in open_desk(tmp_path, api, 2, transport="smtp"):
            assert ask_about_unknown(desk.app, desk.edition) == Asked(unknown=0, settled={})
            assert api.activity.asked == []


def test_without_such_a_provider_there_is_nobody_to_ask(tmp_path: Path) -> None:
    table = CONFIG.partition("[transport]")[0]
    (tmp_path / "config.toml").write_text(table, encoding="utf-8")
    with App(load_config(tmp_path / "config.toml", {})) as app:
        with pytest.raises(ConfigError, match="can be asked"):
            ask_about_unknown(app, 1)
        assert "email activity" not in [chore.name for chore in list_chores(app)]
    assert say_asked([]) is None


def test_the_region_eu_has_no_activity(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(url="https://api.sendgrid.com") + 'region = "eu"\n')
    with pytest.raises(ConfigError, match='region "eu"'):
        load_config(tmp_path / "config.toml", {"DIGEST_SENDGRID_API_KEY": "k"})


def test_events_settle_what_was_unknown_and_nothing_goes_back(desk: Desk) -> None:
    taken, dropped, bounced, late, *_ = desk.keys
    emails = {one.send_key: one.email for one in desk.app.store.ledger.deliveries(desk.edition)}

    def tell(*events: dict[str, object]) -> None:
        said = [{"timestamp": int(NOW.timestamp()), "sg_event_id": str(n), **one} for n, one in enumerate(events)]
        take_events(desk.app, read_events(json.dumps(said).encode(), now=desk.clock()))

    tell(
        {"event": "bounce", "email": emails[bounced], "send_key": bounced, "type": "bounce", "status": "5.1.1"},
        {"event": "processed", "email": emails[bounced], "send_key": bounced},
        {"event": "processed", "email": emails[taken], "send_key": taken},
        {"event": "dropped", "email": emails[dropped], "send_key": dropped, "reason": "Bounced Address"},
        {"event": "bounce", "email": emails[late], "type": "bounce", "status": "5.1.1"},  # late ones have no names
    )
    assert desk.counts()["accepted"] == 1
    assert desk.counts()["dropped"] == 1
    assert {bounced, dropped} <= desk.missing()
    assert taken not in desk.missing()
    states = {one.send_key: one.state for one in desk.app.store.ledger.deliveries(desk.edition)}
    assert states[bounced] is states[late] is DeliveryState.BOUNCED
    # What events have settled is not settled again by what the records say.
    desk.api.activity.statuses = dict.fromkeys(desk.keys, "delivered")
    asked = ask_about_unknown(desk.app, desk.edition)
    assert asked.settled == {"delivered": asked.unknown}
    assert desk.counts()["dropped"] == 1


@pytest.fixture(scope="module")
def document(shared: Path) -> dict[str, Any]:
    path = shared / "data" / "sendgrid" / "oai" / "tsg_email_activity_v3.yaml"
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/v3/messages?limit=10&query=(unique_args[%27send_key%27]%3D%22a1%22)", "/v3/messages"),
        ("/v3/messages/a1.recvd-1-0", "/v3/messages/{msg_id}"),
    ],
)
def test_the_double_answers_as_the_api_describes(document: dict[str, Any], path: str, known: str) -> None:
    records = ActivityDouble(statuses={"a1": "not_delivered"}, events={"a1": [("bounced", "550")]})
    status, content, _ = records.answer(path, [("a1", "jo@far.test")])
    assert status == 200
    assert "a1" in json.dumps(content)
    schema = document["paths"][known]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    assert [error.message for error in validator.iter_errors(content)] == []


def test_the_question_is_what_the_api_describes(desk: Desk, document: dict[str, Any]) -> None:
    ask_about_unknown(desk.app, desk.edition)
    [path] = desk.api.activity.asked
    assert path.startswith("/v3/messages?limit=1000&query=%28unique_args%5B%27send_key%27%5D%3D%22key-")
    names = {parameter["name"] for parameter in document["paths"]["/v3/messages"]["get"]["parameters"]}
    assert names == {"limit", "query"}
