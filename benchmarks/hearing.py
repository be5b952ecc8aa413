"""How many events a second the webhook takes: signed, over HTTP, on disk before it answers."""

import base64
import http.client
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.figures import Figure
from benchmarks.making import NOW
from digest.app import App
from digest.config import load_config
from digest.models import DeliveryState, Edition, EditionState, Outcome, Planned, Subscriber, SubscriberState
from digest.stores.owners import this_owner
from digest.web.public import create_public

_READERS, _BATCH = 100_000, 1000
_CONFIG = """
[newsletter]
name = "Bench"
slug = "bench"
sender = "Bench <bench@example.com>"
base_url = "https://news.example.com"

[bounces]
sendgrid_key = "{key}"
wave = 1000000
"""


def measure_events() -> Iterator[Figure]:
    """Of 100,000 readers: all processed and delivered; then as many bounces; then what was heard before."""
    key = ec.generate_private_key(ec.SECP256R1())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        shown = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        path.write_text(_CONFIG.format(key=base64.b64encode(shown).decode()), encoding="utf-8")
        with App(load_config(path, {})) as app:
            keys = _fill(app)
            with _serve(app) as port:
                mixed = [
                    _event(number, kind, send_key)
                    for number, send_key in enumerate(keys[: _READERS // 4])
                    for kind in ("processed", "delivered")
                ]
                yield _measure("events", port, key, mixed, "processed and delivered; aim 2,000")
                refused = [_event(n, "bounce", send_key) for n, send_key in enumerate(keys[: _READERS // 4])]
                yield _measure("events, bounces", port, key, refused, "every one is judged; aim 2,000")
                yield _measure("events, repeated", port, key, mixed, "heard before; aim 2,000")


def _fill(app: App) -> list[str]:
    """Readers, and an edition that the provider accepted for each; the names of its deliveries."""
    readers = (
        Subscriber(email=f"reader{n}@mail{n % 997}.news", state=SubscriberState.ACTIVE, consent_at=NOW)
        for n in range(_READERS)
    )
    store = app.store
    store.subscribers.add_many("bench", readers, now=NOW)
    planned = [
        Planned(subscriber=r, send_key=r.key[::-1], variant="all") for r in list(store.subscribers.reached("bench"))
    ]
    edition = Edition(
        newsletter="bench", name="Bench", cadence="daily", date=NOW.date(), subject="s", language="en",
        direction="ltr", sections=(), composed_at=NOW, cutoff_at=NOW,
    )  # fmt: skip
    number = store.editions.save(edition, [], EditionState.READY, None, now=NOW).id
    store.ledger.plan(number, planned, batch_size=1000, now=NOW)
    owner, lease = this_owner("bench"), NOW.replace(year=NOW.year + 1)
    while claim := store.ledger.claim(number, owner, lease_until=lease, now=NOW):
        deliveries = [recipient.delivery for recipient in claim.recipients]
        store.ledger.mark(claim, deliveries, "sendgrid", now=NOW)
        accepted = [Outcome(delivery=d, state=DeliveryState.ACCEPTED, raw="202") for d in deliveries]
        store.ledger.settle(claim, accepted, now=NOW)
        store.ledger.release(claim, now=NOW)
    return [plan.send_key for plan in planned]


@contextmanager
def _serve(app: App) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_public(app), log_level="warning", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def _event(number: int, kind: str, send_key: str) -> dict[str, object]:
    words = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 user unknown"} if kind == "bounce" else {}
    return {
        "email": f"reader{number}@mail{number % 997}.news",
        "timestamp": int(NOW.timestamp()) + number,
        "event": kind,
        "sg_event_id": f"{kind}-{number:020}",
        "sg_message_id": "14c5d75ce93.dfd.64b469.recvd-0001-0",
        "send_key": send_key,
        "category": ["bench.news.example.com"],
        "smtp-id": "<14c5d75ce93.dfd.64b469@geopod-ismtpd-0>",
        **words,
    }


def _measure(
    name: str, port: int, key: ec.EllipticCurvePrivateKey, events: list[dict[str, object]], note: str
) -> Figure:
    requests = []
    for start in range(0, len(events), _BATCH):
        body = json.dumps(events[start : start + _BATCH]).encode() + b"\r\n"
        stamp = str(int(time.time()))
        signature = key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
        headers = {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
        }
        requests.append((body, headers))
    slowest = 0.0
    begin, worked = time.perf_counter(), time.process_time()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for body, headers in requests:
            start = time.perf_counter()
            connection.request("POST", "/bench/events/sendgrid", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 204:
                raise RuntimeError(f"answered {answer.status}")
            slowest = max(slowest, time.perf_counter() - start)
    seconds, worked = time.perf_counter() - begin, time.process_time() - worked
    pace = f"{len(events) / worked:,.0f} a CPU second, with the client"
    note = f"{len(events):,} in batches of {_BATCH:,}, the slowest {slowest:.2f} s; {pace}; {note}"
    return Figure(name=name, value=len(events) / seconds, unit="events/s", note=note)


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"events": measure_events}
