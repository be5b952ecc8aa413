"""A thousand readers in one request to SendGrid: the whole exchange, by the CPU time of the process that sends.

The service is a process of its own, which takes every request and answers it. The peer is the package as shipped: its
helpers build the mail, and each request has a connection and a TLS context of its own.
"""

import multiprocessing
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.figures import Figure, cpu_seconds
from benchmarks.making import NOW, ROOT, make_edition
from digest.deliver import address
from digest.models import (
    UNSUBSCRIBE_TOKEN,
    Batch,
    EditionState,
    Letterhead,
    Message,
    Outcome,
    Planned,
    Rendition,
    Subscriber,
    SubscriberState,
)
from digest.render import Renderer
from digest.stores.owners import this_owner
from digest.stores.sql import SqlStore
from digest.transports.sendgrid import SendGridTransport
from tests.doubles.certificates import make_certificate

_READERS, _REQUESTS, _PEER_REQUESTS = 1000, 20, 5
_KEY = "SG.bench"
_AIM = "aim 20 ms"
_LETTERHEAD = Letterhead(
    sender="Bench <bench@example.com>", reply_to=None, list_id="bench.example.com", list_name="Bench", dated_at=NOW
)


def measure_sendgrid() -> Iterator[Figure]:
    """The body alone, the exchange with and without TLS beside the package as shipped, and with the ledger on disk."""
    batch = Batch(rendition=_make_rendition(), letterhead=_LETTERHEAD, messages=_make_messages())
    transport = SendGridTransport(api_key=_KEY)
    body = cpu_seconds(lambda: transport.render(batch)) * 1000
    (rendered,) = transport.render(batch)
    transport.close()
    size = f"{len(rendered):,} bytes"
    yield Figure(name="sendgrid body", value=body, unit="ms", note=f"of {_READERS:,} readers, {size}")
    with tempfile.TemporaryDirectory() as folder:
        certificate = make_certificate(Path(folder))
        with _serve(None) as url:
            ours, peer = _cost(url, batch), _cost_as_shipped(url, batch)
            yield Figure.beside(
                "sendgrid request", ours, "CPU ms/request", "package as shipped", peer, f"{size}; {_AIM}"
            )
        with _serve(certificate) as url, _trusting(certificate[0], Path(folder)):
            ours, peer = _cost(url, batch), _cost_as_shipped(url, batch)
            note = f"kept connection, per-reader headers; {_AIM}"
            yield Figure.beside("sendgrid request, TLS", ours, "CPU ms/request", "package as shipped", peer, note)
            pace, of_peer = _READERS / ours * 1000, _READERS / peer * 1000
            note = "of a CPU second; aim 50,000"
            yield Figure.beside("sendgrid recipients", pace, "recipients/s", "package as shipped", of_peer, note)
            yield _measure_with_ledger(url, batch.rendition, Path(folder))


def _make_rendition() -> Rendition:
    renderer = Renderer(folders=[ROOT / "templates"], base_url="https://news.example.com", postal_address="1 Street")
    return renderer.render(make_edition(), "all")


def _make_messages() -> tuple[Message, ...]:
    return tuple(
        Message(
            delivery=number,
            send_key=f"{number:032x}",
            email=f"reader{number}@example.com",
            name=f"Reader {number}",
            unsubscribe_url=f"https://news.example.com/bench/unsubscribe/{number:032x}.{'s' * 43}",
        )
        for number in range(_READERS)
    )


def _ignore(_: object) -> None:
    pass


def _cost(url: str, batch: Batch) -> float:
    """CPU milliseconds of a request, once the connection is there."""
    transport = SendGridTransport(api_key=_KEY, host=url)
    transport.send(batch, _ignore, _ignore)
    start = time.process_time()
    for _ in range(_REQUESTS):
        transport.send(batch, _ignore, _ignore)
    spent = (time.process_time() - start) / _REQUESTS * 1000
    transport.close()
    return spent


def _cost_as_shipped(url: str, batch: Batch) -> float:
    """The same by the package's own means."""
    from sendgrid import SendGridAPIClient
    from sendgrid.helpers.mail import Content, CustomArg, Header, Mail, Personalization, Substitution, To

    def send() -> None:
        mail = Mail(from_email="bench@example.com", subject=batch.rendition.subject)
        mail.add_content(Content("text/plain", batch.rendition.text))
        mail.add_content(Content("text/html", batch.rendition.html))
        for message in batch.messages:
            person = Personalization()
            person.add_to(To(message.email, message.name))
            person.add_header(Header("List-Unsubscribe", f"<{message.unsubscribe_url}>"))
            person.add_header(Header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
            person.add_header(Header("Message-ID", f"<{message.send_key}@example.com>"))
            person.add_substitution(Substitution(UNSUBSCRIBE_TOKEN, message.unsubscribe_url))
            person.add_custom_arg(CustomArg("send_key", message.send_key))
            mail.add_personalization(person)
        SendGridAPIClient(api_key=_KEY, host=url).send(mail)

    send()
    start = time.process_time()
    for _ in range(_PEER_REQUESTS):
        send()
    return (time.process_time() - start) / _PEER_REQUESTS * 1000


def _measure_with_ledger(url: str, rendition: Rendition, folder: Path) -> Figure:
    """Claimed, marked, sent, settled and released, a thousand at a time, on disk."""
    store = SqlStore.open(f"sqlite:///{folder}/bench.db")
    ledger, count = store.ledger, _READERS * _REQUESTS
    readers = (
        Subscriber(email=f"reader{n}@example.com", state=SubscriberState.ACTIVE, consent_at=NOW) for n in range(count)
    )
    store.subscribers.add_many("bench", readers, now=NOW)
    planned = [Planned(subscriber=r, send_key=r.key, variant="all") for r in store.subscribers.reached("bench")]
    number = store.editions.save(replace(make_edition(), sections=()), [], EditionState.READY, None, now=NOW).id
    ledger.plan(number, planned, batch_size=_READERS, now=NOW)
    transport = SendGridTransport(api_key=_KEY, host=url)
    owner, lease = this_owner("bench"), NOW + timedelta(hours=1)
    start, worked = time.perf_counter(), time.process_time()
    while claim := ledger.claim(number, owner, lease_until=lease, now=NOW):

        def on_attempt(deliveries: Sequence[int], claim=claim) -> None:  # type: ignore[no-untyped-def]
            ledger.mark(claim, deliveries, "sendgrid", now=NOW)

        def on_outcome(outcomes: Sequence[Outcome], claim=claim) -> None:  # type: ignore[no-untyped-def]
            ledger.settle(claim, outcomes, now=NOW)

        messages = tuple(
            address(recipient, lambda key: f"https://news.example.com/bench/unsubscribe/{key}.{'s' * 43}")
            for recipient in claim.recipients
        )
        transport.send(Batch(rendition=rendition, letterhead=_LETTERHEAD, messages=messages), on_attempt, on_outcome)
        ledger.release(claim, now=NOW)
    worked, seconds = time.process_time() - worked, time.perf_counter() - start
    assert ledger.counts(number) == {"accepted": count}
    transport.close()
    store.close()
    note = f"over TLS, {count / seconds:,.0f} recipients/s of wall time on one connection"
    return Figure(name="sendgrid with ledger", value=worked / _REQUESTS * 1000, unit="CPU ms/request", note=note)


@contextmanager
def _trusting(certificate: Path, folder: Path) -> Iterator[None]:
    """The system's bundle and this certificate: what a context costs is mostly reading the bundle."""
    system = Path(ssl.get_default_verify_paths().openssl_cafile)
    bundle = folder / "bundle.pem"
    bundle.write_bytes((system.read_bytes() if system.is_file() else b"") + b"\n" + certificate.read_bytes())
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(bundle)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


@contextmanager
def _serve(certificate: tuple[Path, Path] | None) -> Iterator[str]:
    """The other end, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer_all, args=(theirs, certificate), daemon=True)
    process.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _answer_all(pipe: "multiprocessing.connection.Connection[int, int]", certificate: tuple[Path, Path] | None) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pipe.send(listener.getsockname()[1])
        while True:
            raw, _ = listener.accept()
            threading.Thread(target=_answer, args=(raw, context), daemon=True).start()


def _answer(raw: socket.socket, context: ssl.SSLContext | None) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError), context.wrap_socket(raw, server_side=True) if context else raw as line:
        stream = line.makefile("rb", buffering=1 << 20)
        while stream.readline():
            length = 0
            while (header := stream.readline().lower()).strip():
                if header.startswith(b"content-length:"):
                    length = int(header[15:])
            stream.read(length)
            line.sendall(b"HTTP/1.1 202 Accepted\r\nX-Message-Id: bench\r\nContent-Length: 0\r\n\r\n")


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"sendgrid": measure_sendgrid}
