"""SendGrid's signed events over real HTTP, and what the operator does about them."""

import base64
import gzip
import http.client
import json
import socket
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from digest.app import App
from digest.config import load_config
from digest.errors import ConfigError
from digest.models import AskedFor, DeliveryState, Event, EventKind, PageRequest, Planned, Subscriber, SubscriberState
from digest.operate.events import make_bounce_rules, take_events, take_refusals
from digest.web.public import create_public
from tests.acceptance.conftest import NEWSLETTER, Desk
from tests.acceptance.serving import wait_for
from tests.contract.editions import save_edition
from tests.doubles.clock import Clock
from tests.doubles.smtp_server import SmtpServer

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PATH = "/morning/events/sendgrid"


def make_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def shown(key: ec.EllipticCurvePrivateKey) -> str:
    """A public key as SendGrid shows it."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@dataclass
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


@dataclass
class Place:
    """A newsletter with readers and an edition that went out, behind a socket."""

    app: App
    clock: Clock
    key: ec.EllipticCurvePrivateKey
    port: int = 0
    send_keys: dict[str, str] = field(default_factory=dict)

    def sign(
        self, body: bytes, at: datetime | None = None, key: ec.EllipticCurvePrivateKey | None = None
    ) -> dict[str, str]:
        stamp = str(int((at or self.clock()).timestamp()))
        signature = (key or self.key).sign(stamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
            "Content-Type": "application/json",
        }

    def post(self, body: bytes, headers: Mapping[str, str] | None = None, method: str = "POST") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            connection.request(method, PATH, body, dict(self.sign(body) if headers is None else headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()})

    def tell(self, *events: object) -> Answer:
        return self.post(json.dumps(events).encode() + b"\r\n")

    def event(
        self, kind: str, reader: int = 0, *, at: datetime = NOW, named: bool = True, **changes: object
    ) -> dict[str, object]:
        email = f"reader{reader:03}@mail.news"
        made: dict[str, object] = {
            "event": kind,
            "email": email,
            "timestamp": int(at.timestamp()),
            "sg_event_id": f"{kind}-{reader}-{at:%d%H%M%S}",
            **({"send_key": self.send_keys[email]} if named else {}),
        }
        return made | changes

    def bounce(self, reader: int = 0, *, at: datetime = NOW, **changes: object) -> dict[str, object]:
        words = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 user unknown"}
        return self.event("bounce", reader, at=at, **words | changes)

    def state(self, reader: int = 0) -> str:
        found = self.app.store.subscribers.find("morning", f"reader{reader:03}@mail.news")
        assert found
        return found.state.value

    def delivery(self, reader: int = 0) -> str:
        return next(
            one.state.value for one in self.app.store.ledger.deliveries(1) if one.email.startswith(f"reader{reader:03}")
        )

    def is_suppressed(self, reader: int = 0) -> bool:
        return self.app.store.subscribers.is_suppressed("morning", f"reader{reader:03}@mail.news")

    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.app.store.events.newest()]


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return make_key()


@pytest.fixture
def place(own_folder: Path, key: ec.EllipticCurvePrivateKey) -> Iterator[Place]:
    """A newsletter with forty readers, the edition of today accepted by the provider for each."""
    yield from _open(own_folder, key, f'[bounces]\nsendgrid_key = "{shown(key)}"\nwave = 10\nsoft_run = 3\n')


def _open(folder: Path, key: ec.EllipticCurvePrivateKey, tables: str) -> Iterator[Place]:
    config = folder / "config.toml"
    config.write_text(f'{NEWSLETTER}\n{tables}\n[alerts]\nto = ["desk@rehearsal.test"]\n')
    clock = Clock(NOW + 3 * DAY)
    with App(load_config(config), clock=clock) as app:
        place = Place(app, clock, key)
        readers = [
            Subscriber(email=f"reader{n:03}@mail.news", state=SubscriberState.ACTIVE, consent_at=NOW) for n in range(40)
        ]
        app.store.subscribers.add_many("morning", readers, now=NOW)
        edition = save_edition(app.store).id
        planned = [
            Planned(subscriber=one, send_key=f"{one.key[::-1]}", variant="all")
            for one in list(app.store.subscribers.reached("morning"))
        ]
        place.send_keys = {plan.subscriber.email: plan.send_key for plan in planned}
        app.store.ledger.plan(edition, planned, batch_size=100, now=NOW)
        with app.store._database.write() as connection:
            connection.exec_driver_sql(
                "UPDATE deliveries SET state='accepted', transport='sendgrid', attempted_at=?",
                ((NOW - timedelta(hours=1)).isoformat(timespec="microseconds"),),
            )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            place.port = listener.getsockname()[1]
            server = uvicorn.Server(
                uvicorn.Config(create_public(app), log_level="warning", access_log=False, lifespan="off")
            )
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            wait_for(lambda: server.started, 20, "a server")
            try:
                yield place
            finally:
                server.should_exit = True
                thread.join(20)


# -- who may tell us anything -----------------------------------------------------------------------------------------


def test_signed_events_are_taken_with_their_crlf_tail_and_are_on_disk_when_it_is_said(place: Place) -> None:
    answer = place.tell(place.event("delivered", response="250 OK"))
    assert (answer.status, answer.text) == (204, "")
    with closing(sqlite3.connect(place.app.config.store.url.removeprefix("sqlite:///"))) as other:
        assert other.execute("SELECT kind, effect FROM events").fetchall() == [("delivered", "none")]
    assert place.delivery() == "delivered"
    assert next(d.answer for d in place.app.store.ledger.deliveries(1)) == "250 OK"


def test_a_body_that_was_parsed_and_written_again_is_not_the_one_that_was_signed(place: Place) -> None:
    body = json.dumps([place.bounce()]).encode() + b"\r\n"
    headers = place.sign(body)
    assert place.post(body.rstrip(), headers).status == 403
    assert place.post(body.replace(b", ", b","), headers).status == 403
    assert place.kinds() == []


@pytest.mark.parametrize("missing", ["Signature", "Timestamp"])
def test_without_a_signature_or_its_time_nothing_is_taken(place: Place, missing: str) -> None:
    body = json.dumps([place.bounce()]).encode()
    headers = {name: value for name, value in place.sign(body).items() if not name.endswith(missing)}
    assert place.post(body, headers).status == 403
    assert place.kinds() == []


def test_another_key_signs_nothing(place: Place) -> None:
    body = json.dumps([place.bounce()]).encode()
    answer = place.post(body, place.sign(body, key=make_key()))
    assert answer.status == 403 and "[bounces] sendgrid_key" in answer.text
    for signature in ("", "AAAA", "!", "A" * 5000, "é"):
        headers = place.sign(body) | {"X-Twilio-Email-Event-Webhook-Signature": signature.encode().decode("latin-1")}
        assert place.post(body, headers).status == 403
    assert place.kinds() == []


def test_a_time_that_another_was_signed_with_is_refused(place: Place) -> None:
    body = json.dumps([place.bounce()]).encode()
    old = place.sign(body, at=place.clock() - 2 * DAY)
    forged = place.sign(body) | {
        "X-Twilio-Email-Event-Webhook-Signature": old["X-Twilio-Email-Event-Webhook-Signature"]
    }
    assert place.post(body, forged).status == 403
    for stamp in ("soon", "-1", "9" * 30, "1e9", "", "１２"):
        headers = place.sign(body) | {"X-Twilio-Email-Event-Webhook-Timestamp": stamp.encode().decode("latin-1")}
        assert place.post(body, headers).status == 403
    assert place.kinds() == []


def test_what_was_signed_long_ago_is_refused_and_what_the_service_tries_again_for_a_day_is_not(place: Place) -> None:
    body = json.dumps([place.event("delivered")]).encode()
    answer = place.post(body, place.sign(body, at=place.clock() - timedelta(hours=26)))
    assert answer.status == 403 and "too long ago" in answer.text
    assert place.post(body, place.sign(body, at=place.clock() + timedelta(hours=1))).status == 403
    assert place.kinds() == []
    assert place.post(body, place.sign(body, at=place.clock() - timedelta(hours=24))).status == 204


def test_a_replay_changes_nothing(place: Place) -> None:
    body = json.dumps([place.bounce()]).encode()
    headers = place.sign(body)
    assert {place.post(body, headers).status for _ in range(5)} == {204}
    assert place.kinds() == ["bounced"]
    assert place.state() == "active"


def test_several_keys_are_taken_while_one_follows_another(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    other = make_key()
    pem = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for place in _open(tmp_path, key, f'[bounces]\nsendgrid_key = """{shown(key)} {pem}"""\n'):
        body = json.dumps([place.event("delivered")]).encode()
        assert place.post(body, place.sign(body, key=other)).status == 204
        assert place.post(body, place.sign(body, key=key)).status == 204


def test_without_a_key_nothing_is_taken_and_the_service_may_try_again(
    tmp_path: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    for place in _open(tmp_path, key, ""):
        answer = place.tell(place.bounce())
        assert answer.status == 503 and "[bounces] sendgrid_key" in answer.text
        assert place.kinds() == []


def test_a_key_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    private = make_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    wrong_kind = base64.b64encode(edwards.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    wrong_curve = shown(ec.generate_private_key(ec.SECP384R1()))
    good = shown(make_key())
    for written in ("nonsense", "QUJD", private, wrong_kind, wrong_curve, good[:-4], f"{good} x"):
        (tmp_path / "config.toml").write_text(f'{NEWSLETTER}\n[bounces]\nsendgrid_key = """{written}"""\n')
        with pytest.raises(
            ConfigError, match=r"config\.toml:\d+: \"bounces\.sendgrid_key\": .*copy the verification key"
        ):
            load_config(tmp_path / "config.toml")


# -- what comes in ----------------------------------------------------------------------------------------------------


def test_a_compressed_body_gets_a_clear_answer(place: Place) -> None:
    body = gzip.compress(json.dumps([place.bounce()]).encode())
    answer = place.post(body, place.sign(body) | {"Content-Encoding": "gzip"})
    assert answer.status == 415 and "compressed" in answer.text
    undeclared = place.post(body)
    assert undeclared.status == 400 and "no JSON" in undeclared.text


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"null", b"[" * 50_000, b'"x"'])
def test_a_signed_body_that_is_no_list_of_events_gets_a_clear_answer(place: Place, body: bytes) -> None:
    answer = place.post(body)
    assert answer.status == 400 and answer.text.startswith("the body is no JSON")


def test_a_malformed_event_loses_none_of_the_others(place: Place) -> None:
    assert place.tell(place.event("delivered"), None, {"event": 7}, place.event("delivered", 1)).status == 204
    assert sorted(place.kinds()) == ["delivered", "delivered", "unknown", "unknown"]


def test_a_flood_is_not_read_to_its_end(place: Place) -> None:
    assert place.post(b"[" + b" " * 6_000_000 + b"]").status == 413
    with socket.create_connection(("127.0.0.1", place.port), timeout=20) as talk:
        # Without a length: what comes in pieces is bounded as well.
        signed = "\r\n".join(f"{name}: {value}" for name, value in place.sign(b"").items())
        talk.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{signed}\r\n\r\n".encode())
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        answer = b""
        try:
            for _ in range(200):
                talk.sendall(piece)
        except OSError:
            pass  # it hung up on us
        try:
            answer = talk.recv(1000)
        except OSError:
            return
    assert b" 413 " in answer


def test_only_posting_tells_us_anything(place: Place) -> None:
    assert place.post(b"", {}, method="GET").status in {404, 405}
    assert place.post(b"", {}, method="PUT").status in {404, 405}


def test_a_locked_store_is_tried_again_by_the_service(place: Place) -> None:
    path = place.app.config.store.url.removeprefix("sqlite:///")
    with place.app.store._database.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = place.tell(place.event("delivered"))
        other.execute("ROLLBACK")
    assert answer.status == 503 and "locked" in answer.text and answer.headers["retry-after"]
    assert place.tell(place.event("delivered")).status == 204
    assert place.kinds() == ["delivered"]


def test_every_sample_event_is_taken(place: Place, shared: Path) -> None:
    body = (shared / "data" / "sendgrid" / "events.json").read_bytes()
    for email in ("reader@example.com", "gone@example.com", "strict@example.com", "late@example.com"):
        place.app.store.subscribers.add(
            "morning", Subscriber(email=email, state=SubscriberState.ACTIVE, consent_at=NOW), now=NOW
        )
    assert place.post(body).status == 204
    assert len(place.kinds()) == len(json.loads(body)) - 1  # one is there twice
    states = {
        reader.email: reader.state.value
        for reader in place.app.store.subscribers.everyone("morning")
        if reader.email.endswith("example.com")
    }
    assert states == {
        "reader@example.com": "complained",
        "gone@example.com": "bounced",  # the provider has it on its list
        "strict@example.com": "active",
        "late@example.com": "active",
    }


# -- what follows -----------------------------------------------------------------------------------------------------


def test_two_hard_bounces_on_different_days_end_it_everywhere(place: Place) -> None:
    other = Subscriber(email="reader000@mail.news", state=SubscriberState.ACTIVE, consent_at=NOW)
    place.app.store.subscribers.add("evening", other, now=NOW)
    place.tell(place.bounce(), place.bounce(at=NOW + timedelta(hours=3)))
    assert (place.state(), place.delivery()) == ("active", "bounced")
    place.tell(place.bounce(at=NOW + DAY))
    assert (place.state(), place.is_suppressed()) == ("bounced", True)
    assert place.app.store.subscribers.is_suppressed("weekly", "reader000@mail.news")
    found = place.app.store.subscribers.find("evening", "reader000@mail.news")
    assert found and found.state == "bounced"


def test_a_late_bounce_without_a_name_is_known_by_its_address(place: Place) -> None:
    for day in range(2):
        place.tell(place.bounce(at=NOW + day * DAY, named=False, email="Reader000@MAIL.news"))
    assert (place.state(), place.delivery()) == ("bounced", "bounced")


def test_our_own_faults_and_blocks_are_not_held_against_a_reader(place: Place) -> None:
    for day in range(3):
        place.tell(
            place.bounce(1, at=NOW + day * DAY, status="5.1.8", reason="550 5.1.8 bad sender"),
            place.bounce(2, at=NOW + day * DAY, type="blocked"),
        )
    assert place.state(1) == "active"
    assert place.state(2) == "bounced"  # soft, three in a row


def test_soft_bounces_end_it_in_a_row_and_a_delivery_between_forgives_them(place: Place) -> None:
    soft = {"status": "5.2.2", "reason": "552 5.2.2 full"}
    for number in range(3):
        place.tell(
            place.bounce(1, at=NOW + number * timedelta(hours=8), named=False, **soft),
            place.bounce(2, at=NOW + number * timedelta(hours=8), named=False, **soft),
        )
    assert (place.state(1), place.state(2)) == ("bounced", "bounced")
    # What was delivered in between was only late to be told.
    place.tell(place.event("delivered", 1, at=NOW + timedelta(hours=4)))
    assert (place.state(1), place.is_suppressed(1)) == ("active", False)
    assert (place.state(2), place.is_suppressed(2)) == ("bounced", True)


def test_what_was_sent_by_smtp_between_and_never_came_back_was_delivered(place: Place) -> None:
    place.clock.now = NOW + 30 * DAY
    with place.app.store._database.write() as connection:
        # The readers 1 and 2 were sent the edition by a relay and by the provider, which would have told.
        connection.exec_driver_sql("UPDATE deliveries SET transport = 'smtp' WHERE id = 2")
    for day in (-1, 8, 9):  # none of them so near that it could be of that edition
        for reader in (1, 2):
            words = {"status": "5.2.2", "reason": "552 5.2.2 full"}
            place.tell(place.bounce(reader, at=NOW + day * DAY, named=False, **words))
    assert (place.delivery(1), place.delivery(2)) == ("accepted", "accepted")
    assert (place.state(1), place.state(2)) == ("active", "bounced")
    place.tell(place.bounce(1, at=NOW + 10 * DAY, named=False, status="5.2.2", reason="552 5.2.2 full"))
    assert place.state(1) == "bounced"


def test_a_complaint_ends_every_newsletter_and_leaving_only_one(place: Place) -> None:
    for reader in (1, 2):
        other = Subscriber(email=f"reader{reader:03}@mail.news", state=SubscriberState.ACTIVE, consent_at=NOW)
        place.app.store.subscribers.add("evening", other, now=NOW)
    place.tell(place.event("spamreport", 1), place.event("unsubscribe", 2))
    assert (place.state(1), place.state(2)) == ("complained", "unsubscribed")
    evening = {r.email: r.state.value for r in place.app.store.subscribers.everyone("evening")}
    assert evening == {"reader001@mail.news": "complained", "reader002@mail.news": "active"}
    place.tell(place.event("group_resubscribe", 1), place.event("group_resubscribe", 2))
    assert (place.state(1), place.state(2)) == ("complained", "unsubscribed")


def test_what_the_provider_dropped_is_recorded_with_its_reason(place: Place) -> None:
    place.tell(
        place.event("dropped", 1, reason="Bounced Address"),
        place.event("dropped", 2, reason="Spam Reporting Address"),
        place.event("dropped", 3, reason="Unsubscribed Address"),
        place.event("dropped", 4, reason="Recipient List over Package Quota"),
    )
    assert [place.state(n) for n in range(1, 5)] == ["bounced", "complained", "unsubscribed", "active"]
    assert {place.delivery(n) for n in range(1, 5)} == {"dropped"}
    answers = {one.answer for one in place.app.store.ledger.deliveries(1) if one.state is DeliveryState.DROPPED}
    assert "Recipient List over Package Quota" in answers


def test_a_complaint_of_somebody_nobody_knows_keeps_that_address_from_being_mailed(place: Place) -> None:
    place.tell(place.event("spamreport", named=False, email="Stranger@mail.news"))
    assert place.app.store.subscribers.is_suppressed("morning", "stranger@mail.news")
    (event,) = place.app.store.events.newest()
    assert "tranger@" not in (event.raw or "").lower()


def test_an_unknown_delivery_is_settled_and_none_goes_back(place: Place) -> None:
    with place.app.store._database.write() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'unknown'")
    place.tell(place.event("processed", 1), place.event("delivered", 2), place.event("deferred", 3))
    assert [place.delivery(n) for n in (1, 2, 3, 4)] == ["accepted", "delivered", "accepted", "unknown"]
    place.tell(place.event("processed", 2), place.bounce(2), place.event("delivered", 2, at=NOW + DAY))
    assert place.delivery(2) == "bounced"


def test_who_came_back_is_judged_by_what_came_after(place: Place) -> None:
    place.tell(place.bounce(), place.bounce(at=NOW + DAY))
    assert place.state() == "bounced"
    with place.app.store._database.write() as connection:  # by a new request that they confirmed
        connection.exec_driver_sql("DELETE FROM suppressions")
        connection.exec_driver_sql("UPDATE subscriptions SET state = 'active'")
    place.tell(place.bounce(at=NOW + 2 * DAY))
    assert (place.state(), place.is_suppressed()) == ("active", False)
    place.tell(place.bounce(at=NOW + 2.5 * DAY))
    assert place.state() == "bounced"


def test_who_bounced_while_pending_is_made_active_by_no_import(place: Place) -> None:
    store = place.app.store.subscribers
    for name in ("gone", "there"):
        store.add("morning", Subscriber(email=f"{name}@mail.news"), now=NOW)
    gone = {"named": False, "email": "gone@mail.news"}
    place.tell(place.bounce(**gone), place.bounce(at=NOW + DAY, **gone))
    agreed = [
        Subscriber(email=f"{name}@mail.news", state=SubscriberState.ACTIVE, consent_at=NOW)
        for name in ("gone", "there")
    ]
    taken = store.take("morning", agreed, now=place.clock())
    assert (taken.added, taken.activated, taken.left_out) == (0, 1, ((0, "bounced"),))
    states = [found.state.value for one in agreed if (found := store.find("morning", one.email))]
    assert states == ["pending", "active"]


def come_back(place: Place) -> None:
    """By a request that they confirm."""
    store, slug = place.app.store, "morning"
    asked = PageRequest(key="a" * 32, kind=AskedFor.CONFIRM, email="reader000@mail.news", requested_at=place.clock())
    keep = {"may_be_kept": lambda _: True, "counted_since": NOW, "kept_since": NOW}
    assert store.requests.add(slug, asked, "203.0.113.0/24", **keep)
    use = {"may_act": lambda _: True, "is_done": lambda _: False}
    assert store.requests.confirm(slug, asked.key, **use, consent_from=None, now=place.clock())
    assert (place.state(), place.is_suppressed()) == ("active", False)


@pytest.mark.parametrize("is_quarantined", [False, True])
def test_a_bounce_from_before_is_not_held_against_who_came_back(place: Place, is_quarantined: bool) -> None:
    if is_quarantined:
        flood(place, 12, day=0)
    else:
        place.tell(place.bounce())
    reader = place.app.store.subscribers.find("morning", "reader000@mail.news")
    assert reader and place.app.store.subscribers.leave("morning", reader.key, now=place.clock())
    come_back(place)
    place.tell(place.bounce(at=NOW + 4 * DAY))
    rules = make_bounce_rules(place.app)
    place.app.store.events.confirm(rules, domain=None, now=place.clock())
    assert (place.state(), place.is_suppressed()) == ("active", False)
    place.clock.wait(3 * 86_400)
    place.tell(place.bounce(at=NOW + 5 * DAY))
    assert place.state() == "bounced"


# -- waves, and the operator's word -----------------------------------------------------------------------------------


def flood(place: Place, count: int, *, day: int, start: int = 0) -> Answer:
    """Bounces of as many readers, a minute from each other."""
    return place.tell(
        *(place.bounce(n, at=NOW + day * DAY + n * timedelta(minutes=1)) for n in range(start, start + count))
    )


def alerts(place: Place) -> list[str]:
    folder = place.app.config.path.parent / "outbox" / "new"
    return [path.read_text() for path in folder.glob("*")] if folder.is_dir() else []


def test_a_sudden_wave_is_held_against_nobody_and_told_once(place: Place) -> None:
    flood(place, 12, day=0)
    flood(place, 9, day=1)
    # The first day's were set aside, the second day's are too few to be a wave.
    assert {place.state(n) for n in range(40)} == {"active"}
    wait_for(lambda: len(alerts(place)) == 1, 20, "an alert")
    assert "To: desk@rehearsal.test" in alerts(place)[0] and "mail.news" in alerts(place)[0]
    # The tenth makes one of them.
    flood(place, 3, day=1, start=9)
    flood(place, 3, day=1, start=12)
    assert {place.state(n) for n in range(40)} == {"active"}
    wait_for(lambda: len(alerts(place)) == 2, 20, "a second alert")
    aside = place.app.store.events.quarantined()
    assert aside == {"mail.news": 12 + 15}


def test_the_mail_of_a_wave_from_an_international_domain_has_ascii_headers(place: Place) -> None:
    for reader in range(10):
        one = Subscriber(email=f"jo{reader}@münchen.de", state=SubscriberState.ACTIVE, consent_at=NOW)
        place.app.store.subscribers.add("morning", one, now=NOW)
    place.tell(*(place.bounce(email=f"jo{n}@xn--mnchen-3ya.de", named=False, sg_event_id=f"w{n}") for n in range(10)))
    wait_for(lambda: len(alerts(place)) == 1, 20, "an alert")
    assert alerts(place)[0].partition("\n\n")[0].isascii()
    assert place.app.store.events.quarantined() == {"münchen.de": 10}


def test_what_counted_before_the_wave_was_seen_is_set_aside_with_it(place: Place) -> None:
    for reader in range(9):
        place.tell(place.bounce(reader, at=NOW - 3 * DAY + reader * timedelta(hours=2)))
    flood(place, 9, day=0)
    assert {place.state(n) for n in range(9)} == {"bounced"}
    flood(place, 1, day=0, start=9)
    assert {place.state(n) for n in range(10)} == {"active"}
    assert not any(place.is_suppressed(n) for n in range(10))


def test_a_true_wave_counts_by_the_operators_word(place: Place) -> None:
    flood(place, 12, day=0)
    flood(place, 12, day=1)
    rules = make_bounce_rules(place.app)
    judged = place.app.store.events.confirm(rules, domain="elsewhere.news", now=place.clock())
    assert judged.events == 0
    judged = place.app.store.events.confirm(rules, domain="mail.news", now=place.clock())
    assert (judged.events, judged.ended) == (24, 12)
    assert {place.state(n) for n in range(12)} == {"bounced"}
    # It is not set aside again by what comes after.
    flood(place, 2, day=1, start=12)
    assert {place.state(n) for n in range(12)} == {"bounced"}


def test_restoring_undoes_what_bounces_did_and_nothing_else(place: Place) -> None:
    for reader in range(4):
        place.tell(place.bounce(reader), place.bounce(reader, at=NOW + DAY))
    place.tell(place.event("spamreport", 1, at=NOW + DAY), place.event("unsubscribe", 2, at=NOW + DAY))
    rules = make_bounce_rules(place.app)
    arguments = {"since": NOW + timedelta(hours=12), "domain": None, "now": place.clock()}
    before = [place.state(n) for n in range(4)]
    assert before == ["bounced", "complained", "unsubscribed", "bounced"]
    dry = place.app.store.events.undo(rules, dry=True, **arguments)
    assert (dry.restored, [place.state(n) for n in range(4)]) == (2, before)
    done = place.app.store.events.undo(rules, dry=False, **arguments)
    assert (done.restored, done.events) == (2, 4)
    assert [place.state(n) for n in range(4)] == ["active", "complained", "unsubscribed", "active"]
    assert [place.is_suppressed(n) for n in range(4)] == [False, True, True, False]
    # Repeated, it finds nothing; the bounce before still counts.
    assert place.app.store.events.undo(rules, dry=False, **arguments).events == 0
    place.tell(place.bounce(0, at=NOW + 2 * DAY))
    assert place.state(0) == "bounced"


@pytest.mark.parametrize("how", ["link", "import"])
def test_who_left_after_bouncing_is_not_restored(place: Place, how: str) -> None:
    place.tell(place.bounce(), place.bounce(at=NOW + DAY))
    reader = place.app.store.subscribers.find("morning", "reader000@mail.news")
    assert reader is not None and place.state() == "bounced"
    if how == "link":
        place.app.store.subscribers.leave("morning", reader.key, now=place.clock())
    else:
        place.app.store.subscribers.take(
            "morning", [replace(reader, state=SubscriberState.UNSUBSCRIBED)], now=place.clock()
        )
    rules = make_bounce_rules(place.app)
    assert place.state() == "unsubscribed"
    place.app.store.events.undo(rules, since=NOW - DAY, domain=None, now=place.clock(), dry=False)
    assert (place.state(), place.is_suppressed()) == ("unsubscribed", True)


def test_who_is_imported_as_complaining_after_bouncing_is_not_restored(place: Place) -> None:
    place.tell(place.bounce(), place.bounce(at=NOW + DAY))
    angry = Subscriber(email="reader000@mail.news", state=SubscriberState.COMPLAINED)
    place.app.store.subscribers.take("morning", [angry], now=place.clock())
    rules = make_bounce_rules(place.app)
    place.app.store.events.undo(rules, since=NOW - DAY, domain=None, now=place.clock(), dry=False)
    assert (place.state(), place.is_suppressed()) == ("complained", True)


def test_an_event_of_an_international_domain_in_ascii_finds_its_reader(place: Place) -> None:
    reader = Subscriber(email="jo@münchen.de", state=SubscriberState.ACTIVE, consent_at=NOW)
    place.app.store.subscribers.add("morning", reader, now=NOW)
    place.tell({"event": "spamreport", "email": "jo@xn--mnchen-3ya.de", "timestamp": int(NOW.timestamp())})
    found = place.app.store.subscribers.find("morning", "jo@xn--mnchen-3ya.de")
    assert found is not None and (found.email, found.state) == ("jo@münchen.de", SubscriberState.COMPLAINED)


def test_whom_the_providers_list_ended_for_a_bounce_is_restored_by_the_operator_and_by_nothing_else(
    place: Place,
) -> None:
    place.tell(place.bounce())
    assert place.state() == "active"  # one is not enough
    store = place.app.store
    store.reconciling.suppress("morning", ["reader000@mail.news"], SubscriberState.BOUNCED, now=place.clock())
    place.tell(place.event("delivered", at=NOW + DAY), place.bounce(1))
    assert (place.state(), place.is_suppressed()) == ("bounced", True)
    rules = make_bounce_rules(place.app)
    done = store.events.undo(rules, since=NOW - DAY, domain=None, now=place.clock(), dry=False)
    assert (done.restored, place.state(), place.is_suppressed()) == (1, "active", False)


def test_who_was_imported_as_bounced_is_not_restored(place: Place) -> None:
    gone = Subscriber(email="reader000@mail.news", state=SubscriberState.BOUNCED)
    place.app.store.subscribers.take("morning", [gone], now=NOW)
    place.tell(place.bounce(), place.bounce(at=NOW + DAY))
    rules = make_bounce_rules(place.app)
    place.app.store.events.undo(rules, since=NOW - DAY, domain=None, now=place.clock(), dry=False)
    assert (place.state(), place.is_suppressed()) == ("bounced", True)


def test_erasing_leaves_nothing_of_an_address_in_what_was_said(place: Place) -> None:
    place.tell(
        place.bounce(reason="550 5.1.1 <reader000@mail.news> unknown"),
        place.event("open", ip="192.0.2.1"),
    )
    # A mailbox may not even say of whom it speaks.
    vague = {"provider": "mailbox", "kind": EventKind.BOUNCED, "occurred_at": NOW}
    take_events(
        place.app,
        [
            Event(event_id="vague", raw="To: Reader000@mail.news", **vague),
            Event(event_id="other", raw="To: reader001@mail.news", **vague),
        ],
    )
    assert place.app.store.subscribers.erase("reader000@mail.news", now=place.clock())
    # Also in what comes afterwards, by name or by address.
    place.tell(
        place.bounce(at=NOW + DAY, reason="550 5.1.1 <reader000@mail.news> unknown"),
        place.bounce(at=NOW + 2 * DAY, named=False, reason="550 5.1.1 <reader000@mail.news> unknown"),
    )
    assert place.app.store.subscribers.find("morning", "reader000@mail.news") is None
    assert place.is_suppressed()
    place.app.store.close()
    path = Path(place.app.config.store.url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        left = "\n".join(connection.iterdump())
        of_them = connection.execute("SELECT count(*), count(domain) FROM events WHERE person = 1").fetchone()
        assert of_them == (3, 0)
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (6,)
        # A domain of their own names them as well.
        assert connection.execute("SELECT DISTINCT domain FROM events").fetchall() == [(None,)]
    assert "reader000" not in left.lower() and "192.0.2.1" not in left and "To: reader001@mail.news" in left


def test_events_of_a_mailbox_count_as_those_of_a_provider(place: Place) -> None:
    heard = [
        Event(
            provider="mailbox",
            event_id=f"m{day}",
            kind=EventKind.BOUNCED,
            occurred_at=NOW + day * DAY,
            send_key=place.send_keys["reader003@mail.news"],
            status="5.1.1",
        )
        for day in range(2)
    ]
    done = take_events(place.app, heard)
    assert (done.new, done.ended, take_events(place.app, heard).repeated) == (2, 1, 2)
    assert place.state(3) == "bounced"


def test_what_a_server_refuses_at_once_counts_too(place: Place) -> None:
    with place.app.store._database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE deliveries SET state='refused', transport='smtp', answer='550 5.1.1 no such user', settled_at=? "
            "WHERE id = 1",
            (place.clock().isoformat(timespec="microseconds"),),
        )
    assert take_refusals(place.app).new == 1
    assert take_refusals(place.app).new == 0
    (event,) = place.app.store.events.newest()
    assert (event.weight, event.status, event.effect) == ("hard", "5.1.1", "counted")
    assert place.delivery(0) == "refused"


@pytest.mark.parametrize(
    "words", ["the server does not take such an address (no SMTPUTF8)", "an address of it cannot be written in ASCII"]
)
def test_what_we_ourselves_could_not_send_is_no_servers_word_on_a_reader(place: Place, words: str) -> None:
    with place.app.store._database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE deliveries SET state='refused', transport='smtp', answer=?, settled_at=? WHERE id = 1",
            (words, place.clock().isoformat(timespec="microseconds")),
        )
    assert take_refusals(place.app).new == 0


def test_a_run_takes_what_servers_refuse_to_its_face(sample_desk: Desk) -> None:
    with SmtpServer(on_rcpt=lambda address: "550 5.1.1 no such user") as server:
        path = sample_desk.folder / "config.toml"
        text = path.read_text()
        start, end = text.index('kind = "outbox"'), text.index("rate =", text.index('kind = "outbox"'))
        transport = f'kind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"\n'
        path.write_text(text[:start] + transport + text[end:])
        assert sample_desk.digest("run").code == 3
    (event,) = sample_desk.digest("events", "list", "--json").rows
    assert (event["kind"], event["weight"], event["effect"]) == ("bounced", "hard", "counted")
    assert event["email"] == "reader@rehearsal.test"


def test_the_commands_show_and_undo(place: Place, desk: Desk) -> None:
    # `desk` is the folder that the newsletter is in.
    flood(place, 12, day=0)
    place.tell(place.bounce(20, at=NOW + timedelta(hours=5)), place.bounce(20, at=NOW + DAY))
    listed = desk.digest("events", "list", "--effect", "quarantined", "--json")
    assert listed.code == 0 and len(listed.rows) == 12
    assert {row["domain"] for row in listed.rows} == {"mail.news"}
    shown_ = desk.digest("subscribers", "show", "reader020@mail.news", "--json").rows[0]
    assert [event["effect"] for event in shown_["events"]] == ["applied", "applied"]
    assert "550 5.1.1" in shown_["events"][0]["raw"]
    assert "heard" in desk.digest("subscribers", "show", "reader020@mail.news").out
    status = desk.digest("status", "--json").rows[0]
    assert status["quarantined"] == {"mail.news": 12}
    assert "12 refusals from mail.news" in desk.digest("status").out
    states = {row["state"] for row in desk.digest("editions", "show", "1", "--deliveries", "--json").rows}
    assert states == {"accepted", "bounced"}
    dry = desk.digest("subscribers", "restore", "--since", "2026-03-01", "--dry-run")
    assert "1 readers would be mailed again" in dry.out and place.state(20) == "bounced"
    applied = desk.digest("events", "apply", "--domain", "MAIL.news", "--json").rows[0]
    assert applied["events"] == 12
    done = desk.digest("subscribers", "restore", "--since", "2026-03-01", "--domain", "mail.news", "--json").rows[0]
    assert done == {"restored": 1, "events": 14, "dry_run": False}
    assert place.state(20) == "active"
    wrong = desk.digest("subscribers", "restore", "--since", "yesterday")
    assert wrong.code == 2 and "2026-01-31T10:00Z" in wrong.err
    assert desk.digest("events", "apply").code == 2
